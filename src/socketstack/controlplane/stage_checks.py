"""What API Gateway refuses about stages and deployments.

Rules: 1.76, 1.82, 1.83, 1.85 to 1.88, 1.95, 1.96, 1.99, 1.101, 1.102.
"""

import re
from collections.abc import Mapping
from typing import Final, cast

from socketstack.controlplane.kinds import DEPLOYMENT, ROUTE, STAGE
from socketstack.controlplane.members import mapping, text
from socketstack.controlplane.subject import Subject
from socketstack.core.model import Record
from socketstack.errors import BadRequest, Conflict, NotFound, NotImplementedYet

NO_ROUTES: Final = "At least one route is required before deploying the Api."  # 1.76
DEFAULT_STAGE: Final = "$default"

_STAGE_NAME: Final = re.compile(r"[A-Za-z0-9_-]+")  # 1.85
_PREDEFINED_KEYS: Final = frozenset({"$connect", "$disconnect", "$default"})
_VARIABLE_NAME: Final = re.compile(r"[A-Za-z0-9_]+")  # 1.101
_VARIABLE_VALUE: Final = re.compile(r"[A-Za-z0-9\-._~:/?#&=,]+")  # 1.101
_FORMAT_MAX_BYTES: Final = 3 * 1024  # 1.102
_NO_ROLE: Final = "CloudWatch Logs role ARN must be set in account settings to enable logging"
_REQUEST_IDS: Final = ("$context.requestId", "$context.extendedRequestId")


def verify(subject: Subject) -> None:
    """Refuse a stage that API Gateway would refuse."""
    record = subject.record
    name = text(record, "StageName")
    if not _STAGE_NAME.fullmatch(name) and name != DEFAULT_STAGE:
        raise BadRequest(
            f"Invalid stage name {name!r}: use letters, digits, hyphens and underscores."
        )
    if not subject.own_id and subject.is_taken("StageName"):
        raise Conflict("Stage already exists")  # 1.87
    _deployment(subject)
    _route_settings(subject)
    _variables(record)
    _access_log(mapping(record, "AccessLogSettings"), subject)


def verify_deployment(subject: Subject) -> None:
    """Refuse a new deployment without routes, or to a stage that is not there. 1.76, 1.82."""
    if subject.own_id:
        return
    if not any(True for _ in subject.of_api(ROUTE)):
        raise BadRequest(NO_ROUTES)
    name = text(subject.sent, "StageName")
    if not name:
        return
    stage = subject.store.get((*subject.api, STAGE.name, name))
    if stage is None:  # 1.82
        raise BadRequest(f"Invalid stage identifier specified: this API has no stage {name}.")
    if stage.get("AutoDeploy"):
        raise _automatic(subject)


def verify_deployment_removal(subject: Subject) -> None:
    """Refuse to delete a deployment that a stage points to. Rule 1.83."""
    if any(stage.get("DeploymentId") == subject.own_id for stage in subject.of_api(STAGE)):
        raise BadRequest("Active stages pointing to this deployment must be moved or deleted")


def _deployment(subject: Subject) -> None:
    record = subject.record
    if not text(subject.sent, "DeploymentId"):
        return
    if record["AutoDeploy"]:  # 1.95
        raise _automatic(subject)
    wanted = text(record, "DeploymentId")
    if subject.store.get((*subject.api, DEPLOYMENT.name, wanted)) is None:  # 1.88
        raise BadRequest(
            f"Invalid deployment identifier specified: this API has no deployment {wanted}."
        )


def _automatic(subject: Subject) -> BadRequest:
    return BadRequest(
        f"Deployment ID cannot be set on this stage {subject.account_id}:{subject.api[-1]} "
        "because AutoDeploy is enabled."
    )


def _route_settings(subject: Subject) -> None:
    """Rules 1.96, 1.99. Predefined keys may be set before their routes exist.

    Settings kept from before are judged again with the new ones: AWS refuses to change them
    while one of them names a route that is gone.
    """
    record = subject.record
    entries = cast("Mapping[str, Record]", mapping(record, "RouteSettings"))
    known = {text(route, "RouteKey") for route in subject.of_api(ROUTE)} | _PREDEFINED_KEYS
    for key in entries:
        if key not in known and "RouteSettings" in subject.sent:
            raise NotFound(unknown_route_key(key))
    settings = [cast("Record", record["DefaultRouteSettings"]), *entries.values()]
    for entry in settings:
        _throttling(entry)
        wants_log = entry.get("LoggingLevel", "OFF") != "OFF" or entry.get("DataTraceEnabled")
        if wants_log and not subject.can_log:  # 1.96
            raise BadRequest(_NO_ROLE)


def unknown_route_key(key: str) -> str:
    """AWS's text for a route setting whose route is not there. Rule 1.99."""
    return f"Unable to find Route by key {key} within the provided RouteSettings"


def _throttling(entry: Record) -> None:
    for member in ("ThrottlingBurstLimit", "ThrottlingRateLimit"):
        limit = entry.get(member, 0)
        if isinstance(limit, int | float) and limit < 0:
            raise BadRequest(f"Invalid {member} {limit}: it cannot be negative.")


def _variables(record: Record) -> None:
    for name, value in mapping(record, "StageVariables").items():
        if not _VARIABLE_NAME.fullmatch(name):
            raise BadRequest(
                f"Stage variable name {name!r} must be alphanumeric, underscores are allowed."
            )
        if not _VARIABLE_VALUE.fullmatch(str(value)):
            raise BadRequest(f"Stage variable value of {name} must match {_VARIABLE_VALUE.pattern}")


def _access_log(settings: Mapping[str, object], subject: Subject) -> None:
    """Rules 1.96, 1.102. Those of WebSocket stages need the account's role, too (aws-cdk#33977)."""
    if not settings:
        return
    destination, layout = str(settings.get("DestinationArn", "")), str(settings.get("Format", ""))
    if not destination.startswith("arn:"):
        raise BadRequest(
            "Invalid ARN specified in the request. ARNs must start with 'arn:' and access logs "
            "need a log group or delivery stream."
        )
    if "\n" in layout.rstrip("\n"):
        raise BadRequest(
            "Access Log format must be single line, new line character is allowed only at end of "
            "the format"
        )
    if not any(request_id in layout for request_id in _REQUEST_IDS):
        raise BadRequest(
            "Access log format must contain at least $context.requestId or "
            "$context.extendedRequestId"
        )
    if len(layout.encode()) > _FORMAT_MAX_BYTES:
        raise BadRequest(f"Access log format must be no more than {_FORMAT_MAX_BYTES} bytes")
    if "AccessLogSettings" not in subject.sent:
        return
    if not subject.can_log:
        raise BadRequest(_NO_ROLE)
    if ":firehose:" in destination:
        raise NotImplementedYet(
            "Access logs to Firehose are not served here: name the ARN of a log group."
        )
