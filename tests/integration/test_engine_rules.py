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


_CALLER_BACK = """
    import json, os
    import boto3

    def handle(event, context):
        request = event["requestContext"]
        stage, api_id = request["stage"], request["apiId"]
        gateway = boto3.client("apigatewayv2")
        host = f"{api_id}.execute-api.{os.environ['AWS_REGION']}.amazonaws.com"
        read_back = gateway.get_api(ApiId=api_id)["ApiEndpoint"]
        listed = {each["ApiId"]: each["ApiEndpoint"] for each in gateway.get_apis()["Items"]}
        forms = {
            "domain name": f"https://{request['domainName']}/{stage}",
            "host of AWS": f"https://{host}/{stage}",
            "endpoint read back": read_back.replace("wss", "https") + "/" + stage,
            "endpoint listed": listed[api_id].replace("wss://", "https://") + "/" + stage,
            "endpoint in a variable": os.environ["API_ENDPOINT"].replace("wss", "https")
            + "/" + stage,
        }
        for form, url in forms.items():
            client = boto3.client("apigatewaymanagementapi", endpoint_url=url)
            client.post_to_connection(ConnectionId=request["connectionId"], Data=form.encode())
        return {"statusCode": 200, "body": "done"}
"""


def test_every_form_of_callback_address_works_in_functions(engine: EngineWorld) -> None:
    """Functions call back by each address that code for AWS builds, over TLS and unchanged."""
    api = engine.make_api({"$default": engine.make_function("caller", _CALLER_BACK, Timeout=20)})
    endpoint = engine.client("apigatewayv2").get_api(ApiId=api.api_id)["ApiEndpoint"]
    engine.client("lambda").update_function_configuration(
        FunctionName="caller", Environment={"Variables": {"API_ENDPOINT": endpoint}}
    )

    with engine.connect(f"{endpoint}/{STAGE}") as client:
        client.send("go")
        heard = [client.recv(timeout=20) for _ in range(6)]

    assert heard == [
        "domain name",
        "host of AWS",
        "endpoint read back",
        "endpoint listed",
        "endpoint in a variable",
        "done",
    ]
