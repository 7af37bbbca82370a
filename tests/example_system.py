"""A copy of the example system, run by the kit's own commands."""

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import boto3
from botocore.config import Config

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class System:
    """A running copy of the example: ``folder`` has its sources, free to be changed."""

    folder: Path
    environ: dict[str, str]
    stack_name: str = "socketstack"
    python: str = sys.executable
    """The interpreter that has the engine; another one than ours for LocalStack."""

    @property
    def endpoint_url(self) -> str:
        """Where AWS clients find the engine."""
        return f"http://localhost:{self.environ['SOCKETSTACK_PORT']}"

    @property
    def web_url(self) -> str:
        """Where the page is."""
        return f"http://localhost:{self.environ['WEB_PORT']}"

    @property
    def outputs(self) -> dict[str, str]:
        """The stack's outputs."""
        state = Path(self.environ["SOCKETSTACK_STATE_DIR"]) / "outputs.json"
        outputs: dict[str, str] = json.loads(state.read_text())["outputs"]
        return outputs

    @property
    def websocket_url(self) -> str:
        """Where clients connect."""
        return self.outputs["WebSocketUrl"]

    @property
    def connections_url(self) -> str:
        """Where connections are posted to: the socket's address, by HTTP."""
        return "http" + self.websocket_url.removeprefix("ws")

    @property
    def is_deployed(self) -> bool:
        """Whether it is a stack that others deployed (``TARGET=aws``), and not made here."""
        return False

    @property
    def proxy(self) -> Literal[True] | None:
        """What the websockets client is told: the machine's proxy, or none, as nothing is far."""
        return None

    @property
    def web_headers(self) -> Mapping[str, str]:
        """What the page's server wants with a push; nothing locally."""
        return {}

    @property
    def doctor_arguments(self) -> tuple[str, ...]:
        """How the doctor finds the system."""
        return ()

    @property
    def parameters(self) -> dict[str, str]:
        """The stack's parameters, as they are now."""
        answer = self.client("cloudformation").describe_stacks(StackName=self.stack_name)
        given = answer["Stacks"][0].get("Parameters", [])
        return {each["ParameterKey"]: each["ParameterValue"] for each in given}

    @contextmanager
    def changed(self, **parameters: str) -> Iterator[None]:
        """Other parameters while the context is open; then those that were there before."""
        now = self.parameters
        before = {name: now[name] for name in parameters}
        try:
            self.update(**parameters)
            yield
        finally:
            self.update(**before)

    def run(
        self, *arguments: str, expect: int | None = 0, seconds: float = 110, **environ: str
    ) -> "subprocess.CompletedProcess[str]":
        """Run a Python module's command line in the copy."""
        done = subprocess.run(
            [self.python, "-m", *arguments],
            cwd=self.folder,
            env={**self.environ, **environ},
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
        assert expect is None or done.returncode == expect, done.stdout + done.stderr
        return done

    def up(self) -> str:
        """Bring the system up; returns what was printed."""
        template = str(self.folder / "infra" / "template.yaml")
        printed = self.run("socketstack", "up", "--template", template).stdout
        return printed + self.run("webclient", "up").stdout

    def renew_page(self) -> None:
        """Have the page's server look at the stack again."""
        self.run("webclient", "up")

    def update(self, **parameters: str) -> None:
        """Deploy again with other parameters."""
        template = str(self.folder / "infra" / "template.yaml")
        given = [f"--parameter={name}={value}" for name, value in parameters.items()]
        self.run("socketstack", "up", "--template", template, *given)

    def down(self) -> None:
        """Stop everything."""
        self.run("webclient", "down")
        self.run("socketstack", "down")

    def token(self, user_id: str = "alice") -> str:
        """A minted token, by the kit's own command."""
        return self.run("webclient", "token", USER_ID=user_id).stdout.strip()

    def client(self, service: str, **options: Any) -> Any:
        """A boto3 client of the engine."""
        return boto3.client(  # type: ignore[call-overload]
            service,
            endpoint_url=options.pop("endpoint_url", self.endpoint_url),
            region_name="us-east-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",
            config=Config(retries={"total_max_attempts": 1}, proxies={}),
            **options,
        )


def free_port() -> int:
    """A port that nothing uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def copy_example(folder: Path) -> None:
    """The example's sources, as a clone would have them."""
    for name in ("functions", "infra", "webclient"):
        shutil.copytree(
            ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", ".terraform*")
        )
    shutil.copy(ROOT / "constraints.txt", folder)


def system_in(folder: Path) -> System:
    """An example system in a folder of its own, on ports of its own, not started."""
    copy_example(folder)
    port = free_port()
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "SOCKETSTACK_"))}
    return System(
        folder=folder,
        environ={
            **kept,
            "SOCKETSTACK_PORT": str(port),
            "WEB_PORT": str(free_port()),
            "SOCKETSTACK_STATE_DIR": str(folder / ".socketstack"),
            "AWS_ENDPOINT_URL": f"http://localhost:{port}",
        },
    )
