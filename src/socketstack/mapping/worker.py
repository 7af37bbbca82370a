"""The mapping worker: a process of its own that renders templates, follows paths, checks models.

Templates, patterns and schemas are somebody's programs, and messages are anybody's: one of them may
run without end, or ask for all memory, and no thread can be stopped. This process has limits that
the system enforces; when it goes over one it dies, and the engine answers for it.

Jobs come on stdin, answers go to stdout, each as four bytes of length and JSON. It ends with stdin.

Rules: 5.50 to 5.53, 5.61, 5.71 to 5.75.
"""

import contextlib
import json
import re
import signal
import sys
from typing import Any, BinaryIO, Final

from socketstack.core.jsontext import MISSING, read_json
from socketstack.mapping.jobs import CPU_SECONDS, MEMORY_MAX_BYTES, read_frame, write_frame

_RECURSION_MAX: Final = 3000
TEXT_MAX_CHARACTERS: Final = 6 * 1024 * 1024
"""What a template may give: Lambda's limit for a payload, the largest of any backend."""


def answer(job: dict[str, Any]) -> dict[str, Any]:
    """The answer to one job: ``text``, ``value`` or ``problem``, or ``error`` with the reason."""
    match job["kind"]:
        case "render":
            return _render(job)
        case "path":
            return _path(job)
        case "validate":
            return _validate(job)
        case "match":
            return {"value": re.fullmatch(job["pattern"], job["text"]) is not None}
        case kind:
            return {"error": f"There are no jobs of kind {kind!r}."}


def _render(job: dict[str, Any]) -> dict[str, Any]:
    from socketstack.mapping import java  # noqa: PLC0415
    from socketstack.mapping.scopes import input_scope, util_scope  # noqa: PLC0415
    from socketstack.mapping.velocity import TemplateError, render  # noqa: PLC0415

    variables = {
        "input": input_scope(job["body"], job["params"]),
        "util": util_scope(),
        "context": java.from_json(job["context"]),
        "stageVariables": dict(job["variables"]),
    }
    try:
        text = render(job["template"], variables)
    except TemplateError as error:
        return {"error": str(error)}
    if len(text) > TEXT_MAX_CHARACTERS:
        return {"error": f"It gave {len(text)} characters; {TEXT_MAX_CHARACTERS} is the limit."}
    return {"text": text}


def _path(job: dict[str, Any]) -> dict[str, Any]:
    from socketstack.mapping.paths import PathError, read_path  # noqa: PLC0415

    document = read_json(job["document"])
    if document is MISSING:
        return {}
    try:
        found = read_path(document, job["path"])
    except PathError as error:
        return {"error": str(error)}
    return {} if found is MISSING else {"value": found}


def _validate(job: dict[str, Any]) -> dict[str, Any]:
    from socketstack.mapping.schemas import validation_error  # noqa: PLC0415

    return {"problem": validation_error(job["schema"], job["models"], job["document"])}


def _limit() -> None:
    """Limits that hold whatever the interpreter is doing."""
    sys.setrecursionlimit(_RECURSION_MAX)
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource  # noqa: PLC0415 - not on every system

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_MAX_BYTES, MEMORY_MAX_BYTES))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def serve(jobs: BinaryIO, answers: BinaryIO) -> None:
    """Answer jobs until there are none."""
    while (frame := read_frame(jobs)) is not None:
        signal.setitimer(signal.ITIMER_PROF, CPU_SECONDS)  # its signal ends the process
        try:
            reply = answer(json.loads(frame))
        except (MemoryError, RecursionError) as error:
            reply = {"error": f"It went over a limit: {type(error).__name__}."}
        except Exception as error:  # noqa: BLE001 - the border: the engine tells the reason
            reply = {"error": f"{type(error).__name__}: {error}"}
        signal.setitimer(signal.ITIMER_PROF, 0)
        write_frame(answers, json.dumps(reply).encode())


def main() -> None:
    """Serve the engine."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's Ctrl+C is for the engine
    _limit()
    serve(sys.stdin.buffer, sys.stdout.buffer)


if __name__ == "__main__":
    main()
