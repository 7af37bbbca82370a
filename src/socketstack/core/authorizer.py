"""What an authorizer function's result means for a handshake.

Rules: 2.13 to 2.16, 3.10 to 3.25.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Final

from socketstack.core.causes import Cause
from socketstack.core.jsontext import as_text, read_json
from socketstack.core.limits import AUTHORIZER_RESULT_MAX_BYTES, METHOD_ARN_MAX_BYTES
from socketstack.core.model import FailureKind, InvokeResult, Json
from socketstack.core.policy import INVOKE, NO_CONTEXT, evaluate

_UNAUTHORIZED: Final = "Unauthorized"
_WANTED: Final = "Return principalId and policyDocument, and optionally context."


@dataclass(frozen=True, slots=True, kw_only=True)
class Allow:
    """The handshake goes on."""

    principal_id: str
    context: Mapping[str, Json]
    """``requestContext.authorizer`` of later events: flat, with ``principalId`` (3.19)."""
    reason: str
    statement: int | None = None
    """The index of the statement that allowed."""
    usage_identifier_key: str | None = None
    """The API key, when the API reads it from here. Rule 3.29."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deny:
    """The policy denies, or does not allow. Rule 2.14."""

    status: ClassVar[int] = 403
    reason: str
    cause: Cause
    statement: int | None = None
    """The index of the statement that denied; None when none allowed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unauthorized:
    """Credentials are missing, or the function raised exactly ``Unauthorized`` (2.13, 2.15)."""

    status: ClassVar[int] = 401
    reason: str
    cause: Cause = Cause.UNAUTHORIZED


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """The authorizer failed, or its result is not valid. Rules 2.16, 3.12."""

    status: ClassVar[int] = 500
    reason: str
    cause: Cause


Decision = Allow | Deny | Unauthorized | Failure


def decide(
    result: InvokeResult, method_arn: str, conditions: Mapping[str, str] = NO_CONTEXT
) -> Decision:
    """Turn an authorizer's result into a decision; anything unexpected is a refusal.

    Args:
        result: What the call gave.
        method_arn: ``arn:…:{api}/{stage}/$connect`` (3.04), at most 1600 bytes.
        conditions: Condition keys in lower case that the policy may test; others are
            undecided and count against the request.
    """
    if result.failure is not None:
        return _failed(result)
    if len(method_arn.encode("utf-8", "replace")) > METHOD_ARN_MAX_BYTES:
        return Failure(
            reason=f"The method ARN is longer than {METHOD_ARN_MAX_BYTES} bytes.",
            cause=Cause.AUTHORIZER_RESULT_TOO_LARGE,
        )
    answer = _answer(result.payload)
    if isinstance(answer, Failure):
        return answer
    problem = _problem(answer)
    if problem is not None:
        return Failure(
            reason=f"The authorizer's result is not valid: {problem}",
            cause=Cause.AUTHORIZER_RESULT,
        )
    return _by_policy(answer, method_arn, conditions)


def _failed(result: InvokeResult) -> Decision:
    error = read_json(result.payload)
    message = error.get("errorMessage") if isinstance(error, dict) else None
    if result.failure is FailureKind.HANDLED and message == _UNAUTHORIZED:
        return Unauthorized(reason="The authorizer raised an error with the text Unauthorized.")
    return Failure(
        reason=f"The authorizer failed ({result.failure}): {message or 'no message'}. See its "
        "log; to refuse with 401 raise an error whose whole text is Unauthorized.",
        cause=Cause.AUTHORIZER_FAILED,
    )


def _answer(payload: bytes) -> dict[str, Json] | Failure:
    if len(payload) > AUTHORIZER_RESULT_MAX_BYTES:
        return Failure(
            reason=f"The authorizer's result has {len(payload)} bytes; "
            f"{AUTHORIZER_RESULT_MAX_BYTES} is the limit. Return a smaller context.",
            cause=Cause.AUTHORIZER_RESULT_TOO_LARGE,
        )
    answer = read_json(payload)
    if not isinstance(answer, dict):
        return Failure(
            reason=f"The authorizer's result is no JSON object. {_WANTED}",
            cause=Cause.AUTHORIZER_RESULT,
        )
    return answer


def _problem(answer: dict[str, Json]) -> str | None:
    """What is wrong with a result apart from its policy, or None."""
    if "isAuthorized" in answer and "policyDocument" not in answer:
        return f"isAuthorized is the simple format of HTTP APIs. {_WANTED}"
    principal_id = answer.get("principalId")
    if not isinstance(principal_id, str) or not principal_id:
        return f"principalId is missing or no text. {_WANTED}"
    if "policyDocument" not in answer:
        return f"policyDocument is missing. {_WANTED}"
    if not isinstance(answer.get("usageIdentifierKey", ""), str):
        return "usageIdentifierKey is no text."
    return _context_problem(answer.get("context", {}))


def _context_problem(context: Json) -> str | None:
    if not isinstance(context, dict):
        return "context is no JSON object."
    nested = [name for name, value in context.items() if isinstance(value, dict | list)]
    if not nested:
        return None
    return (
        f"context.{nested[0]} is an object or array. Only text, numbers and booleans are "
        "allowed; put the JSON text of the value there."
    )


def _by_policy(answer: dict[str, Json], method_arn: str, conditions: Mapping[str, str]) -> Decision:
    policy = evaluate(answer["policyDocument"], INVOKE, method_arn, conditions)
    if policy.is_malformed:
        return Failure(
            reason=f"The authorizer returned a {policy.reason}.", cause=Cause.POLICY_MALFORMED
        )
    if not policy.is_allowed:
        is_explicit = policy.statement is not None
        hint = "" if is_explicit else _hint(answer["policyDocument"], method_arn)
        return Deny(
            reason=f"The authorizer's policy refuses: {policy.reason}.{hint}",
            cause=Cause.POLICY_DENIES if is_explicit else Cause.POLICY_ALLOWS_NOTHING,
            statement=policy.statement,
        )
    context = answer.get("context")
    key = answer.get("usageIdentifierKey")
    principal_id = as_text(answer["principalId"])
    return Allow(
        principal_id=principal_id,
        context=_flat(context if isinstance(context, dict) else {}, principal_id),
        reason=f"The authorizer's policy: {policy.reason}.",
        statement=policy.statement,
        usage_identifier_key=key if isinstance(key, str) else None,
    )


def _flat(context: dict[str, Json], principal_id: str) -> dict[str, Json]:
    """The context as later events carry it: every value a string, null stays null (3.18)."""
    flat: dict[str, Json] = {
        name: None if value is None else as_text(value) for name, value in context.items()
    }
    flat.pop("principalId", None)
    return {**flat, "principalId": principal_id}


def _hint(document: Json, method_arn: str) -> str:
    """What to do about a policy that matches nothing; REST habits are named (3.14)."""
    rest_shape = "/*/*" in json.dumps(document)
    habit = (
        " A resource such as .../{stage}/*/* has the shape of REST APIs and does not match."
        if rest_shape
        else ""
    )
    return f"{habit} Allow the resource event['methodArn'], here {method_arn}."
