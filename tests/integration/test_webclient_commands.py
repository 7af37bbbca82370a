"""``python -m webclient`` as people run it: real processes, real exit codes."""

import json
import os
import re
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import jwt
import pytest
from example_stack import TOKEN_KEY, ExampleStack, example_stack

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Commands:
    """The command line, pointed at a stack."""

    stack: ExampleStack
    state_dir: Path
    environ: dict[str, str]

    def run(
        self, *arguments: str, expect: int = 0, said: str = "", **environ: str
    ) -> "subprocess.CompletedProcess[str]":
        """Run one command to its end; ``said`` is its whole input."""
        done = subprocess.run(
            [sys.executable, "-m", "webclient", *arguments],
            cwd=ROOT,
            env={**self.environ, **environ},
            input=said,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == expect, done.stdout + done.stderr
        return done

    @property
    def noted(self) -> dict[str, object]:
        """What the state file says."""
        noted: dict[str, object] = json.loads((self.state_dir / "web.json").read_text())
        return noted

    def get(self, path: str) -> bytes:
        """GET from the running server."""
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"http://127.0.0.1:{self.noted['port']}{path}", timeout=10) as answer:
            data: bytes = answer.read()
            return data


@pytest.fixture
def commands(tmp_path: Path) -> Iterator[Commands]:
    """Commands against the example stack; whatever they start is stopped."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    with example_stack() as stack:
        made = Commands(
            stack=stack,
            state_dir=tmp_path / "state",
            environ={
                **kept,
                **stack.environ,
                "WEB_PORT": "0",
                "SOCKETSTACK_STATE_DIR": str(tmp_path / "state"),
            },
        )
        try:
            yield made
        finally:
            made.run("down")


def answers(port: int) -> bool:
    """Whether somebody listens on a port of this machine."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def is_alive(pid: object) -> bool:
    """Whether a process with this id runs, the dead that wait for their parent left out."""
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] != "Z"


def test_up_serves_the_page_and_prints_how_to_connect(commands: Commands) -> None:
    """When the command ends the page answers; the line it prints holds a good token."""
    printed = commands.run("up").stdout

    assert b"<title>Socketstack client</title>" in commands.get("/")
    assert f"http://localhost:{commands.noted['port']}" in printed
    assert "ws://localhost:4566/_aws/execute-api/abc123/dev" in printed
    token = printed.split("?token=")[1].split("'")[0]
    claims = jwt.decode(token, TOKEN_KEY, algorithms=["HS256"], audience="chat", issuer="me")
    assert claims["sub"] == "demo"
    assert "-m websockets 'ws://" in printed
    assert "npx wscat -c 'ws://" in printed


def test_up_again_replaces_the_server(commands: Commands) -> None:
    """Repeating leaves one server, which is the new one."""
    commands.run("up")
    first = commands.noted["pid"]

    commands.run("up")

    assert commands.noted["pid"] != first
    assert not is_alive(first)
    assert b"websocketUrl" in commands.get("/api/config")


def test_up_without_a_stack_leaves_the_server_of_before(commands: Commands) -> None:
    """A page that works is not taken away for one that cannot be served."""
    commands.run("up")
    first = commands.noted["pid"]

    commands.run("up", expect=2, STACK_NAME="other")

    assert commands.noted["pid"] == first
    assert b"websocketUrl" in commands.get("/api/config")


def test_token_that_up_prints_is_in_no_file(commands: Commands) -> None:
    """The server tells it through a pipe; its log stays free of it."""
    printed = commands.run("up").stdout
    token = printed.split("?token=")[1].split("'")[0]

    kept = b"".join(path.read_bytes() for path in commands.state_dir.iterdir())
    assert token.encode() not in kept


def test_up_that_is_not_wanted_leaves_all_as_it_was(commands: Commands) -> None:
    """The input ends without a line, as when a deployment fails: no word, and the old server."""
    commands.run("up")
    first = commands.noted["pid"]

    done = commands.run("up", "--after-line")

    assert done.stdout == done.stderr == ""
    assert commands.noted["pid"] == first
    assert b"websocketUrl" in commands.get("/api/config")


def test_up_looks_for_the_stack_after_a_line(commands: Commands) -> None:
    """Not before: the stack may be there only then."""
    done = commands.run("up", "--after-line", said="\n")

    assert f"http://localhost:{commands.noted['port']}" in done.stdout


def test_up_and_down_load_nothing_that_talks_to_aws() -> None:
    """They would wait for it as long as for all the rest."""
    look = "import sys, webclient.__main__; print(sorted({'aiohttp', 'boto3'} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", look], cwd=ROOT, capture_output=True, text=True, check=True
    )

    assert done.stdout == "[]\n"


def test_two_ups_at_once_leave_one_server(commands: Commands) -> None:
    """One waits for the other and replaces its server: none is left that nobody knows of."""
    with ThreadPoolExecutor() as threads:
        both = [each.result() for each in [threads.submit(commands.run, "up") for _ in range(2)]]

    printed = "".join(each.stdout for each in both)
    ports = {int(port) for port in re.findall(r"Page +http://localhost:(\d+)", printed)}
    assert len(ports) == 2
    assert [port for port in ports if answers(port)] == [commands.noted["port"]]


def test_where_tells_what_up_told(commands: Commands) -> None:
    """The page of a server that others started, with a token of its own; nothing is started."""
    printed = commands.run("where", WEB_PORT="8123").stdout

    assert "Page       http://localhost:8123" in printed
    assert "?token=" in printed
    assert not (commands.state_dir / "web.json").exists()


def test_down_stops_the_server_and_is_repeatable(commands: Commands) -> None:
    """After down nothing runs; a second down says so and is no failure."""
    commands.run("up")
    pid = commands.noted["pid"]

    first = commands.run("down").stdout
    second = commands.run("down").stdout

    assert not is_alive(pid)
    assert "stopped" in first
    assert "No web server" in second
    assert not (commands.state_dir / "web.json").exists()


def test_down_leaves_a_process_alone_that_is_not_ours(commands: Commands) -> None:
    """A process id that went to another program is not stopped."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        commands.state_dir.mkdir()
        note = {"pid": other.pid, "port": 1, "instance": "0" * 32}
        (commands.state_dir / "web.json").write_text(json.dumps(note))

        printed = commands.run("down").stdout
        is_untouched = other.poll() is None
        other.communicate(b"\n")

    assert is_untouched
    assert "No web server" in printed


@pytest.mark.parametrize("command", ["up", "serve"])
def test_taken_port_is_named_with_its_variable(commands: Commands, command: str) -> None:
    """The message says which port is taken and how to choose another; nothing is left running."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])

        done = commands.run(command, expect=2, WEB_PORT=port)

    assert f"Port {port}" in done.stderr
    assert "WEB_PORT" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (commands.state_dir / "web.json").exists()


@pytest.mark.parametrize("command", [["up"], ["serve"], ["token"], ["push", "--message", "x"]])
def test_missing_stack_is_explained(commands: Commands, command: list[str]) -> None:
    """Without a stack each command says so, and what to do."""
    done = commands.run(*command, expect=2, STACK_NAME="other")

    assert "'other'" in done.stderr
    assert "make local-up" in done.stderr
    assert "Traceback" not in done.stderr


def test_engine_that_is_not_running_is_explained(commands: Commands) -> None:
    """Without an engine the command says where it looked."""
    done = commands.run("up", expect=2, AWS_ENDPOINT_URL="http://localhost:9")

    assert "http://localhost:9 does not answer" in done.stderr
    assert "Traceback" not in done.stderr


def test_wrong_variable_is_named(commands: Commands) -> None:
    """A port that is no number is refused before anything is done."""
    done = commands.run("up", expect=2, WEB_PORT="eighty")

    assert "WEB_PORT is 'eighty'" in done.stderr


def test_token_is_printed_alone(commands: Commands) -> None:
    """The output is the token and nothing else, for use in scripts."""
    printed = commands.run("token", USER_ID="carol").stdout
    claims = jwt.decode(
        printed.strip(), TOKEN_KEY, algorithms=["HS256"], audience="chat", issuer="me"
    )

    assert claims["sub"] == "carol"
    assert claims["exp"] - claims["iat"] == 60


def test_expired_token_can_be_minted(commands: Commands) -> None:
    """For trying a refusal."""
    printed = commands.run("token", "--user", "carol", "--expires-in=-5").stdout

    with pytest.raises(jwt.ExpiredSignatureError):
        jwt.decode(printed.strip(), TOKEN_KEY, algorithms=["HS256"], audience="chat")


def test_push_prints_its_counts(commands: Commands) -> None:
    """The command needs no server: it goes to the management API itself."""
    commands.stack.connect("b1", "bob")

    printed = commands.run("push", MESSAGE="hi $(x) `y`", TO="user:bob").stdout

    assert printed == "sent 1, gone 0, failed 0\n"
    assert commands.stack.connections.posted == [("b1", b"hi $(x) `y`")]


def test_push_that_reaches_nobody_fails(commands: Commands) -> None:
    """Scripts can tell by the exit code."""
    printed = commands.run("push", "--to=user:nobody", "--message=hi", expect=1).stdout

    assert "sent 0" in printed


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [(["--to=everyone", "--message=x"], "user:NAME"), ([], "MESSAGE")],
)
def test_bad_push_is_explained(commands: Commands, arguments: list[str], reason: str) -> None:
    """Nothing is sent for a target that is none, or without a message."""
    done = commands.run("push", *arguments, expect=2)

    assert reason in done.stderr
    assert commands.stack.connections.calls == []
