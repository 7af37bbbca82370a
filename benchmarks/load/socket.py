"""One client socket: its handshake, and what becomes of the frames that come."""

import asyncio
import socket
from collections.abc import Callable
from typing import TypeVar

from benchmarks.load.report import dialled
from benchmarks.wire import FINAL_TEXT, FrameReader, handshake, text_frame

_OPEN_SECONDS = 30


class ClientSocket(asyncio.Protocol):
    """A WebSocket client that hands whole frames to ``received``."""

    transport: asyncio.Transport

    def __init__(self, url: str) -> None:
        self._url = url
        loop = asyncio.get_running_loop()
        self.opened: asyncio.Future[None] = loop.create_future()
        self.closed: asyncio.Future[None] = loop.create_future()
        self._head = bytearray()
        self._frames = FrameReader()

    def received(self, first: int, payload: bytes) -> None:
        """Take a frame; nothing is done with it here."""

    def send(self, payload: bytes) -> None:
        """Send one text message."""
        self.transport.write(text_frame(payload))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the upgrade."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.write(handshake(self._url))

    def data_received(self, data: bytes) -> None:
        """Read the answer to the handshake, then frames."""
        if not self.opened.done():
            self._head += data
            end = self._head.find(b"\r\n\r\n")
            if end < 0:
                return
            data = bytes(self._head[end + 4 :])
            self._take_status(bytes(self._head).split(b"\r\n", 1)[0])
        for first, payload in self._frames.feed(data):
            self.received(first, payload)

    def connection_lost(self, exc: Exception | None) -> None:
        """A socket that closes while it opens has failed."""
        if not self.opened.done():
            self.opened.set_exception(exc or ConnectionError("closed during the handshake"))
        if not self.closed.done():
            self.closed.set_result(None)

    def _take_status(self, status: bytes) -> None:
        if b" 101 " in status:
            self.opened.set_result(None)
        else:
            self.opened.set_exception(ConnectionError(status.decode()))
            self.transport.abort()


class AskingSocket(ClientSocket):
    """Asks one thing after the other."""

    answer: asyncio.Future[bytes]

    def received(self, first: int, payload: bytes) -> None:
        """A text is the answer to what was asked."""
        if first == FINAL_TEXT and not self.answer.done():
            self.answer.set_result(payload)

    async def ask(self, message: bytes) -> bytes:
        """Send a message and wait for its answer."""
        self.answer = asyncio.get_running_loop().create_future()
        self.send(message)
        return await asyncio.wait_for(self.answer, _OPEN_SECONDS)


_Kind = TypeVar("_Kind", bound=ClientSocket)


async def open_socket(kind: Callable[[], _Kind], url: str, receive_bytes: int = 0) -> _Kind:
    """Connect and wait for the 101; ``receive_bytes`` bounds what the kernel keeps for us."""
    host, port = dialled(url)
    sock = socket.socket()
    sock.setblocking(False)  # noqa: FBT003
    if receive_bytes:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
    try:
        loop = asyncio.get_running_loop()
        await loop.sock_connect(sock, (host, port))
        _, client = await loop.create_connection(kind, sock=sock)
    except OSError:
        sock.close()
        raise
    await asyncio.wait_for(client.opened, _OPEN_SECONDS)
    return client
