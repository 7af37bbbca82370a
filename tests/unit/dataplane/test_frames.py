"""The answer to a handshake."""

import pytest

from socketstack.dataplane.frames import switching_protocols

_KEY = "dGhlIHNhbXBsZSBub25jZQ=="
_ACCEPT = b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
"""Both are those of RFC 6455, section 1.3."""


def test_a_handshake_is_answered_by_its_key() -> None:
    """The key of RFC 6455 gives the answer of RFC 6455, and no subprotocol unless there is one."""
    first, *lines = switching_protocols(_KEY, None).split(b"\r\n")

    assert first == b"HTTP/1.1 101 Switching Protocols"
    assert lines[-2:] == [b"", b""]
    fields = dict(line.split(b": ", 1) for line in lines[:-2])
    assert fields.pop(b"Sec-WebSocket-Accept") == _ACCEPT
    assert fields.keys() == {b"Upgrade", b"Connection", b"Date", b"Server"}


def test_a_subprotocol_is_sent_as_it_is() -> None:
    """Whatever the function returned."""
    assert b"\r\nSec-WebSocket-Protocol: chat.v2\r\n" in switching_protocols(_KEY, "chat.v2")


@pytest.mark.parametrize("end", ["\r\n", "\n", "\r", "\0"])
def test_a_subprotocol_adds_no_line(end: str) -> None:
    """What would end the line is refused."""
    with pytest.raises(ValueError, match="no value of a header"):
        switching_protocols(_KEY, f"chat{end}Set-Cookie: a=b")
