"""What the example system costs in a month on AWS: usage times list price, line by line.

An estimate to see what grows with what, not a bill: no free tier, no tiers above the first, one
region's prices. Each price has the page where it was seen, and the date of that.
"""

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from socketstack.errors import ConfigError

PRICES: Final = Path(__file__).with_name("prices.json")
_MINUTES: Final = 43_800
"""In a month: a twelfth of 365 days."""
_STEP_KB: Final = 32
"""A message is metered in steps of this size."""
_KB_PER_GB: Final = 1024 * 1024
_MB_PER_GB: Final = 1024
_MS_PER_SECOND: Final = 1000
_HUNDRED: Final = 100
_ALARMS: Final = 7
_SWEEPER_ALARMS: Final = 3
_SECRETS: Final = 1
_WRITES_PER_SESSION: Final = 4
"""A row and its entry in the index by user, written and removed."""
_ENDING_WRITES_PER_SESSION: Final = 2
"""Its entry in the index by the session's end, where sessions have one."""
_READS_PER_SWEEP: Final = 4
"""Half a one for each of the eight parts of that index, which are mostly empty."""
_READS_PER_PUSH: Final = 0.5
"""An eventually consistent read of a small row."""
_CALLS_PER_SESSION: Final = 3
"""Authorizer, $connect and $disconnect."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What people do with the system; rates are means over the month.

    Every figure must be finite and not negative, ``session_minutes`` above 0 and at most the 120
    that API Gateway allows.
    """

    connections: float = 1000
    """Open at the same time."""
    session_minutes: float = 60
    """How long one stays open."""
    messages_per_minute: float = 1
    """From one client; each is answered."""
    pushes_per_minute: float = 1
    """To one client."""
    message_kb: float = 1
    function_ms: float = 20
    memory_mb: float = 256
    log_kb: float = 0.5
    """What one call of a function writes to its log."""
    traced_percent: float = 0
    """How many of a hundred calls X-Ray records; none without ``Tracing``."""
    architecture: str = "arm64"
    sweeps_per_minute: float = 0
    """1 with EnforceTokenExpiry or ConnectTickets: then sessions have ends, and a sweeper."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One position: so much of something at so much each. ``sum`` is in the list's currency."""

    what: str
    arithmetic: str
    """How ``amount`` came about, as a formula with figures."""
    amount: float
    price: float
    per: int
    source: str
    """The page where the price was seen."""
    seen: str
    """The date of that page; where it has none, that of its reading."""

    @property
    def sum(self) -> float:
        """What it costs in a month."""
        return self.amount / self.per * self.price


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """All positions, and what the prices are."""

    lines: tuple[Line, ...]
    as_of: str
    region: str
    source: str

    @property
    def sum(self) -> float:
        """What a month costs."""
        return math.fsum(line.sum for line in self.lines)


def estimate(usage: Usage, prices: Path = PRICES) -> Estimate:
    """What this usage costs in a month.

    Raises ``ConfigError`` for usage that cannot be, or a price list that cannot be read.
    """
    _refuse_impossible(usage)
    try:
        listed = json.loads(prices.read_text(encoding="utf-8"))
        lines = tuple(
            Line(
                what=listed["prices"][name]["what"],
                arithmetic=arithmetic,
                amount=amount,
                price=float(listed["prices"][name]["price"]),
                per=int(listed["prices"][name]["per"]),
                source=listed["prices"][name]["source"],
                seen=listed["prices"][name]["seen"],
            )
            for name, amount, arithmetic in _amounts(usage)
        )
        return Estimate(
            lines=lines,
            as_of=listed["as_of"],
            region=listed["region"],
            source=listed["source"],
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"The price list {prices} cannot be read: {error!r}.") from error


def _amounts(usage: Usage) -> Iterator[tuple[str, float, str]]:
    """Name of the price, amount in a month, and the arithmetic."""
    minutes = usage.connections * _MINUTES
    sessions = minutes / usage.session_minutes
    received = minutes * usage.messages_per_minute
    pushed = minutes * usage.pushes_per_minute
    sent = received + pushed
    steps = max(1, math.ceil(usage.message_kb / _STEP_KB))
    sweeps = usage.sweeps_per_minute * _MINUTES
    calls = sessions * _CALLS_PER_SESSION + received + sweeps
    seconds = calls * usage.function_ms / _MS_PER_SECOND
    yield (
        "connection_minutes",
        minutes,
        f"{usage.connections:,g} connections x {_MINUTES:,} minutes",
    )
    yield (
        "gateway_messages",
        (received + sent) * steps,
        f"({received:,.0f} in + {received:,.0f} answers + {pushed:,.0f} pushes) x {steps}",
    )
    yield (
        "function_calls",
        calls,
        f"{sessions:,.0f} sessions x {_CALLS_PER_SESSION} + {received:,.0f} messages"
        + (f" + {sweeps:,.0f} sweeps" if sweeps else ""),
    )
    yield (
        f"function_gb_seconds_{usage.architecture}",
        seconds * usage.memory_mb / _MB_PER_GB,
        f"{calls:,.0f} calls x {usage.function_ms:g} ms x {usage.memory_mb:g} MB",
    )
    writes = _WRITES_PER_SESSION + (_ENDING_WRITES_PER_SESSION if sweeps else 0)
    yield "table_writes", sessions * writes, f"{sessions:,.0f} sessions x {writes}"
    yield (
        "table_reads",
        pushed * _READS_PER_PUSH + sweeps * _READS_PER_SWEEP,
        f"{pushed:,.0f} pushes x {_READS_PER_PUSH:g}"
        + (f" + {sweeps:,.0f} sweeps x {_READS_PER_SWEEP}" if sweeps else ""),
    )
    yield "log_gb", calls * usage.log_kb / _KB_PER_GB, f"{calls:,.0f} calls x {usage.log_kb:g} KB"
    traced = calls * usage.traced_percent / _HUNDRED
    yield "traces", traced, f"{calls:,.0f} calls x {usage.traced_percent:g} %"
    alarms = _ALARMS + (_SWEEPER_ALARMS if sweeps else 0)
    yield "alarms", alarms, f"{alarms} alarms"
    yield "secrets", _SECRETS, f"{_SECRETS} secret"
    yield (
        "transfer_gb",
        sent * usage.message_kb / _KB_PER_GB,
        f"{sent:,.0f} messages out x {usage.message_kb:g} KB",
    )


def table(made: Estimate) -> Iterator[str]:
    """The estimate as text: each position with its arithmetic, the sum, and the prices' sources."""
    for line in made.lines:
        each = f"${line.price:g}" if line.per == 1 else f"${line.price:g} / {line.per:,}"
        yield f"{line.what:<42} {line.sum:>12,.2f}"
        yield f"    {line.arithmetic} = {line.amount:,.1f}, at {each}"
    yield f"{'a month':<42} {made.sum:>12,.2f} USD"
    yield f"Prices of {made.region}, {made.as_of}: {made.source}."
    pages: dict[tuple[str, str], list[str]] = {}
    for line in made.lines:
        pages.setdefault((line.source, line.seen), []).append(line.what)
    for (source, seen), what in pages.items():
        yield f"    {source} ({seen}): {'; '.join(what)}"
    yield "Without free tier, taxes and support; larger amounts are cheaper in part."


_MAX_SESSION_MINUTES: Final = 120
_MAX_MESSAGE_KB: Final = 128


def _refuse_impossible(usage: Usage) -> None:
    figures = {name: getattr(usage, name) for name in Usage.__slots__ if name != "architecture"}
    for name, value in figures.items():
        if not (math.isfinite(value) and value >= 0):
            raise ConfigError(f"{name} is {value}: give a number that is not negative.")
    if not 0 < usage.session_minutes <= _MAX_SESSION_MINUTES:
        raise ConfigError(
            f"session_minutes is {usage.session_minutes:g}: API Gateway closes a connection after "
            f"{_MAX_SESSION_MINUTES} minutes. Give at most that, and more than 0."
        )
    if usage.message_kb > _MAX_MESSAGE_KB:
        raise ConfigError(
            f"message_kb is {usage.message_kb:g}: API Gateway takes {_MAX_MESSAGE_KB} KB at most."
        )
    if usage.traced_percent > _HUNDRED:
        raise ConfigError(f"traced_percent is {usage.traced_percent:g}: give at most {_HUNDRED}.")
    if usage.architecture not in {"arm64", "x86_64"}:
        raise ConfigError(f"architecture is {usage.architecture!r}: give arm64 or x86_64.")
