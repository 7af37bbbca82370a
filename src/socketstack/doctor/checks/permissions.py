"""Who may call whom: API Gateway its functions, and functions the connections."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from socketstack.core import addressing
from socketstack.core.jsontext import read_json
from socketstack.core.policy import evaluate, permits_service
from socketstack.doctor.checks.handshake import attached
from socketstack.doctor.facts import Api, Function, Route
from socketstack.doctor.findings import Finding, error, ok, warning

_CONNECT: Final = "$connect"
_CALLBACK: Final = "execute-api:ManageConnections"


def authorizer_permission(api: Api) -> Iterator[Finding]:
    """API Gateway may call the authorizer. Rules 3.26, 3.27."""
    authorizer = attached(api)
    if authorizer is None or authorizer.has_role:
        return
    source_arn = addressing.authorizer_arn(
        region=api.region,
        account_id=api.account_id,
        api_id=api.api_id,
        authorizer_id=authorizer.authorizer_id,
        partition=api.partition,
    )
    whom = f"authorizer {authorizer.name}"
    if authorizer.function is None:
        yield error(
            "authorizer-permission",
            f"The URI of {whom} names no function.",
            "Every handshake gets 500.",
            "Use the function's invocation URI.",
        )
        return
    yield from _permission(
        _Call("authorizer-permission", authorizer.function, source_arn, whom, "handshakes get 500"),
        api.account_id,
    )


@dataclass(frozen=True, slots=True)
class _Call:
    """A call that API Gateway would make."""

    check: str
    function: Function
    source_arn: str
    whom: str
    effect: str
    """What happens when it may not."""


def _permission(call: _Call, account_id: str) -> Iterator[Finding]:
    check, function, whom, effect = call.check, call.function, call.whom, call.effect
    if not function.exists:
        yield error(
            check,
            f"The function {function.name} of {whom} does not exist.",
            f"API Gateway cannot call it: {effect}.",
            "Deploy the function, or correct the URI.",
        )
        return
    decision = permits_service(
        function.policy,
        function_arn=function.arn,
        source_arn=call.source_arn,
        account=account_id,
    )
    if decision.is_allowed:
        yield ok(check, f"API Gateway may call {function.name} for {whom}.")
        yield from _width(function, whom)
        return
    yield error(
        check,
        f"API Gateway may not call {function.name} for {whom}.",
        f"{_cause(decision.reason)}. So {effect}, and nothing is in the function's log.",
        f"aws lambda add-permission --function-name {function.name} --statement-id "
        f"api-gateway --action lambda:InvokeFunction --principal apigateway.amazonaws.com "
        f"--source-arn '{call.source_arn}'",
    )


def _cause(reason: str) -> str:
    """The reason of a decision without its advice, for which a finding has a place of its own."""
    return reason.partition(". Add ")[0].removesuffix(".")


def _width(function: Function, whom: str) -> Iterator[Finding]:
    """Permissions without a source ARN let the APIs of other accounts call the function."""
    policy = read_json(function.policy or "")
    statements = policy.get("Statement") if isinstance(policy, dict) else None
    for statement in statements if isinstance(statements, list) else []:
        if isinstance(statement, dict) and not statement.get("Condition"):
            yield warning(
                "wide-permission",
                f"Any API may call {function.name} ({whom}): its permission names no source.",
                "Another account's API Gateway could call it as well.",
                "Give the permission a source ARN.",
            )
            return


def integrations(api: Api) -> Iterator[Finding]:
    """Routes call what exists and may be called. Rule 5.33."""
    for route in api.routes:
        yield from _integration(api, route)


def _integration(api: Api, route: Route) -> Iterator[Finding]:
    key = route.route_key
    if not route.has_target or route.integration_type is None:
        yield error(
            "integration",
            f"The route {key} calls nothing.",
            "It has no target, or its integration does not exist: clients get Internal server "
            "error, and handshakes fail.",
            "Set the target to integrations/ID, and deploy.",
        )
        return
    if route.function is None or route.has_role:
        return
    stage = api.stage.name if api.stage else "*"
    source_arn = addressing.route_arn(
        region=api.region,
        account_id=api.account_id,
        api_id=api.api_id,
        stage_name=stage,
        route_key=key,
        partition=api.partition,
    )
    effect = "handshakes get 500" if key == _CONNECT else "clients get Internal server error"
    yield from _permission(
        _Call("integration-permission", route.function, source_arn, f"route {key}", effect),
        api.account_id,
    )


def callbacks(api: Api) -> Iterator[Finding]:
    """At least one function may post to connections, else nothing can be pushed. Rule 7.07."""
    functions = {r.function.arn: r.function for r in api.routes if r.function is not None}
    readable = [one for one in functions.values() if one.role_policies is not None]
    if api.stage is None or not readable:
        return
    arn = addressing.route_arn(
        region=api.region,
        account_id=api.account_id,
        api_id=api.api_id,
        stage_name=api.stage.name,
        route_key="POST/@connections/*",
        partition=api.partition,
    )
    able = [function.name for function in readable if _may_post(function, arn)]
    if able:
        yield ok("callback-permission", f"May post to connections: {', '.join(sorted(able))}.")
        return
    yield warning(
        "callback-permission",
        "No function of this API may post to its connections.",
        f"No role allows {_CALLBACK} on {arn}, so posting gets 403.",
        f"Allow {_CALLBACK} on {arn} in the role of the function that pushes.",
    )


def _may_post(function: Function, arn: str) -> bool:
    # A policy's own wildcard covers ours when it covers any connection id.
    example = arn.replace("*", "AbCdEfGhIjKlMno=")
    policies = function.role_policies or ()
    return any(evaluate(document, _CALLBACK, example).is_allowed for document in policies)
