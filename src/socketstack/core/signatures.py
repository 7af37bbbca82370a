"""Verifying SigV4: whether a request was signed by a key that the account knows, and just now.

Own code and not a library's: AWS's SDKs only sign, and what verifies on PyPI encodes the path
otherwise than API Gateway does, knows no presigned form and ended in 2019. The digests and HMACs
are Python's. Checks run in this order: form, time, scope, key, token, signature.

Rules: 4.01, 4.03, 4.04, 7.05, 7.06.
"""

import hashlib
import hmac
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final
from urllib.parse import parse_qsl

from socketstack.core.canonical import (
    ALGORITHM,
    S3,
    SIGNATURE_PARAMETER,
    TERMINATOR,
    Scope,
    SignedRequest,
    canonical_request,
    signature_of,
    string_to_sign,
    without_values,
)
from socketstack.core.principals import AccessKey, Caller, SignatureRefusal

CLOCK_SKEW_SECONDS: Final = 5 * 60
PRESIGNED_MAX_SECONDS: Final = 7 * 24 * 60 * 60

FindKey = Callable[[str], AccessKey | None]
"""The key with an id, None for an id that nobody has."""

_TIME_FORM: Final = "%Y%m%dT%H%M%SZ"
_TIME: Final = re.compile(r"(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z", re.ASCII)
_NUMBER: Final = re.compile(r"\d{1,7}", re.ASCII)
_PORT: Final = re.compile(r":\d+$", re.ASCII)
_SCOPE_PARTS: Final = 5
_UNSIGNED_PAYLOADS: Final = re.compile(r"UNSIGNED-PAYLOAD|STREAMING-.+")
_IN_HEADER: Final = ("Credential", "Signature", "SignedHeaders")
_IN_QUERY: Final = (
    "X-Amz-Algorithm",
    "X-Amz-Credential",
    "X-Amz-Date",
    "X-Amz-SignedHeaders",
    SIGNATURE_PARAMETER,
)

_MISMATCH: Final = (
    "The request signature we calculated does not match the signature you provided. Check your "
    "AWS Secret Access Key and signing method. Consult the service documentation for details."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """What a request says about its signature; nothing of it is verified."""

    access_key_id: str
    scope: Scope
    terminator: str
    signed_headers: tuple[str, ...]
    digits: str
    timestamp: str
    """``YYYYMMDDTHHMMSSZ``."""
    signed_at_seconds: int
    """The same since the epoch."""
    lasts_seconds: int | None
    """``X-Amz-Expires`` of a presigned request."""
    token: str | None


def is_signed(request: SignedRequest) -> bool:
    """Whether a request has a signature in one of the two forms, right or wrong."""
    return _has_header_form(request) or SIGNATURE_PARAMETER in dict(_pairs(request))


def read_signature(request: SignedRequest) -> Signature | SignatureRefusal:
    """What a request says about its signature, in its header or its query string."""
    presigned = dict(_pairs(request))
    is_presigned = SIGNATURE_PARAMETER in presigned
    if is_presigned and request.values("Authorization"):
        return _incomplete("Only one auth mechanism allowed.")
    if is_presigned:
        return _read_query(presigned)
    if not request.values("Authorization"):
        return SignatureRefusal(
            code="MissingAuthenticationTokenException",
            message="Missing Authentication Token",
            reason="The request is not signed. Sign it with SigV4, in the Authorization header "
            "or as a presigned URL.",
        )
    return _read_header(request)


def verify(
    request: SignedRequest,
    signature: Signature | SignatureRefusal,
    *,
    service: str,
    region: str | None,
    now_ms: int,
    find_key: FindKey,
) -> Caller | SignatureRefusal:
    """Decide who signed a request.

    Args:
        request: As it came.
        signature: What ``read_signature`` reads in it.
        service: The signing name, for example ``execute-api``.
        region: Where the called resource is; None for services whose signature names it.
        now_ms: The time of this machine: a signature is good for five minutes, a presigned
            request for as long as it says, a week at most.
        find_key: Looks a key up.
    """
    if isinstance(signature, SignatureRefusal):
        return signature
    refusal = _out_of_time(signature, now_ms) or _out_of_scope(signature, service, region)
    if refusal is not None:
        return refusal
    key = find_key(signature.access_key_id)
    refusal = _bad_key(signature, key, now_ms)
    if refusal is not None or key is None:
        return refusal or _unknown_key("")
    refusal = _mismatch(request, signature, key)
    return Caller(key=key) if refusal is None else refusal


# Reading


def _pairs(request: SignedRequest) -> list[tuple[str, str]]:
    return parse_qsl(request.query, keep_blank_values=True) if request.query else []


def _has_header_form(request: SignedRequest) -> bool:
    return any(value.startswith(ALGORITHM) for value in request.values("Authorization"))


def _header_fields(request: SignedRequest) -> dict[str, str] | SignatureRefusal:
    values = request.values("Authorization")
    text = values[0]
    if len(values) > 1:
        return _incomplete("Only one auth mechanism allowed.")
    algorithm, _, rest = text.partition(" ")
    if algorithm != ALGORITHM:
        return _incomplete(
            f"'{rest or algorithm}' not a valid key=value pair (missing equal-sign) in "
            f"Authorization header: '{text}'.",
            f"The Authorization header does not begin with {ALGORITHM}. Sign the request with "
            "SigV4.",
        )
    fields = {}
    for part in rest.split(","):
        name, equals, value = part.strip().partition("=")
        if not equals:
            return _incomplete(
                f"'{name}' not a valid key=value pair (missing equal-sign) in Authorization "
                f"header: '{text}'.",
                "The Authorization header is no list of names and values.",
            )
        fields[name] = value
    return fields


def _header_time(request: SignedRequest) -> str:
    named = ",".join(request.values("X-Amz-Date"))
    dates = request.values("Date")
    if named or not dates:
        return named
    try:
        return parsedate_to_datetime(dates[0]).astimezone(UTC).strftime(_TIME_FORM)
    except (ValueError, OverflowError):
        return dates[0]


def _read_header(request: SignedRequest) -> Signature | SignatureRefusal:
    fields = _header_fields(request)
    if isinstance(fields, SignatureRefusal):
        return fields
    timestamp = _header_time(request)
    missing = [
        f"Authorization header requires '{name}' parameter."
        for name in _IN_HEADER
        if not fields.get(name)
    ]
    if not timestamp:
        missing.append(
            "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header."
        )
    if missing:
        return _incomplete(" ".join(missing))
    return _read(
        credential=fields["Credential"],
        digits=fields["Signature"],
        signed_headers=fields["SignedHeaders"],
        timestamp=timestamp,
        token=",".join(request.values("X-Amz-Security-Token")) or None,
        lasts_seconds=None,
    )


def _read_query(parameters: dict[str, str]) -> Signature | SignatureRefusal:
    missing = [name for name in _IN_QUERY if not parameters.get(name)]
    if missing:
        names = ", ".join(f"'{name}'" for name in missing)
        return _incomplete(f"AWS query-string parameters must include {names}.")
    if parameters["X-Amz-Algorithm"] != ALGORITHM:
        return _incomplete(f"X-Amz-Algorithm only supports '{ALGORITHM}'")
    lasts = parameters.get("X-Amz-Expires")
    if lasts is not None and not (
        _NUMBER.fullmatch(lasts) and 1 <= int(lasts) <= PRESIGNED_MAX_SECONDS
    ):
        return _incomplete(
            f"X-Amz-Expires must be a number of seconds from 1 to {PRESIGNED_MAX_SECONDS}."
        )
    return _read(
        credential=parameters["X-Amz-Credential"],
        digits=parameters[SIGNATURE_PARAMETER],
        signed_headers=parameters["X-Amz-SignedHeaders"],
        timestamp=parameters["X-Amz-Date"],
        token=parameters.get("X-Amz-Security-Token") or None,
        lasts_seconds=None if lasts is None else int(lasts),
    )


def _read(
    *,
    credential: str,
    digits: str,
    signed_headers: str,
    timestamp: str,
    token: str | None,
    lasts_seconds: int | None,
) -> Signature | SignatureRefusal:
    signed_at_seconds = _seconds(timestamp)
    if signed_at_seconds is None:
        return _incomplete(
            f"Date must be in ISO-8601 'basic format'. Got '{timestamp}'. See "
            "http://en.wikipedia.org/wiki/ISO_8601"
        )
    scope = credential.rsplit("/", _SCOPE_PARTS - 1)
    if len(scope) != _SCOPE_PARTS:
        return _incomplete(
            "Credential must have exactly 5 slash-delimited elements, e.g. "
            f"keyid/date/region/service/term, got '{credential}'"
        )
    names = tuple(name.lower() for name in signed_headers.split(";"))
    if "host" not in names:
        return _incomplete(
            "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization."
        )
    return Signature(
        access_key_id=scope[0],
        scope=Scope(date=scope[1], region=scope[2], service=scope[3]),
        terminator=scope[4],
        signed_headers=names,
        digits=digits,
        timestamp=timestamp,
        signed_at_seconds=signed_at_seconds,
        lasts_seconds=lasts_seconds,
        token=token,
    )


def _seconds(timestamp: str) -> int | None:
    """A time of the form ``YYYYMMDDTHHMMSSZ`` since the epoch; None for another form."""
    parts = _TIME.fullmatch(timestamp)
    if parts is None:
        return None
    try:
        # ``strptime`` takes thirty times as long, most of it to look at the locale.
        year, month, day, hour, minute, second = map(int, parts.groups())
        return int(datetime(year, month, day, hour, minute, second, tzinfo=UTC).timestamp())
    except ValueError:
        return None


# Deciding


def _out_of_time(signature: Signature, now_ms: int) -> SignatureRefusal | None:
    signed_at = signature.signed_at_seconds
    now = now_ms // 1000
    lasts = signature.lasts_seconds or CLOCK_SKEW_SECONDS
    if signed_at + lasts < now:
        span = f"{lasts // 60} min." if lasts % 60 == 0 else f"{lasts} s."
        return _invalid(
            f"Signature expired: {signature.timestamp} is now earlier than "
            f"{_moment(now - lasts)} ({_moment(now)} - {span})"
        )
    if signed_at > now + CLOCK_SKEW_SECONDS:
        return _invalid(
            f"Signature not yet current: {signature.timestamp} is still later than "
            f"{_moment(now + CLOCK_SKEW_SECONDS)} ({_moment(now)} + 5 min.)"
        )
    return None


def _moment(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime(_TIME_FORM)


def _out_of_scope(
    signature: Signature, service: str, region: str | None
) -> SignatureRefusal | None:
    scope = signature.scope
    wrong = []
    if region not in {None, scope.region}:
        wrong.append(f"Credential should be scoped to a valid region, not '{scope.region}'. ")
    if scope.service != service:
        wrong.append(f"Credential should be scoped to correct service: '{service}'. ")
    if signature.terminator != TERMINATOR:
        wrong.append(
            "Credential should be scoped with a valid terminator: "
            f"'{TERMINATOR}', not '{signature.terminator}'. "
        )
    if scope.date != signature.timestamp[:8]:
        wrong.append(
            "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from "
            f"HTTP: '{scope.date}' != '{signature.timestamp[:8]}', from '{signature.timestamp}'. "
        )
    if not wrong:
        return None
    hint = f" The region here is {region!r}." if region not in {None, scope.region} else ""
    return _invalid("".join(wrong), f"{''.join(wrong).strip()}{hint}")


def _bad_key(signature: Signature, key: AccessKey | None, now_ms: int) -> SignatureRefusal | None:
    key_id = signature.access_key_id
    if key is None:
        return _unknown_key(f"No access key {key_id} is known here.")
    if not key.is_active:
        return _unknown_key(f"The access key {key_id} is inactive.")
    has_right_token = hmac.compare_digest(
        (key.token or "").encode(), (signature.token or "").encode()
    )
    if not has_right_token:
        what = "without the session's token" if key.token else "with a token it does not have"
        return _unknown_key(f"The access key {key_id} was used {what}.")
    if key.expires_at_ms is not None and key.expires_at_ms <= now_ms:
        return SignatureRefusal(
            code="ExpiredTokenException",
            message="The security token included in the request is expired",
            reason=f"The session of the access key {key_id} has expired.",
        )
    return None


def _mismatch(
    request: SignedRequest, signature: Signature, key: AccessKey
) -> SignatureRefusal | None:
    payload_hash = hashlib.sha256(request.body).hexdigest()
    if signature.scope.service == S3:
        named = "".join(request.values("x-amz-content-sha256")) or "UNSIGNED-PAYLOAD"
        if not _UNSIGNED_PAYLOADS.fullmatch(named) and named != payload_hash:
            return _invalid(
                "The provided 'x-amz-content-sha256' header does not match what was computed."
            )
        payload_hash = named
    canonical, text = _texts(request, signature, payload_hash)
    if _is_right(text, signature, key):
        return None
    # On AWS no host has a port, so a signer may leave it out; here most have one.
    bare = replace(request, host=_PORT.sub("", request.host))
    if _is_right(_texts(bare, signature, payload_hash)[1], signature, key):
        return None
    return _invalid(
        f"{_MISMATCH}\n\nThe Canonical String for this request should have been\n'{canonical}'\n\n"
        f"The String-to-Sign should have been\n'{text}'\n",
        "The signature does not belong to this request and key. Check the secret, and compare "
        f"with the canonical request as it is here: {without_values(canonical)!r}",
    )


def _is_right(text: str, signature: Signature, key: AccessKey) -> bool:
    wanted = signature_of(text, key.secret, signature.scope)
    return hmac.compare_digest(wanted.encode(), signature.digits.encode())


def _texts(request: SignedRequest, signature: Signature, payload_hash: str) -> tuple[str, str]:
    """The canonical request and the string to sign."""
    canonical = canonical_request(
        request,
        signed_headers=signature.signed_headers,
        payload_hash=payload_hash,
        scope=signature.scope,
    )
    return canonical, string_to_sign(canonical, signature.timestamp, signature.scope)


def _incomplete(message: str, reason: str | None = None) -> SignatureRefusal:
    return SignatureRefusal(
        code="IncompleteSignatureException", message=message, reason=reason or message
    )


def _invalid(message: str, reason: str | None = None) -> SignatureRefusal:
    return SignatureRefusal(
        code="InvalidSignatureException", message=message, reason=reason or message.strip()
    )


def _unknown_key(reason: str) -> SignatureRefusal:
    return SignatureRefusal(
        code="UnrecognizedClientException",
        message="The security token included in the request is invalid.",
        reason=reason,
    )
