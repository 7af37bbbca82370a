"""The engine as a background process: found, started, spoken to and stopped.

``up`` keeps the process id in ``engine.json`` and the output in ``engine.log``, both in the
state folder. A process is only ever stopped when it is known to be the engine started here.
"""

import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from socketstack.errors import ConfigError
from socketstack.kit.waiting import poll
from socketstack.settings import Settings, environment

_HOST: Final = "localhost"
_START_SECONDS: Final = 60.0
_START_POLL_SECONDS: Final = 0.02
_STOP_POLL_SECONDS: Final = 0.02
_LOG_LINES: Final = 15
_HEALTH: Final = "/_socketstack/health"

_started: dict[int, "subprocess.Popen[bytes]"] = {}
"""Engines that this very process started: it is their parent and must reap them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """What an engine says of itself."""

    pid: int
    version: str


class EngineProcess:
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
        self.port = settings.port
        self._answer_seconds = answer_seconds
        self._grace_seconds = grace_seconds
        self.state_dir = settings.state_dir
        self.log = settings.state_dir / "engine.log"
        self._record = settings.state_dir / "engine.json"

    def health(self) -> Health | None:
        """What the engine says; None when nothing listens.

        Raises ``ConfigError`` when something else has the port.
        """
        try:
            status, body = self.request("GET", _HEALTH)
            told = json.loads(body)
            if status == http.client.OK and told["status"] == "ok":
                return Health(pid=int(told["pid"]), version=str(told["version"]))
        except ConnectionRefusedError:
            return None
        except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError):
            pass  # whatever it is, it is no engine
        message = (
            f"Port {self.port} is taken by another program. Stop it, or choose another port "
            "with SOCKETSTACK_PORT."
        )
        raise ConfigError(message)

    def start(self) -> None:
        """Start an engine in the background; ``wait`` tells when it can be used."""
        self.state_dir.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "socketstack", "start", "--port", str(self.port)]
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
        pid = self._recorded_pid()
        health = poll(
            lambda: self._started_health(pid),
            every_seconds=_START_POLL_SECONDS,
            timeout_seconds=_START_SECONDS,
        )
        if health is None:
            message = f"The engine is not ready after {_START_SECONDS:.0f} s.\n{self.log_end()}"
            raise ConfigError(message)
        return health

    def stop(self) -> int | None:
        """Stop the engine that ``start`` started; returns its pid, None when none runs.

        An engine that somebody else started is left alone, and so is any process that merely
        has the recorded number.
        """
        pid = self._recorded_pid()
        is_ours = pid is not None and _is_alive(pid) and self._is_engine(pid)
        if pid is not None and is_ours:
            _end(pid, self._grace_seconds)
        self._record.unlink(missing_ok=True)
        return pid if is_ours else None

    def request(
        self, method: str, path: str, body: object = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, bytes]:
        """One HTTP call: status and body. Raises what ``http.client`` raises."""
        with self._call(method, path, body, headers, timeout=self._answer_seconds) as response:
            # A completed upgrade has no end to read to.
            is_open = response.status == http.client.SWITCHING_PROTOCOLS
            return response.status, b"" if is_open else response.read()

    def lines(self, path: str) -> Iterator[bytes]:
        """The lines of a streamed answer, until the engine ends it."""
        with self._call("GET", path, timeout=None) as response:
            yield from response

    def log_end(self) -> str:
        """The last lines of the engine's log."""
        try:
            lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            return ""
        return "\n".join(["Its log ends with:", *lines[-_LOG_LINES:], f"({self.log})"])

    @contextmanager
    def _call(
        self,
        method: str,
        path: str,
        body: object = None,
        headers: Mapping[str, str] | None = None,
        *,
        timeout: float | None,
    ) -> Iterator[http.client.HTTPResponse]:
        connection = http.client.HTTPConnection(_HOST, self.port, timeout=timeout)
        try:
            data = None if body is None else json.dumps(body).encode()
            connection.request(method, path, body=data, headers=dict(headers or {}))
            with connection.getresponse() as response:
                yield response
        finally:
            connection.close()

    def _started_health(self, pid: int | None) -> Health | None:
        if pid is not None and not _is_alive(pid):
            message = f"The engine ended at once.\n{self.log_end()}"
            raise ConfigError(message)
        return self.health()

    def _recorded_pid(self) -> int | None:
        try:
            record: dict[str, Any] = json.loads(self._record.read_text())
            return int(record["pid"])
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def _is_engine(self, pid: int) -> bool:
        try:
            health = self.health()
        except ConfigError:
            health = None
        if health is not None and health.pid == pid:
            return True
        # It does not answer (any more): then its command line must say what it is.
        return "-m socketstack start" in _command_line(pid)


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
