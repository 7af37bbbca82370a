"""Which engine an environment has: our own with moto, or LocalStack with our plugin.

The two cannot be installed together: LocalStack brings moto-ext, which puts another moto into the
same folder. Whatever was installed last would answer, so both together are refused.
"""

import sys
from collections.abc import Callable, Iterator
from enum import StrEnum
from importlib import metadata
from typing import Final

from socketstack.errors import ConfigError

_OLDEST: Final = (3, 13)
"""On an older Python LocalStack calls itself healthy, and every service fails."""


class Flavour(StrEnum):
    """The engines there are."""

    EMBEDDED = "embedded"
    LOCALSTACK = "localstack"


def _installed() -> Iterator[str]:
    for name in ("moto", "moto-ext", "localstack-core"):
        try:
            metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue
        yield name


def flavour(
    installed: Callable[[], Iterator[str]] = _installed,
    version: tuple[int, int] = sys.version_info[:2],
) -> Flavour:
    """The engine of this environment.

    Raises ``ConfigError`` when there are two, or when Python is too old for LocalStack.
    """
    names = set(installed())
    has_localstack = bool(names & {"moto-ext", "localstack-core"})
    if "moto" in names and has_localstack:
        found = " and ".join(sorted(names))
        raise ConfigError(
            f"{found} are installed together, and they exclude each other. Make one virtual "
            "environment with socketstack[engine] and another with socketstack[localstack]."
        )
    if not has_localstack:
        return Flavour.EMBEDDED
    if version < _OLDEST:
        raise ConfigError(
            f"LocalStack needs Python 3.13 or newer, and this is {version[0]}.{version[1]}: its "
            "services would all fail. Make the environment anew with a newer one."
        )
    return Flavour.LOCALSTACK
