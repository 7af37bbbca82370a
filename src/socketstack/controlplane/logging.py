"""What a stage's record says about its logs, as the data plane reads it.

Rules: 1.97, 1.100, 9.07.
"""

from collections.abc import Mapping

from socketstack.controlplane.members import mapping, text
from socketstack.core.model import (
    AccessLogging,
    ExecutionLogging,
    LoggingLevel,
    Record,
    StageLogging,
)


def stage_logging(stage: Record) -> StageLogging | None:
    """The logs of a stage; None when it logs nothing, so that nothing is computed for them."""
    access = mapping(stage, "AccessLogSettings")
    by_route = {"": mapping(stage, "DefaultRouteSettings"), **mapping(stage, "RouteSettings")}
    execution = {
        key: _execution(settings)
        for key, settings in by_route.items()
        if isinstance(settings, Mapping)
    }
    destination = text(dict(access), "DestinationArn")
    is_off = all(each.level is LoggingLevel.OFF for each in execution.values())
    if is_off and not destination:
        return None
    return StageLogging(
        access=AccessLogging(destination, text(dict(access), "Format")) if destination else None,
        execution=execution,
    )


def _execution(settings: Mapping[str, object]) -> ExecutionLogging:
    level = str(settings.get("LoggingLevel", ""))
    known = LoggingLevel(level) if level in frozenset(LoggingLevel) else LoggingLevel.OFF
    return ExecutionLogging(level=known, data_trace=settings.get("DataTraceEnabled") is True)
