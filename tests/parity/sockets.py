"""Clients of a stage: the websockets library, and a raw one that may misbehave."""

import base64
import json
import os
import re
import secrets
import socket
import ssl
import struct
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from parity.account import Account, Answer, Event, Function, Stage
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus
from websockets.sync import client as library

TEXT, BINARY, CONTINUATION, CLOSE, PING, PONG = 0x1, 0x2, 0x0, 0x8, 0x9, 0xA
_MASK = b"\x11\x22\x33\x44"
SOCKET_ID = "[A-Za-z0-9_-]{15}="
"""What ids of connections, requests and messages look like."""

_HEAD_MAX_BYTES = 65_536


class UnopenedError(AssertionError):
    """A handshake that was answered, but not with a socket."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(f"the handshake was answered with {answer.status} {answer.body[:80]!r}")
        self.answer = answer


@dataclass
class Client:
    """An open socket; ``mark`` is in a header of its handshake, for the log."""

    account: Account
    socket: library.ClientConnection
    mark: str
    _connection_id: str | None = field(default=None, repr=False)

    def send(self, message: str | bytes | list[str]) -> None:
        """Send one message; a list goes out in fragments."""
        self.socket.send(message)

    def receive(self) -> str:
        """The next text message."""
        message = self.socket.recv(timeout=self.account.target.patience_seconds)
        assert isinstance(message, str), "a binary message"
        return message

    def ask(self, message: str) -> str:
        """Send a message and return what comes next."""
        self.send(message)
        return self.receive()

    def event(self, message: str | None = None, **members: Any) -> Event:
        """The event that a two-way route's function got for a message."""
        text = message if message is not None else json.dumps(members)
        answer = self.ask(text)
        event: Event = json.loads(answer)
        assert "requestContext" in event, f"no event came back, but {answer}"
        return event

    @property
    def connection_id(self) -> str:
        """The id, as a function sees it; needs a two-way ``$default`` route."""
        if self._connection_id is None:
            self._connection_id = self.event(action="who-am-i")["requestContext"]["connectionId"]
        return self._connection_id

    def closing(self) -> tuple[int, str]:
        """Code and reason of the server's close frame, when it comes; other messages are lost."""
        deadline = self.account.target.patience_seconds
        try:
            while True:
                self.socket.recv(timeout=deadline)
        except TimeoutError:
            raise AssertionError("the socket stays open") from None
        except ConnectionClosed as closed:
            return (closed.rcvd.code, closed.rcvd.reason) if closed.rcvd else (1006, "")


@contextmanager
def connect(
    account: Account,
    stage: Stage,
    *,
    below: str = "",
    wishes: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
    **options: Any,
) -> Iterator[Client]:
    """An open socket; raises ``UnopenedError`` when the handshake is refused.

    Args:
        account: At the target.
        stage: Whose address is dialled.
        below: What follows the stage in the address, such as ``?token=x``.
        wishes: What the functions are to do, see ``actor``.
        headers: Further headers of the handshake.
        options: For the websockets library.
    """
    mark = secrets.token_hex(8)
    sent = {"X-Mark": mark, **(headers or {})}
    if wishes is not None:
        sent["X-Wish"] = wished(wishes)
    settings: dict[str, Any] = {
        "additional_headers": sent,
        "open_timeout": account.target.patience_seconds,
        "close_timeout": 5,
        "ping_interval": None,
        "max_size": None,
        "proxy": True if account.target.is_aws else None,
    }
    try:
        opened = library.connect(f"{stage.url}{below}", **settings | options)
    except InvalidStatus as refused:
        response = refused.response
        found = {name.lower(): value for name, value in response.headers.raw_items()}
        body = bytes(response.body or b"")
        raise UnopenedError(Answer(status=response.status_code, headers=found, body=body)) from None
    with opened as client:
        yield Client(account, client, mark)


def refused(account: Account, stage: Stage, **options: Any) -> Answer:
    """The answer to a handshake that must fail."""
    try:
        with connect(account, stage, **options):
            pass
    except UnopenedError as unopened:
        return unopened.answer
    except InvalidHandshake as broken:
        message = f"the handshake ended without an answer: {broken}"
        raise AssertionError(message) from None
    raise AssertionError("the handshake was accepted")


def wished(wishes: Mapping[str, Any]) -> str:
    """Wishes as they travel in a header, see ``actor``."""
    return base64.b64encode(json.dumps(wishes).encode()).decode()


def connected_as(mark: str) -> Callable[[Event], bool]:
    """Tells events of the handshake with a mark."""

    def matches(event: Event) -> bool:
        headers = {name.lower(): value for name, value in (event.get("headers") or {}).items()}
        return headers.get("x-mark") == mark

    return matches


def left(connection_id: str) -> Callable[[Event], bool]:
    """Tells the ``$disconnect`` event of a connection."""

    def matches(event: Event) -> bool:
        context = event.get("requestContext", {})
        told = context.get("eventType"), context.get("connectionId")
        return told == ("DISCONNECT", connection_id) and "posted" not in event

    return matches


def disconnect_event(account: Account, function: Function, connection_id: str) -> Event:
    """The event that the ``$disconnect`` function got for a connection."""
    return account.events(function, left(connection_id))[0]


def error_frame(message: str, connection_id: str = SOCKET_ID) -> str:
    """A pattern for the error frame, to the last space; its group is the request id."""
    return (
        rf'\{{"message": "{re.escape(message)}", "connectionId":"{connection_id}", '
        rf'"requestId":"({SOCKET_ID})"\}}'
    )


# Frames


def frame(opcode: int, payload: bytes = b"", *, is_final: bool = True, reserved: int = 0) -> bytes:
    """A client's frame."""
    length = len(payload)
    first = (0x80 if is_final else 0) | reserved | opcode
    if length < 126:
        head = struct.pack("!BB", first, 0x80 | length)
    elif length < 65536:
        head = struct.pack("!BBH", first, 0x80 | 126, length)
    else:
        head = struct.pack("!BBQ", first, 0x80 | 127, length)
    mask = (_MASK * (length // 4 + 1))[:length]
    masked = (int.from_bytes(payload, "big") ^ int.from_bytes(mask, "big")).to_bytes(length, "big")
    return head + _MASK + masked


def closing(code: int | None = None, reason: bytes = b"") -> bytes:
    """A client's close frame."""
    return frame(CLOSE, b"" if code is None else struct.pack("!H", code) + reason)


@dataclass(frozen=True, kw_only=True)
class Frame:
    """A frame from the server."""

    opcode: int
    payload: bytes
    is_final: bool


class RawClient:
    """A socket that sends exactly the bytes it is told to."""

    def __init__(self, raw: socket.socket, stage: Stage) -> None:
        self.raw = raw
        self._stage = stage
        self._file = raw.makefile("rb")

    @classmethod
    @contextmanager
    def dial(cls, account: Account, stage: Stage) -> Iterator["RawClient"]:
        """A TCP (and TLS) connection to a stage's host; it is cut off at the end."""
        parts = urlsplit(stage.url)
        port = parts.port or (443 if parts.scheme == "wss" else 80)
        assert parts.hostname is not None
        patience = account.target.patience_seconds
        plain = socket.create_connection((parts.hostname, port), timeout=patience)
        with ExitStack() as ends:
            raw = ends.enter_context(plain)
            if parts.scheme == "wss":
                context = ssl.create_default_context()
                raw = ends.enter_context(context.wrap_socket(raw, server_hostname=parts.hostname))
            client = cls(raw, stage)
            ends.callback(client._file.close)  # else the file keeps the socket open
            yield client

    @classmethod
    @contextmanager
    def connect(cls, account: Account, stage: Stage, **headers: str) -> Iterator["RawClient"]:
        """An open WebSocket."""
        with cls.dial(account, stage) as client:
            client.send(client.handshake(**headers))
            answer = client.receive_http()
            if answer.status != 101:
                raise UnopenedError(answer)
            yield client

    def handshake(self, below: str = "", **headers: str) -> bytes:
        """The bytes of a handshake; names have underscores for hyphens, empty ones are left out."""
        parts = urlsplit(self._stage.url)
        sent = {
            "Host": parts.netloc,
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": base64.b64encode(os.urandom(16)).decode(),
        } | {name.replace("_", "-"): value for name, value in headers.items()}
        lines = "".join(f"{name}: {value}\r\n" for name, value in sent.items() if value)
        return f"GET {parts.path}{below} HTTP/1.1\r\n{lines}\r\n".encode()

    def send(self, data: bytes) -> None:
        """Send bytes as they are."""
        self.raw.sendall(data)

    def receive_http(self) -> Answer:
        """A plain answer."""
        lines: list[str] = []
        while (line := self._file.readline(_HEAD_MAX_BYTES)) not in {b"\r\n", b""}:
            lines.append(line.decode("latin-1").strip())
        assert lines, "the connection ended without an answer"
        headers = {}
        for text in lines[1:]:
            name, _, value = text.partition(":")
            headers[name.strip().lower()] = value.strip()
        body = self._file.read(int(headers.get("content-length", 0)))
        return Answer(status=int(lines[0].split()[1]), headers=headers, body=body)

    def receive(self) -> Frame:
        """The next frame."""
        first, second = self._exactly(2)
        length = second & 0x7F
        if length > 125:
            length = int.from_bytes(self._exactly(2 if length == 126 else 8), "big")
        payload = self._exactly(length)
        return Frame(opcode=first & 0xF, payload=payload, is_final=bool(first & 0x80))

    def receive_close(self) -> tuple[int, str]:
        """Code and reason of the server's close frame; frames before it are lost."""
        while True:
            got = self.receive()
            if got.opcode == CLOSE:
                code = struct.unpack("!H", got.payload[:2])[0] if got.payload else 1005
                return code, got.payload[2:].decode(errors="replace")

    def receive_json(self) -> Any:
        """The next message, parsed; it may come in several frames."""
        frames = [self.receive()]
        while not frames[-1].is_final:
            frames.append(self.receive())
        assert frames[0].opcode == TEXT, f"no text, but opcode {frames[0].opcode}"
        return json.loads(b"".join(each.payload for each in frames))

    def ask_id(self) -> str:
        """The connection's id; needs a two-way ``$default`` route."""
        self.send(frame(TEXT, b"who am I?"))
        connection_id: str = self.receive_json()["requestContext"]["connectionId"]
        return connection_id

    def _exactly(self, count: int) -> bytes:
        try:
            data = self._file.read(count)
        except TimeoutError:
            raise AssertionError("nothing came from the server") from None
        assert len(data) == count, "the server ended the connection without a close frame"
        return data
