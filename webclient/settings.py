"""Settings of the web client: frozen, and the only reader of the environment in here."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from webclient.errors import ConfigError

_MAX_PORT: Final = 65_535
_MAX_TOKEN_SECONDS: Final = 12 * 60 * 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Which stack, and how the server runs."""

    stack_name: str = "socketstack"
    region: str = ""
    """Empty for that of the AWS profile, locally for us-east-1."""
    profile: str = ""
    """AWS profile; empty for the usual chain. Not used locally."""
    endpoint_url: str = ""
    """Where AWS calls go; empty for AWS itself."""
    connections_url: str = ""
    """Management API address, where the one derived from the stack does not fit (containers)."""
    host: str = "127.0.0.1"
    port: int = 8080
    """0 lets the system choose."""
    allowed_hosts: tuple[str, ...] = ()
    """Further names, without port, under which browsers may reach the server."""
    token_ttl_seconds: int = 60
    state_dir: Path = Path(".socketstack")
    user_id: str = "demo"
    """Whom ``token`` mints for when the command line does not say."""
    message: str = ""
    """What ``push`` sends when the command line does not say."""
    outputs_file: str = ""
    """A JSON file with the stack's outputs, where Terraform made it; empty for CloudFormation."""
    smoke_token: str = ""
    """A good token for the smoke test, where the stack takes those of an outside issuer."""
    to: str = "all"
    """Whom ``push`` sends to when the command line does not say."""

    @property
    def is_local(self) -> bool:
        """Whether the stack runs on a local engine and not on AWS."""
        host = urlsplit(self.endpoint_url).hostname or ""
        return bool(host) and not host.endswith((".amazonaws.com", ".amazonaws.com.cn"))


def from_environment(environ: Mapping[str, str] = os.environ) -> Settings:
    """Settings from the environment. Raises ``ConfigError`` naming the variable at fault."""
    return Settings(
        stack_name=environ.get("STACK_NAME") or "socketstack",
        region=environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION") or "",
        profile=environ.get("AWS_PROFILE", ""),
        endpoint_url=environ.get("AWS_ENDPOINT_URL", ""),
        connections_url=environ.get("CONNECTIONS_URL", ""),
        host=environ.get("WEB_HOST") or "127.0.0.1",
        port=_integer(environ, "WEB_PORT", 8080, 0, _MAX_PORT),
        allowed_hosts=tuple(environ.get("WEB_ALLOWED_HOSTS", "").lower().split()),
        token_ttl_seconds=_integer(environ, "TOKEN_TTL_SECONDS", 60, 1, _MAX_TOKEN_SECONDS),
        state_dir=Path(environ.get("SOCKETSTACK_STATE_DIR") or ".socketstack"),
        user_id=environ.get("USER_ID") or "demo",
        message=environ.get("MESSAGE", ""),
        outputs_file=environ.get("STACK_OUTPUTS", ""),
        smoke_token=environ.get("SMOKE_TOKEN", ""),
        to=environ.get("TO") or "all",
    )


def process_environment() -> dict[str, str]:
    """A copy of the environment, for the server process that ``up`` starts."""
    return dict(os.environ)


def _integer(environ: Mapping[str, str], name: str, default: int, low: int, high: int) -> int:
    text = environ.get(name, "")
    if not text:
        return default
    if not (text.isascii() and text.isdigit()) or not low <= int(text) <= high:
        raise ConfigError(f"{name} is {text!r}: set it to a whole number from {low} to {high}.")
    return int(text)
