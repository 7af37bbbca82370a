"""The system that the end-to-end tests share."""

from collections.abc import Iterator

import pytest
from example_system import System, system_in


@pytest.fixture(scope="session")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """The example system, up for the whole run."""
    system = system_in(tmp_path_factory.mktemp("system"))
    try:
        system.up()
        yield system
    finally:
        system.down()
