"""The warm parent of function processes, from the engine's side: starts it, and asks it to fork.

Linux only; see ``runner.warm`` for the other side and ``runner.warmth`` for who may be forked. When
the parent cannot be started, or is gone, every process is started fresh: nothing depends on it.
"""

import asyncio
import itertools
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from socketstack.core.model import Json
from socketstack.runner.children import Command, kill_group

IS_POSSIBLE: Final = sys.platform == "linux" and hasattr(os, "pidfd_open")
_FRAME_MAX_BYTES: Final = 1024 * 1024
_BYTES_PER_MB: Final = 1024 * 1024
_LOST: Final = -9


@dataclass(eq=False)
class ForkedChild:
    """A fork of the warm parent; its id is told a moment after it was asked for."""

    borrowed_mb: int
    _nursery: "Nursery"
    _pid: int = 0
    _is_doomed: bool = False
    _status: "asyncio.Future[int]" = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )

    @property
    def pid(self) -> int:
        """Its process id; known at the latest when it has said something itself."""
        if not self._pid:
            # The parent told it before the fork could speak, but the loop reads in any order.
            self._nursery.listen()
        return self._pid

    def born(self, pid: int) -> None:
        """It has its id now."""
        self._pid = pid
        if self._is_doomed:
            self._kill()

    def ended(self, status: int) -> None:
        """It has ended, or nobody can tell any more."""
        if not self._status.done():
            self._status.set_result(status)

    def kill_group(self) -> None:
        """Kill its process group."""
        self._is_doomed = True
        if self._pid and not self._status.done():
            self._kill()

    def _kill(self) -> None:
        # A fork leads no group before it has its own session; its number means nothing else as
        # long as the parent has not reaped it.
        with suppress(ProcessLookupError):
            os.kill(self._pid, signal.SIGKILL)
        kill_group(self._pid)

    async def wait(self) -> int:
        """Wait until the parent tells its end; then it may forget it."""
        status = await self._status
        self._nursery.reap(self._pid)
        return status


class Nursery:
    """One warm parent. Use from the event loop's thread only.

    ``tops`` are the top-level modules that it has loaded, None as long as it is not ready and when
    it is lost; ``settled`` is set in both cases.
    """

    def __init__(self, on_lost: Callable[[], None]) -> None:
        """``on_lost`` is called when the parent ends by itself, or never gets ready."""
        self._on_lost = on_lost
        self.tops: frozenset[str] | None = None
        self.settled = asyncio.Event()
        self._borrowed_mb = 0
        self._parent: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None
        self._numbers = itertools.count(1)
        self._unborn: dict[int, ForkedChild] = {}
        self._children: dict[int, ForkedChild] = {}

    def start(self, arguments: Sequence[str], environment: Mapping[str, str], folder: Path) -> None:
        """Start the parent; it is ready when ``tops`` are there.

        Args:
            arguments: Interpreter, its options and the bootstrap.
            environment: What function processes have in common.
            folder: Where it runs.

        Raises ``OSError`` when the system cannot start a process.
        """
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            self._parent = subprocess.Popen(  # noqa: S603 - our interpreter and bootstrap
                [*arguments, "warm", str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                # A pipe's end, so that its forks buffer their output as any process would.
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                pass_fds=(theirs.fileno(),),
                env=dict(environment),
                cwd=folder,
                start_new_session=True,
            )
        except OSError:
            ours.close()
            raise
        finally:
            theirs.close()
        ours.settimeout(0)
        self._socket = ours
        asyncio.get_running_loop().add_reader(ours, self.listen)

    @property
    def is_started(self) -> bool:
        """Whether ``start`` was called, whatever became of it."""
        return self._parent is not None

    def fork(self, command: Command, channel: int, output: int) -> ForkedChild:
        """Fork a process; a ``Start``, for a nursery that is ready."""
        if self._socket is None:
            raise ConnectionError("The warm parent is gone.")
        number = next(self._numbers)
        asked: dict[str, Json] = {
            "fork": number,
            "environment": dict(command.environment),
            "folder": str(command.folder),
        }
        socket.send_fds(self._socket, [json.dumps(asked).encode()], [channel, output])
        child = self._unborn[number] = ForkedChild(self._borrowed_mb, self)
        return child

    def reap(self, pid: int) -> None:
        """Let the parent forget a child whose end it told."""
        if self._socket is not None and pid:
            self._send({"reap": pid})

    async def stop(self) -> None:
        """End the parent; its children are ended before."""
        self._lose()
        parent = self._parent
        if parent is not None:
            # It ends by itself, when it has reaped its children.
            await asyncio.get_running_loop().run_in_executor(None, parent.wait)
            if parent.stdout is not None:
                parent.stdout.close()

    def _send(self, said: dict[str, Json]) -> None:
        assert self._socket is not None
        try:
            self._socket.send(json.dumps(said).encode())
        except OSError:
            self._lose()

    def listen(self) -> None:
        """Take in what the parent has told so far; never blocks."""
        while self._socket is not None:
            try:
                data = self._socket.recv(_FRAME_MAX_BYTES)
            except BlockingIOError:
                return
            except OSError:
                data = b""
            if not data:
                self._lose()
                self._on_lost()
                return
            self._told(json.loads(data))

    def _told(self, said: dict[str, Any]) -> None:
        if "ready" in said:
            self.tops = frozenset(said["ready"])
            self._borrowed_mb = said["heldBytes"] // _BYTES_PER_MB
            self.settled.set()
        elif "forked" in said:
            child = self._unborn.pop(said["forked"])
            self._children[said["pid"]] = child
            child.born(said["pid"])
        elif "ended" in said:
            self._children.pop(said["ended"]).ended(said["status"])

    def _lose(self) -> None:
        """Nothing is forked any more; nobody will tell how its children ended."""
        self.tops = None
        self.settled.set()
        if self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket)
            self._socket.close()
            self._socket = None
        for child in (*self._unborn.values(), *self._children.values()):
            child.kill_group()
            child.ended(_LOST)
        self._unborn.clear()
        self._children.clear()
