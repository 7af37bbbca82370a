"""Calls of AWS services other than Lambda: what integrations ask for, and what comes back.

Integration URIs have two forms: ``arn:aws:apigateway:{region}:{service}:action/{Action}`` and the
same with ``path/{path}``.

Rules: 5.64, 5.66.
"""

import re
from dataclasses import dataclass, field
from typing import Final

_URI: Final = re.compile(
    r"arn:(?P<partition>aws[\w-]*):apigateway:(?P<region>[a-z0-9-]+)"
    r":(?:(?P<subdomain>[\w-]+)\.)?(?P<service>[a-z0-9-]+):(?P<form>path|action)/(?P<rest>.*)",
    re.DOTALL,
)

Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceTarget:
    """The service call that a URI names: an action, or a path of its own."""

    service: str
    region: str
    action: str = ""
    path: str = ""
    """With its leading slash; empty when there is an action."""
    partition: str = "aws"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceCall:
    """A call of an AWS service by an integration, in the name of a role."""

    target: ServiceTarget
    role_arn: str
    method: str
    account_id: str
    headers: Pairs = ()
    query: Pairs = ()
    body: bytes = field(default=b"", repr=False)

    def header(self, name: str) -> str | None:
        """The last value of a header, whatever the case of its name."""
        wanted = name.lower()
        return next((v for n, v in reversed(self.headers) if n.lower() == wanted), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceAnswer:
    """What a service answered, its errors included."""

    status: int
    headers: Pairs = ()
    body: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class ServiceRefusal:
    """A call that was not made, and why."""

    reason: str


def parse_service_uri(uri: str) -> ServiceTarget | str:
    """Read an integration URI, stage variables already put in; a text says why it cannot be."""
    found = _URI.fullmatch(uri)
    if found is None:
        return (
            "It names no service. Use arn:aws:apigateway:{region}:{service}:action/{Action}, or "
            "the same with path/{path}."
        )
    if found["subdomain"]:
        return "It names a subdomain, which the local engine cannot call."
    rest = found["rest"]
    is_action = found["form"] == "action"
    if is_action and not re.fullmatch(r"[A-Za-z0-9]+", rest):
        return "It names no action: letters and digits only."
    return ServiceTarget(
        service=found["service"],
        region=found["region"],
        action=rest if is_action else "",
        path="" if is_action else "/" + rest.lstrip("/"),
        partition=found["partition"],
    )
