"""The questions that precede what only known principals may do: who signed this, and may they?"""

# ruff: noqa: ARG002 - who is refused, whatever was asked, is refused

from collections.abc import Mapping
from typing import Final, Protocol

from socketstack.core.canonical import SignedRequest
from socketstack.core.policy import PolicyDecision
from socketstack.core.principals import Caller, SignatureRefusal
from socketstack.core.signatures import Signature

EXECUTE_API: Final = "execute-api"


class Callers(Protocol):
    """Answers from the account's identities."""

    def identify(
        self,
        request: SignedRequest,
        signature: Signature | SignatureRefusal,
        *,
        service: str,
        region: str | None,
    ) -> Caller | SignatureRefusal:
        """Who signed a request; ``region`` is None when the signature may name any.

        ``signature`` is what the request says of it, as ``read_signature`` gives it.
        """
        ...

    def knows(self, signature: Signature | SignatureRefusal) -> bool:
        """Whether a request names a key of the account, rightly signed or not."""
        ...

    def may(
        self, caller: Caller, action: str, resource: str, facts: Mapping[str, str]
    ) -> PolicyDecision:
        """Decide whether a caller may do something; ``facts`` are lower-case condition keys."""
        ...


class NoCallers:
    """Where no identities are kept: nobody is known, so whoever must be is refused."""

    def identify(
        self,
        request: SignedRequest,
        signature: Signature | SignatureRefusal,
        *,
        service: str,
        region: str | None,
    ) -> Caller | SignatureRefusal:
        """Refuse."""
        if isinstance(signature, SignatureRefusal):
            return signature
        return SignatureRefusal(
            code="UnrecognizedClientException",
            message="The security token included in the request is invalid.",
            reason=f"No identities are kept here, so nobody signs for {service}.",
        )

    def knows(self, signature: Signature | SignatureRefusal) -> bool:
        """Nobody is known."""
        return False

    def may(
        self, caller: Caller, action: str, resource: str, facts: Mapping[str, str]
    ) -> PolicyDecision:
        """Refuse."""
        reason = f"no permissions of {caller.principal.arn} are kept here"
        return PolicyDecision(is_allowed=False, reason=reason)
