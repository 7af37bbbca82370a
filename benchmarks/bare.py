"""The references: aiohttp servers that echo and do nothing else. Print their port.

``python -m benchmarks.bare`` answers by itself: what a server can do here. With ``function`` every
message goes through a Python function as Lambda's runtime calls it, in a process of its own, and
comes back: what is left for an engine to do when nothing is decided, logged, traced or limited.
"""

import asyncio
import socket
import struct
import subprocess
import sys
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress

import orjson
from aiohttp import WSMsgType, web

FRAME = struct.Struct(">I")
_PROCESSES_MOST = 10
_RECEIVED_AT_ONCE_BYTES = 64 * 1024

Answer = Callable[[str], Awaitable[str]]


async def _answer_itself(text: str) -> str:
    return text


class _Process:
    """A function's process, which takes one event at a time."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        ours.setblocking(False)  # noqa: FBT003 - the standard library's
        with theirs:
            self._child = subprocess.Popen(
                [sys.executable, "-m", "benchmarks.bare_function", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
            )
        self._socket = ours
        self._received = b""
        self._waiter: asyncio.Future[str] | None = None
        asyncio.get_running_loop().add_reader(ours, self._read)

    async def call(self, text: str) -> str:
        """The function's ``body`` for a message."""
        event = orjson.dumps({"requestContext": {"eventType": "MESSAGE"}, "body": text})
        self._waiter = asyncio.get_running_loop().create_future()
        # An event of the bench is far smaller than the socket's buffer, which is empty here.
        self._socket.sendall(FRAME.pack(len(event)) + event)
        return await self._waiter

    def _read(self) -> None:
        self._received += self._socket.recv(_RECEIVED_AT_ONCE_BYTES)
        if len(self._received) < FRAME.size:
            return
        end = FRAME.size + FRAME.unpack_from(self._received)[0]
        if len(self._received) >= end and self._waiter is not None:
            body = self._received[FRAME.size : end]
            self._received = self._received[end:]
            self._waiter.set_result(orjson.loads(body)["body"])


class _Processes:
    """At most ten of them; who finds none free waits in line."""

    def __init__(self) -> None:
        self._idle: list[_Process] = []
        self._count = 0
        self._waiting: deque[asyncio.Future[_Process]] = deque()

    async def answer(self, text: str) -> str:
        """Have a message answered."""
        process = await self._free()
        try:
            return await process.call(text)
        finally:
            if self._waiting:
                self._waiting.popleft().set_result(process)
            else:
                self._idle.append(process)

    async def _free(self) -> _Process:
        if self._idle:
            return self._idle.pop()
        if self._count < _PROCESSES_MOST:
            self._count += 1
            return _Process()
        turn: asyncio.Future[_Process] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        return await turn


def _echo(answer: Answer) -> Callable[[web.BaseRequest], Awaitable[web.WebSocketResponse]]:
    async def echo(request: web.BaseRequest) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(compress=False)
        await socket.prepare(request)
        with suppress(ConnectionResetError):  # the client has left before its answer
            async for message in socket:
                if message.type is WSMsgType.TEXT:
                    await socket.send_str(await answer(message.data))
        return socket

    return echo


async def _main(kind: str) -> None:
    answer = _Processes().answer if kind == "function" else _answer_itself
    runner = web.ServerRunner(web.Server(_echo(answer)))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    print(runner.addresses[0][1], flush=True)  # noqa: T201
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_main("".join(sys.argv[1:])))
