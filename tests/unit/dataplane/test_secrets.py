"""The credentials of a handshake, kept out of what is told about it."""

import pytest

from socketstack.core.model import Upgrade
from socketstack.dataplane.handshake import Secrets

_TOKEN = "c29tZXRoaW5nLXNlY3JldA"
_SHOWN = f"…{_TOKEN[-6:]} ({len(_TOKEN)} characters)"


def _secrets(
    query: tuple[tuple[str, str], ...] = (), headers: tuple[tuple[str, str], ...] = ()
) -> Secrets:
    return Secrets(
        Upgrade(
            method="GET",
            host="localhost:4566",
            path="/prod",
            raw_target="/prod",
            query=query,
            headers=headers,
            source_ip="127.0.0.1",
            is_websocket=True,
        )
    )


@pytest.mark.parametrize(
    "secrets",
    [
        pytest.param(_secrets(query=(("token", _TOKEN),)), id="query"),
        pytest.param(_secrets(headers=(("Authorization", f"Bearer {_TOKEN}"),)), id="header-part"),
        pytest.param(_secrets(headers=(("Cookie", f"a=b; session={_TOKEN}"),)), id="cookie"),
    ],
)
def test_credentials_are_cut_wherever_a_text_quotes_them(secrets: Secrets) -> None:
    """Every text, not only the first one that is told."""
    for text in ("no: {} is old", "{0} and {0}"):
        assert secrets.hidden_in(text.format(_TOKEN)) == text.format(_SHOWN)


def test_a_longer_one_is_cut_as_a_whole() -> None:
    """What it holds is cut with it, and does not leave the rest of it to be read."""
    longer = f"{_TOKEN}-and-its-signature"
    secrets = _secrets(query=(("part", _TOKEN), ("token", longer)))
    assert secrets.hidden_in(longer) == f"…nature ({len(longer)} characters)"


def test_what_is_no_credential_is_told() -> None:
    """Names of hosts and browsers, short values, and the words of signatures."""
    secrets = _secrets(
        query=(("room", "lobby"),),
        headers=(("Origin", "https://example.test"), ("X-Signed", "AWS4-HMAC-SHA256 Signature=x")),
    )
    text = "https://example.test asks for the lobby with AWS4-HMAC-SHA256 and a Signature"
    assert secrets.hidden_in(text) == text
