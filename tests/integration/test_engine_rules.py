"""Rules that show only where control plane, sockets and functions meet in one real engine."""

from collections.abc import Iterator

import pytest
import websockets
from engine_world import STAGE, EngineWorld, eventually, running_engine


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineWorld]:
    """One engine with a function that records its events."""
    with running_engine(tmp_path_factory.mktemp("rules")) as engine:
        engine.make_function("recorder")
        yield engine


def _recorder(engine: EngineWorld) -> str:
    arn: str = engine.client("lambda").get_function(FunctionName="recorder")["Configuration"][
        "FunctionArn"
    ]
    return arn


@pytest.mark.parametrize("what", ["stage", "api"])
def test_removal_closes_sockets_without_disconnect_event(engine: EngineWorld, what: str) -> None:
    """Who is connected to what is deleted gets 1001, and $disconnect is not called. Q7, Q8."""
    routes = dict.fromkeys(("$connect", "$disconnect"), _recorder(engine))
    removed, kept = engine.make_api(routes), engine.make_api(routes)
    gateway = engine.client("apigatewayv2")

    with engine.connect(removed.url) as client:
        if what == "stage":
            gateway.delete_stage(ApiId=removed.api_id, StageName=STAGE)
        else:
            gateway.delete_api(ApiId=removed.api_id)
        with pytest.raises(websockets.ConnectionClosed) as closed:
            client.recv(timeout=10)
    with engine.connect(kept.url):
        pass

    def ended() -> list[str] | None:
        contexts = [event["requestContext"] for event in engine.events("recorder", 1)]
        apis = [each["apiId"] for each in contexts if each["eventType"] == "DISCONNECT"]
        return apis if kept.api_id in apis else None

    assert closed.value.rcvd is not None
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (1001, "Going away")
    assert removed.api_id not in eventually(ended)
    assert engine.own("GET", "health")[1]["connections"] == 0
