"""The deployed stack as the web client sees it: its outputs, and sessions to reach it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import boto3
import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from webclient.errors import ConfigError
from webclient.settings import Settings

_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_LOCAL_REGION: Final = "us-east-1"
_FAST_FAILURE: Final = Config(
    retries={"mode": "standard", "total_max_attempts": 2}, connect_timeout=3, read_timeout=15
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """What the web client needs of a stack."""

    name: str
    region: str
    is_local: bool
    websocket_url: str
    management_url: str
    """Where connections are posted to."""
    table_name: str
    token_secret_arn: str
    token_issuer: str
    token_audience: str
    jwks_url: str = ""
    """Set when the stack takes tokens of an outside issuer only."""
    ticket_table_name: str = ""
    """Set when connections are opened with one-time tickets only."""

    @property
    def api_id(self) -> str:
        """The API, by the local form of the address: ``…/_aws/execute-api/{api}/{stage}``."""
        return self.websocket_url.rstrip("/").rpartition("/")[0].rpartition("/")[2]


def session(settings: Settings) -> boto3.Session:
    """A session for the stack.

    Locally with fixed credentials, so that real ones are never sent to a local engine and none
    are needed.
    """
    if settings.is_local:
        no_profile = {"profile": (None, None, None, None)}  # AWS_PROFILE may name a missing one
        return boto3.Session(
            aws_access_key_id="test",
            aws_secret_access_key="test",  # noqa: S106 - what local engines expect
            region_name=settings.region or _LOCAL_REGION,
            botocore_session=botocore.session.Session(session_vars=no_profile),
        )
    return boto3.Session(profile_name=settings.profile or None, region_name=settings.region or None)


def read_stack(settings: Settings) -> Stack:
    """Read the outputs of the deployed stack.

    Raises ``ConfigError`` when it cannot be reached, is not there or lacks an output.
    """
    if settings.outputs_file:
        return replace(
            stack_of(_written_outputs(settings.outputs_file), settings),
            region=session(settings).region_name or "",
        )
    place = settings.endpoint_url or f"AWS ({settings.region or 'the region of your profile'})"
    try:
        client = session(settings).client(
            "cloudformation", endpoint_url=settings.endpoint_url or None, config=_FAST_FAILURE
        )
        stacks = client.describe_stacks(StackName=settings.stack_name)["Stacks"]
    except ClientError as error:
        raise ConfigError(
            f"The stack {settings.stack_name!r} cannot be read at {place}: "
            f"{error.response['Error'].get('Message', error)}. Deploy it first (make local-up or "
            "make aws-deploy), or name another one in STACK_NAME."
        ) from error
    except BotoCoreError as error:
        raise ConfigError(
            f"{place} does not answer: {error}. Start the local engine (make local-up), or check "
            "AWS_ENDPOINT_URL, AWS_PROFILE and AWS_REGION."
        ) from error
    outputs = {o["OutputKey"]: o["OutputValue"] for o in stacks[0].get("Outputs", [])}
    return replace(stack_of(outputs, settings), region=client.meta.region_name)


def _written_outputs(path: str) -> dict[str, str]:
    try:
        outputs: dict[str, str] = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"The file {path} of STACK_OUTPUTS has no outputs ({error}). `make aws-deploy "
            "IAC=terraform` writes it; without the variable, CloudFormation is asked."
        ) from error
    return outputs


def stack_of(outputs: Mapping[str, str], settings: Settings) -> Stack:
    """The stack that these outputs describe. Raises ``ConfigError`` when one is missing."""
    try:
        return Stack(
            name=settings.stack_name,
            region=settings.region,
            is_local=settings.is_local,
            websocket_url=outputs["WebSocketUrl"],
            management_url=settings.connections_url or _management_url(outputs, settings),
            table_name=outputs["TableName"],
            token_secret_arn=outputs["TokenSecretArn"],
            token_issuer=outputs["TokenIssuer"],
            token_audience=outputs["TokenAudience"],
            jwks_url=outputs.get("JwksUrl", ""),
            ticket_table_name=outputs.get("TicketTableName", ""),
        )
    except KeyError as error:
        raise ConfigError(
            f"The stack {settings.stack_name!r} has no output {error}. It must be made from "
            "infra/template.yaml; deploy that, or name another stack in STACK_NAME."
        ) from error


def _management_url(outputs: Mapping[str, str], settings: Settings) -> str:
    if not settings.is_local:
        return outputs["ConnectionsUrl"]
    url = "http" + outputs["WebSocketUrl"].removeprefix("ws")  # wss://… -> https://…
    # The address is the browser's. From another container the engine has another name.
    parts, engine = urlsplit(url), urlsplit(settings.endpoint_url).hostname or ""
    if parts.hostname != "localhost" or engine in _LOOPBACK:
        return url
    host = f"[{engine}]" if ":" in engine else engine
    return parts._replace(netloc=parts.netloc.replace("localhost", host)).geturl()
