"""``up`` and ``down``: the server as a background process, known by its state file.

A process is ours when its command line holds the instance id of the state file; a process id
alone can have gone to somebody else's program.
"""

import contextlib
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from webclient.errors import ConfigError
from webclient.output import say
from webclient.settings import Settings, process_environment

_START_SECONDS: Final = 30.0
_STOP_SECONDS: Final = 5.0
_POLL_SECONDS: Final = 0.05
_SHOWN_LINES: Final = 15
_CONFIG_ERROR_CODE: Final = 2
_ROOT: Final = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A server that runs in the background."""

    pid: int
    port: int
    instance: str


def up(settings: Settings, *, is_wanted: Callable[[], bool] = lambda: True) -> str:
    """Start the server, in place of an earlier one, and wait until its port is open.

    Waits for another ``up`` of the same state folder.

    Args:
        settings: Which stack, and the port.
        is_wanted: Called while the server loads what it needs, and may wait: until there is a
            stack. The server looks for it after a yes, and ends after a no.

    Returns what the server tells about itself: lines for people; nothing after a no.

    Raises ``ConfigError`` with the server's own message when it does not come up; where that is
    for want of a stack, an earlier server goes on.
    """
    settings.state_dir.mkdir(parents=True, exist_ok=True)
    with (settings.state_dir / "web.lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        log = settings.state_dir / "web.log"
        process = _start(settings, log)
        if not _go(process, is_wanted):
            return ""
        return _told(process, log)


def _start(settings: Settings, log: Path) -> "subprocess.Popen[bytes]":
    log.unlink(missing_ok=True)  # an earlier server still writes to its own
    with log.open("wb") as output:
        return subprocess.Popen(  # noqa: S603 - our own interpreter and module, no shell
            [sys.executable, "-m", "webclient", "serve", "--instance", uuid.uuid4().hex],
            cwd=_ROOT,
            env={
                **process_environment(),
                "SOCKETSTACK_STATE_DIR": str(settings.state_dir.resolve()),
            },
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=output,
            start_new_session=True,
        )


def _go(process: "subprocess.Popen[bytes]", is_wanted: Callable[[], bool]) -> bool:
    """Answer the server's ``may_go``; when we end without an answer, it is a no."""
    assert process.stdin is not None
    with contextlib.suppress(BrokenPipeError), process.stdin as answer:  # it may have ended
        if is_wanted():
            answer.write(b"\n")
            return True
    process.wait()
    return False


def _told(process: "subprocess.Popen[bytes]", log: Path) -> str:
    """What the server says with ``tell``. Raises ``ConfigError`` when it ends without a word."""
    overdue = threading.Timer(_START_SECONDS, process.kill)
    overdue.start()
    try:
        assert process.stdout is not None
        with process.stdout as told:
            text = told.read().decode()
    finally:
        overdue.cancel()
    if text:
        return text.rstrip()
    code = process.wait()
    if code == -signal.SIGKILL:
        raise ConfigError(
            f"The web server did not answer within {_START_SECONDS:.0f} s. See {log}.\n{_tail(log)}"
        )
    raise ConfigError(_did_not_start(code, log))


def may_go() -> bool:
    """In the server: wait until ``up`` says whether to look for the stack."""
    return bool(sys.stdin.readline())


def tell(text: str) -> None:
    """In the server: say to ``up`` that the port is open, and these lines."""
    say(text)
    # The other end waits until this one is closed.
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())


def note(settings: Settings, *, port: int, instance: str) -> None:
    """In the server: write the state file, whole or not at all."""
    pid = os.getpid()
    unfinished = state_file(settings).with_suffix(f".{pid}")
    unfinished.write_text(json.dumps({"pid": pid, "port": port, "instance": instance}))
    unfinished.replace(state_file(settings))


def down(settings: Settings) -> bool:
    """Stop the server; False when none of ours was running."""
    path = state_file(settings)
    running = read_state(path)
    is_ours = running is not None and _is_ours(running)
    if running is not None and is_ours:
        _stop(running)
    path.unlink(missing_ok=True)
    return is_ours


def state_file(settings: Settings) -> Path:
    """Where the running server notes its process id and port."""
    return settings.state_dir / "web.json"


def read_state(path: Path) -> Running | None:
    """The noted server, whether or not it still runs; None without a readable note."""
    try:
        noted = json.loads(path.read_text())
        return Running(
            pid=int(noted["pid"]), port=int(noted["port"]), instance=str(noted["instance"])
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _did_not_start(code: int, log: Path) -> str:
    tail = _tail(log)
    if code == _CONFIG_ERROR_CODE and tail:  # its own message says all
        return tail
    return f"The web server stopped with code {code}. Its log is {log}:\n{tail}"


def _stop(running: Running) -> None:
    _signal(running, signal.SIGTERM)
    deadline = time.monotonic() + _STOP_SECONDS
    while _is_ours(running):
        if time.monotonic() >= deadline:
            _signal(running, signal.SIGKILL)
            deadline += _STOP_SECONDS
        time.sleep(_POLL_SECONDS)


def _signal(running: Running, number: signal.Signals) -> None:
    try:
        os.kill(running.pid, number)
    except ProcessLookupError:
        return


def _is_ours(running: Running) -> bool:
    return bool(running.instance) and running.instance in _command_line(running.pid)


def _command_line(pid: int) -> str:
    """The command line of a process; empty when it is gone or already dead."""
    proc = Path("/proc")
    if (proc / "self").exists():
        try:
            return (proc / str(pid) / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except (OSError, UnicodeDecodeError):
            return ""
    ps = shutil.which("ps") or "/bin/ps"
    done = subprocess.run(  # noqa: S603 - a fixed command with a number
        [ps, "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return done.stdout


def _tail(log: Path) -> str:
    try:
        lines = log.read_text(errors="replace").strip().splitlines()
    except OSError:
        return ""
    return "\n".join(lines[-_SHOWN_LINES:])
