"""When a rule with a ``ScheduleExpression`` is due, as EventBridge reads it. Pure.

``rate(value unit)`` counts from the moment the rule was made; ``cron(six fields)`` means moments in
UTC, to the minute. Moments are epoch milliseconds.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from aws_croniter.aws_croniter import AwsCroniter

_RATE: Final = re.compile(r"rate\(([1-9]\d*) (minute|hour|day)(s?)\)")
_CRON: Final = re.compile(r"cron\(([^()]*)\)")
_UNIT_MS: Final = {"minute": 60_000, "hour": 3_600_000, "day": 86_400_000}
_RATE_MAX_DIGITS: Final = 9


class InvalidScheduleError(ValueError):
    """EventBridge would refuse the expression; the text says why."""


@dataclass(frozen=True, slots=True)
class Rate:
    """Due once in every period."""

    period_ms: int

    def next_ms(self, started_ms: int, after_ms: int) -> int:
        """The first moment later than ``after_ms`` that is whole periods after ``started_ms``."""
        return started_ms + ((after_ms - started_ms) // self.period_ms + 1) * self.period_ms


@dataclass(frozen=True, slots=True)
class Cron:
    """Due at the moments that six fields name."""

    fields: str

    def next_ms(self, started_ms: int, after_ms: int) -> int | None:
        """The first moment later than ``after_ms``; None when there is none, until 2199."""
        del started_ms
        after = datetime.fromtimestamp(after_ms // 1000, UTC)
        found: datetime | None = _parsed(self.fields).get_next(after)[0]
        return None if found is None else int(found.timestamp()) * 1000


Schedule = Rate | Cron


def read_schedule(expression: str) -> Schedule:
    """What an expression means. Raises ``InvalidScheduleError``.

    As on AWS, the unit of a rate of 1 is singular and that of every other is plural.
    """
    if rate := _RATE.fullmatch(expression):
        value, unit, plural = rate.groups()
        if (value == "1") != (plural == "") or len(value) > _RATE_MAX_DIGITS:
            raise InvalidScheduleError(_said(expression, f"{value} and {unit}{plural}"))
        return Rate(int(value) * _UNIT_MS[unit])
    if cron := _CRON.fullmatch(expression):
        try:
            _parsed(cron[1])
        except ValueError as problem:
            raise InvalidScheduleError(_said(expression, str(problem))) from None
        return Cron(cron[1])
    raise InvalidScheduleError(
        _said(expression, 'it is neither "rate(VALUE UNIT)" nor "cron(SIX FIELDS)"')
    )


def _parsed(fields: str) -> "AwsCroniter":
    # Loaded by the first cron expression: most engines never see one.
    from aws_croniter.aws_croniter import AwsCroniter  # noqa: PLC0415

    return AwsCroniter(fields)


def _said(expression: str, why: str) -> str:
    # The first sentence is AWS's own, and all that it says.
    return f"Parameter ScheduleExpression is not valid. {expression!r}: {why}."
