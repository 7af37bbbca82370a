"""The guard in front of all AWS calls: a right signature of a known principal, and permission.

It stands there with ``SOCKETSTACK_IAM=enforce`` only. Refusals have AWS's codes in the protocol of
the request; the trace tells which policy would be needed. What looks at resource policies (those of
queues, buckets, keys) is not here: they neither allow nor deny anything.

Rules: 1.01, 7.31.
"""

from typing import Final

from socketstack.core.canonical import SignedRequest
from socketstack.core.causes import Cause
from socketstack.core.policy import PolicyDecision
from socketstack.core.principals import Caller, SignatureRefusal
from socketstack.core.signatures import read_signature
from socketstack.ids import Ids
from socketstack.services import replies, targets
from socketstack.services.call_resources import Place
from socketstack.services.demands import Demand, demands_of
from socketstack.services.http import AwsRequest, AwsResponse
from socketstack.services.identities import Identities
from socketstack.trace import Step, Trace

_S3: Final = "s3"
_REST_JSON: Final = frozenset({"apigateway", "lambda"})
_QUERY_CODES: Final = {
    "AccessDeniedException": "AccessDenied",
    "ExpiredTokenException": "ExpiredToken",
    "IncompleteSignatureException": "IncompleteSignature",
    "InvalidSignatureException": "SignatureDoesNotMatch",
    "MissingAuthenticationTokenException": "MissingAuthenticationToken",
    "UnrecognizedClientException": "InvalidClientTokenId",
}
_S3_CODES: Final = {
    **_QUERY_CODES,
    "IncompleteSignatureException": "AuthorizationHeaderMalformed",
    "MissingAuthenticationTokenException": "AccessDenied",
    "UnrecognizedClientException": "InvalidAccessKeyId",
}


class Guard:
    """Decides AWS calls."""

    def __init__(
        self, identities: Identities, *, region: str, account_id: str, trace: Trace, ids: Ids
    ) -> None:
        self._identities = identities
        self._region = region
        self._account_id = account_id
        self._trace = trace
        self._ids = ids

    def refusal(
        self, request: AwsRequest, source_ip: str, *, service: str | None = None
    ) -> AwsResponse | None:
        """The answer to a call that may not pass, or None.

        Args:
            request: The call.
            source_ip: Where it came from.
            service: The signing name of whoever will answer; None when the signature tells.
        """
        service = service or targets.service_name(request)
        signed = _signed(request)
        caller = self._identities.identify(
            signed, read_signature(signed), service=service, region=None
        )
        if isinstance(caller, SignatureRefusal):
            return self._refuse(request, service, caller.code, caller.message, caller.reason)
        if caller.key.is_inner:
            return None
        place = Place(region=targets.region_of(request, self._region), account_id=self._account_id)
        facts = {"aws:sourceip": source_ip, "aws:requestedregion": place.region}
        for demand in demands_of(request, service, place):
            decision = self._identities.may(caller, demand.action, demand.resource, facts)
            if not decision.is_allowed:
                return self._deny(request, service, caller, demand, decision)
        return None

    def _deny(
        self,
        request: AwsRequest,
        service: str,
        caller: Caller,
        demand: Demand,
        decision: PolicyDecision,
    ) -> AwsResponse:
        who = caller.principal.arn
        why = f"because no identity-based policy allows the {demand.action} action"
        if decision.statement is not None:
            why = "with an explicit deny in an identity-based policy"
        message = (
            f"User: {who} is not authorized to perform: {demand.action} on resource: "
            f"{demand.resource} {why}"
        )
        hint = "; the engine cannot tell this call's resource" if demand.resource == "*" else ""
        reason = (
            f"{who} may not {demand.action} on {demand.resource}: {decision.reason}{hint}. Allow "
            "it in a policy of the caller."
        )
        return self._refuse(request, service, "AccessDeniedException", message, reason)

    def _refuse(
        self, request: AwsRequest, service: str, code: str, message: str, reason: str
    ) -> AwsResponse:
        status, name = 403, code
        if service == _S3:
            name = _S3_CODES.get(code, code)
        elif "Action" in targets.query_fields(request):
            name = _QUERY_CODES.get(code, code)
        elif service not in _REST_JSON and request.header("X-Amz-Target"):
            status = 400  # as in the JSON protocols
        request_id = self._ids.uuid()
        self._trace.emit(
            Step.REFUSED,
            f"{status} {name} from {service}: {reason}",
            request_id=request_id,
            cause=Cause.AWS_CALL_REFUSED,
            status=status,
        )
        return replies.error(
            request,
            service=service,
            status=status,
            code=name,
            message=message,
            request_id=request_id,
        )


def _signed(request: AwsRequest) -> SignedRequest:
    return SignedRequest(
        method=request.method,
        host=request.host,
        path=request.path,
        query=request.query_string,
        headers=request.headers,
        body=request.body,
    )
