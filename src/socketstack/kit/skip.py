"""Moving API Gateway's time forward in a running engine, from a terminal."""

import json
import re
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from socketstack.errors import ConfigError
from socketstack.kit.engine import EngineProcess
from socketstack.settings import Settings

_CLOCK: Final = "/_socketstack/clock"
_UNITS: Final = {"h": 3600.0, "m": 60.0, "s": 1.0}
_AMOUNT: Final = re.compile(
    r"(?=\d)(?:(?P<h>\d+(?:\.\d+)?)h)?(?:(?P<m>\d+(?:\.\d+)?)m)?(?:(?P<s>\d+(?:\.\d+)?)s?)?",
    re.ASCII,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Skipped:
    """What a skip did."""

    moved_seconds: float
    now: str
    """API Gateway's time from now on, ISO 8601 in UTC."""
    ending: int
    """How many connections are closed by it."""
    next_to_end: tuple[str, float, str] | None
    """Id, seconds and limit (``idle``, ``lifetime``) of the next one; None when there is none."""


def seconds(text: str) -> float:
    """A duration such as ``10m``, ``1h30m``, ``90s`` or ``90``. Raises ``ConfigError``."""
    match = _AMOUNT.fullmatch(text.strip())
    if match is None:
        message = f"{text!r} is no duration: write it as 10m, 1h30m, 90s or 90 (seconds)."
        raise ConfigError(message)
    parts = match.groupdict(default="0")
    return sum(factor * float(parts[unit]) for unit, factor in _UNITS.items())


def skip(
    settings: Settings,
    *,
    amount: str | None = None,
    to: str | None = None,
    before: str | None = None,
    connection_id: str | None = None,
) -> Skipped:
    """Move the time of the engine at the settings' port forward.

    Args:
        settings: Which engine.
        amount: How far, as ``seconds`` reads it; or
        to: ``idle`` or ``lifetime``, the limit to stop before.
        before: How long before that limit; a second when None.
        connection_id: Whose limit; None for the connection that meets it first.

    Raises:
        ConfigError: no engine runs, or it refuses, with its reason.
    """
    if (amount is None) == (to is None):
        message = "Say how far: `socketstack skip 10m`, or `--to idle` or `--to lifetime`."
        raise ConfigError(message)
    if amount is not None and (before, connection_id) != (None, None):
        message = "--before and --connection belong to --to: an amount of time is skipped as it is."
        raise ConfigError(message)
    wanted = {
        "skipSeconds": None if amount is None else seconds(amount),
        "to": to,
        "beforeSeconds": None if before is None else seconds(before),
        "connectionId": connection_id,
    }
    return _ask(settings, {name: value for name, value in wanted.items() if value is not None})


def _ask(settings: Settings, wanted: dict[str, object]) -> Skipped:
    engine = EngineProcess(settings)
    if engine.health() is None:
        message = f"No engine runs on port {settings.port}. Start one with `make local-up`."
        raise ConfigError(message)
    status, body = engine.request("POST", _CLOCK, wanted)
    try:
        answer: dict[str, Any] = json.loads(body)
    except ValueError:
        answer = {}
    if status != HTTPStatus.OK:
        message = f"The engine refuses ({status}): {answer.get('message', 'it does not say why')}"
        raise ConfigError(message)
    # Those that end by this skip are listed first.
    left = answer["connections"][answer["ending"] :]
    following = left[0] if left else None
    return Skipped(
        moved_seconds=answer["movedSeconds"],
        now=answer["now"],
        ending=answer["ending"],
        next_to_end=following
        and (following["connectionId"], following["endsInSeconds"], following["limit"]),
    )
