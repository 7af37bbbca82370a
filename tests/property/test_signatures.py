"""Signatures over any request: what was signed passes, and one changed byte does not."""

import string
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlsplit

from botocore.auth import SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st

from socketstack.core.canonical import SignedRequest
from socketstack.core.principals import (
    AccessKey,
    Caller,
    Principal,
    PrincipalKind,
    SignatureRefusal,
)
from socketstack.core.signatures import is_signed, read_signature, verify

ROOT = Principal(kind=PrincipalKind.ROOT, arn="arn:aws:iam::1:root", account_id="1", user_id="1")
KEY = AccessKey(access_key_id="AKIDEXAMPLE", secret="secret", principal=ROOT, token="to/ken+=")
HOST = "a1b2c3d4e5.execute-api.eu-west-1.amazonaws.com"

texts = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=12)
words = st.text(string.ascii_letters + string.digits + "@=+$ %~é", min_size=1, max_size=8)
header_values = st.text(string.ascii_letters + " ,;=", max_size=12)


@st.composite
def signed_requests(draw: st.DrawFn) -> SignedRequest:
    """A request that botocore signed, in one of the two forms, as it comes over the wire."""
    path = "/" + "/".join(quote(word) for word in draw(st.lists(words, max_size=3)))
    pairs = draw(st.lists(st.tuples(words, texts), max_size=3))
    query = "&".join(f"{quote(n, safe='')}={quote(v, safe='')}" for n, v in pairs)
    is_presigned = draw(st.booleans())
    request = AWSRequest(
        method=draw(st.sampled_from(["GET"] if is_presigned else ["GET", "POST", "DELETE"])),
        url=f"https://{HOST}{path}" + (f"?{query}" if query else ""),
        data=b"" if is_presigned else draw(st.binary(max_size=40)),
        headers={"X-Extra": draw(header_values)},
    )
    credentials = Credentials(KEY.access_key_id, KEY.secret, KEY.token)
    signer = SigV4QueryAuth if is_presigned else SigV4Auth
    signer(credentials, "execute-api", "eu-west-1").add_auth(request)
    parts = urlsplit(str(request.url))
    return SignedRequest(
        method=str(request.method),
        host=HOST,
        path=parts.path,
        query=parts.query,
        headers=tuple((str(n), str(v)) for n, v in request.headers.items()),
        body=request.data if isinstance(request.data, bytes) else b"",
    )


def verified(request: SignedRequest) -> Caller | SignatureRefusal:
    """What the engine says of a request, now."""
    return verify(
        request,
        read_signature(request),
        service="execute-api",
        region="eu-west-1",
        now_ms=int(datetime.now(UTC).timestamp() * 1000),
        find_key={KEY.access_key_id: KEY}.get,
    )


@given(signed_requests())
def test_what_the_sdk_signs_is_accepted(request: SignedRequest) -> None:
    """Whatever path, query, headers and body: a right signature is right."""
    outcome = verified(request)

    assert isinstance(outcome, Caller), outcome


@given(signed_requests(), st.data())
def test_one_changed_byte_is_refused(request: SignedRequest, data: st.DataObject) -> None:
    """A letter or digit that becomes another one, anywhere in what was signed, is refused."""
    name = data.draw(st.sampled_from(["method", "host", "path", "query", "header", "body"]))
    text = _part(request, name)
    places = [n for n, byte in enumerate(text) if name == "body" or chr(byte) in _PLAIN]
    if not places:
        return
    place = data.draw(st.sampled_from(places))
    others = st.integers(0, 255) if name == "body" else st.sampled_from(_PLAIN.encode())
    byte = data.draw(others.filter(lambda other: other != text[place]))
    changed = _with_part(request, name, text[:place] + bytes([byte]) + text[place + 1 :])

    outcome = verified(changed)

    assert isinstance(outcome, SignatureRefusal)


_PLAIN = "ghijkmnopqrsuvwyz"
"""Letters that mean the same in no percent code and no header's name."""


def _part(request: SignedRequest, name: str) -> bytes:
    if name == "header":
        return "\n".join(value for _, value in request.headers).encode()
    value = getattr(request, name)
    return value if isinstance(value, bytes) else str(value).encode()


def _with_part(request: SignedRequest, name: str, changed: bytes) -> SignedRequest:
    if name == "body":
        return replace(request, body=changed)
    if name == "header":
        values = changed.decode().split("\n")
        pairs = zip(request.headers, values, strict=True)
        return replace(request, headers=tuple((key, value) for (key, _), value in pairs))
    parts: dict[str, Any] = {name: changed.decode()}
    return replace(request, **parts)


@given(
    st.lists(st.tuples(st.sampled_from(["Authorization", "X-Amz-Date", "Date", "x"]), texts)),
    texts,
    texts,
    st.binary(max_size=20),
)
def test_reading_never_raises(
    headers: list[tuple[str, str]], path: str, query: str, body: bytes
) -> None:
    """Whatever comes over the wire is a signature or a refusal, and never an exception."""
    request = SignedRequest(
        method="GET", host="h", path=path, query=query, headers=tuple(headers), body=body
    )

    assert isinstance(verified(request), SignatureRefusal)
    assert is_signed(request) in {True, False}
    assert read_signature(request) is not None


@given(st.text(string.printable, max_size=60))
def test_no_authorization_text_is_a_caller(text: str) -> None:
    """Nothing that is made up opens anything."""
    request = SignedRequest(
        method="GET",
        host="h",
        path="/",
        headers=(("Authorization", f"AWS4-HMAC-SHA256 {text}"), ("X-Amz-Date", "20260101T000000Z")),
    )

    assert isinstance(verified(request), SignatureRefusal)
