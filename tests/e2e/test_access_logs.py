"""The example's access log on the engine, switched on as one does on AWS."""

import json
from collections.abc import Iterator

import pytest
from engine_world import eventually
from example_system import System
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

ROLE = "arn:aws:iam::000000000000:role/api-gateway-logs"


@pytest.fixture
def logging_system(system: System) -> Iterator[System]:
    """The example with its access log on; it is off again afterwards.

    The role is the account's, not the stack's: an account of somebody else's keeps what it has.
    """
    gateway = system.client("apigateway")
    if not system.is_deployed:
        role = {"op": "replace", "path": "/cloudwatchRoleArn", "value": ROLE}
        gateway.update_account(patchOperations=[role])
    elif not gateway.get_account().get("cloudwatchRoleArn"):
        pytest.skip("the account has no role with which API Gateway may write logs")
    gateway.close()
    with system.changed(AccessLogs="true"):
        yield system


def test_refused_handshake_is_found_in_the_access_log(logging_system: System) -> None:
    """A wrong token is refused with 401, and the log says that the authorizer did it."""
    url = f"{logging_system.websocket_url}?token=not-a-token"
    logs = logging_system.client("logs")

    with pytest.raises(InvalidStatus) as refusal, connect(url, proxy=logging_system.proxy):
        pass

    group = f"/aws/apigateway/{logging_system.stack_name}"

    def look() -> list[dict[str, str]] | None:
        found = logs.filter_log_events(logGroupName=group, filterPattern='"Unauthorized"')
        lines = [json.loads(event["message"]) for event in found["events"]]
        # LocalStack gives back lines that the pattern leaves out.
        return [line for line in lines if line["authorizerError"] == "Unauthorized"] or None

    lines = eventually(look)
    logs.close()
    assert refusal.value.response.status_code == 401
    assert [(line["eventType"], line["status"]) for line in lines] == [("CONNECT", "401")]
    assert lines[0]["authorizerError"] == "Unauthorized"
    assert lines[0]["integrationLatency"] == "-"  # the function behind $connect was not called
    assert "not-a-token" not in json.dumps(lines)
