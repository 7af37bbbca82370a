"""What a client sends, from aiohttp's connection to the messages that a session reads.

Sessions read aiohttp's frame reader directly and not through ``WebSocketResponse.receive``: that
one answers a protocol error by closing the transport at once, and a client that is still sending
then gets a reset in place of the close code. The reader's queue keeps the order: what came before
an offence is read first, then the offence as ``WebSocketError``.

An open socket has a protocol of its own, ``SocketProtocol``: aiohttp's connection, its tasks, its
request and its response are gone by then, which was half of what an idle socket cost.

What ``GuardedHandler.hand_over`` does, and ``aiohttp._websocket`` with its queue, are inside
aiohttp; tests with real sockets hold both against the installed version.
"""

import asyncio
from base64 import b64encode
from collections.abc import Callable
from hashlib import sha1
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, cast

from aiohttp import EofStream, WSMessage, web
from aiohttp._websocket.reader import WebSocketDataQueue
from aiohttp.abc import AbstractStreamWriter
from aiohttp.base_protocol import BaseProtocol
from aiohttp.helpers import rfc822_formatted_time
from aiohttp.http import (
    SERVER_SOFTWARE,
    WS_KEY,
    HttpProcessingError,
    WebSocketError,
    WebSocketReader,
)
from aiohttp.web_protocol import RequestHandler

from socketstack.core.limits import MESSAGE_MAX_BYTES
from socketstack.dataplane.guard import FrameGuard
from socketstack.dataplane.shortcut import FindAnswer, Shortcut

if TYPE_CHECKING:
    from aiohttp.http_parser import HttpParser

_QUEUED_BYTES: Final = 64 * 1024
"""Beyond twice this, unread messages stop the reading of the socket."""


class Inbox:
    """A client's messages, in order; aiohttp's connection feeds it."""

    __slots__ = (
        "_guard",
        "_protocol",
        "_queue",
        "_reader",
        "_waiter",
        "is_lost",
        "on_arrival",
        "on_lost",
    )

    is_lost: bool
    """Whether the connection is lost; messages that came before may still wait."""
    on_lost: Callable[[], None] | None
    """Called when it is, however many messages wait."""
    on_arrival: Callable[[], None] | None
    """Called when there is something to ``take``."""

    def __init__(self, protocol: BaseProtocol, loop: asyncio.AbstractEventLoop) -> None:
        self._protocol = protocol
        self._queue = WebSocketDataQueue(protocol, _QUEUED_BYTES, loop=loop)
        # Its limit is exclusive, and no more than a second line behind the guard's.
        self._reader = WebSocketReader(
            self._queue, MESSAGE_MAX_BYTES + 1, compress=False, decode_text=True
        )
        self._guard = FrameGuard()
        self.is_lost = False
        self.on_lost = None
        self._waiter: asyncio.Future[None] | None = None
        self.on_arrival = None

    def take(self) -> WSMessage | None:
        """The next message, whole and within the limits; None when none is there yet.

        TEXT with ``str``, PING or PONG with bytes, CLOSE with code (0: none) and reason. Raises
        ``EofStream`` when the connection is lost and ``WebSocketError`` with the close code after
        an offence; ``gone`` is all that follows.
        """
        queue = self._queue
        if not queue._buffer and not queue.is_eof():  # noqa: SLF001 - see above
            return None
        try:
            queue.read().send(None)  # it does not wait, since something is there
        except StopIteration as found:
            message: WSMessage = found.value
            return message
        raise AssertionError

    def feed_data(self, data: bytes) -> tuple[bool, bytes]:
        """Take bytes. Never ends the connection by itself: that is the session's."""
        guard = self._guard
        if guard.is_plain(data):
            guard.is_over = self._reader.feed_data(data)[0]
            self._arrived()
            return False, b""
        was_over = guard.is_over
        passed = guard.passed(data)
        has_failed = bool(passed) and self._reader.feed_data(passed)[0]
        if has_failed:  # the reader has told the queue
            guard.is_over = True
        elif guard.offence is not None and not was_over:
            self._queue.set_exception(WebSocketError(guard.offence, "not allowed"))
        self._arrived()
        self._wake()
        return False, b""

    def feed_eof(self) -> None:
        """The connection is lost."""
        self.is_lost = True
        if self.on_lost is not None:
            self.on_lost()
        if not self._guard.is_over:  # else the queue would forget the offence
            self._reader.feed_eof()
        self._arrived()
        self._wake()

    def interrupt(self) -> None:
        """``take`` raises ``EofStream`` from now on: the session has ended.

        What still comes is skipped, so the socket is read again where messages had stopped that:
        else nobody would see the client's close frame.
        """
        self._guard.is_over = True
        self._queue.set_exception(EofStream())
        self._protocol.resume_reading()
        self._wake()

    async def gone(self) -> None:
        """Skip everything up to the client's close frame or the end of the connection."""
        self._guard.is_over = True
        if not self._is_gone:
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter

    def release(self) -> None:
        """Call nobody any more: the session is over, and the two refer to each other."""
        self.on_arrival = self.on_lost = None

    @property
    def _is_gone(self) -> bool:
        return self.is_lost or self._guard.has_closed

    def _arrived(self) -> None:
        if self.on_arrival is not None:
            self.on_arrival()

    def _wake(self) -> None:
        if self._waiter is not None and self._is_gone and not self._waiter.done():
            self._waiter.set_result(None)


class SocketProtocol(BaseProtocol):
    """The connection of an open socket: what comes goes to its inbox."""

    __slots__ = ("inbox",)

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self._upgraded = True  # there is no HTTP parser to be paused
        self.transport = transport
        self.inbox = Inbox(self, loop)

    def data_received(self, data: bytes) -> None:
        """Take bytes."""
        self.inbox.feed_data(data)

    def connection_lost(self, exc: BaseException | None) -> None:
        """The connection is lost."""
        super().connection_lost(exc)
        self.inbox.feed_eof()
        del self.inbox  # which refers to this: nothing may wait for the garbage collector


class HandedOver(web.StreamResponse):
    """What a handler returns whose connection is a socket now: nothing is left to be sent."""

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        """Send nothing."""
        del request
        return None

    async def write_eof(self, data: bytes = b"") -> None:
        """Send nothing."""


class GuardedHandler(RequestHandler):
    """aiohttp's connection, until a socket opens."""

    __slots__ = ()

    def __init__(self, server: web.Server, *, find_answer: FindAnswer, **options: Any) -> None:
        """``find_answer`` says what is answered without a task; ``options`` are aiohttp's own."""
        super().__init__(server, **options)
        assert self._parser is not None
        # It is all of a parser that a connection uses.
        self._parser = cast("HttpParser[Any]", Shortcut(self._parser, self, find_answer))

    @property
    def is_idle(self) -> bool:
        """Whether no request is before the next one, and its answer would go out at once."""
        waiter = self._waiter
        return (
            waiter is not None
            and not waiter.done()
            and not self._messages
            and not self.writing_paused
        )

    @property
    def remote(self) -> str:
        """The client's address; empty when the system does not tell it."""
        return str(self.peername[0]) if self.peername else ""

    def reply(self, data: bytes) -> None:
        """Write the whole answer to a request that aiohttp has not seen."""
        assert self.transport is not None
        self._next_keepalive_close_time = self._loop.time() + self.keepalive_timeout
        self.transport.write(data)

    def hand_over(self, head: bytes) -> SocketProtocol:
        """Answer the handshake and leave the connection to a socket's protocol.

        Call it once, in the handler of an upgrade request and with an open transport, and return
        ``HandedOver``. ``head`` is the whole answer.
        """
        transport = self.transport
        assert transport is not None
        transport.write(head)
        socket = SocketProtocol(transport, self._loop)
        transport.set_protocol(socket)
        tail, self._message_tail = self._message_tail, b""
        # For aiohttp the connection is lost: it forgets its parser, timers and tasks, and closes
        # nothing, since it has no transport any more.
        self.transport = None
        self.connection_lost(None)
        transport.resume_reading()  # it may have been stopped for the tail
        if tail:
            socket.data_received(tail)
        return socket

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = HTTPStatus.INTERNAL_SERVER_ERROR,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer a request that cannot be read, or whose handler failed."""
        if isinstance(exc, HttpProcessingError):
            # Its text quotes the request, so perhaps a token: neither logged nor sent.
            answer = web.json_response({"message": HTTPStatus(status).phrase}, status=status)
            answer.force_close()
            return answer
        return super().handle_error(request, status, exc, message)


def is_upgraded(request: web.BaseRequest) -> bool:
    """Whether the parser, too, takes a request for the last one before another protocol."""
    return request._message.upgrade  # noqa: SLF001 - see above


def switching_protocols(key: str, subprotocol: str | None) -> bytes:
    """The answer to a handshake that is admitted, as aiohttp writes it.

    Args:
        key: The client's ``Sec-WebSocket-Key``.
        subprotocol: As the function returned it, asked for or not (2.23, 2.24).

    Raises ``ValueError`` when the subprotocol would end its line.
    """
    accept = b64encode(sha1(key.encode() + WS_KEY, usedforsecurity=False).digest()).decode()
    lines = [
        "HTTP/1.1 101 Switching Protocols",
        *([] if subprotocol is None else [f"Sec-WebSocket-Protocol: {subprotocol}"]),
        "Upgrade: websocket",
        "Connection: upgrade",
        f"Sec-WebSocket-Accept: {accept}",
        f"Date: {rfc822_formatted_time()}",
        f"Server: {SERVER_SOFTWARE}",
    ]
    if any("\r" in line or "\n" in line or "\0" in line for line in lines):
        raise ValueError("The subprotocol is no value of a header.")
    return "\r\n".join([*lines, "", ""]).encode()


def guarded(
    server: web.Server, find_answer: FindAnswer, **options: Any
) -> Callable[[], GuardedHandler]:
    """Makes a server's connections; arguments as those of ``GuardedHandler``."""
    loop = asyncio.get_running_loop()
    return lambda: GuardedHandler(server, find_answer=find_answer, loop=loop, **options)
