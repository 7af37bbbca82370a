"""Which endpoint the parity suite runs against, read from the environment.

``PARITY_TARGET`` is ``embedded`` (the default: an engine of our own, started for the run),
``localstack-host`` (LocalStack with our plugin, started for the run), ``endpoint`` (whatever
answers at ``PARITY_ENDPOINT``) or ``aws``; ``make parity`` sets both. For ``aws`` the credentials
are the caller's, and ``AWS_ENDPOINT_URL`` may put a stand-in in its place. The suite talks to all
of them in the same way; only addresses, credentials and patience differ, and they stand here. For
an endpoint there are also ``PARITY_NAME`` (in the report's file name), ``PARITY_PATIENCE``
(seconds) and ``PARITY_SOCKET_URL`` (such as ``ws://host/{api}/{stage}``).
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import boto3
from botocore.config import Config

EMBEDDED, LOCALSTACK, ENDPOINT, AWS = "embedded", "localstack-host", "endpoint", "aws"
STAND_IN = "aws-stand-in"
_STARTED = frozenset({EMBEDDED, LOCALSTACK})
_REGION = "us-east-1"


class TargetError(ValueError):
    """The variables name no target."""


@dataclass(frozen=True, kw_only=True)
class Target:
    """An endpoint and how to deal with it."""

    name: str
    """For the report's file name: letters, digits, hyphens."""
    endpoint: str | None
    """Where AWS calls go; None for AWS itself."""
    region: str = _REGION
    socket_form: str | None = None
    """How a stage's socket address is formed, with ``{api}`` and ``{stage}``; None by default."""
    patience_seconds: float = 20.0
    """How long anything may take that is expected to happen."""
    poll_seconds: float = 0.02
    has_own_credentials: bool = False
    """Calls are signed with the caller's credentials, not with those that local tools expect."""

    @property
    def is_aws(self) -> bool:
        """Whether this is AWS: changes take a while to be seen there."""
        return self.endpoint is None

    def socket_url(self, api_id: str, stage: str, api_endpoint: str = "") -> str:
        """The address that clients of a stage dial.

        AWS's own form; locally ``api_endpoint`` as the API reads back, when it leads to the
        target's own port, else the path form that local tools share.
        """
        if self.socket_form is not None:
            return self.socket_form.format(api=api_id, stage=stage)
        if self.endpoint is None:
            return f"wss://{api_id}.execute-api.{self.region}.amazonaws.com/{stage}"
        there, parts = urlsplit(self.endpoint), urlsplit(api_endpoint)
        if parts.scheme in {"ws", "wss"} and parts.netloc == there.netloc:
            return f"{api_endpoint}/{stage}"
        scheme = "wss" if there.scheme == "https" else "ws"
        return f"{scheme}://{there.netloc}/_aws/execute-api/{api_id}/{stage}"

    def client_options(self) -> dict[str, Any]:
        """What boto3 needs to make a client here."""
        if self.endpoint is None:
            retries = Config(
                retries={"mode": "standard", "total_max_attempts": 10},
                parameter_validation=False,
                ignore_configured_endpoint_urls=True,  # type: ignore[call-arg] # not in its types
            )
            return {"region_name": self.region, "config": retries}
        once = Config(
            retries={"total_max_attempts": 1},
            parameter_validation=False,
            proxies={},
            connect_timeout=self.patience_seconds,
            read_timeout=self.patience_seconds,
        )
        options = {"endpoint_url": self.endpoint, "region_name": self.region, "config": once}
        if not self.has_own_credentials:
            options |= {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
        return options


def management_url(socket_url: str) -> str:
    """The address of ``@connections`` for a stage's socket address."""
    return f"http{socket_url.removeprefix('ws')}"


def target_from(environ: Mapping[str, str] = os.environ) -> Target | None:
    """The target that the variables name; None where an engine has to be started first.

    Raises ``TargetError`` when they contradict each other.
    """
    kind = environ.get("PARITY_TARGET") or EMBEDDED
    endpoint = environ.get("PARITY_ENDPOINT", "").rstrip("/")
    named = environ.get("AWS_DEFAULT_REGION") or environ.get("AWS_REGION")
    if kind == AWS:
        if endpoint:
            raise TargetError("PARITY_ENDPOINT does not go with PARITY_TARGET=aws: leave it out.")
        # The user's profile may name one.
        region = named or boto3.Session().region_name or _REGION
        stand_in = environ.get("AWS_ENDPOINT_URL", "").rstrip("/")
        return Target(
            name=STAND_IN if stand_in else AWS,
            endpoint=_checked(stand_in, "AWS_ENDPOINT_URL") if stand_in else None,
            region=region,
            patience_seconds=60.0,
            poll_seconds=0.02 if stand_in else 1.0,
            has_own_credentials=True,
        )
    if kind not in {*_STARTED, ENDPOINT}:
        raise TargetError(
            f"PARITY_TARGET={kind} is unknown: embedded, localstack-host, endpoint or aws."
        )
    if not endpoint:
        if kind == ENDPOINT:
            raise TargetError("PARITY_TARGET=endpoint needs PARITY_ENDPOINT=http://host:port.")
        return None
    parts = urlsplit(endpoint)
    return Target(
        name=environ.get("PARITY_NAME") or f"endpoint-{parts.port or parts.scheme}",
        endpoint=_checked(endpoint, "PARITY_ENDPOINT"),
        region=named or _REGION,
        socket_form=environ.get("PARITY_SOCKET_URL") or None,
        patience_seconds=float(environ.get("PARITY_PATIENCE") or 6.0),
    )


def _checked(address: str, variable: str) -> str:
    parts = urlsplit(address)
    if parts.scheme not in {"http", "https"} or not parts.netloc or parts.path:
        raise TargetError(f"{variable}={address} is no address: write http://host:port.")
    return address


def started_here(port: int, name: str = EMBEDDED) -> Target:
    """What was started for this run."""
    return Target(name=name, endpoint=f"http://localhost:{port}")
