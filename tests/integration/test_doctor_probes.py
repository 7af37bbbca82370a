"""The doctor's handshakes against an endpoint that minds, or does not mind, who comes."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus

import pytest
from fakes import FakeClock, FakeIds
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response

from socketstack.doctor.facts import Api, Authorizer, Route, Stage
from socketstack.doctor.findings import Severity
from socketstack.doctor.probes import Tokens, probe

_GOOD = "good-token.x.signature"


@asynccontextmanager
async def _endpoint(*, minds_origin: bool) -> AsyncIterator[tuple[str, list[str]]]:
    """Admits the good token, from other sites only if it does not mind; gives the Origins seen."""
    origins: list[str] = []

    def decide(connection: ServerConnection, request: Request) -> Response | None:
        origins.append(request.headers.get("Origin", ""))
        if f"token={_GOOD}" not in request.path:
            return connection.respond(HTTPStatus.UNAUTHORIZED, "")
        if origins[-1] and minds_origin:
            return connection.respond(HTTPStatus.FORBIDDEN, "")
        return None

    async def stay(connection: ServerConnection) -> None:
        await connection.wait_closed()

    async with serve(stay, "127.0.0.1", 0, process_request=decide) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        yield f"ws://127.0.0.1:{port}", origins


async def _findings(endpoint: str, good: str | None) -> dict[str, Severity]:
    """The last severity of each check."""
    guard = Authorizer(
        authorizer_id="a", name="a", identity_sources=("route.request.querystring.token",)
    )
    api = Api(
        api_id="x",
        name="x",
        region="us-east-1",
        account_id="1",
        endpoint=endpoint,
        routes=(Route(route_key="$connect", authorization_type="CUSTOM", authorizer=guard),),
        stage=Stage(name="dev"),
    )
    found = probe(api, Tokens(good=good), FakeClock(), FakeIds())
    return {finding.check: finding.severity async for finding in found}


@pytest.mark.parametrize(
    ("minds_origin", "severity"),
    [
        pytest.param(True, Severity.OK, id="allow-list"),
        pytest.param(False, Severity.NOTE, id="anybody"),
    ],
)
async def test_page_of_another_site_is_tried_with_a_good_token(
    *, minds_origin: bool, severity: Severity
) -> None:
    """Only a refusal is a proof; being let in is something to know, and no error."""
    async with _endpoint(minds_origin=minds_origin) as (endpoint, origins):
        found = await _findings(endpoint, _GOOD)

    assert found["origin"] is severity
    assert found["probe-admits"] is Severity.OK
    assert origins[-1] == "https://another-site.invalid"
    assert set(origins[:-1]) == {""}


async def test_without_a_good_token_no_page_is_tried() -> None:
    """Nothing can be said of origins when everybody is refused."""
    async with _endpoint(minds_origin=True) as (endpoint, origins):
        found = await _findings(endpoint, None)

    assert "origin" not in found
    assert set(origins) == {""}


@pytest.mark.parametrize(
    ("characters", "severity"),
    [(100, Severity.OK), (4_200, Severity.ERROR)],
    ids=["short", "too-long"],
)
async def test_address_that_is_too_long_is_an_error(characters: int, severity: Severity) -> None:
    """The token of many claims is found before its users find it."""
    async with _endpoint(minds_origin=False) as (endpoint, _origins):
        found = await _findings(endpoint, _GOOD + "x" * characters)

    assert found["url-length"] is severity
