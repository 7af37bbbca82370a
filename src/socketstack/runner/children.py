"""Children: how a function's process comes to be, and how it is known to have ended.

``spawn`` starts a fresh interpreter anywhere; ``nursery`` forks a warm one on Linux. Both give a
``Child``, a process group of its own.
"""

import asyncio
import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


class Child(Protocol):
    """One started process."""

    @property
    def pid(self) -> int:
        """Its process id; 0 as long as that is not known."""
        ...

    @property
    def borrowed_mb(self) -> int:
        """Memory that it shares with its parent and that is not its own, in MB."""
        ...

    def kill_group(self) -> None:
        """Kill it with everything in its process group, as soon as its id is known."""
        ...

    async def wait(self) -> int:
        """Wait for its end, reap it, and give its exit code; negative for a signal."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """What a child is started with."""

    arguments: Sequence[str]
    """The interpreter and its arguments; the channel's descriptor follows."""
    environment: Mapping[str, str]
    folder: Path


Start = Callable[[Command, int, int], Child]
"""Starts a child, given the descriptors of its channel and of its output.

The caller closes both descriptors afterwards. Raises ``OSError`` when the system cannot."""


class FreshChild:
    """A process of an interpreter that was just started."""

    borrowed_mb = 0

    def __init__(self, popen: "subprocess.Popen[bytes]") -> None:
        self._popen = popen

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._popen.pid

    def kill_group(self) -> None:
        """Kill its process group."""
        kill_group(self._popen.pid)

    async def wait(self) -> int:
        """Wait in a thread, since the system tells nobody else."""
        return await asyncio.get_running_loop().run_in_executor(None, self._popen.wait)


def spawn(command: Command, channel: int, output: int) -> FreshChild:
    """Start a fresh interpreter; a ``Start``."""
    return FreshChild(
        subprocess.Popen(  # noqa: S603 - our interpreter and bootstrap
            [*command.arguments, str(channel)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            pass_fds=(channel,),
            env=dict(command.environment),
            cwd=command.folder,
            start_new_session=True,
        )
    )


def kill_group(pid: int) -> None:
    """Kill a process group; one that is gone is none."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
