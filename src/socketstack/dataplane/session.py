"""The life of one open connection: reading, answering, closing, ``$disconnect``.

A session ends once, by the first cause. When it is ours to close, the close frame goes out at
once and the socket stays open until the client's own close frame or for a second, so that the
code arrives even where the client is still sending.

Messages of one connection may overlap (5.19); ``MESSAGES_AT_ONCE`` bounds that, and beyond it
the socket is not read, so a client that floods waits and no one else does.

Rules: 5.19, 6.01 to 6.12, 7.17, 7.25 to 7.28, area 8.
"""

import asyncio
import contextlib
import logging
from typing import Final

from aiohttp import WSMessage, WSMsgType, web
from aiohttp.http_websocket import WebSocketError

from socketstack.clock import Clock
from socketstack.core.lifecycle import (
    DISCONNECTS,
    Disconnect,
    Event,
    State,
    advance,
    client_disconnect,
    runs_disconnect,
)
from socketstack.core.model import Connection
from socketstack.dataplane.dispatch import Dispatch
from socketstack.dataplane.frames import FrameGuard, close_frame, data_frames
from socketstack.errors import Gone, LimitExceeded
from socketstack.store import Store
from socketstack.trace import Step, Trace

MESSAGES_AT_ONCE: Final = 64
BUFFERED_MAX_BYTES: Final = 1024 * 1024
"""What may wait for a client that does not read; then posters get 429 (7.17)."""
_LINGER_SECONDS: Final = 1.0
_ERRORS: Final = {1002: Event.PROTOCOL_ERROR, 1007: Event.INVALID_TEXT, 1009: Event.TOO_BIG}
_OVER: Final = frozenset({WSMsgType.CLOSED, WSMsgType.CLOSING, WSMsgType.ERROR})

_logger = logging.getLogger(__name__)


class Session:
    """One open socket; also the ``Peer`` through which others reach it."""

    def __init__(
        self,
        *,
        connection: Connection,
        socket: web.WebSocketResponse,
        transport: asyncio.Transport,
        guard: FrameGuard,
        store: Store,
        dispatch: Dispatch,
        clock: Clock,
        trace: Trace,
    ) -> None:
        self.connection = connection
        self._socket = socket
        self._transport = transport
        self._store = store
        self._dispatch = dispatch
        self._clock = clock
        self._trace = trace
        self._state = State.OPEN
        self._ending: Disconnect | None = None
        self._linger: asyncio.TimerHandle | None = None
        self._answering: set[asyncio.Task[None]] = set()
        self._guard = guard
        guard.on_exceeded = lambda: self.end(Event.TOO_BIG)

    # Peer

    async def send(self, data: bytes) -> None:
        """Post one message: ``Gone`` when closed, ``LimitExceeded`` when nobody reads it."""
        self._write(data)

    async def close(self, code: int, reason: str) -> None:
        """Close on behalf of the management API; code and reason are its own (7.27, 7.28)."""
        del code, reason
        self.end(Event.DELETED)

    def describe(self) -> str:
        """The client, for logs."""
        return f"{self.connection.connection_id} from {self.connection.source_ip}"

    # The life

    async def run(self) -> None:
        """Read until the connection ends, then run ``$disconnect``; raises nothing of its own."""
        if self._guard.is_exceeded:  # it came together with the handshake
            self.end(Event.TOO_BIG)
        try:
            await self._read()
        finally:
            self._forget(Event.LOST)
            if self._linger is not None:
                self._linger.cancel()
            self._transport.close()
        ending = self._ending or DISCONNECTS[Event.LOST]
        await self._dispatch.disconnected(self.connection, ending.status_code, ending.reason)
        self._state = advance(self._state, Event.DISCONNECTED)
        if self._answering:
            await asyncio.wait(self._answering)

    def end(self, cause: Event) -> None:
        """Close from our side; the first cause wins, later ones change nothing."""
        if not self._forget(cause):
            return
        ending = DISCONNECTS[cause]
        if not self._transport.is_closing():
            self._transport.write(close_frame(ending.status_code, ending.reason))
        # The client answers with its own close frame; one that does not is cut off.
        loop = asyncio.get_running_loop()
        self._linger = loop.call_later(_LINGER_SECONDS, self._transport.abort)

    def abort(self) -> None:
        """Cut the socket off; what runs for it goes on."""
        self._transport.abort()

    async def _read(self) -> None:
        while True:
            message = await self._socket.receive()
            if message.type is WSMsgType.TEXT:
                if self._state is State.OPEN:
                    await self._take(message.data)
            elif message.type is WSMsgType.BINARY:
                self.end(Event.BINARY)
            elif message.type is WSMsgType.CLOSE:
                self._client_closed(message)
                return
            elif message.type in _OVER:
                self._broke(message)
                return

    def _client_closed(self, message: WSMessage) -> None:
        ending = client_disconnect(message.data or None, message.extra or "")
        if self._forget(Event.CLIENT_CLOSED, ending) and not self._transport.is_closing():
            self._transport.write(close_frame(ending.status_code, ""))

    def _broke(self, message: WSMessage) -> None:
        error = message.data
        if isinstance(error, WebSocketError):
            self._forget(_ERRORS.get(error.code, Event.PROTOCOL_ERROR))

    def _forget(self, cause: Event, ending: Disconnect | None = None) -> bool:
        """Leave the Store for this cause; False when another one came first."""
        after = advance(self._state, cause)
        is_first = runs_disconnect(self._state, after)
        if is_first:
            self._ending = ending or DISCONNECTS[cause]
            self._store.remove_connection(self.connection.connection_id)
            self._trace.emit(
                Step.CLOSED,
                f"{self._ending.status_code} {self._ending.reason}".rstrip() + f" ({cause})",
                api_id=self.connection.api_id,
                stage_name=self.connection.stage_name,
                connection_id=self.connection.connection_id,
            )
        self._state = after
        return is_first

    # Messages

    async def _take(self, text: str) -> None:
        self._store.touch(self.connection.connection_id, self._clock.now_ms())
        while len(self._answering) >= MESSAGES_AT_ONCE:
            await asyncio.wait(self._answering, return_when=asyncio.FIRST_COMPLETED)
        task = asyncio.get_running_loop().create_task(self._answer(text))
        self._answering.add(task)
        task.add_done_callback(self._answering.discard)

    async def _answer(self, text: str) -> None:
        try:
            reply = await self._dispatch.handle(self.connection, text)
        except Exception:
            # The border: nothing a message does may end the connection.
            _logger.exception("A message of %s failed", self.describe())
            return
        if reply is None:
            return
        with contextlib.suppress(Gone):
            try:
                self._write(reply.encode())
            except LimitExceeded:
                self._trace.emit(
                    Step.WARNING,
                    "A reply is dropped: the client does not read, 1 MB waits for it. [7.17]",
                    api_id=self.connection.api_id,
                    stage_name=self.connection.stage_name,
                    connection_id=self.connection.connection_id,
                )

    def _write(self, data: bytes) -> None:
        if self._state is not State.OPEN or self._transport.is_closing():
            raise Gone
        if self._transport.get_write_buffer_size() + len(data) > BUFFERED_MAX_BYTES:
            message = "The client does not read fast enough; its buffer is full."
            raise LimitExceeded(message)
        self._transport.write(data_frames(data))
        self._store.touch(self.connection.connection_id, self._clock.now_ms())  # 6.09
