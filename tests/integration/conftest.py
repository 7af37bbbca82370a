"""What several files of this folder share."""

from collections.abc import Iterator

import pytest
from example_system import free_port
from localstack_host import LocalStackHost, localstack_on


@pytest.fixture(scope="session")
def localstack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStackHost]:
    """A LocalStack with our server, which all tests that ask for it share."""
    with localstack_on(tmp_path_factory.mktemp("localstack"), free_port()) as host:
        yield host
