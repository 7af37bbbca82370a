"""Addresses of engines, and what counts as an engine's answer."""

import errno

import pytest

from socketstack.errors import ConfigError
from socketstack.kit.client import EngineClient, Health, is_absent, is_starting, parse_health


@pytest.mark.parametrize(
    ("endpoint", "found"),
    [
        pytest.param("http://engine:4566", ("engine", 4566), id="container"),
        pytest.param("http://localhost:4566/", ("localhost", 4566), id="slash"),
        pytest.param("http://engine", ("engine", 80), id="no-port"),
        pytest.param("http://[::1]:4566", ("::1", 4566), id="ipv6"),
    ],
)
def test_address_of_an_engine_is_taken_apart(endpoint: str, found: tuple[str, int]) -> None:
    """Host and port are those of the URL, and lead back to it."""
    client = EngineClient.at(endpoint)

    assert (client.host, client.port) == found
    assert client.endpoint.startswith(endpoint.rstrip("/"))


@pytest.mark.parametrize(
    "endpoint",
    [
        pytest.param("engine:4566", id="no-scheme"),
        pytest.param("https://lambda.us-east-1.amazonaws.com", id="https"),
        pytest.param("http://", id="no-host"),
        pytest.param("http://engine:4566/path", id="path"),
        pytest.param("http://engine:4566?x=1", id="query"),
        pytest.param("http://user@engine:4566", id="user"),
        pytest.param("http://engine:port", id="port-no-number"),
        pytest.param("http://engine:0", id="port-zero"),
        pytest.param("", id="empty"),
    ],
)
def test_any_other_address_is_refused(endpoint: str) -> None:
    """The refusal shows what an address looks like."""
    with pytest.raises(ConfigError, match=r"is no address of an engine.*http://engine:4566"):
        EngineClient.at(endpoint)


@pytest.mark.parametrize(
    ("status", "body", "health"),
    [
        pytest.param(
            200,
            b'{"status":"ok","pid":7,"version":"1"}',
            Health(pid=7, version="1"),
            id="engine",
        ),
        pytest.param(503, b'{"status":"ok","pid":7,"version":"1"}', None, id="status"),
        pytest.param(200, b'{"status":"bad","pid":7,"version":"1"}', None, id="not-ok"),
        pytest.param(200, b'{"status":"ok"}', None, id="members-missing"),
        pytest.param(200, b"[]", None, id="no-object"),
        pytest.param(200, b"\xff<html>", None, id="no-json"),
    ],
)
def test_only_a_good_answer_is_health(status: int, body: bytes, health: Health | None) -> None:
    """Anything but a healthy engine's own words counts as none."""
    assert parse_health(status, body) == health


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        pytest.param(503, b'{"status":"starting","pid":7}', True, id="starting"),
        pytest.param(503, b'{"status":"failed","pid":7}', False, id="failed"),
        pytest.param(200, b'{"status":"starting"}', False, id="status"),
        pytest.param(503, b"busy", False, id="no-json"),
        pytest.param(503, b"[]", False, id="no-object"),
    ],
)
def test_engine_that_starts_says_so(status: int, body: bytes, *, expected: bool) -> None:
    """Only an engine's own word that it starts is waited for; all else is another program."""
    assert is_starting(status, body) is expected


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        pytest.param(ConnectionRefusedError(errno.ECONNREFUSED, "refused"), True, id="refused"),
        pytest.param(OSError(errno.EADDRNOTAVAIL, "cannot assign"), True, id="ipv6-switched-off"),
        pytest.param(ConnectionResetError(errno.ECONNRESET, "reset"), False, id="reset"),
        pytest.param(TimeoutError("timed out"), False, id="silent"),
    ],
)
def test_absent_engine_is_told_from_a_silent_one(error: OSError, *, expected: bool) -> None:
    """Only a connection that never came about means that the port is free."""
    assert is_absent(error) is expected
