"""Which functions may be forked, by what they bring: every doubt is a fresh process."""

from pathlib import Path

import pytest

from socketstack.runner.live import Roots
from socketstack.runner.warmth import look

TOPS = frozenset({"boto3", "botocore", "ssl", "urllib3"})


def obstacle(tmp_path: Path, files: tuple[str, ...], variables: tuple[str, ...] = ()) -> str:
    """Why a function with these files and variables needs a fresh process."""
    roots = Roots(task=tmp_path / "task", layers=tmp_path / "opt")
    for name in ("task/handler.py", *files):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    return look(roots, dict.fromkeys(variables, "x"), (3, 13)).against(TOPS)


@pytest.mark.parametrize(
    "files",
    [
        pytest.param((), id="handler-alone"),
        pytest.param(("task/requests/__init__.py", "task/data.json"), id="other-library"),
        pytest.param(("task/vendor/boto3/__init__.py",), id="boto3-elsewhere"),
        pytest.param(("opt/python/push/__init__.py",), id="layer"),
        pytest.param(("opt/python/lib/python3.12/site-packages/ssl.py",), id="other-python"),
    ],
)
def test_function_that_brings_nothing_of_these_may_be_forked(
    tmp_path: Path, files: tuple[str, ...]
) -> None:
    """What the parent has loaded is what the function would have loaded."""
    assert obstacle(tmp_path, files, ("TABLE", "AWS_STS_REGIONAL_ENDPOINTS")) == ""


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        pytest.param(("task/boto3/__init__.py",), "boto3", id="own-boto3"),
        pytest.param(("task/ssl.py",), "ssl", id="own-module-of-the-library"),
        pytest.param(("task/urllib3.cpython-313-x86_64-linux-gnu.so",), "urllib3", id="compiled"),
        pytest.param(("opt/python/botocore/__init__.py",), "botocore", id="in-a-layer"),
        pytest.param(
            ("opt/python/lib/python3.13/site-packages/boto3/__init__.py",), "boto3", id="site"
        ),
        pytest.param(("task/vendored.pth",), "vendored.pth", id="pth"),
        pytest.param(("task/libmagic.so.1",), "libmagic.so.1", id="library"),
        pytest.param(("task/lib/libpq.so",), "libpq.so", id="library-folder"),
        pytest.param(("opt/lib/libz.so",), "libz.so", id="library-of-a-layer"),
    ],
)
def test_function_with_its_own_is_started_fresh(
    tmp_path: Path, files: tuple[str, ...], reason: str
) -> None:
    """Its own modules and libraries win, as they do on AWS."""
    assert reason in obstacle(tmp_path, files)


@pytest.mark.parametrize(
    "variable", ["PYTHONPATH", "LD_PRELOAD", "LC_ALL", "LANG", "TZ", "HOME", "AWS_DATA_PATH"]
)
def test_variable_that_is_read_at_the_start_needs_a_start(tmp_path: Path, variable: str) -> None:
    """A fork has started already when it gets its variables."""
    assert variable in obstacle(tmp_path, (), (variable,))
