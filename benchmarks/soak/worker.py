"""One actor of the soak: does one thing after the other, chosen by its own random numbers."""

import asyncio
import contextlib
import json
import os
import random
import signal
from http import HTTPStatus
from urllib.parse import quote

import aiohttp

from benchmarks.load.socket import open_socket
from benchmarks.soak.client import SoakClient
from benchmarks.soak.ledger import Kind, Ledger, Outcome
from benchmarks.targets import Target

_MOST_CLIENTS = 5
_SLOW_POSTS, _SLOW_BYTES, _SMALL_BUFFER = 60, 100_000, 65_536
_ACTIONS = {
    "connect": 10,
    "echo": 40,
    "push": 30,
    "leave": 5,
    "vanish": 5,
    "raise_error": 3,
    "crash": 2,
    "kill": 2,
    "slow_reader": 1,
}
"""What is done, and how often."""


class Worker:
    """Has clients of its own. The same seed makes the same choices."""

    def __init__(
        self, target: Target, ledger: Ledger, session: aiohttp.ClientSession, seed: str
    ) -> None:
        self._target, self._ledger, self._session = target, ledger, session
        self._random = random.Random(seed)  # noqa: S311  # nothing secret
        self._clients: list[SoakClient] = []

    async def run(self, over: asyncio.Event) -> None:
        """Act until it is over, then leave with all clients."""
        while not over.is_set():
            (name,) = self._random.choices(list(_ACTIONS), list(_ACTIONS.values()))
            await getattr(self, name)()
        for client in self._clients:
            await client.pushes_arrived()
            await client.leave(is_polite=True)

    async def connect(self) -> None:
        """Open a socket and ask who it is."""
        if len(self._clients) < _MOST_CLIENTS:
            client = await self._open()
            if client is not None:
                self._clients.append(client)

    async def echo(self) -> None:
        """Send a message that must come back."""
        if self._clients:
            await self._chosen().ask("echo", fill="x" * self._random.randint(0, 30_000))

    async def push(self) -> None:
        """Post to a connection."""
        if self._clients:
            await self._post(self._chosen(), self._random.randint(0, 2_000))

    async def leave(self) -> None:
        """Close politely, when all has arrived."""
        if self._clients:
            client = self._taken()
            await client.pushes_arrived()
            await client.leave(is_polite=True)

    async def vanish(self) -> None:
        """Be gone without a word, with pushes on their way."""
        if self._clients:
            client = self._taken()
            post = asyncio.create_task(self._post(client, 100))
            await asyncio.sleep(0)  # it is on its way
            client.transport.abort()
            await post
            await client.leave(is_polite=False)

    async def raise_error(self) -> None:
        """Let the function fail."""
        if self._clients and await self._chosen().ask("raise") is not None:
            self._ledger.surprises.append("a function that raises was answered for")

    async def crash(self) -> None:
        """Let the function's process end in the middle of a call."""
        if self._clients and await self._chosen().ask("crash") is not None:
            self._ledger.surprises.append("a process that crashed has answered")

    async def kill(self) -> None:
        """Kill a function's process from outside, whatever it does just now."""
        if not self._clients:
            return
        pid = self._chosen().pid
        # A number may have been given to somebody else's process since.
        if pid in self._target.processes.pids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    async def slow_reader(self) -> None:
        """Push much at a client that reads nothing, until it is refused; then read all."""
        client = await self._open(_SMALL_BUFFER)
        if client is None:
            return
        client.transport.pause_reading()
        for _ in range(_SLOW_POSTS):
            if await self._post(client, _SLOW_BYTES) == HTTPStatus.TOO_MANY_REQUESTS:
                break
        client.transport.resume_reading()
        await client.pushes_arrived()
        await client.leave(is_polite=True)

    async def _open(self, receive_bytes: int = 0) -> SoakClient | None:
        self._ledger.note(Kind.HANDSHAKE, Outcome.SENT)
        url = self._target.url
        try:
            client = await open_socket(lambda: SoakClient(url, self._ledger), url, receive_bytes)
        except ConnectionError:  # its authorizer or $connect was killed
            self._ledger.note(Kind.HANDSHAKE, Outcome.REFUSED)
            return None
        self._ledger.note(Kind.HANDSHAKE, Outcome.RECEIVED)
        told = None
        while told is None:
            told = await client.ask("who")
            if client.closed.done():
                return None
        client.connection_id, client.pid = told["connectionId"], told["pid"]
        return client

    async def _post(self, client: SoakClient, fill_bytes: int) -> int:
        number = client.expect_push()
        name = quote(client.connection_id, safe="")
        address = f"{self._target.callback_url}/@connections/{name}"
        body = json.dumps({"push": number, "fill": "x" * fill_bytes}).encode()
        async with self._session.post(address, data=body) as response:
            if response.status != HTTPStatus.OK:
                client.push_refused(number)
            return response.status

    def _chosen(self) -> SoakClient:
        return self._random.choice(self._clients)

    def _taken(self) -> SoakClient:
        return self._clients.pop(self._random.randrange(len(self._clients)))
