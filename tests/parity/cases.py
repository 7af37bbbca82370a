"""Rows of parametrised tests, each with the rules that it checks."""

from typing import Any

import pytest


def case(rules: str, name: str, *values: Any) -> Any:
    """One case; ``rules`` are ids with spaces between."""
    ids = rules.split()
    return pytest.param(*values, id=f"{ids[0]}-{name}", marks=pytest.mark.rule(*ids))
