"""The Makefile and its scripts, as far as they can be tried without setting anything up."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[2]
_MAKE = shutil.which("make") or ""
_TARGETS = [
    "help",
    "setup",
    "local-up",
    "local-down",
    "logs",
    "token",
    "ticket",
    "push",
    "kick",
    "doctor",
    "build",
    "fmt",
    "lint",
    "scan",
    "types",
    "test",
    "integration-test",
    "parity",
    "bench",
    "soak",
    "check",
    "aws-deploy",
    "aws-destroy",
    "aws-cost",
    "clean",
]

pytestmark = pytest.mark.skipif(not _MAKE, reason="make is not installed")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the Makefile, where ``scripts/run`` only tells what it was given."""
    shutil.copy(_ROOT / "Makefile", tmp_path)
    (tmp_path / "scripts").mkdir()
    run = tmp_path / "scripts" / "run"
    run.write_text('#!/bin/sh\nprintf "%s|" "$1" "$MESSAGE" "$TO" "$USER_ID" "$TARGET"\n')
    run.chmod(0o755)
    return tmp_path


def _make(folder: Path, *arguments: str, **environ: str) -> "subprocess.CompletedProcess[str]":
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in {"MAKEFLAGS", "MAKELEVEL", "MFLAGS", "TARGET", "TO", "MESSAGE", "USER_ID"}
    }
    return subprocess.run(
        [_MAKE, *arguments],
        cwd=folder,
        env={**kept, **environ},
        capture_output=True,
        text=True,
        check=False,
    )


_AWKWARD = """it's "5$HOME" $(shell id) `id` $$ # % \\ ; -- {a,b}"""


def test_message_arrives_as_it_was_typed(folder: Path) -> None:
    """Quotes, dollars, backticks and hashes in a message are read by nobody on the way."""
    done = _make(folder, "push", f"MESSAGE={_AWKWARD}", "TO=user:a b")

    assert done.stdout == f"push|{_AWKWARD}|user:a b|demo|embedded|"


def test_message_may_come_from_the_environment(folder: Path) -> None:
    """An exported variable does the same as one on the command line."""
    done = _make(folder, "push", MESSAGE=_AWKWARD)

    assert done.stdout == f"push|{_AWKWARD}|all|demo|embedded|"


@pytest.mark.parametrize(
    ("arguments", "environ", "target"),
    [
        pytest.param([], {}, "embedded", id="nothing-said"),
        pytest.param([], {"INTEGRATION_TARGET": "localstack"}, "localstack", id="dev-container"),
        pytest.param(
            ["TARGET=docker"], {"INTEGRATION_TARGET": "localstack"}, "docker", id="command-line"
        ),
        pytest.param(
            [], {"INTEGRATION_TARGET": "localstack", "TARGET": "docker"}, "docker", id="environment"
        ),
    ],
)
def test_integration_tests_have_a_default_target_of_their_own(
    folder: Path, arguments: list[str], environ: dict[str, str], target: str
) -> None:
    """The dev container chooses LocalStack for them; whoever names a TARGET gets that one."""
    done = _make(folder, "integration-test", *arguments, **environ)

    assert done.stdout == f"integration-test||all|demo|{target}|"


def test_default_target_of_integration_tests_is_that_of_no_other_command(folder: Path) -> None:
    """``make local-up`` stays with the embedded engine, in the dev container too."""
    done = _make(folder, "local-up", INTEGRATION_TARGET="localstack")

    assert done.stdout == "local-up||all|demo|embedded|"


def test_help_is_the_default_and_lists_every_target(folder: Path) -> None:
    """``make`` alone says what there is, one line each."""
    done = _make(folder)

    listed = re.findall(r"^\s+\S*?\x1b\[36m(\S+)\s*\x1b\[0m \S", done.stdout, re.MULTILINE)
    assert listed == _TARGETS


def test_targets_are_three_lines_or_fewer() -> None:
    """Longer work stands in a script."""
    text = (_ROOT / "Makefile").read_text()
    recipes = re.findall(r"^([a-z-]+):.*\n((?:\t.*\n)*)", text, re.MULTILINE)

    too_long = [name for name, recipe in recipes if recipe.count("\n") > 3]
    assert {name for name, _recipe in recipes} == set(_TARGETS)
    assert too_long == []


@pytest.mark.parametrize(
    ("command", "environ", "told"),
    [
        pytest.param(
            "local-up",
            {"TARGET": "localstack", "TEMPLATE": "mine.yaml"},
            "For mine.yaml leave TARGET=localstack out",
            id="own-template-on-localstack",
        ),
        pytest.param(
            "build", {"TARGET": "docker"}, "does not go with TARGET=docker", id="not-in-containers"
        ),
        pytest.param(
            "local-up",
            {"TARGET": "docker", "TEMPLATE": "mine.yaml"},
            "For mine.yaml leave TARGET=docker out",
            id="own-template-in-containers",
        ),
        pytest.param(
            "local-up",
            {"TARGET": "localstack", "LOCALSTACK_IMAGE": "localstack/localstack-pro"},
            "LOCALSTACK_AUTH_TOKEN is not set",
            id="licence-without-token",
        ),
        pytest.param("local-up", {"TARGET": "aws"}, "does not go with TARGET=aws", id="not-here"),
        pytest.param("logs", {"TARGET": "moon"}, "TARGET=moon is unknown", id="unknown"),
        pytest.param("push", {"MESSAGE": ""}, "say what to send", id="no-message"),
        pytest.param("kick", {}, "say whom: make kick KICK=user:NAME", id="kick-nobody"),
        pytest.param(
            "aws-cost", {"USAGE": "connections"}, "write NAME=NUMBER", id="cost-without-number"
        ),
        pytest.param("aws-deploy", {"IAC": "pulumi"}, "IAC=pulumi is unknown", id="other-iac"),
        pytest.param(
            "aws-destroy",
            {"IAC": "terraform", "TEMPLATE": "mine.yaml"},
            "no twin of mine.yaml",
            id="no-twin",
        ),
        pytest.param("nonsense", {}, "unknown command", id="unknown-command"),
        pytest.param(
            "parity",
            {"TARGET": "aws", "ENDPOINT": "http://localhost:1"},
            "ENDPOINT does not go with TARGET=aws",
            id="two-targets",
        ),
    ],
)
def test_what_cannot_be_done_is_one_line_and_code_2(
    tmp_path: Path, command: str, environ: dict[str, str], told: str
) -> None:
    """A wrong TARGET is refused before anything is set up."""
    script = _script(tmp_path, "run")

    done = subprocess.run(
        [script, command],
        env={"PATH": os.environ["PATH"], **environ},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert told in done.stderr
    assert not (tmp_path / ".venv").exists()


@pytest.fixture
def told(tmp_path: Path) -> Path:
    """A copy of ``scripts/run`` beside a Python that only tells how it was called."""
    script = Path(_script(tmp_path, "run"))
    binaries = tmp_path / ".venv" / "bin"
    binaries.mkdir(parents=True)
    python = 'echo "$*|$AWS_ENDPOINT_URL|$WEB_PORT"; [ "$2" != "$FAILS" ] || exit 2\n'
    python += '[ "$4" != --after-line ] || ! read -r line || echo "and then"'
    for file, text in {tmp_path / "scripts" / "venv": "true", binaries / "python": python}.items():
        file.write_text(f"#!/bin/sh\n{text}\n")
        file.chmod(0o755)
    return script


def _told(script: Path, command: str, **environ: str) -> tuple[int, list[str]]:
    kept = {"PATH": os.environ["PATH"], "TARGET": "docker"}
    done = subprocess.run(
        [script, command], env={**kept, **environ}, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout.splitlines()


@pytest.mark.parametrize(
    ("target", "backend"), [("docker", "engine"), ("localstack", "localstack")]
)
def test_target_in_containers_is_brought_up_and_told_where_it_is(
    told: Path, target: str, backend: str
) -> None:
    """The kit's own command, then the page's address; both with the ports that are meant."""
    code, lines = _told(told, "local-up", SOCKETSTACK_PORT="4600", TARGET=target)

    seen_by_both = "|http://localhost:4600|8080"
    up = f"-m socketstack compose up --backend {backend} --stack-name socketstack"
    assert code == 0
    assert lines == [up + seen_by_both, "-m webclient where" + seen_by_both]


def test_page_is_served_once_the_stack_stands(told: Path) -> None:
    """Its server is started beside the deployment, which gives it a line at the end."""
    code, lines = _told(told, "local-up", TARGET="embedded")

    assert code == 0
    up = "-m socketstack up --template infra/template.yaml --stack-name socketstack"
    page = "-m webclient up --after-line"
    assert sorted(lines[:2]) == [f"{each}|http://localhost:4566|" for each in (up, page)]
    assert lines[2:] == ["and then"]


def test_deployment_that_fails_gives_no_line_and_its_code(told: Path) -> None:
    """Nobody is told of a page, and make fails as the deployment did."""
    code, lines = _told(told, "local-up", TARGET="embedded", FAILS="socketstack")

    assert code == 2
    assert "and then" not in lines


def test_page_that_fails_gives_its_code(told: Path) -> None:
    """The stack stands; what the page's server lacks is what counts."""
    code, lines = _told(told, "local-up", TARGET="embedded", FAILS="webclient")

    assert code == 2
    assert "and then" not in lines


def test_template_of_ones_own_has_no_page(told: Path) -> None:
    """It is brought up alone."""
    code, lines = _told(told, "local-up", TARGET="embedded", TEMPLATE="mine.yaml")

    assert code == 0
    assert [line.split()[1] for line in lines] == ["socketstack"]


def test_localstack_runs_without_docker_in_the_dev_container(told: Path, tmp_path: Path) -> None:
    """Where there is no Docker, the dev container is the container that LocalStack runs in."""
    shutil.copytree(tmp_path / ".venv", tmp_path / ".venv-localstack")
    folder = tmp_path / "commands"
    folder.mkdir()
    for name in ("bash", "dirname"):
        (folder / name).symlink_to(str(shutil.which(name)))

    code, lines = _told(
        told, "local-up", TARGET="localstack", SOCKETSTACK_DEV_CONTAINER="1", PATH=str(folder)
    )

    assert code == 0
    assert min(lines).startswith("-m socketstack up --template infra/template.yaml ")


def test_target_docker_that_fails_tells_no_address(told: Path) -> None:
    """The exit code is the command's, and nothing else is asked."""
    code, lines = _told(told, "local-up", FAILS="socketstack")

    assert code == 2
    assert len(lines) == 1


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        pytest.param("local-down", "-m socketstack compose down --stack-name", id="local-down"),
        pytest.param("logs", "-m socketstack logs|", id="logs"),
        pytest.param("token", "-m webclient token --user=demo|", id="token"),
        pytest.param("ticket", "-m webclient ticket --user=demo|", id="ticket"),
    ],
)
def test_target_docker_is_reached_from_this_machine(
    told: Path, command: str, expected: str
) -> None:
    """Commands for a running system find the published port."""
    code, lines = _told(told, command)

    assert code == 0
    assert [line.startswith(expected) for line in lines] == [True]


@pytest.fixture
def parity(tmp_path: Path) -> Path:
    """A copy of ``scripts/run`` beside commands that only tell how they were called."""
    script = Path(_script(tmp_path, "run"))
    binaries = tmp_path / ".venv" / "bin"
    binaries.mkdir(parents=True)
    told = 'echo "pytest $PARITY_TARGET|$PARITY_ENDPOINT|${AWS_ENDPOINT_URL-none}|$*"'
    for file, text in {
        tmp_path / "scripts" / "venv": "true",
        binaries / "aws": 'echo "123456789012"',
        binaries / "pytest": told,
    }.items():
        file.write_text(f"#!/bin/sh\n{text}\n")
        file.chmod(0o755)
    return script


def _parity(script: Path, *arguments: str, **environ: str) -> "subprocess.CompletedProcess[str]":
    return _run_script(script, "parity", *arguments, **environ)


def _run_script(
    script: Path, *arguments: str, **environ: str
) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [script, *arguments],
        env={"PATH": os.environ["PATH"], "AWS_ENDPOINT_URL": "http://localhost:1", **environ},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def test_parity_on_aws_needs_an_agreement(parity: Path) -> None:
    """Without a terminal and without YES nothing is made; the account is named."""
    done = _parity(parity, TARGET="aws")

    assert done.returncode == 2
    assert "123456789012" in done.stderr
    assert "YES=1" in done.stderr
    assert done.stdout == ""


def test_parity_on_aws_goes_to_aws_once_agreed(parity: Path) -> None:
    """Agreed to, the suite runs with the caller's credentials, and on AWS itself by default."""
    done = _parity(parity, TARGET="aws", YES="1", AWS_ENDPOINT_URL="")

    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("pytest aws|||tests/parity ")


@pytest.mark.parametrize("command", ["parity", "integration-test"])
def test_stand_in_for_aws_is_called_one(parity: Path, command: str) -> None:
    """An endpoint in the environment is followed, and never passes for AWS."""
    near = _run_script(parity, command, TARGET="aws")
    far = _run_script(parity, command, TARGET="aws", AWS_ENDPOINT_URL="")

    assert "the AWS account 123456789012 at http://localhost:1" in near.stderr
    assert "this is NOT AWS" in near.stderr
    assert "the AWS account 123456789012" in far.stderr
    assert "NOT AWS" not in far.stderr
    assert near.stdout == far.stdout == ""


def test_integration_tests_on_aws_keep_to_the_tests_of_the_system(parity: Path) -> None:
    """Tests that bring up systems of their own stay out; a stack of Terraform's is refused."""
    done = _run_script(parity, "integration-test", "-k", "a or b", TARGET="aws", YES="1")
    refused = _run_script(parity, "integration-test", TARGET="aws", YES="1", STACK_OUTPUTS="x.json")

    assert done.returncode == 0, done.stderr
    assert "|tests/e2e -k a or b --ignore=tests/e2e/test_aws_deploy.py" in done.stdout
    assert "--ignore=tests/e2e/test_containers.py" in done.stdout
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "Unset STACK_OUTPUTS" in refused.stderr


@pytest.mark.parametrize(
    ("endpoint", "expected"),
    [
        pytest.param("", "pytest embedded||", id="own-engine"),
        pytest.param("http://h:1", "pytest endpoint|http://h:1|", id="endpoint"),
    ],
)
def test_parity_takes_an_endpoint_and_arguments(parity: Path, endpoint: str, expected: str) -> None:
    """Words in quotes stay one argument."""
    done = _parity(parity, "-k", "a or b", ENDPOINT=endpoint)

    assert done.stdout.startswith(expected)
    assert done.stdout.rstrip().endswith("--timeout=120 -k a or b")


@pytest.mark.parametrize("target", ["docker", "localstack"])
def test_parity_takes_the_containers_that_run(parity: Path, target: str) -> None:
    """With containers up their port is taken; without, the command that brings them up is named."""
    python = parity.parents[1] / ".venv" / "bin" / "python"
    python.write_text('#!/bin/sh\necho "$*" >&2; exit "$RUNNING"\n')
    python.chmod(0o755)

    up = _parity(parity, TARGET=target, SOCKETSTACK_PORT="4999", RUNNING="0")
    down = _parity(parity, TARGET=target, RUNNING="1")

    assert up.stdout.startswith("pytest endpoint|http://localhost:4999|")
    assert (down.returncode, down.stdout) == (2, "")
    assert f"make local-up TARGET={target} first" in down.stderr


def test_old_python_is_refused_with_the_way_out(tmp_path: Path) -> None:
    """The message names the interpreter and how to choose another; nothing is made."""
    script = _script(tmp_path, "venv")
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "constraints.txt").touch()
    old = tmp_path / "python3.9"
    old.write_text('#!/bin/sh\ncase $1 in --version) echo "Python 3.9.1";; *) exit 1;; esac\n')
    old.chmod(0o755)

    done = subprocess.run(
        [script, "dev"],
        env={"PATH": os.environ["PATH"], "PYTHON": str(old)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 2
    assert f"Python 3.11 or newer is needed; '{old}' is Python 3.9.1." in done.stderr
    assert "make PYTHON=" in done.stderr
    assert not (tmp_path / ".venv").exists()


def test_localstack_needs_a_newer_python(tmp_path: Path) -> None:
    """Python 3.12 gets one line with the way out, and no environment that would only fail."""
    script = _script(tmp_path, "venv")
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "constraints-localstack.txt").touch()
    old, newer = tmp_path / "python3.12", tmp_path / "bin" / "python3.13"
    old.write_text('#!/bin/sh\ncase $1 in --version) echo "Python 3.12.1";; *) exit 1;; esac\n')
    newer.parent.mkdir()
    newer.write_text("#!/bin/sh\nexit 1\n")  # one that does not start, as a shim without version
    for each in (old, newer):
        each.chmod(0o755)

    done = subprocess.run(
        [script, "localstack"],
        env={"PATH": f"{newer.parent}:{os.environ['PATH']}", "PYTHON": str(old)},
        capture_output=True,
        text=True,
        check=False,
    )

    told = (
        f"LocalStack needs Python 3.13 or newer; '{old}' is Python 3.12.1. Install one, or name it"
    )
    assert done.returncode == 2
    assert [line.startswith(told) for line in done.stderr.splitlines()] == [True]
    assert not (tmp_path / ".venv-localstack").exists()


def _script(folder: Path, name: str) -> str:
    """A copy of one of our scripts, at home in another folder."""
    (folder / "scripts").mkdir()
    return str(shutil.copy(_ROOT / "scripts" / name, folder / "scripts"))
