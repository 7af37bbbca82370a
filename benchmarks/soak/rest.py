"""What the engine has when nothing runs, to be compared with what it had before."""

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass, fields

from benchmarks.deployment import FUNCTIONS, message
from benchmarks.load.socket import AskingSocket, open_socket
from benchmarks.targets import Target

_PATIENCE_SECONDS = 60
_LOOK_SECONDS = 0.5
_ASKED = (
    message("echo"),
    message("who"),
    message("sleep", seconds=0),
    message("cold"),
    message("soak", do="who"),
)
"""Together with a connect and a disconnect these call every function."""


@dataclass(frozen=True, slots=True)
class Rest:
    """The engine's own counts, and the system's of its processes and open files."""

    connections: int
    calls: int
    tasks: int
    processes: int
    open_files: int

    def problems(self, before: "Rest") -> Iterator[str]:
        """What there is more of than before."""
        for field in fields(self):
            now, was = getattr(self, field.name), getattr(before, field.name)
            if now > was:
                yield f"{field.name}: {now} are left, {was} were there before"


async def at_rest(target: Target, number: int, before: Rest | None = None) -> Rest:
    """The counts when every function has had its processes ended and got one new one.

    ``number`` must be another each time. What ends a little later is waited for: until nothing is
    more than ``before``, or, without it, until two looks are the same.
    """
    assert target.deployment is not None
    await _quiet(target)
    await asyncio.to_thread(target.deployment.renew, number, FUNCTIONS)
    client = await open_socket(lambda: AskingSocket(target.url), target.url)
    for text in _ASKED:
        await client.ask(text.encode())
    client.transport.abort()
    await _quiet(target)
    last, end = None, time.monotonic() + _PATIENCE_SECONDS
    while True:
        rest = _look(target)
        is_settled = rest == last if before is None else not list(rest.problems(before))
        if is_settled or time.monotonic() > end:
            return rest
        last = rest
        await asyncio.sleep(_LOOK_SECONDS)


async def _quiet(target: Target) -> None:
    """Until no call runs and nobody is connected; what stays so long is told by the counts."""
    end = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < end:
        health = target.health()
        if not health["calls"] and not health["connections"]:
            return
        await asyncio.sleep(_LOOK_SECONDS)


def _look(target: Target) -> Rest:
    health, tree = target.health(), target.processes
    return Rest(
        connections=health["connections"],
        calls=health["calls"],
        tasks=health["tasks"],
        processes=len(tree.pids()),
        open_files=tree.open_files(),
    )
