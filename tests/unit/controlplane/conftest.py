"""A control plane over a fresh Store, called directly."""

import pytest
from controlplane_bench import Bench


@pytest.fixture
def bench() -> Bench:
    """A control plane without any API."""
    return Bench()


@pytest.fixture
def api(bench: Bench) -> str:
    """The id of a WebSocket API in that control plane."""
    return bench.api()
