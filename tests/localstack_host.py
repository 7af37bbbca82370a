"""LocalStack without Docker, for tests: the environment that it needs."""

import os
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[1]
_VENV = Path(os.environ.get("VENV_LOCALSTACK", _ROOT / ".venv-localstack"))


def localstack_python() -> str:
    """The interpreter of the environment with LocalStack; skips where there is none."""
    python = _VENV / "bin" / "python"
    if not python.exists():
        pytest.skip(f"there is no {_VENV}: scripts/venv localstack makes it")
    return str(python)
