"""A short way for requests that need no task: they are answered in the turn that reads them.

aiohttp gives every request a task, a request and a response object and three turns of the loop,
which for a post to a connection was half of its time. ``Shortcut`` stands in the place of a
connection's parser. What it answers aiohttp never sees; all else it passes on, and whatever is
not plain is passed on: pipelined requests, those behind others, bodies that are long or chunked.

aiohttp's parser and the state of its handler are inside aiohttp; tests with real sockets hold both
against the installed version.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from aiohttp import HttpVersion11, StreamReader, web
from aiohttp.helpers import rfc822_formatted_time
from aiohttp.http import SERVER_SOFTWARE, RawRequestMessage
from aiohttp.http_parser import HttpParser
from aiohttp.http_writer import _serialize_headers

from socketstack.core.limits import POSTED_MAX_BYTES

if TYPE_CHECKING:
    from socketstack.dataplane.frames import GuardedHandler

Answer = Callable[[bytes, str], web.Response]
"""Answers a request, given its body and where it came from; raises nothing."""
FindAnswer = Callable[[RawRequestMessage], Answer | None]
"""What answers a request at once; None when it goes aiohttp's way."""
_Messages = Sequence[tuple[RawRequestMessage, StreamReader]]


class Shortcut:
    """The parser of one connection, as its handler sees it."""

    __slots__ = ("_find", "_handler", "_parser", "_waiting")

    def __init__(
        self, parser: HttpParser[RawRequestMessage], handler: "GuardedHandler", find: FindAnswer
    ) -> None:
        self._parser = parser
        self._handler = handler
        self._find = find
        self._waiting: tuple[Answer, StreamReader] | None = None
        """A request whose body is still on its way: most clients send it in a second packet."""

    def feed_data(self, data: bytes) -> tuple[_Messages, bool, bytes]:
        """Parse bytes; what aiohttp is to answer, and whether another protocol follows it."""
        messages: _Messages
        messages, is_upgraded, tail = self._parser.feed_data(data)
        if self._waiting is not None:
            self._answer()
        elif len(messages) == 1 and self._takes(*messages[0]):
            self._parser.message_consumed()
            self._answer()
            messages = ()
        return messages, is_upgraded, tail

    def feed_eof(self) -> None:
        """No more bytes come."""
        self._parser.feed_eof()

    def message_consumed(self) -> None:
        """Note that aiohttp has taken a request from its queue."""
        self._parser.message_consumed()

    def pause_reading(self) -> None:
        """Stop in the middle of a body."""
        self._parser.pause_reading()

    def set_upgraded(self, upgraded: bool) -> None:  # noqa: FBT001 - as aiohttp calls it
        """Take what follows for another protocol, or for HTTP again."""
        self._parser.set_upgraded(upgraded)

    def _takes(self, message: RawRequestMessage, body: StreamReader) -> bool:
        if not (_is_plain(message) and self._handler.is_idle):
            return False
        answer = self._find(message)
        if answer is None:
            return False
        self._waiting = (answer, body)
        return True

    def _answer(self) -> None:
        assert self._waiting is not None
        answer, body = self._waiting
        if body.is_eof():
            self._waiting = None
            # Reading it otherwise would have the parser look for more, before this is answered.
            data = b"".join(body._buffer) if body.total_bytes else b""  # noqa: SLF001 - see above
            response = answer(data, self._handler.remote)
            self._handler.reply(written(response))


def _is_plain(message: RawRequestMessage) -> bool:
    """Whether a request keeps its connection, and its whole body may wait in memory."""
    length = message.headers.get("Content-Length", "0")
    return (
        message.version == HttpVersion11
        and not (message.should_close or message.upgrade or message.chunked)
        and int(length) <= POSTED_MAX_BYTES  # the parser has refused what is no number
    )


def written(response: web.Response) -> bytes:
    """An answer as aiohttp writes it to a request by POST on a connection that is kept.

    Its body is bytes or None, and its status one that has a body.
    """
    body = response.body or b""
    assert isinstance(body, bytes)
    headers = response.headers
    headers["Content-Length"] = str(len(body))
    headers["Date"] = rfc822_formatted_time()
    headers["Server"] = SERVER_SOFTWARE
    return _serialize_headers(f"HTTP/1.1 {response.status} {response.reason}", headers) + body
