"""Other servers, measured beside the engine: installed into .build/peers, versions pinned here."""

import contextlib
from collections.abc import Callable
from contextlib import AbstractContextManager

from benchmarks.peers import ministack, offline
from benchmarks.processes import BenchError
from benchmarks.targets import Target

_PEERS: dict[str, Callable[[], AbstractContextManager[Target]]] = {
    offline.PYTHON: lambda: offline.serve(offline.PYTHON, "python3.13"),
    offline.NODE: lambda: offline.serve(offline.NODE, "nodejs20.x"),
    ministack.NAME: ministack.serve,
}
VERSIONS = {
    "serverless-offline": offline.VERSION,
    "osls": offline.FRAMEWORK_VERSION,
    ministack.NAME: ministack.VERSION,
}


def start(stack: contextlib.ExitStack, problems: list[str]) -> tuple[Target, ...]:
    """All peers that can be installed and answer; why not, of the others."""
    started = []
    for name, serve in _PEERS.items():
        try:
            started.append(stack.enter_context(serve()))
        except (BenchError, OSError) as error:
            problems.append(f"{name}: {error}")
    return tuple(started)
