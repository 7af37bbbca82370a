"""Settings of the engine: frozen, and the only reader and writer of the process environment.

Every variable, its default and its meaning also stand in ``.env.example``.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from socketstack.errors import ConfigError

DEFAULT_PORT = 4566
_MAX_PORT = 65_535
_WEB_PORT = 8080

RateAndBurst = tuple[float, int]
"""How many a second, and how many at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How one engine runs."""

    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    """0 lets the system choose."""
    region: str = "us-east-1"
    account_id: str = "000000000000"
    max_processes: int = 10
    """Function processes per function; calls above that wait in line."""
    allowed_hosts: tuple[str, ...] = ()
    """Further names under which AWS calls may reach the engine."""
    debug_port: int | None = None
    """First port of debugpy in function processes; None when not debugging."""
    is_iam_enforced: bool = False
    """Whether AWS calls need a right signature and permission, as on AWS."""
    account_throttle: RateAndBurst | None = (10_000.0, 5_000)
    """Requests a second and at once, of all APIs together (6.16); None is no limit."""
    connection_throttle: RateAndBurst | None = (500.0, 500)
    """New connections a second and at once (6.15); None is no limit."""
    state_dir: Path = Path(".socketstack")
    """Where ``up`` keeps process ids, logs and outputs."""

    @property
    def is_debugging(self) -> bool:
        """Whether function processes open debugpy and have no timeouts."""
        return self.debug_port is not None


def from_environment(environ: Mapping[str, str] = os.environ, **overrides: object) -> Settings:
    """Settings from ``SOCKETSTACK_*`` variables; ``overrides`` that are not None win.

    Raises ``ConfigError`` naming the variable that cannot be read.
    """
    values: dict[str, object] = {
        "host": environ.get("SOCKETSTACK_HOST", "127.0.0.1"),
        "port": _integer(environ, "SOCKETSTACK_PORT", DEFAULT_PORT, 0, _MAX_PORT),
        "region": environ.get("AWS_DEFAULT_REGION") or environ.get("AWS_REGION") or "us-east-1",
        "account_id": environ.get("SOCKETSTACK_ACCOUNT_ID", "000000000000"),
        "max_processes": _integer(environ, "SOCKETSTACK_MAX_PROCESSES", 10, 1, 1000),
        "allowed_hosts": tuple(environ.get("SOCKETSTACK_ALLOWED_HOSTS", "").split()),
        "debug_port": (
            _integer(environ, "SOCKETSTACK_DEBUG_PORT", 5678, 1, _MAX_PORT)
            if environ.get("DEBUG", "0") not in {"", "0"}
            else None
        ),
        "is_iam_enforced": _is_enforced(environ),
        "account_throttle": _throttle(environ, "SOCKETSTACK_ACCOUNT_THROTTLE", "10000/5000"),
        "connection_throttle": _throttle(environ, "SOCKETSTACK_CONNECTION_THROTTLE", "500/500"),
        "state_dir": Path(environ.get("SOCKETSTACK_STATE_DIR", ".socketstack")),
    }
    values.update({name: value for name, value in overrides.items() if value is not None})
    return Settings(**values)  # type: ignore[arg-type]


def named_region(environ: Mapping[str, str] = os.environ) -> str | None:
    """The region that the environment names; None leaves it to the user's AWS profile."""
    return environ.get("AWS_DEFAULT_REGION") or environ.get("AWS_REGION") or None


def web_port(environ: Mapping[str, str] = os.environ) -> int:
    """The page's port on this machine. Raises ``ConfigError`` when it is none."""
    return _integer(environ, "WEB_PORT", _WEB_PORT, 1, _MAX_PORT)


def named_artifact_bucket(environ: Mapping[str, str] = os.environ) -> str | None:
    """The bucket that the environment names for packages on AWS; None to make one."""
    return environ.get("SOCKETSTACK_ARTIFACT_BUCKET") or None


def is_agreed(environ: Mapping[str, str] = os.environ) -> bool:
    """Whether ``YES=1`` answers the questions that a command would ask."""
    return environ.get("YES", "").lower() in {"1", "y", "yes", "true"}


def environment() -> dict[str, str]:
    """A copy of the process environment, for those who must start a process with it."""
    return dict(os.environ)


def set_variables(fixed: Mapping[str, str], defaults: Mapping[str, str]) -> None:
    """Set variables of this process for a library that reads them when it is imported.

    ``fixed`` are set whatever they were, ``defaults`` where nothing is set.
    """
    os.environ.update(fixed)
    for name, value in defaults.items():
        os.environ.setdefault(name, value)


def _is_enforced(environ: Mapping[str, str]) -> bool:
    text = environ.get("SOCKETSTACK_IAM", "").lower()
    if text not in {"", "off", "enforce"}:
        message = f"SOCKETSTACK_IAM is {text!r}: set it to 'enforce', or leave it out."
        raise ConfigError(message)
    return text == "enforce"


def _throttle(environ: Mapping[str, str], name: str, default: str) -> RateAndBurst | None:
    """``RATE/BURST``, ``RATE`` for both, or ``off``."""
    text = environ.get(name) or default
    if text.lower() == "off":
        return None
    rate, _, burst = text.partition("/")
    burst = burst or rate
    if not (rate.isdecimal() and burst.isdecimal() and int(rate) and int(burst)):
        message = (
            f"{name} is {text!r}: set it to requests a second and at once, for example {default}, "
            "or to off."
        )
        raise ConfigError(message)
    return float(rate), int(burst)


def _integer(environ: Mapping[str, str], name: str, default: int, low: int, high: int) -> int:
    text = environ.get(name, "")
    if not text:
        return default
    if not text.isdigit() or not low <= int(text) <= high:
        message = f"{name} is {text!r}: set it to a whole number from {low} to {high}."
        raise ConfigError(message)
    return int(text)
