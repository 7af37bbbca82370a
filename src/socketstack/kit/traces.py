"""What the engine decided and why, from a terminal: one trace, or the newest ones."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote

from socketstack.errors import ConfigError
from socketstack.kit.engine import EngineProcess
from socketstack.settings import Settings

_TRACES: Final = "/_socketstack/traces"
_MS: Final = 1000
_INDENT: Final = len("       0 ms  handshake  ")
_SAID: Final = frozenset({"kind", "status", "sources", "function"})
"""Details that the summary has already."""


def read_trace(settings: Settings, trace_id: str) -> dict[str, Any]:
    """One trace with all steps, by request id or connection id.

    Raises ``ConfigError``: no engine runs, or it keeps no such trace.
    """
    return _get(settings, f"{_TRACES}/{quote(trace_id, safe='')}")


def read_traces(settings: Settings, *, only_refused: bool, limit: int) -> list[dict[str, Any]]:
    """The newest traces, newest first, without their steps. Raises ``ConfigError``."""
    query = f"?limit={limit}&refused={str(only_refused).lower()}"
    found: list[dict[str, Any]] = _get(settings, _TRACES + query)["traces"]
    return found


def trace_lines(trace: dict[str, Any]) -> Iterator[str]:
    """A trace as people read it: what it was, its steps with their facts, why it was refused."""
    where = "/".join(trace[name] for name in ("apiId", "stage") if name in trace)
    yield " ".join(
        part for part in (trace["kind"], trace["id"], where, trace.get("connectionId", "")) if part
    )
    code = trace.get("refusal", {}).get("code")
    for step in trace.get("steps", ()):
        after = step["time"] - trace["time"]
        summary = step["summary"].replace("\n", "\n" + " " * _INDENT)
        yield f"  {after:>6} ms  {step['step']:<10} {summary}"
        for name, value in step.get("detail", {}).items():
            if name not in _SAID and value is not None:
                yield f"{'':<{_INDENT}}{name}: {_shown(value)}"
        if step.get("cause", {}).get("code") not in {None, code}:
            yield f"{'':<{_INDENT}}{step['cause']['code']}: {step['cause']['fix']}"
    yield from _why(trace)


def list_line(trace: dict[str, Any]) -> str:
    """A trace in one line."""
    moment = datetime.fromtimestamp(trace["time"] / _MS, tz=UTC).astimezone()
    code = trace.get("refusal", {}).get("code", "")
    said = trace.get("summary", "")
    return f"{moment:%H:%M:%S} {trace['id']} {trace['kind']:<12} {code:<7} {said}".rstrip()


def _why(trace: dict[str, Any]) -> Iterator[str]:
    refusal = trace.get("refusal")
    if not refusal:
        return
    yield f"  {refusal['code']}  {refusal['means']}"
    yield f"  Cause   {refusal['reason']}"
    yield f"  Fix     {refusal['fix']}"
    if refusal["rules"]:
        yield f"  Rules   {', '.join(refusal['rules'])} (docs/parity.md)"
    yield f"  More    {refusal['page']}"


def _shown(value: object) -> str:
    # Escaped where a client's text could steer the terminal.
    is_plain = isinstance(value, str) and value.isprintable()
    return str(value) if is_plain else json.dumps(value)


def _get(settings: Settings, path: str) -> dict[str, Any]:
    engine = EngineProcess(settings)
    if engine.health() is None:
        message = f"No engine runs on port {settings.port}. Start one with `make local-up`."
        raise ConfigError(message)
    status, body = engine.request("GET", path, None)
    answer: dict[str, Any] = json.loads(body)
    if status != HTTPStatus.OK:
        raise ConfigError(str(answer.get("message", f"The engine answers with {status}.")))
    return answer
