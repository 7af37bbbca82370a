"""Real handshakes that must fail, and one that must not: what configuration alone cannot prove.

Nothing is sent on a socket that opens; it is closed at once. Tokens never reach a finding.
"""

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

import aiohttp

from socketstack.clock import Clock
from socketstack.doctor.facts import Api
from socketstack.doctor.findings import Finding, error, note, ok, warning
from socketstack.ids import Ids

_TIMEOUT_SECONDS: Final = 35.0
"""Longer than the 29 seconds that an authorizer and a function may take."""
_QUERY: Final = "route.request.querystring."
_HEADER: Final = "route.request.header."
_FAILURES: Final = range(500, 600)
_THROTTLED: Final = 429
_ELSEWHERE: Final = "https://another-site.invalid"
_URL_MAX_CHARACTERS: Final = 4096
_TOKEN_SECONDS: Final = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """Credentials that the user gave for probing; None where there is none."""

    good: str | None = None
    expired: str | None = None
    foreign: str | None = None
    """Good but for another audience or issuer."""


@dataclass(frozen=True, slots=True)
class _Probe:
    """One handshake: what it brings, and whether it must get in."""

    name: str
    credential: str | None
    must_pass: bool = False


async def probe(api: Api, tokens: Tokens, clock: Clock, ids: Ids) -> AsyncIterator[Finding]:
    """Try the handshakes one after another, and tell what became of each."""
    if api.stage is None:
        return
    url = f"{api.endpoint}/{api.stage.name}"
    sources = _sources(api)
    timeout = aiohttp.ClientTimeout(total=_TIMEOUT_SECONDS)
    async with aiohttp.ClientSession(timeout=timeout, trust_env=True) as client:
        for each in _probes(tokens, clock, ids, has_sources=bool(sources)):
            query, headers = _placed(each.credential, sources)
            try:
                status = await _dial(client, url, query, headers)
            except (OSError, aiohttp.ClientError, TimeoutError) as failure:
                yield error(
                    "probe-unreachable",
                    f"{url} cannot be reached.",
                    f"{type(failure).__name__}: {failure}",
                    "Check that the stage is deployed, and that this machine may go there.",
                )
                return
            yield _judged(each, status)
        if tokens.good is not None:
            query, headers = _placed(tokens.good, sources)
            yield _length(url, query)
            origin = {**headers, "Origin": _ELSEWHERE}
            yield _origin(await _dial(client, url, query, origin))


def _length(url: str, query: Mapping[str, str]) -> Finding:
    """Whether the address with a good token is short enough for every handshake."""
    characters = len(f"{url}?{urlencode(query)}")
    if characters > _URL_MAX_CHARACTERS:
        return error(
            "url-length",
            f"The address with the good token has {characters} characters.",
            f"API Gateway takes {_URL_MAX_CHARACTERS} at most, and refuses before anything runs.",
            "Put fewer claims into the token, or hand out a short ticket for it.",
        )
    return ok("url-length", f"The address with the good token has {characters} characters.")


def _origin(status: int) -> Finding:
    """What becomes of a good token on a page of another site."""
    if status == 101:  # noqa: PLR2004 - switching protocols
        return note(
            "origin",
            "A page of any site may connect, if it has a good token.",
            "CORS does not protect WebSockets. Where browsers hold the credentials by themselves, "
            "as cookies, this lets other sites use them: check Origin in the authorizer.",
        )
    return ok("origin", f"A page of another site is refused ({status}), also with a good token.")


async def _dial(
    client: aiohttp.ClientSession, url: str, query: Mapping[str, str], headers: Mapping[str, str]
) -> int:
    """The status of a handshake; 101 when it opened."""
    try:
        async with client.ws_connect(url, params=query, headers=headers):
            return 101
    except aiohttp.WSServerHandshakeError as refused:
        return refused.status


def _probes(tokens: Tokens, clock: Clock, ids: Ids, *, has_sources: bool) -> Iterator[_Probe]:
    yield _Probe("without a token", None)
    if has_sources:
        yield _Probe("with an empty token", "")
        yield _Probe("with a token that is none", f"junk-{ids.resource_id(16)}")
        yield _Probe("with an unsigned token", _forged(clock, key=""))
        yield _Probe("with a token signed by somebody else", _forged(clock, key=ids.uuid()))
    if tokens.expired is not None:
        yield _Probe("with an expired token", tokens.expired)
    if tokens.foreign is not None:
        yield _Probe("with a token for another audience", tokens.foreign)
    if tokens.good is not None:
        yield _Probe("with a good token whose signature was changed", _tampered(tokens.good))
        yield _Probe("with a good token", tokens.good, must_pass=True)


def _judged(tried: _Probe, status: int) -> Finding:
    is_in = status == 101  # noqa: PLR2004 - switching protocols
    if tried.must_pass:
        if is_in:
            return ok("probe-admits", f"A handshake {tried.name} is let in.")
        return error(
            "probe-admits",
            f"A handshake {tried.name} is refused with {status}.",
            _WHY.get(status, "The function of $connect gave this status."),
            "Look at the authorizer's log, and at the access log of the stage.",
        )
    if is_in:
        return error(
            "probe-refuses",
            f"A handshake {tried.name} is let in.",
            "Whoever knows the address can connect.",
            "Verify the token in the authorizer, and refuse when in doubt.",
        )
    if status == _THROTTLED or status in _FAILURES:
        return warning(
            "probe-refuses",
            f"A handshake {tried.name} is refused with {status}, as if something were broken.",
            _WHY.get(status, ""),
            "Raise an error whose whole text is Unauthorized (401), or return a Deny (403).",
        )
    return ok("probe-refuses", f"A handshake {tried.name} is refused ({status}).")


_WHY: Final[Mapping[int, str]] = {
    401: "An identity source is missing, or the authorizer raised Unauthorized.",
    403: "The policy does not allow the methodArn, or the stage is not deployed.",
    429: "A throttle of stage, route or account is exceeded, or is 0.",
    500: "The authorizer failed, returned something malformed, or may not be called.",
    502: "The function of $connect failed, or returned something malformed.",
}


def _sources(api: Api) -> tuple[str, ...]:
    route = api.route("$connect")
    return () if route is None or route.authorizer is None else route.authorizer.identity_sources


def _placed(
    credential: str | None, sources: tuple[str, ...]
) -> tuple[dict[str, str], dict[str, str]]:
    """Query and headers that carry a credential wherever the authorizer looks for one."""
    if credential is None:
        return {}, {}
    query = {s.removeprefix(_QUERY): credential for s in sources if s.startswith(_QUERY)}
    headers = {s.removeprefix(_HEADER): credential for s in sources if s.startswith(_HEADER)}
    return query, headers


def _forged(clock: Clock, *, key: str) -> str:
    """A token that looks right and that nobody who verifies signatures accepts.

    Without a key it is not even signed.
    """
    now = clock.now_ms() // 1000
    claims = {"sub": "doctor", "iat": now, "exp": now + _TOKEN_SECONDS, "scope": "admin"}
    head = {"alg": "HS256" if key else "none", "typ": "JWT"}
    signed = f"{_encoded(json.dumps(head).encode())}.{_encoded(json.dumps(claims).encode())}"
    if not key:
        return f"{signed}."
    return f"{signed}.{_encoded(hmac.digest(key.encode(), signed.encode(), hashlib.sha256))}"


def _tampered(token: str) -> str:
    """The token with another signature: the first character after the last dot changed."""
    head, dot, signature = token.rpartition(".")
    changed = ("B" if signature.startswith("A") else "A") + signature[1:]
    return f"{head}{dot}{changed}"


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def run(api: Api, tokens: Tokens, clock: Clock, ids: Ids) -> list[Finding]:
    """All probes, from a thread without an event loop."""

    async def gathered() -> list[Finding]:
        return [finding async for finding in probe(api, tokens, clock, ids)]

    return asyncio.run(gathered())
