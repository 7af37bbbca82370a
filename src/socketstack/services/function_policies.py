"""Functions' resource policies over moto's records: who may call what.

``repair`` makes statements belong to a function, one version or one alias, with ids that are
unique there, and gives principals and conditions AWS's shapes.
"""

import json
import re
from collections.abc import Callable
from typing import Any, Final

from socketstack.services.function_checks import Refusal
from socketstack.services.function_rules import qualifier_of, refusing
from socketstack.services.sparse_imports import moto_module

_ACCOUNT: Final = re.compile(r"\d{12}")


def repair() -> None:
    """Put these rules into ``moto.awslambda``; once, in moto's thread."""
    backend = moto_module("awslambda.models").LambdaBackend
    backend.add_permission = _add_permission
    backend.get_policy = _get_policy
    policy = moto_module("awslambda.policy").Policy
    policy.add_statement = _add_statement(policy.add_statement)
    policy.principal_formatter = _principal


@refusing
def _add_permission(
    self: Any, function_name: str, qualifier: str | None, raw: str
) -> dict[str, Any]:
    qualifier = qualifier_of(function_name) or qualifier
    function = self.get_function(function_name, qualifier)
    statement: dict[str, Any] = function.policy.add_statement(raw, qualifier)[0]
    return statement


def _add_statement(original: Callable[..., Any]) -> Callable[..., Any]:
    @refusing
    def add_statement(self: Any, raw: str, qualifier: str | None = None) -> Any:
        statement = json.loads(raw)
        # AWS::Lambda::Permission comes with all its properties.
        qualifier = qualifier or qualifier_of(str(statement.pop("FunctionName", "")))
        url_auth_type = statement.pop("FunctionUrlAuthType", None)
        statement.pop("EventSourceToken", None)
        qualifier = None if qualifier == "$LATEST" else qualifier
        resource = _policy_resource(self.parent, qualifier)
        if any(
            each.get("Sid") == statement.get("StatementId") and each.get("Resource") == resource
            for each in self.statements
        ):
            raise Refusal(
                f"The statement id ({statement['StatementId']}) provided already exists. Please "
                "provide a new statement id, or remove the existing statement.",
                "ResourceConflictException",
            )
        added, revision = original(self, json.dumps(statement), qualifier)
        if url_auth_type:
            equals = added.setdefault("Condition", {}).setdefault("StringEquals", {})
            equals["lambda:FunctionUrlAuthType"] = url_auth_type
        return added, revision

    return add_statement


def _get_policy(self: Any, function_name: str, qualifier: str | None = None) -> str:
    qualifier = qualifier_of(function_name) or qualifier
    function = self.get_function(function_name, qualifier)
    whole = function.policy.get_policy()
    resource = _policy_resource(
        function.policy.parent, None if qualifier == "$LATEST" else qualifier
    )
    statements = [each for each in whole["Policy"]["Statement"] if each["Resource"] == resource]
    if not statements:
        raise moto_module("awslambda.exceptions").GenericResourcNotFound
    document = {**whole["Policy"], "Statement": statements}
    return json.dumps({"Policy": json.dumps(document), "RevisionId": whole["RevisionId"]})


def _policy_resource(parent: Any, qualifier: str | None) -> str:
    # Layer versions have policies too, and call their address differently.
    arn = getattr(parent, "function_arn", None) or parent.arn
    return f"{arn}:{qualifier}" if qualifier else str(arn)


def _principal(_self: Any, principal: Any) -> Any:
    if not isinstance(principal, str) or principal == "*":
        return principal
    if principal.endswith(".amazonaws.com"):
        return {"Service": principal}
    if _ACCOUNT.fullmatch(principal):
        return {"AWS": f"arn:aws:iam::{principal}:root"}
    return {"AWS": principal}
