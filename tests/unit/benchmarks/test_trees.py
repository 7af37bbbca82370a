import os
import subprocess
from pathlib import Path

from benchmarks.trees import ProcessTree, Usage, is_alive

_TICKS = os.sysconf("SC_CLK_TCK")


def test_process_is_alive_until_it_ends() -> None:
    """One that has ended and waits to be reaped is not alive, although the system lists it."""
    child = subprocess.Popen(["sleep", "600"])
    assert is_alive(child.pid)
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert not is_alive(child.pid)
    child.wait()
    assert not is_alive(child.pid)


def _process(proc: Path, pid: int, parent: int, *, name: str = "python", pss: int | None) -> None:
    """A process as /proc shows it; without ``pss`` as one whose shared pages nobody tells."""
    folder = proc / str(pid)
    folder.mkdir()
    fields = ["S", str(parent), *["0"] * 9, str(2 * _TICKS), str(_TICKS), *["0"] * 30]
    (folder / "stat").write_text(f"{pid} ({name}) {' '.join(fields)}\n")
    (folder / "status").write_text("Name:\tpython\nVmRSS:\t    500 kB\n")
    if pss is not None:
        (folder / "smaps_rollup").write_text(f"Rss:    900 kB\nPss:    {pss} kB\nPss_Dirty: 1 kB\n")


def test_usage_counts_the_whole_tree(tmp_path: Path) -> None:
    """Children and theirs count, siblings do not, whatever a process calls itself."""
    _process(tmp_path, 10, 1, pss=100)
    _process(tmp_path, 11, 10, name="a (b) c", pss=20)
    _process(tmp_path, 12, 11, pss=3)
    _process(tmp_path, 13, 1, pss=7_000)
    (tmp_path / "meminfo").write_text("no process")

    usage = ProcessTree(10, tmp_path).usage()

    assert usage == Usage(memory_bytes=123 * 1024, cpu_seconds=9.0, processes=3)


def test_usage_falls_back_to_resident_memory(tmp_path: Path) -> None:
    """Where shared pages are not told, resident ones are better than none."""
    _process(tmp_path, 10, 1, pss=None)
    assert ProcessTree(10, tmp_path).usage().memory_bytes == 500 * 1024


def test_process_that_has_ended_counts_nothing(tmp_path: Path) -> None:
    """A tree whose root is gone is empty, not an error: it may end while one looks."""
    assert ProcessTree(10, tmp_path).usage() == Usage(0, 0.0, 0)


def test_own_tree_is_read_from_the_system() -> None:
    """The real /proc has at least this process, with memory and open files."""
    tree = ProcessTree(os.getpid())
    usage = tree.usage()
    assert os.getpid() in tree.pids()
    assert usage.memory_bytes > 1024 * 1024
    assert tree.open_files() >= 3


def test_processor_time_is_that_of_the_whole_tree(tmp_path: Path) -> None:
    """The same as in ``usage``, without a look at memory."""
    _process(tmp_path, 10, 1, pss=100)
    _process(tmp_path, 11, 10, pss=20)
    tree = ProcessTree(10, tmp_path)
    assert tree.cpu_seconds() == tree.usage().cpu_seconds == 6.0
    assert ProcessTree(99, tmp_path).cpu_seconds() == 0.0
