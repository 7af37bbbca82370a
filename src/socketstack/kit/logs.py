"""The engine's events, followed from another terminal."""

import json

from rich.console import Console

from socketstack.errors import ConfigError
from socketstack.kit.engine import EngineProcess
from socketstack.kit.terminal import drop_output, print_event
from socketstack.settings import Settings


def follow_logs(
    settings: Settings, console: Console | None = None, *, is_following: bool = True
) -> None:
    """Print what the engine kept and, when following, what happens until it stops.

    Ends when nobody reads it any more. Raises ``ConfigError`` when no engine runs.
    """
    engine = EngineProcess(settings)
    if engine.health() is None:
        message = f"No engine runs on port {settings.port}. Start one with `make local-up`."
        raise ConfigError(message)
    for line in engine.lines(f"/_socketstack/events?follow={str(is_following).lower()}"):
        try:
            print_event(json.loads(line), console)
        except BrokenPipeError:
            drop_output()
            return
