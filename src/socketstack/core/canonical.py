"""SigV4's texts: the canonical request, the string to sign, and the signature of both.

What counts is the request as it came over the wire. The path is encoded once more than it was
sent (``@`` and ``%3D`` become ``%40`` and ``%253D``), except for S3; the query is decoded and
encoded anew, and sorted.

Rules: 7.05, 7.06.
"""

import hashlib
import hmac
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final
from urllib.parse import quote, unquote_to_bytes

ALGORITHM: Final = "AWS4-HMAC-SHA256"
TERMINATOR: Final = "aws4_request"
SIGNATURE_PARAMETER: Final = "X-Amz-Signature"
S3: Final = "s3"

_UNRESERVED: Final = "-_.~"
_SPACES: Final = re.compile(r"[ \t]+")
_SHOWN_HEADERS: Final = frozenset({"host", "x-amz-date", "x-amz-content-sha256", "content-type"})


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedRequest:
    """A request as it came, before anything was decoded.

    ``host`` is the Host header; ``path`` and ``query`` are raw, the query without its question
    mark; ``headers`` are pairs in the order sent. ``body`` is complete.
    """

    method: str
    host: str
    path: str
    query: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    _by_name: dict[str, list[str]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def values(self, name: str) -> list[str]:
        """All values of a header, in the order sent."""
        by_name = self._by_name
        if not by_name:  # a signature asks for a dozen headers, and most requests have none
            for key, value in self.headers:
                by_name.setdefault(key.lower(), []).append(value)
        return by_name.get(name.lower(), [])


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What a signature is good for: the credential scope without the key's id."""

    date: str
    region: str
    service: str

    def __str__(self) -> str:
        return f"{self.date}/{self.region}/{self.service}/{TERMINATOR}"


def canonical_request(
    request: SignedRequest, *, signed_headers: Iterable[str], payload_hash: str, scope: Scope
) -> str:
    """The text whose digest is signed. A signed header that did not come counts as empty."""
    names = sorted(signed_headers)
    headers = "".join(f"{name}:{_header(request, name)}\n" for name in names)
    return "\n".join(
        [
            request.method.upper(),
            _path(request.path, is_s3=scope.service == S3),
            _query(request.query),
            headers,
            ";".join(names),
            payload_hash,
        ]
    )


def string_to_sign(canonical: str, timestamp: str, scope: Scope) -> str:
    """The text that is signed; ``timestamp`` is ``YYYYMMDDTHHMMSSZ``."""
    digest = hashlib.sha256(canonical.encode(errors="surrogateescape")).hexdigest()
    return f"{ALGORITHM}\n{timestamp}\n{scope}\n{digest}"


def signature_of(text: str, secret: str, scope: Scope) -> str:
    """The signature of a string to sign, in hexadecimal digits."""
    key = _signing_key(secret, scope)
    return hmac.digest(key, text.encode(errors="surrogateescape"), "sha256").hex()


@lru_cache(maxsize=256)  # the same all day, for every request of a key
def _signing_key(secret: str, scope: Scope) -> bytes:
    key = f"AWS4{secret}".encode()
    for part in (scope.date, scope.region, scope.service, TERMINATOR):
        key = hmac.digest(key, part.encode(), "sha256")
    return key


def without_values(canonical: str) -> str:
    """A canonical request as the trace may show it: tokens can stand in query and headers."""
    method, path, query, *lines = canonical.split("\n")
    shown = "&".join(f"{pair.partition('=')[0]}=…" for pair in query.split("&") if pair)
    headers = [
        line if line.partition(":")[0] in _SHOWN_HEADERS else f"{line.partition(':')[0]}:…"
        for line in lines[:-3]
    ]
    return "\n".join([method, path, shown, *headers, *lines[-3:]])


def _header(request: SignedRequest, name: str) -> str:
    values = [request.host] if name == "host" else request.values(name)
    return ",".join(_SPACES.sub(" ", value).strip(" ") for value in values)


@lru_cache(maxsize=256)  # functions push to the same connections again and again
def _path(path: str, *, is_s3: bool) -> str:
    if is_s3:
        return quote(unquote_to_bytes(path), safe=f"/{_UNRESERVED}") or "/"
    return quote(_normalized(path), safe=f"/{_UNRESERVED}")


def _normalized(path: str) -> str:
    """Without dot segments and empty ones; a slash at the end stays."""
    kept: list[str] = []
    for segment in path.split("/"):
        if segment == "..":
            del kept[-1:]
        elif segment not in {"", "."}:
            kept.append(segment)
    joined = "/" + "/".join(kept)
    return joined + "/" if path.endswith("/") and kept else joined


def _query(query: str) -> str:
    pairs = [pair.partition("=") for pair in query.split("&") if pair]
    encoded = sorted((_encoded(name), _encoded(value)) for name, _, value in pairs)
    return "&".join(f"{name}={value}" for name, value in encoded if name != SIGNATURE_PARAMETER)


def _encoded(text: str) -> str:
    return quote(unquote_to_bytes(text.replace("+", " ")), safe=_UNRESERVED)
