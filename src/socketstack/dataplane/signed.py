"""IAM authorization of handshakes: the signature of the upgrade request and its signer's policies.

Only the handshake is authorized: for messages nobody is asked again (4.07). The client learns no
more than 403; what was wrong stands in the trace.

Rules: 4.01 to 4.07.
"""

from dataclasses import replace
from http import HTTPStatus
from typing import Final

from socketstack.core.canonical import SignedRequest
from socketstack.core.causes import Cause
from socketstack.core.model import Upgrade
from socketstack.core.policy import INVOKE
from socketstack.core.principals import SignatureRefusal
from socketstack.core.signatures import read_signature
from socketstack.dataplane import steps
from socketstack.dataplane.authorization import Authorized
from socketstack.dataplane.callers import EXECUTE_API, Callers
from socketstack.dataplane.handshake import Handshake, Narrator, Refused
from socketstack.trace import Step

_FORBIDDEN: Final = HTTPStatus.FORBIDDEN
_RESPONSE_TYPES: Final = {
    "MissingAuthenticationTokenException": "MISSING_AUTHENTICATION_TOKEN",
    "ExpiredTokenException": "EXPIRED_TOKEN",
}
_CAUSES: Final = {
    "MissingAuthenticationTokenException": Cause.UNSIGNED,
    "ExpiredTokenException": Cause.CREDENTIALS_EXPIRED,
}


class SignedAuthorization:
    """Decides handshakes on routes with the authorization type AWS_IAM."""

    def __init__(self, *, callers: Callers, narrator: Narrator) -> None:
        self._callers = callers
        self._narrator = narrator

    def authorize(self, handshake: Handshake) -> Authorized | Refused:
        """Decide one handshake; nothing is called for it."""
        upgrade = handshake.upgrade
        request = _signed_request(upgrade)
        caller = self._callers.identify(
            request,
            read_signature(request),
            service=EXECUTE_API,
            region=handshake.connection.region,
        )
        if isinstance(caller, SignatureRefusal):
            rule = "4.03" if caller.code.startswith("Missing") else "4.04"
            return Refused(
                status=_FORBIDDEN,
                reason=f"{caller.reason} [{rule}]",
                cause=_CAUSES.get(caller.code, Cause.SIGNATURE),
                response_type=_RESPONSE_TYPES.get(caller.code, "INVALID_SIGNATURE"),
            )
        principal = caller.principal
        self._narrator.tell(
            handshake,
            Step.IDENTITY,
            f"signed by {principal.arn}",
            detail={"principal": principal.arn},
        )
        decision = self._callers.may(
            caller, INVOKE, handshake.source_arn, request_facts(upgrade.source_ip, upgrade)
        )
        self._narrator.tell(
            handshake, Step.DECISION, decision.reason, detail=steps.permission(decision)
        )
        if not decision.is_allowed:
            return Refused(
                status=_FORBIDDEN,
                reason=f"{principal.arn} may not {INVOKE}: {decision.reason}. Allow it on "
                f"{handshake.source_arn} in a policy of the caller. [4.02]",
                cause=Cause.CALLER_NOT_ALLOWED,
                response_type="ACCESS_DENIED",
            )
        connection = replace(handshake.connection, identity=principal.identity)
        return Authorized(handshake=replace(handshake, connection=connection))


def request_facts(source_ip: str, upgrade: Upgrade | None = None) -> dict[str, str]:
    """Condition keys that are facts about a request."""
    facts = {"aws:sourceip": source_ip} if source_ip else {}
    agent = upgrade.header("User-Agent") if upgrade else None
    return {**facts, "aws:useragent": agent} if agent else facts


def _signed_request(upgrade: Upgrade) -> SignedRequest:
    return SignedRequest(
        method=upgrade.method,
        host=upgrade.host,
        path=upgrade.path,
        query=upgrade.raw_target.partition("?")[2],
        headers=upgrade.headers,
    )
