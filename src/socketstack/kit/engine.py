"""The engine as a background process: found, started and stopped.

``up`` keeps the process id in ``engine.json`` and the output in ``engine.log``, both in the
state folder. An engine belongs to the state folder that its command line names: only such a
process is ever stopped, whatever the note or somebody's health say (an engine in a container
tells the number that it has in there).
"""

import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

from socketstack.errors import ConfigError
from socketstack.kit.client import (
    HEALTH,
    EngineClient,
    Health,
    is_absent,
    is_starting,
    parse_health,
)
from socketstack.kit.waiting import poll
from socketstack.settings import Settings, environment

_HOST: Final = "localhost"
_START_SECONDS: Final = 60.0
_START_POLL_SECONDS: Final = 0.02
_STOP_POLL_SECONDS: Final = 0.02
_LOG_LINES: Final = 15
_START: Final = ("-m", "socketstack", "start")

_started: dict[int, "subprocess.Popen[bytes]"] = {}
"""Engines that this very process started: it is their parent and must reap them."""


class EngineProcess(EngineClient):
    """The engine at the settings' port.

    ``answer_seconds`` is how long it may take to answer, ``grace_seconds`` how long to end
    before it is killed.
    """

    def __init__(
        self, settings: Settings, *, answer_seconds: float = 5.0, grace_seconds: float = 10.0
    ) -> None:
        if settings.port == 0:
            message = "SOCKETSTACK_PORT is 0: give the background engine a port of its own."
            raise ConfigError(message)
        super().__init__(_HOST, settings.port, answer_seconds=answer_seconds)
        self._grace_seconds = grace_seconds
        self.state_dir = settings.state_dir
        self.log = settings.state_dir / "engine.log"
        self._record = settings.state_dir / "engine.json"

    def health(self) -> Health | None:
        """What the engine says; None when nothing listens, or it is not ready yet.

        Raises ``ConfigError`` when something else has the port.
        """
        try:
            status, body = self.request("GET", HEALTH)
            if is_starting(status, body):
                return None
            health = parse_health(status, body)
        except (OSError, http.client.HTTPException) as error:
            if isinstance(error, OSError) and is_absent(error):
                return None
            health = None  # whatever it is, it is no engine
        if health is not None:
            return health
        message = (
            f"Port {self.port} is taken by another program. Stop it, or choose another port "
            "with SOCKETSTACK_PORT."
        )
        raise ConfigError(message)

    def start(self) -> None:
        """Start an engine in the background; ``wait`` tells when it can be used.

        One that an interrupted ``up`` started is on its way already. The caller holds the state
        folder's lock, so that nobody else's note is written over. Raises ``ConfigError`` when
        the folder has an engine on another port.
        """
        pid, port = self._recorded()
        if pid is not None and self._is_ours(pid):
            if port == self.port:
                return
            message = (
                f"The engine of {self.state_dir} runs on port {port}. Stop it with "
                "`make local-down`, or give this one a SOCKETSTACK_STATE_DIR of its own."
            )
            raise ConfigError(message)
        self.state_dir.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, *_START, "--port", str(self.port), *self._mark]
        with self.log.open("wb") as log:
            process = subprocess.Popen(  # noqa: S603 - our own interpreter, no shell
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment(),
                start_new_session=True,
            )
        _started[process.pid] = process
        self._record.write_text(json.dumps({"pid": process.pid, "port": self.port}))

    def wait(self) -> Health:
        """Wait until the engine that ``start`` started is healthy.

        Raises ``ConfigError`` with the end of its log when it ends or does not get there.
        """
        pid, _port = self._recorded()
        health = poll(
            lambda: self._started_health(pid),
            every_seconds=_START_POLL_SECONDS,
            timeout_seconds=_START_SECONDS,
        )
        if health is None:
            message = f"The engine is not ready after {_START_SECONDS:.0f} s.\n{self.log_end()}"
            raise ConfigError(message)
        if pid is not None and health.pid != pid:
            # Another folder's engine had the port first: that one is used, and stays theirs.
            _end(pid, self._grace_seconds)
            self._record.unlink(missing_ok=True)
        return health

    def stop(self) -> int | None:
        """Stop the engine that ``start`` started; returns its pid, None when none runs.

        It is found by its note or, where that is lost, by its port. An engine that somebody
        else started is left alone, and so is any process that merely has the noted number.
        """
        pid, _port = self._recorded()
        if pid is None or not self._is_ours(pid):
            pid = self._told_pid()
        is_ours = pid is not None and self._is_ours(pid)
        if pid is not None and is_ours:
            _end(pid, self._grace_seconds)
        self._record.unlink(missing_ok=True)
        return pid if is_ours else None

    def log_end(self) -> str:
        """The last lines of the engine's log."""
        try:
            lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            return ""
        return "\n".join(["Its log ends with:", *lines[-_LOG_LINES:], f"({self.log})"])

    def _started_health(self, pid: int | None) -> Health | None:
        if pid is not None and not _is_alive(pid):
            message = f"The engine ended at once.\n{self.log_end()}"
            raise ConfigError(message)
        return self.health()

    @property
    def _mark(self) -> tuple[str, str]:
        """What an engine's command line says when it belongs to this state folder."""
        return "--state-dir", str(self.state_dir.resolve())

    def _recorded(self) -> tuple[int | None, int | None]:
        """Process id and port of the note; None, None without a readable one."""
        try:
            record: dict[str, Any] = json.loads(self._record.read_text())
            return int(record["pid"]), int(record["port"])
        except (OSError, ValueError, KeyError, TypeError):
            return None, None

    def _told_pid(self) -> int | None:
        try:
            health = self.health()
        except ConfigError:
            return None
        return None if health is None else health.pid

    def _is_ours(self, pid: int) -> bool:
        if not _is_alive(pid):
            return False
        words = _command_line(pid) + " "
        return f" {' '.join(_START)} " in words and f" {' '.join(self._mark)} " in words


def _end(pid: int, grace_seconds: float) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            return
        ended = poll(
            lambda: None if _is_alive(pid) else True,
            every_seconds=_STOP_POLL_SECONDS,
            timeout_seconds=grace_seconds,
        )
        if ended:
            return


def _is_alive(pid: int) -> bool:
    child = _started.get(pid)
    if child is not None:
        if child.poll() is None:
            return True
        del _started[pid]
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _command_line(pid: int) -> str:
    known = Path(f"/proc/{pid}/cmdline")
    if known.is_file():
        return known.read_bytes().replace(b"\0", b" ").decode(errors="replace")
    ps = shutil.which("ps")
    if ps is None:
        return ""
    done = subprocess.run(  # noqa: S603 - a system command with a number
        [ps, "-ww", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return done.stdout
