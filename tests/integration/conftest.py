"""What several files of this folder share."""

from collections.abc import Iterator

import pytest
from example_system import free_port
from localstack_host import LocalStackHost, environment, started


@pytest.fixture(scope="session")
def localstack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStackHost]:
    """A LocalStack with our server, as ``socketstack start`` runs it; leaves nothing behind."""
    folder, port = tmp_path_factory.mktemp("localstack"), free_port()
    arguments = ("socketstack", "start", "--port", str(port), "--state-dir", str(folder))
    with started(folder, port, *arguments, environ=environment(folder)) as host:
        host.wait_ready()
        yield host
    assert host.process.returncode == 0
    left = [path.name for path in folder.iterdir() if path.name != "log.txt"]
    assert left == []  # all of its files went with it
