"""Providers that LocalStack finds by entry points.

``apigatewayv2`` and ``apigatewaymanagementapi`` hand requests over as they came, and the engine
answers them as everywhere: parsing, checks and errors are its own. ``dynamodb`` is moto's instead
of LocalStack's default, which downloads Java (``PROVIDER_OVERRIDE_DYNAMODB=moto``).
"""

from typing import Any, Final

import aiohttp
from localstack.aws.api import RequestContext
from localstack.aws.api.dynamodb import DynamodbApi
from localstack.aws.skeleton import Skeleton
from localstack.aws.spec import load_service
from localstack.http import Response
from localstack.http.request import get_full_raw_path
from localstack.services.moto import MotoFallbackDispatcher
from localstack.services.plugins import Service, aws_provider

from socketstack.localstack.host import required_host

_SECONDS: Final = 60.0
_NOT_FORWARDED: Final = frozenset({"connection", "content-length", "transfer-encoding"})


@aws_provider(api="apigatewayv2")  # type: ignore[untyped-decorator]
def apigatewayv2() -> Service:
    """API configuration."""
    return _handed_over("apigatewayv2")


@aws_provider(api="apigatewaymanagementapi")  # type: ignore[untyped-decorator]
def apigatewaymanagementapi() -> Service:
    """Posting to connections."""
    return _handed_over("apigatewaymanagementapi")


@aws_provider(api="dynamodb", name="moto")  # type: ignore[untyped-decorator]
def dynamodb() -> Service:
    """Tables, by the moto that LocalStack brings."""
    return Service.for_provider(_MotoTables(), dispatch_table_factory=MotoFallbackDispatcher)


class _MotoTables(DynamodbApi):  # type: ignore[misc]
    """Every operation is left to moto."""


def _handed_over(name: str) -> Service:
    model = load_service(name)
    table = dict.fromkeys(model.operation_names, _hand_over)
    return Service(name=name, skeleton=Skeleton(model, table))


def _hand_over(context: RequestContext, _request: object) -> Response:
    """Have the engine answer a request, at its own address."""
    host = required_host()
    request = context.request
    headers = [(n, v) for n, v in request.headers.items() if n.lower() not in _NOT_FORWARDED]
    url = f"http://127.0.0.1:{host.engine.port}{get_full_raw_path(request)}"
    body = request.get_data()
    return host.run(_answer(request.method, url, headers, body), seconds=_SECONDS)


async def _answer(
    method: str, url: str, headers: list[tuple[str, str]], body: bytes
) -> Any:  # a Response; LocalStack ships no types
    async with (
        aiohttp.ClientSession(auto_decompress=False) as session,
        session.request(method, url, headers=headers, data=body or None) as answer,
    ):
        data = await answer.read()
        kept = [(n, v) for n, v in answer.headers.items() if n.lower() not in _NOT_FORWARDED]
        return Response(data, status=answer.status, headers=kept)
