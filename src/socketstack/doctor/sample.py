"""The authorizer's function called by itself, with a handshake that it must refuse.

A handshake's answer does not tell a policy that denies from a function that fails before it looks
at anything, nor what a function would do that is not attached. The call is as API Gateway's, and
its answer is judged by the same rules. An event that API Gateway never sends is not tried: where an
identity source is missing it answers 401 by itself (2.13).
"""

import json
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import urlsplit

from botocore.exceptions import BotoCoreError, ClientError

from socketstack.clock import Clock
from socketstack.core.addressing import route_arn
from socketstack.core.authorizer import Allow, Deny, Failure, Unauthorized, decide
from socketstack.core.events import authorizer_event
from socketstack.core.model import Connection, FailureKind, InvokeResult, Upgrade
from socketstack.doctor.facts import Api, Authorizer, Stage
from socketstack.doctor.findings import Finding, error, note, ok
from socketstack.ids import Ids

_JUNK: Final = "junk"
_QUERY: Final = "route.request.querystring."
_HEADER: Final = "route.request.header."
_ADDRESS: Final = "127.0.0.1"


def try_authorizers(functions: Any, api: Api, clock: Clock, ids: Ids) -> Iterator[Finding]:
    """Call each authorizer with junk, or with nothing where it has no identity source; judge it.

    Args:
        functions: A client of Lambda.
        api: Whose authorizers.
        clock: For the times in the events.
        ids: For the ids in the events.
    """
    if api.stage is None:
        return
    connection = _connection(api, api.stage, clock, ids)
    for authorizer in api.authorizers:
        if authorizer.function is None or not authorizer.function.exists:
            continue
        sources = authorizer.identity_sources
        if sources and not any(source.startswith((_QUERY, _HEADER)) for source in sources):
            yield _not_tried(
                authorizer, "Its identity sources are nothing that a client sends by itself."
            )
            continue
        credential = _JUNK if sources else None
        event, method_arn = _event(api, connection, authorizer, credential, ids)
        yield _tried(functions, authorizer, credential, event, method_arn)


def _not_tried(authorizer: Authorizer, why: str) -> Finding:
    what = f"The function of authorizer {authorizer.name} was not tried by itself."
    return note("authorizer-sample", what, why)


def _tried(
    functions: Any, authorizer: Authorizer, credential: str | None, event: bytes, method_arn: str
) -> Finding:
    function = authorizer.function
    arn = "" if function is None else function.arn
    try:
        answer = functions.invoke(FunctionName=arn, Payload=event)
    except ClientError as refusal:
        code = refusal.response.get("Error", {}).get("Code")
        return _not_tried(authorizer, f"Calling it answers {code}.")
    except BotoCoreError as trouble:
        return _not_tried(authorizer, f"Calling it fails: {trouble}.")
    result = InvokeResult(
        payload=answer["Payload"].read(),
        failure=FailureKind.HANDLED if answer.get("FunctionError") else None,
    )
    return judge(authorizer.name, credential, result, method_arn)


def judge(name: str, credential: str | None, result: InvokeResult, method_arn: str) -> Finding:
    """What an authorizer's answer to a bad handshake says of it. Pure.

    Args:
        name: The authorizer's.
        credential: What the handshake brought; None for nothing.
        result: What the call gave.
        method_arn: What the policy must be about.
    """
    brought = "without credentials" if credential is None else "with junk for credentials"
    whom = f"The function of authorizer {name}, called {brought},"
    match decide(result, method_arn):
        case Allow():
            return error(
                "authorizer-sample",
                f"{whom} lets in.",
                "Its policy allows the handshake, so whoever brings that gets in.",
                "Verify the token, and deny or raise Unauthorized when it is missing or wrong.",
            )
        case Failure(reason=reason):
            return error(
                "authorizer-sample",
                f"{whom} gives what API Gateway does not take.",
                f"{reason} The handshake gets 500 instead of 401 or 403.",
                "Return principalId and a policyDocument on event['methodArn'], with a flat "
                "context, in at most 8 KB; or raise exactly Unauthorized.",
            )
        case Deny(status=status) | Unauthorized(status=status):
            return ok("authorizer-sample", f"{whom} refuses ({status}).")


def _event(
    api: Api, connection: Connection, authorizer: Authorizer, credential: str | None, ids: Ids
) -> tuple[bytes, str]:
    """The payload of a call, and the ARN that it is about."""
    host, stage_name = connection.domain_name, connection.stage_name
    brought = () if credential is None else tuple(authorizer.identity_sources)
    query = tuple((s.removeprefix(_QUERY), _JUNK) for s in brought if s.startswith(_QUERY))
    headers = tuple((s.removeprefix(_HEADER), _JUNK) for s in brought if s.startswith(_HEADER))
    method_arn = route_arn(
        region=api.region,
        account_id=api.account_id,
        api_id=api.api_id,
        stage_name=stage_name,
        route_key="$connect",
        partition=api.partition,
    )
    event = authorizer_event(
        Upgrade(
            method="GET",
            host=host,
            path=f"/{stage_name}",
            raw_target=f"/{stage_name}",
            query=query,
            headers=(("Host", host), *headers),
            source_ip=_ADDRESS,
            is_websocket=True,
        ),
        connection,
        method_arn=method_arn,
        request_id=ids.socket_id(),
        time_ms=connection.connected_at_ms,
        trace_id="Root=1-00000000-000000000000000000000000",
    )
    return json.dumps(event).encode(), method_arn


def _connection(api: Api, stage: Stage, clock: Clock, ids: Ids) -> Connection:
    """The connection that the handshake would become."""
    return Connection(
        connection_id=ids.socket_id(),
        api_id=api.api_id,
        stage_name=stage.name,
        account_id=api.account_id,
        region=api.region,
        domain_name=urlsplit(api.endpoint).netloc,
        connected_at_ms=clock.now_ms(),
        source_ip=_ADDRESS,
    )
