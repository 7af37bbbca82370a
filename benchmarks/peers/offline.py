"""serverless-offline on osls, from npm; with Python functions, and with Node.js in its process."""

import contextlib
import json
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks.peers.install import FOLDER, install
from benchmarks.processes import ROOT, free_port, server, wait_for_port
from benchmarks.targets import Target
from benchmarks.trees import ProcessTree

PYTHON, NODE = "serverless-offline, python", "serverless-offline, node"
_SOURCES = Path(__file__).parent / "offline"
_PINNED = json.loads((_SOURCES / "package.json").read_text())["dependencies"]
VERSION, FRAMEWORK_VERSION = _PINNED["serverless-offline"], _PINNED["osls"]
_FOLDER = FOLDER / f"offline-{VERSION}-{FRAMEWORK_VERSION}"
_DONE = _FOLDER / ".installed"


@contextlib.contextmanager
def serve(name: str, runtime: str) -> Iterator[Target]:
    """A fresh server.

    Its Python functions are processes that are kept, its Node.js ones threads of its own.
    """
    _install()
    ports = {"websocketPort": free_port(), "httpPort": free_port(), "lambdaPort": free_port()}
    options = [text for key, port in ports.items() for text in (f"--{key}", str(port))]
    command = ["node_modules/.bin/osls", "offline", *options, "--noPrependStageInUrl"]
    environ = {
        "RUNTIME": runtime,
        # It calls `python3` for every process: this interpreter, not a wrapper that looks for one.
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "SLS_TELEMETRY_DISABLED": "1",
        "SLS_NOTIFICATIONS_MODE": "off",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
    }
    log = FOLDER / f"{runtime}.log"
    with server(command, environ=environ, cwd=_FOLDER, log=log) as process:
        port = ports["websocketPort"]
        wait_for_port(port, process)
        base = f"localhost:{port}"
        yield Target(name, f"ws://{base}?token=bench", f"http://{base}", ProcessTree(process.pid))


def _install() -> None:
    _FOLDER.mkdir(parents=True, exist_ok=True)
    for source in (*_SOURCES.iterdir(), ROOT / "benchmarks" / "system" / "system.py"):
        shutil.copy(source, _FOLDER)
    if not _DONE.exists():
        options = ("--no-audit", "--no-fund", "--no-package-lock", "--legacy-peer-deps")
        install("serverless-offline", ["npm", "install", "--silent", *options], cwd=_FOLDER)
        _DONE.touch()
