"""The life of one open connection: reading, answering, closing, ``$disconnect``.

A session ends once, by the first cause. When it is ours to close, the close frame goes out at
once and what the client still sends is skipped until its own close frame, or for a second, so
that the code arrives even where the client is in the middle of a message.

Messages of one connection may overlap (5.19); ``MESSAGES_AT_ONCE`` bounds that, and beyond it
the socket is not read, so a client that floods waits and no one else does.

Rules: 5.19, 6.01 to 6.13, 7.17, 7.25 to 7.28, area 8.
"""

import asyncio
from collections.abc import Callable
from typing import Final

from aiohttp import EofStream, WSMessage, WSMsgType
from aiohttp.http import WebSocketError

from socketstack.clock import Clock
from socketstack.core.causes import Cause
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
from socketstack.dataplane.counts import Counts
from socketstack.dataplane.dispatch import Dispatch
from socketstack.dataplane.frames import Inbox
from socketstack.dataplane.outgoing import close_frame, data_frames, pong_frame
from socketstack.errors import Gone, LimitExceeded
from socketstack.store import Store
from socketstack.trace import Step, Trace

MESSAGES_AT_ONCE: Final = 64
BUFFERED_MAX_BYTES: Final = 1024 * 1024
"""What may wait for a client that does not read; then posters get 429 (7.17)."""
_LINGER_SECONDS: Final = 1.0
_CODES_THAT_TRAVEL: Final = (range(1000, 1004), range(1007, 1015), range(3000, 5000))
"""Close codes that a frame may carry, by RFC 6455 and its registry."""
_CAUSES: Final = {
    Event.TOO_BIG: Cause.TOO_BIG,
    Event.BINARY: Cause.BINARY,
    Event.INVALID_TEXT: Cause.INVALID_TEXT,
    Event.PROTOCOL_ERROR: Cause.PROTOCOL_ERROR,
    Event.IDLE: Cause.IDLE,
    Event.EXPIRED: Cause.EXPIRED,
    Event.REMOVED: Cause.REMOVED,
}
"""Endings that somebody may wonder about; the others are what client or functions wanted."""
_OFFENCES: Final = {
    1002: Event.PROTOCOL_ERROR,
    1003: Event.BINARY,
    1007: Event.INVALID_TEXT,
    1009: Event.TOO_BIG,
}


class Session:
    """One open socket; also the ``Peer`` through which others reach it."""

    __slots__ = (
        *("_all_answered", "_clock", "_counts", "_dispatch", "_ending", "_inbox", "_is_reading"),
        *("_on_over", "_posted", "_state", "_store", "_tasks", "_trace", "_transport"),
        "_unanswered",
        "connection",
    )

    def __init__(
        self,
        *,
        connection: Connection,
        transport: asyncio.Transport,
        inbox: Inbox,
        store: Store,
        dispatch: Dispatch,
        clock: Clock,
        trace: Trace,
        counts: Counts,
        on_over: Callable[["Session"], None],
    ) -> None:
        """``on_over`` is called once, when the session has ended; ``goodbyes`` does the rest."""
        self.connection = connection
        self._transport = transport
        self._inbox = inbox
        self._store = store
        self._dispatch = dispatch
        self._clock = clock
        self._trace = trace
        self._counts = counts
        self._state = State.OPEN
        self._ending = DISCONNECTS[Event.LOST]
        self._on_over = on_over
        self._is_reading = False
        self._unanswered = 0
        self._all_answered: asyncio.Future[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._posted: bytes | bytearray = b""
        """Frames of posts that go out together at the end of this turn of the loop."""
        inbox.on_lost = self._leave_store

    # Peer

    def send(self, data: bytes) -> None:
        """Post one message: ``Gone`` when closed, ``LimitExceeded`` when nobody reads it.

        It goes out in this turn of the loop, with all others that are posted in it: each would
        cost a call of the system, and the poster waits for his answer and not for that.
        """
        frames = self._frames(data)
        if self._posted:
            self._posted += frames
        else:
            self._posted = bytearray(frames)
            asyncio.get_running_loop().call_soon(self._flush)

    def close(self, code: int, reason: str) -> None:
        """Close on behalf of the management API; code and reason are its own (7.27, 7.28)."""
        del code, reason
        self.end(Event.DELETED)

    def describe(self) -> str:
        """The client, for logs."""
        return f"{self.connection.connection_id} from {self.connection.source_ip}"

    # The life

    def begin(self) -> None:
        """Read from now on; an open session is no task."""
        if self._inbox.is_lost:
            self._leave_store()
        self._inbox.on_arrival = self._read
        self._read()

    @property
    def is_closing(self) -> bool:
        """Whether we ended it, and the client has not answered our close frame yet."""
        return self._state is State.CLOSING

    async def wait_closed(self) -> None:
        """Wait for the client's close frame, or for the end of its connection."""
        await self._inbox.gone()

    async def say_goodbye(self) -> None:
        """Run ``$disconnect``; for a session that is over."""
        await self._dispatch.disconnected(
            self.connection, self._ending.status_code, self._ending.reason
        )
        self._state = advance(self._state, Event.DISCONNECTED)

    @property
    def has_unanswered(self) -> bool:
        """Whether functions still work on messages of it."""
        return bool(self._unanswered)

    async def wait_answered(self) -> None:
        """Wait until they do not."""
        if self._unanswered:
            self._all_answered = asyncio.get_running_loop().create_future()
            await self._all_answered

    def release(self) -> None:
        """Let go of everything: nothing is left to do for it, or there is no time."""
        for task in self._tasks:
            task.cancel()
        self._inbox.release()

    def end(self, cause: Event) -> None:
        """Close from our side; the first cause wins, later ones change nothing."""
        if not self._forget(cause):
            return
        self._write(close_frame(self._ending.status_code, self._ending.reason))
        # The client answers with its own close frame; one that does not is cut off.
        asyncio.get_running_loop().call_later(_LINGER_SECONDS, self._transport.abort)
        self._inbox.interrupt()

    def abort(self) -> None:
        """Cut the socket off; what runs for it goes on."""
        self._transport.abort()

    def hang_up(self) -> None:
        """Close the connection, when what is written has gone out."""
        if self._transport.is_closing():
            return
        if self._transport.get_write_buffer_size():
            # Closing waits until everything is written, which a client that never reads prevents.
            asyncio.get_running_loop().call_later(_LINGER_SECONDS, self._transport.abort)
        self._transport.close()

    def _read(self) -> None:
        """Take what has come, as far as it may be taken now: no more than are answered at once."""
        if self._is_reading:
            return  # an answer that was there at once; whoever reads goes on
        self._is_reading = True
        try:
            while self._state is State.OPEN and self._unanswered < MESSAGES_AT_ONCE:
                message = self._inbox.take()
                if message is None:
                    return
                self._receive(message)
        except EofStream:
            self._forget(Event.LOST)  # or we ended it: then this changes nothing
        except WebSocketError as offence:
            self.end(_OFFENCES.get(offence.code, Event.PROTOCOL_ERROR))
        finally:
            self._is_reading = False

    def _receive(self, message: WSMessage) -> None:
        if message.type is WSMsgType.TEXT:
            self._take(message.data)
        elif message.type is WSMsgType.PING:
            self._pong(message.data)
        elif message.type is WSMsgType.CLOSE:
            self._client_closed(message)

    def _client_closed(self, message: WSMessage) -> None:
        code = message.data or None
        if code is not None and not any(code in codes for codes in _CODES_THAT_TRAVEL):
            self.end(Event.PROTOCOL_ERROR)
            return
        ending = client_disconnect(code, message.extra or "")
        if self._forget(Event.CLIENT_CLOSED, ending):
            self._write(close_frame(ending.status_code, ""))

    def _forget(self, cause: Event, ending: Disconnect | None = None) -> bool:
        """Leave the Store for this cause; False when another one came first."""
        after = advance(self._state, cause)
        is_first = runs_disconnect(self._state, after)
        self._state = after
        if is_first:
            self._ending = ending or DISCONNECTS[cause]
            self._leave_store()
            code = self._ending.status_code
            summary = f"{code} {self._ending.reason}".rstrip() + f" ({cause})"
            self._tell(Step.CLOSED, summary, _CAUSES.get(cause))
            self._on_over(self)
        return is_first

    def _leave_store(self) -> None:
        """Be gone for everybody, also while messages that came before the end are answered."""
        self._store.remove_connection(self.connection.connection_id)

    def _tell(self, step: Step, summary: str, cause: Cause | None = None) -> None:
        self._trace.emit(
            step,
            summary,
            api_id=self.connection.api_id,
            stage_name=self.connection.stage_name,
            connection_id=self.connection.connection_id,
            cause=cause,
        )

    # Messages

    def _take(self, text: str) -> None:
        self._store.touch(self.connection.connection_id, self._clock.now_ms())
        self._unanswered += 1
        work = self._dispatch.handle(self.connection, text, self._answered)
        if work is not None:
            task = asyncio.get_running_loop().create_task(work)
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def _answered(self, frame: str | None) -> None:
        self._unanswered -= 1
        if frame is not None:
            self._reply(frame)
        self._read()
        if self._all_answered is not None and not (self._unanswered or self._all_answered.done()):
            self._all_answered.set_result(None)

    def _reply(self, text: str) -> None:
        try:
            self._write(self._frames(text.encode()))
        except Gone:
            self._counts.dropped_replies += 1
        except LimitExceeded:
            self._counts.dropped_replies += 1
            self._tell(
                Step.WARNING,
                "A reply is dropped: the client does not read, 1 MB waits for it. [7.17]",
                Cause.SLOW_READER,
            )
        else:
            self._counts.replies += 1

    def _pong(self, data: bytes) -> None:
        # Answers nobody reads must not pile up either.
        if self._transport.get_write_buffer_size() <= BUFFERED_MAX_BYTES:
            self._write(pong_frame(data))

    def _frames(self, data: bytes) -> bytes:
        """A message as it travels, when the client may have it now."""
        if self._state is not State.OPEN or self._transport.is_closing():
            raise Gone
        waiting = self._transport.get_write_buffer_size() + len(self._posted)
        if waiting + len(data) > BUFFERED_MAX_BYTES:
            message = "The client does not read fast enough; its buffer is full."
            raise LimitExceeded(message)
        self._store.touch(self.connection.connection_id, self._clock.now_ms())  # 6.09
        return data_frames(data)

    def _write(self, frames: bytes) -> None:
        """Write to the client, behind what was posted before."""
        self._flush()
        if not self._transport.is_closing():
            self._transport.write(frames)

    def _flush(self) -> None:
        posted, self._posted = self._posted, b""
        if posted and not self._transport.is_closing():
            self._transport.write(posted)
