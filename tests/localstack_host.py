"""LocalStack without Docker, for tests: its environment, and one of it in the background."""

import json
import os
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import ProxyHandler, Request, build_opener

import boto3
import pytest
from botocore.config import Config

from socketstack.kit.waiting import poll

_ROOT = Path(__file__).parents[1]
_VENV = Path(os.environ.get("VENV_LOCALSTACK", _ROOT / ".venv-localstack"))
_READY_SECONDS = 120.0
_STOP_SECONDS = 60.0


def localstack_python() -> str:
    """The interpreter of the environment with LocalStack; skips where there is none."""
    python = _VENV / "bin" / "python"
    if not python.exists():
        pytest.skip(f"there is no {_VENV}: scripts/venv localstack makes it")
    return str(python)


def environment(folder: Path, **given: str) -> dict[str, str]:
    """Variables for a LocalStack, without any that would lead to AWS or to another one."""
    dropped = ("AWS_", "SOCKETSTACK_", "LOCALSTACK_", "GATEWAY_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
    return {**kept, "TMPDIR": str(folder), "AWS_CA_BUNDLE": "/nowhere.pem", **given}


@dataclass(eq=False)
class LocalStackHost:
    """A LocalStack process, its log and its addresses."""

    process: "subprocess.Popen[bytes]"
    port: int
    log: Path

    @property
    def endpoint(self) -> str:
        """Where AWS clients find it."""
        return f"http://localhost:{self.port}"

    def client(self, service: str, **options: Any) -> Any:
        """A boto3 client, without retries."""
        known = {"endpoint_url": self.endpoint, "region_name": "us-east-1", **options}
        return boto3.client(  # type: ignore[call-overload]
            service,
            aws_access_key_id="test",
            aws_secret_access_key="test",
            config=Config(retries={"total_max_attempts": 1}, proxies={}),
            **known,
        )

    def get(self, path: str, **headers: str) -> tuple[int, bytes]:
        """One plain request: status and body."""
        request = Request(self.endpoint + path, headers=headers)
        try:
            with build_opener(ProxyHandler({})).open(request, timeout=30) as answer:
                return int(answer.status), answer.read()
        except HTTPError as refused:
            with refused:
                return refused.code, refused.read()

    def wait_ready(self) -> None:
        """Wait until it calls itself healthy."""
        ready = poll(self._is_ready, every_seconds=0.1, timeout_seconds=_READY_SECONDS)
        assert ready, self.log.read_text()

    def _is_ready(self) -> bool | None:
        assert self.process.poll() is None, self.log.read_text()
        try:
            status, body = self.get("/_socketstack/health")
        except OSError:
            return None
        return True if status == 200 and json.loads(body)["status"] == "ok" else None


@contextmanager
def started(
    folder: Path, port: int, *arguments: str, environ: Mapping[str, str]
) -> Iterator[LocalStackHost]:
    """Run a Python module of LocalStack's environment, and stop it by a signal."""
    log = folder / "log.txt"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [localstack_python(), "-m", *arguments],
            env=environ,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        yield LocalStackHost(process=process, port=port, log=log)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise


@contextmanager
def localstack_on(folder: Path, port: int) -> Iterator[LocalStackHost]:
    """A LocalStack with our server, as ``socketstack start`` runs it; leaves nothing behind."""
    arguments = ("socketstack", "start", "--port", str(port), "--state-dir", str(folder))
    with started(folder, port, *arguments, environ=environment(folder)) as host:
        host.wait_ready()
        yield host
    assert host.process.returncode == 0
    left = [path.name for path in folder.iterdir() if path.name != "log.txt"]
    assert left == []  # all of its files went with it
