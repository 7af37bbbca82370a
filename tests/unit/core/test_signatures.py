"""Signatures are made by botocore, so what passes here was signed as AWS's own SDK signs."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth, SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from socketstack.core.canonical import SignedRequest
from socketstack.core.principals import (
    AccessKey,
    Caller,
    Principal,
    PrincipalKind,
    SignatureRefusal,
)
from socketstack.core.signatures import FindKey, is_signed, read_signature, verify

REGION = "eu-west-1"
SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
TOKEN = "session/token+with=signs"
HOST = "a1b2c3d4e5.execute-api.eu-west-1.amazonaws.com"
URL = f"https://{HOST}/dev/@connections/L0SM9cOFvHcCIhw%3D"
ALICE = Principal(
    kind=PrincipalKind.USER,
    arn="arn:aws:iam::123456789012:user/alice",
    account_id="123456789012",
    user_id="AIDAALICE",
    user_name="alice",
)
KEY = AccessKey(access_key_id="AKIDALICE", secret=SECRET, principal=ALICE)
SESSION = AccessKey(
    access_key_id="ASIDALICE",
    secret=SECRET,
    principal=ALICE,
    token=TOKEN,
    expires_at_ms=4_000_000_000_000,
)
# A signature is good for minutes: one made when the tests are collected is too old when they run.
Sign = Callable[[], SignedRequest]
_MISSING = "MissingAuthenticationTokenException"
_INCOMPLETE = "IncompleteSignatureException"
_INVALID = "InvalidSignatureException"
_UNKNOWN = "UnrecognizedClientException"


def _wire(request: AWSRequest) -> SignedRequest:
    """What a server sees of a request that botocore prepared."""
    prepared = request.prepare()
    parts = urlsplit(prepared.url)
    headers = [(name, _text(value)) for name, value in prepared.headers.items()]
    host = next((value for name, value in headers if name.lower() == "host"), parts.netloc)
    return SignedRequest(
        method=prepared.method,
        host=host,
        path=parts.path,
        query=parts.query,
        headers=(("Host", host), *(pair for pair in headers if pair[0].lower() != "host")),
        body=prepared.body if isinstance(prepared.body, bytes) else b"",
    )


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value


def _signed(
    url: str = URL,
    *,
    key: AccessKey = KEY,
    method: str = "POST",
    body: bytes = b"hello",
    headers: dict[str, str] | None = None,
    signer: type = SigV4Auth,
    service: str = "execute-api",
    region: str = REGION,
    **options: Any,
) -> SignedRequest:
    request = AWSRequest(method=method, url=url, data=body, headers=headers or {})
    credentials = Credentials(key.access_key_id, key.secret, key.token)
    signer(credentials, service, region, **options).add_auth(request)
    return _wire(request)


def _presigned(
    url: str = f"wss://{HOST}/dev", *, key: AccessKey = KEY, expires: int = 60, **options: Any
) -> SignedRequest:
    options["expires"] = expires
    return _signed(url, key=key, method="GET", body=b"", signer=SigV4QueryAuth, **options)


def _find(*keys: AccessKey) -> FindKey:
    return {key.access_key_id: key for key in keys or (KEY, SESSION)}.get


def _verify(
    request: SignedRequest, *, find_key: FindKey | None = None, after_seconds: int = 0
) -> Caller | SignatureRefusal:
    return verify(
        request,
        read_signature(request),
        service="execute-api",
        region=REGION,
        now_ms=int(datetime.now(UTC).timestamp() + after_seconds) * 1000,
        find_key=find_key or _find(),
    )


def _code(outcome: Caller | SignatureRefusal) -> str:
    return outcome.code if isinstance(outcome, SignatureRefusal) else "none"


def _refusal(outcome: Caller | SignatureRefusal) -> SignatureRefusal:
    assert isinstance(outcome, SignatureRefusal)
    return outcome


def _with_header(request: SignedRequest, name: str, value: str | None) -> SignedRequest:
    kept = [pair for pair in request.headers if pair[0].lower() != name.lower()]
    return replace(request, headers=(*kept, *([] if value is None else [(name, value)])))


def _header(request: SignedRequest, name: str) -> str:
    (value,) = request.values(name)
    return value


@pytest.mark.parametrize(
    "sign",
    [
        pytest.param(_signed, id="header"),
        pytest.param(partial(_signed, key=SESSION), id="header-of-a-session"),
        pytest.param(_presigned, id="presigned"),
        pytest.param(partial(_presigned, key=SESSION), id="presigned-by-a-session"),
        pytest.param(
            partial(_presigned, f"wss://{HOST}/dev?b=2&a=1&a=0&name=x%20y%2F"), id="query"
        ),
        pytest.param(partial(_signed, URL.replace("@", "%40")), id="encoded-at"),
        pytest.param(partial(_signed, URL.replace("%3D", "=")), id="raw-equals-sign"),
        pytest.param(partial(_signed, f"https://{HOST}/dev/"), id="slash-at-the-end"),
        pytest.param(partial(_signed, f"https://{HOST}"), id="no-path"),
        pytest.param(partial(_signed, headers={"X-Two": "  a   b  "}), id="spaces-in-a-header"),
        pytest.param(partial(_signed, URL.replace(HOST, "localhost:4566")), id="host-with-a-port"),
        pytest.param(partial(_signed, headers={"Date": "now"}), id="date-in-place-of-x-amz-date"),
        pytest.param(partial(_signed, body=b""), id="empty-body"),
        pytest.param(
            partial(_signed, f"https://{HOST}/dev//./x/../y"), id="dots-and-empty-segments"
        ),
    ],
)
def test_request_signed_by_the_sdk_is_the_key_owners(sign: Sign) -> None:
    """What AWS's SDK signs is accepted, in every form it has."""
    request_ = sign()

    outcome = _verify(request_)

    assert isinstance(outcome, Caller), outcome
    assert outcome.principal is ALICE
    assert is_signed(request_)


def test_signer_may_leave_the_port_out_of_the_host() -> None:
    """A signer that knows the name only is right on AWS, where no host has a port."""
    signed = _signed(URL.replace(HOST, "localhost"))

    outcome = _verify(replace(signed, host="localhost:4566"))

    assert isinstance(outcome, Caller)


def test_other_host_is_refused() -> None:
    """A signature is good for the host it was made for."""
    outcome = _verify(replace(_signed(), host="other.execute-api.eu-west-1.amazonaws.com"))

    assert _code(outcome) == _INVALID


def test_repeated_headers_are_joined_in_order() -> None:
    """A signed header that is sent twice counts with both values, in their order."""
    signed = _signed(headers={"X-Two": "a,b"})
    without = _with_header(signed, "X-Two", None)

    twice = _verify(replace(without, headers=(*without.headers, ("X-Two", "a"), ("x-two", "b"))))
    turned = _verify(replace(without, headers=(*without.headers, ("X-Two", "b"), ("x-two", "a"))))

    assert isinstance(twice, Caller)
    assert _code(turned) == _INVALID


def test_unsigned_request_misses_a_token() -> None:
    """A request without signature is answered as AWS answers it."""
    request = _with_header(_signed(), "Authorization", None)

    refusal = _refusal(_verify(request))

    assert (refusal.code, refusal.message) == (_MISSING, "Missing Authentication Token")
    assert not is_signed(request)


def test_unknown_key_is_refused() -> None:
    """Nobody knows the key: AWS calls the token invalid."""
    refusal = _refusal(_verify(_signed(), find_key=_find(SESSION)))

    assert refusal.code == _UNKNOWN
    assert refusal.message == "The security token included in the request is invalid."
    assert "AKIDALICE" in refusal.reason


@pytest.mark.parametrize(
    ("known", "used", "code"),
    [
        pytest.param(replace(KEY, is_active=False), KEY, _UNKNOWN, id="inactive"),
        pytest.param(SESSION, replace(SESSION, token=None), _UNKNOWN, id="token-left-out"),
        pytest.param(SESSION, replace(SESSION, token="another"), _UNKNOWN, id="another-token"),
        pytest.param(KEY, replace(KEY, token=TOKEN), _UNKNOWN, id="token-it-does-not-have"),
        pytest.param(KEY, replace(KEY, secret="another"), _INVALID, id="another-secret"),
        pytest.param(
            replace(SESSION, expires_at_ms=1), SESSION, "ExpiredTokenException", id="expired"
        ),
    ],
)
@pytest.mark.parametrize("sign", [_signed, _presigned], ids=["header", "presigned"])
def test_key_that_is_not_good_is_refused(
    sign: type, known: AccessKey, used: AccessKey, code: str
) -> None:
    """Inactive keys, wrong secrets, wrong tokens and expired sessions sign nothing."""
    outcome = _verify(sign(key=used), find_key=_find(known))

    assert _code(outcome) == code


def test_wrong_signature_is_answered_with_the_canonical_string() -> None:
    """The answer tells what should have been signed, the path encoded once more than sent."""
    signed = _signed(key=replace(KEY, secret="another"))
    date = _header(signed, "X-Amz-Date")

    refusal = _refusal(_verify(signed))

    assert refusal.code == _INVALID
    assert refusal.message == (
        "The request signature we calculated does not match the signature you provided. Check "
        "your AWS Secret Access Key and signing method. Consult the service documentation for "
        "details.\n\n"
        "The Canonical String for this request should have been\n"
        "'POST\n"
        "/dev/%40connections/L0SM9cOFvHcCIhw%253D\n"
        "\n"
        f"host:{HOST}\n"
        f"x-amz-date:{date}\n"
        "\n"
        "host;x-amz-date\n"
        "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824'\n\n"
        "The String-to-Sign should have been\n"
        "'AWS4-HMAC-SHA256\n"
        f"{date}\n"
        f"{date[:8]}/eu-west-1/execute-api/aws4_request\n"
        + refusal.message.rsplit("\n", 2)[1]
        + "\n"
    )


@pytest.mark.parametrize("sign", [_signed, _presigned], ids=["header", "presigned"])
def test_reason_of_a_wrong_signature_holds_no_token(sign: type) -> None:
    """What people are told about a wrong signature leaves tokens and query values out."""
    url = f"https://{HOST}/dev?token=very-secret"
    headers = {"X-Secret": "very-secret"}

    refusal = _refusal(_verify(sign(url, key=replace(SESSION, secret="another"), headers=headers)))

    assert "very-secret" not in refusal.reason
    assert TOKEN[:7] not in refusal.reason
    assert "canonical request" in refusal.reason


@pytest.mark.parametrize(
    ("after_seconds", "code"),
    [
        pytest.param(-310, _INVALID, id="signed-too-far-ahead"),
        pytest.param(-290, "none", id="just-ahead"),
        pytest.param(290, "none", id="nearly-five-minutes-old"),
        pytest.param(310, _INVALID, id="older-than-five-minutes"),
    ],
)
def test_signature_is_good_for_five_minutes(after_seconds: int, code: str) -> None:
    """A clock may be five minutes off, in both directions."""
    outcome = _verify(_signed(), after_seconds=after_seconds)

    assert _code(outcome) == code


def test_expired_signature_is_told_the_times() -> None:
    """The answer names the times it compared, as AWS's does."""
    signed = _signed()
    date = _header(signed, "X-Amz-Date")

    refusal = _refusal(_verify(signed, after_seconds=1000))

    assert refusal.message.startswith(f"Signature expired: {date} is now earlier than ")
    assert refusal.message.endswith(" - 5 min.)")


@pytest.mark.parametrize(
    ("expires", "after_seconds", "code"),
    [
        pytest.param(3600, 3500, "none", id="within"),
        pytest.param(3600, 3700, _INVALID, id="after"),
        pytest.param(60, 70, _INVALID, id="shorter-than-the-clock-skew"),
        pytest.param(604_800, 604_700, "none", id="a-week"),
        pytest.param(604_801, 0, _INCOMPLETE, id="more-than-a-week"),
        pytest.param(0, 0, _INCOMPLETE, id="zero"),
        pytest.param(-5, 0, _INCOMPLETE, id="negative"),
    ],
)
def test_presigned_request_is_good_as_long_as_it_says(
    expires: int, after_seconds: int, code: str
) -> None:
    """X-Amz-Expires counts, from one second to one week."""
    outcome = _verify(_presigned(expires=expires), after_seconds=after_seconds)

    assert _code(outcome) == code


def test_presigned_request_without_an_end_is_good_for_five_minutes() -> None:
    """Some signers for browsers leave X-Amz-Expires out; then the usual time holds."""

    class WithoutExpires(SigV4QueryAuth):
        def canonical_request(self, request: AWSRequest) -> str:
            request.url = "&".join(
                part for part in str(request.url).split("&") if not part.startswith("X-Amz-Expires")
            )
            return str(super().canonical_request(request))

    signed = _signed(f"https://{HOST}/dev", method="GET", body=b"", signer=WithoutExpires)

    assert "X-Amz-Expires" not in signed.query
    assert isinstance(_verify(signed, after_seconds=290), Caller)
    assert _code(_verify(signed, after_seconds=310)) == _INVALID


@pytest.mark.parametrize(
    ("sign", "message"),
    [
        pytest.param(
            partial(_signed, service="apigateway"),
            "Credential should be scoped to correct service: 'execute-api'. ",
            id="service",
        ),
        pytest.param(
            partial(_signed, region="us-east-1"),
            "Credential should be scoped to a valid region, not 'us-east-1'. ",
            id="region",
        ),
    ],
)
def test_signature_for_another_scope_is_refused(sign: Sign, message: str) -> None:
    """A signature is good for one region and one service."""
    refusal = _refusal(_verify(sign()))

    assert (refusal.code, refusal.message) == (_INVALID, message)


@pytest.mark.parametrize(
    ("before", "after", "code"),
    [
        pytest.param("Credential=", "Credentials=", _INCOMPLETE, id="no-credential"),
        pytest.param(", Signature=", ", Sig=", _INCOMPLETE, id="no-signature"),
        pytest.param("SignedHeaders=host;", "SignedHeaders=", _INCOMPLETE, id="host-not-signed"),
        pytest.param("AWS4-HMAC-SHA256", "Bearer", _INCOMPLETE, id="another-scheme"),
        pytest.param("SignedHeaders=", "SignedHeaders,", _INCOMPLETE, id="no-equals-sign"),
        pytest.param("/aws4_request", "", _INCOMPLETE, id="short-scope"),
        pytest.param("/aws4_request", "/aws5_request", _INVALID, id="another-terminator"),
        pytest.param("AKIDALICE/20", "AKIDALICE/19", _INVALID, id="another-date"),
        pytest.param("Signature=", "Signature=é", _INVALID, id="not-even-hexadecimal"),
    ],
)
def test_malformed_authorization_is_refused(before: str, after: str, code: str) -> None:
    """Whatever is not a whole signature is refused with the name AWS has for it."""
    signed = _signed()
    text = _header(signed, "Authorization")
    assert before in text

    outcome = _verify(_with_header(signed, "Authorization", text.replace(before, after)))

    assert _code(outcome) == code


@pytest.mark.parametrize(
    ("name", "value"),
    [
        pytest.param("X-Amz-Date", None, id="none"),
        pytest.param("X-Amz-Date", "yesterday", id="no-date"),
        pytest.param("X-Amz-Date", "20261399T990000Z", id="no-such-date"),
        pytest.param("X-Amz-Date", "20260101T000000Z, 20260101T000000Z", id="two-dates"),
    ],
)
def test_request_without_a_readable_date_is_refused(name: str, value: str | None) -> None:
    """A signature without a time could be used forever."""
    outcome = _verify(_with_header(_signed(), name, value))

    assert _code(outcome) == _INCOMPLETE


def test_date_header_that_is_no_date_is_refused() -> None:
    """The Date header stands in for X-Amz-Date only when it is a date."""
    request = _with_header(_with_header(_signed(), "X-Amz-Date", None), "Date", "soon")

    refusal = _refusal(_verify(request))

    assert refusal.code == _INCOMPLETE
    assert "Got 'soon'" in refusal.message


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param("AWS4-HMAC-SHA256", "AWS4-ECDSA", id="another-algorithm"),
        pytest.param("X-Amz-Credential", "X-Credential", id="no-credential"),
        pytest.param("X-Amz-SignedHeaders", "X-SignedHeaders", id="no-headers"),
        pytest.param("X-Amz-Date", "X-Date", id="no-date"),
        pytest.param("X-Amz-Expires=60", "X-Amz-Expires=soon", id="no-number"),
    ],
)
def test_malformed_presigned_request_is_refused(before: str, after: str) -> None:
    """A presigned address that lacks a part is refused with the name AWS has for it."""
    request = _presigned()
    assert before in request.query

    outcome = _verify(replace(request, query=request.query.replace(before, after)))

    assert _code(outcome) == _INCOMPLETE


def test_two_signatures_are_refused() -> None:
    """A request that is signed twice over is refused, whichever signature were right."""
    signed, presigned = _signed(f"https://{HOST}/dev", method="GET", body=b""), _presigned()

    both = _verify(replace(presigned, headers=signed.headers))
    doubled = _verify(replace(signed, headers=signed.headers * 2))

    assert (_code(both), _code(doubled)) == (_INCOMPLETE, _INCOMPLETE)


@pytest.mark.parametrize(
    ("signer", "options"),
    [
        pytest.param(S3SigV4Auth, {}, id="header"),
        pytest.param(S3SigV4QueryAuth, {"expires": 60}, id="presigned"),
    ],
)
def test_s3_signs_the_path_as_it_is(signer: type, options: dict[str, Any]) -> None:
    """For S3 the path is encoded once, and a presigned body may be any."""
    signed = _signed(
        "http://localhost:4566/bucket/a%20b/%40c//d",
        body=b"",
        signer=signer,
        service="s3",
        **options,
    )

    outcome = verify(
        signed,
        read_signature(signed),
        service="s3",
        region=None,
        now_ms=int(datetime.now(UTC).timestamp() * 1000),
        find_key=_find(),
    )

    assert isinstance(outcome, Caller), outcome


def test_s3_body_must_be_the_one_whose_digest_is_named() -> None:
    """S3's digest in the header is held against the body."""
    signed = _signed("http://localhost:4566/bucket/key", signer=S3SigV4Auth, service="s3")

    outcome = verify(
        replace(signed, body=b"another"),
        read_signature(replace(signed, body=b"another")),
        service="s3",
        region=None,
        now_ms=int(datetime.now(UTC).timestamp() * 1000),
        find_key=_find(),
    )

    assert _code(outcome) == _INVALID


def test_digest_header_cannot_stand_in_for_the_body() -> None:
    """Outside of S3 the body itself counts, whatever a header says its digest is."""
    signed = _signed(headers={"X-Amz-Content-SHA256": "UNSIGNED-PAYLOAD"})

    outcome = _verify(signed)

    assert "UNSIGNED-PAYLOAD" in _header(signed, "X-Amz-Content-SHA256")
    assert _code(outcome) == _INVALID


def test_keys_show_no_secrets() -> None:
    """A key that ends up in a log line does not take its secret along."""
    shown = repr(Caller(key=SESSION))

    assert SECRET not in shown
    assert TOKEN not in shown
