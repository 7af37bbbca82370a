"""One listening socket that serves HTTP and TLS: the first byte tells which.

A TLS handshake record starts with 0x16, which no HTTP method does. The byte is peeked, not
read, so both kinds of connection start from their beginning.
"""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable
from typing import Final

from socketstack.errors import ConfigError

_TLS_HANDSHAKE: Final = b"\x16"
_BACKLOG: Final = 4096
_ACCEPTED_AT_ONCE: Final = 256
_FIRST_BYTE_SECONDS: Final = 60


def bind(host: str, port: int) -> socket.socket:
    """A bound socket; port 0 lets the system choose. Raises ``ConfigError`` when it is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
    except OSError as error:
        bound.close()
        message = (
            f"Port {port} on {host} cannot be used: {error.strerror}. "
            "Stop what listens there, or choose another port with SOCKETSTACK_PORT."
        )
        raise ConfigError(message) from error
    bound.settimeout(0)
    return bound


class Listener:
    """Accepts connections and gives each to a protocol, with TLS where the client speaks it."""

    def __init__(
        self,
        bound: socket.socket,
        protocol_factory: Callable[[], asyncio.BaseProtocol],
        tls: Callable[[], ssl.SSLContext],
    ) -> None:
        self._bound = bound
        self._factory = protocol_factory
        self._tls = tls
        self._starting: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """Begin to accept."""
        self._bound.listen(_BACKLOG)
        asyncio.get_running_loop().add_reader(self._bound.fileno(), self._accept)

    async def stop(self) -> None:
        """Accept nothing more; connections that are not served yet are dropped."""
        if self._bound.fileno() >= 0:  # stopping twice is harmless
            asyncio.get_running_loop().remove_reader(self._bound.fileno())
            self._bound.close()
        for task in self._starting:
            task.cancel()
        await asyncio.gather(*self._starting, return_exceptions=True)

    def _accept(self) -> None:
        for _ in range(_ACCEPTED_AT_ONCE):
            try:
                accepted, _address = self._bound.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            accepted.settimeout(0)
            accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            task = asyncio.get_running_loop().create_task(self._serve(accepted))
            self._starting.add(task)
            task.add_done_callback(self._starting.discard)

    async def _serve(self, accepted: socket.socket) -> None:
        handed_over = False
        try:
            async with asyncio.timeout(_FIRST_BYTE_SECONDS):
                first = await _peek(accepted)
            if first:
                context = self._tls() if first == _TLS_HANDSHAKE else None
                handed_over = True
                # A client that does not finish its TLS handshake is its own affair.
                with contextlib.suppress(OSError, ssl.SSLError):
                    await asyncio.get_running_loop().connect_accepted_socket(
                        self._factory, accepted, ssl=context
                    )
        except (TimeoutError, OSError):
            pass
        finally:
            if not handed_over:
                accepted.close()


async def _peek(accepted: socket.socket) -> bytes:
    """The first byte without taking it; empty when the client went away."""
    loop = asyncio.get_running_loop()
    while True:
        try:
            return accepted.recv(1, socket.MSG_PEEK)
        except (BlockingIOError, InterruptedError):
            pass
        readable: asyncio.Future[None] = loop.create_future()
        loop.add_reader(accepted.fileno(), _wake, readable)
        try:
            await readable
        finally:
            loop.remove_reader(accepted.fileno())


def _wake(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
