"""Memory, processor time and number of the processes below one, as /proc tells them (Linux)."""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
_AFTER_NAME = 2  # fields of stat are counted from the state, the third, on
_PARENT, _USER_TICKS, _SYSTEM_TICKS = 4, 14, 15
_KB = 1024


@dataclass(frozen=True, slots=True)
class Usage:
    """What a tree of processes uses."""

    memory_bytes: int
    cpu_seconds: float
    processes: int


class ProcessTree:
    """A process and all below it. ``proc`` is where the system's view of processes is mounted."""

    def __init__(self, pid: int, proc: Path = Path("/proc")) -> None:
        self.pid = pid
        self._proc = proc

    def usage(self) -> Usage:
        """Pages that several processes share count once where the system tells so (PSS)."""
        memory = cpu = 0.0
        processes = 0
        for pid in self.pids():
            try:
                spent = self._cpu_seconds(pid)
                memory += self._memory(pid)
            except (FileNotFoundError, ProcessLookupError):
                continue  # it ended meanwhile
            cpu += spent
            processes += 1
        return Usage(int(memory), cpu, processes)

    def cpu_seconds(self) -> float:
        """Processor time of all its processes so far; those that ended meanwhile have none."""
        spent = 0.0
        for pid in self.pids():
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                spent += self._cpu_seconds(pid)
        return spent

    def pids(self) -> list[int]:
        """The process itself and all below it."""
        children: dict[int, list[int]] = {}
        for pid, parent in self._parents():
            children.setdefault(parent, []).append(pid)
        found, waiting = [], [self.pid]
        while waiting:
            pid = waiting.pop()
            found.append(pid)
            waiting += children.get(pid, [])
        return found

    def own_memory(self) -> int:
        """Memory of the process alone, in bytes."""
        return self._memory(self.pid)

    def open_files(self) -> int:
        """File descriptors of the process itself."""
        return sum(1 for _ in (self._proc / str(self.pid) / "fd").iterdir())

    def _parents(self) -> Iterator[tuple[int, int]]:
        for folder in self._proc.iterdir():
            if folder.name.isdigit():
                try:
                    yield int(folder.name), int(self._stat(int(folder.name))[_PARENT - 3])
                except (FileNotFoundError, ProcessLookupError):
                    continue

    def _cpu_seconds(self, pid: int) -> float:
        stat = self._stat(pid)
        return (int(stat[_USER_TICKS - 3]) + int(stat[_SYSTEM_TICKS - 3])) / _TICKS_PER_SECOND

    def _stat(self, pid: int) -> list[str]:
        """Fields from the state on; a name may hold blanks and parentheses."""
        text = (self._proc / str(pid) / "stat").read_text()
        return text[text.rindex(")") + _AFTER_NAME :].split()

    def _memory(self, pid: int) -> int:
        folder = self._proc / str(pid)
        try:
            return _kilobytes(folder / "smaps_rollup", "Pss:")
        except (FileNotFoundError, PermissionError):
            return _kilobytes(folder / "status", "VmRSS:")


def is_alive(pid: int, proc: Path = Path("/proc")) -> bool:
    """Whether a process runs; one that has ended and was not reaped does not."""
    try:
        stat = (proc / str(pid) / "stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat[stat.rindex(")") + _AFTER_NAME] not in "ZX"


def _kilobytes(path: Path, name: str) -> int:
    for line in path.read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1]) * _KB
    return 0  # a process that has ended and was not reaped has none
