"""Who may use ``@connections``: signatures and permissions of the management API.

With ``is_enforced`` every call needs both, as on AWS. Without it a call may come unsigned, or
signed by a key that nobody knows here; a signature of a known key must be right all the same, and
a permission that is missing is told on the trace, because AWS would refuse the call.

Rules: 7.05 to 7.09, 7.31, 7.32, 10.14.
"""

from dataclasses import dataclass
from typing import Final

from socketstack.core.addressing import ManagementTarget
from socketstack.core.canonical import SignedRequest
from socketstack.core.causes import Cause
from socketstack.core.limits import POSTED_MAX_BYTES
from socketstack.core.model import DeployedStage
from socketstack.core.policy import PolicyDecision
from socketstack.core.principals import Caller, SignatureRefusal
from socketstack.core.signatures import read_signature
from socketstack.dataplane.callers import EXECUTE_API, Callers
from socketstack.dataplane.signed import request_facts
from socketstack.errors import PayloadTooLarge
from socketstack.store import Store
from socketstack.trace import Step, Trace

MANAGE: Final = "execute-api:ManageConnections"

_SHOWN_DIGITS: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Denial:
    """A management call that is not let through: the answer is 403 with this.

    ``member`` is the name of the message in the body: a missing permission has a capital M.
    """

    code: str
    message: str
    member: str = "message"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """The stage a call is about, as far as it is known."""

    api_id: str
    stage_name: str
    region: str | None
    account_id: str
    partition: str = "aws"

    def arn(self, method: str, connection_id: str, account_id: str | None = None) -> str:
        account = self.account_id if account_id is None else account_id
        return (
            f"arn:{self.partition}:execute-api:{self.region or '*'}:{account}:{self.api_id}/"
            f"{self.stage_name}/{method}/@connections/{connection_id}"
        )


class ManagementAccess:
    """Decides calls of the management API before the connection is looked for."""

    def __init__(self, *, store: Store, callers: Callers, trace: Trace, is_enforced: bool) -> None:
        self._store = store
        self._callers = callers
        self._trace = trace
        self._is_enforced = is_enforced
        self._warned: set[tuple[str, str]] = set()

    def denial(
        self, request: SignedRequest, target: ManagementTarget, source_ip: str, request_id: str = ""
    ) -> Denial | None:
        """Why a call is not let through, or None.

        Args:
            request: The call, with its whole body.
            target: The connection it is about.
            source_ip: Where it came from.
            request_id: By which the trace knows the call.

        Raises ``PayloadTooLarge``.
        """
        signature = read_signature(request)
        if not self._is_enforced and not self._callers.knows(signature):
            return None
        if len(request.body) > POSTED_MAX_BYTES:
            # What is read no further cannot be verified either.
            raise PayloadTooLarge(f"Message too long: {POSTED_MAX_BYTES} bytes is the limit")
        place = self._place(target)
        caller = self._callers.identify(
            request, signature, service=EXECUTE_API, region=place.region
        )
        if isinstance(caller, SignatureRefusal):
            self._refused(place, request_id, f"{caller.reason} [7.06]", Cause.CALL_SIGNATURE)
            return Denial(code=caller.code, message=caller.message)
        arn = place.arn(request.method, target.connection_id)
        decision = self._callers.may(caller, MANAGE, arn, request_facts(source_ip))
        if decision.is_allowed:
            return None
        return self._not_permitted(request.method, place, caller, decision, request_id)

    def _not_permitted(
        self, method: str, place: _Place, caller: Caller, decision: PolicyDecision, request_id: str
    ) -> Denial | None:
        who = caller.principal.arn
        allow = f"{MANAGE} on {place.arn(method, '*')}"
        if not self._is_enforced:
            self._warn(place, who, method, f"{who} lacks {allow}: {decision.reason}")
            return None
        reason = f"{decision.reason}. Allow {who} {allow}. [7.07, 7.09]"
        self._refused(place, request_id, reason, Cause.CALL_NOT_ALLOWED)
        masked = place.arn(method, "{connectionId}", _masked(place.account_id))
        message = f"User: {who} is not authorized to perform: {MANAGE} on resource: {masked}"
        if decision.statement is not None:
            message += " with an explicit deny in an identity-based policy"
        return Denial(code="AccessDeniedException", message=message, member="Message")

    def _place(self, target: ManagementTarget) -> _Place:
        api_id, stage_name = target.api_id, target.stage
        if api_id is None:
            # The engine's own form of address: the connection's id alone names its API.
            entry = self._store.connection(target.connection_id)
            if entry is None:
                return _Place(api_id="*", stage_name=stage_name or "*", region=None, account_id="*")
            api_id, stage_name = entry.connection.api_id, entry.connection.stage_name
        stage = self._store.deployed_stage(api_id, stage_name or "")
        return _deployed(stage, api_id, stage_name or "")

    def _warn(self, place: _Place, who: str, method: str, reason: str) -> None:
        """Once for a caller and a method of a stage: functions push often."""
        about = (who, place.arn(method, "*"))
        if about not in self._warned:
            self._warned.add(about)
            self._trace.emit(
                Step.WARNING,
                f"This {method} passes here, and AWS answers 403: {reason}. With "
                "SOCKETSTACK_IAM=enforce it is refused here too. [7.07]",
                api_id=place.api_id,
                stage_name=place.stage_name,
                cause=Cause.CALL_NOT_ALLOWED,
            )

    def _refused(self, place: _Place, request_id: str, reason: str, cause: Cause) -> None:
        self._trace.emit(
            Step.REFUSED,
            f"403: {reason}",
            api_id=place.api_id,
            stage_name=place.stage_name,
            request_id=request_id,
            cause=cause,
            status=403,
            kind="@connections",
        )


def _deployed(stage: DeployedStage | None, api_id: str, stage_name: str) -> _Place:
    if stage is None:  # it is refused after all, as a wrong address (7.11)
        return _Place(api_id=api_id, stage_name=stage_name, region=None, account_id="*")
    return _Place(
        api_id=api_id,
        stage_name=stage_name,
        region=stage.snapshot.region,
        account_id=stage.snapshot.account_id,
        partition=stage.snapshot.partition,
    )


def _masked(account_id: str) -> str:
    return "*" * (len(account_id) - _SHOWN_DIGITS) + account_id[-_SHOWN_DIGITS:]
