import subprocess
from pathlib import Path

import pytest

from socketstack.errors import FunctionUnavailable
from socketstack.runner.runtime import link_distributions, make_python_folder, make_runtime_folder


def test_runtime_folder_has_what_lambda_brings_and_no_more(tmp_path: Path) -> None:
    """The runtime holds awslambdaric and boto3 with their requirements, and nothing else."""
    make_runtime_folder(tmp_path / "runtime")

    names = {path.name.split(".")[0] for path in (tmp_path / "runtime").iterdir()}
    modules = {name for name in names if "-" not in name}
    assert modules == {
        "awslambdaric",
        "bootstrap",
        "boto3",
        "botocore",
        "dateutil",
        "jmespath",
        "runtime_client",
        "s3transfer",
        "simplejson",
        "six",
        "snapshot_restore_py",
        "urllib3",
    }


def test_links_lead_to_files_that_exist(tmp_path: Path) -> None:
    """Every link of the runtime folder has a target."""
    make_runtime_folder(tmp_path / "runtime")

    assert all(path.exists() for path in (tmp_path / "runtime").iterdir())


def test_missing_distribution_is_named(tmp_path: Path) -> None:
    """A distribution that is not installed is refused by its name."""
    with pytest.raises(FunctionUnavailable, match="socketstack-never-made"):
        link_distributions(tmp_path, ["socketstack-never-made"])

    assert list(tmp_path.iterdir()) == []


def test_interpreter_of_the_folder_has_nothing_installed(tmp_path: Path) -> None:
    """The folder's Python runs and finds no package of the engine, not even with site."""
    make_python_folder(tmp_path / "python")
    script = """if True:
        from importlib.util import find_spec
        print([find_spec(name) is not None for name in ("json", "boto3", "pip")])
    """

    done = subprocess.run(
        [tmp_path / "python" / "bin" / "python3", "-c", script],
        capture_output=True,
        text=True,
        env={},
        check=True,
    )

    assert done.stdout.strip() == "[True, False, False]"
