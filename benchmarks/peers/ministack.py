"""MiniStack, from PyPI in an environment of its own."""

import contextlib
import sys
from collections.abc import Iterator

import botocore.exceptions

from benchmarks.deployment import Deployment
from benchmarks.peers.install import FOLDER, install
from benchmarks.processes import BenchError, free_port, server, wait_for
from benchmarks.targets import Target
from benchmarks.trees import ProcessTree

NAME = "MiniStack"
VERSION = "1.5.33"
_FOLDER = FOLDER / f"ministack-{VERSION}"
_DONE = _FOLDER / ".installed"


@contextlib.contextmanager
def serve() -> Iterator[Target]:
    """A fresh MiniStack with the system deployed as on any endpoint."""
    _install()
    port = free_port()
    environ = {"GATEWAY_PORT": str(port), "MINISTACK_HOST": "localhost"}
    command = [str(_FOLDER / "bin" / "ministack")]
    log = FOLDER / "ministack.log"
    with server(command, environ=environ, cwd=FOLDER, log=log) as process:
        wait_for(f"http://127.0.0.1:{port}/_localstack/health", process)
        try:
            made = Deployment(f"http://localhost:{port}", has_paths=False).make()
        except botocore.exceptions.ClientError as error:
            raise BenchError(f"the system cannot be deployed: {error}") from error
        yield Target(NAME, made.url, made.callback_url, ProcessTree(process.pid))


def _install() -> None:
    if not _DONE.exists():
        FOLDER.mkdir(parents=True, exist_ok=True)
        install(
            NAME,
            [sys.executable, "-m", "venv", _FOLDER],
            [_FOLDER / "bin" / "pip", "install", "--quiet", f"ministack=={VERSION}"],
            cwd=FOLDER,
        )
        _DONE.touch()
