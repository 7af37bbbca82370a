"""The example with ``SOCKETSTACK_IAM=enforce``: it runs with its own roles, and not without."""

import json
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import ClientError
from containers import system_of_target
from example_system import System
from websockets.sync.client import ClientConnection, connect

pytestmark = pytest.mark.local("AWS always enforces IAM; these tests take a policy from a role")
_SECONDS = 20


@pytest.fixture(scope="module")
def enforced(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """The example system on an engine that enforces IAM."""
    system = system_of_target(tmp_path_factory.mktemp("enforced"))
    system = replace(system, environ={**system.environ, "SOCKETSTACK_IAM": "enforce"})
    try:
        system.up()
        yield system
    finally:
        system.down()


def ask(socket: ClientConnection, message: object) -> Any:
    """Send one JSON message and wait for the next frame."""
    socket.send(json.dumps(message))
    return json.loads(socket.recv(_SECONDS))


def refusals(system: System) -> list[str]:
    """What the engine's trace says about AWS calls and pushes that were refused."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"{system.endpoint_url}/_socketstack/events?follow=false") as answer:
        events = [json.loads(line) for line in answer.read().splitlines() if line]
    told = [event["summary"] for event in events if event.get("step") == "refused"]
    return [each for each in told if not each.startswith("401")]  # web client: is it up yet?


def role_with(system: System, policy: str) -> str:
    """The name of the stack's role that has an inline policy."""
    iam = system.client("iam")
    names: list[str] = [role["RoleName"] for role in iam.list_roles()["Roles"]]
    return next(n for n in names if policy in iam.list_role_policies(RoleName=n)["PolicyNames"])


def test_system_runs_with_its_own_roles_and_not_without(enforced: System) -> None:
    """Tables, secrets and pushes work with the template's policies; without one the push is 403."""
    url = f"{enforced.websocket_url}?token={enforced.token()}"

    with connect(url, proxy=None) as socket:
        socket.send(json.dumps({"action": "send", "to": "user:alice", "message": "one"}))
        frames = [json.loads(socket.recv(_SECONDS)) for _ in range(2)]
        before = refusals(enforced)
        role = role_with(enforced, "push")
        enforced.client("iam").delete_role_policy(RoleName=role, PolicyName="push")
        without = ask(socket, {"action": "send", "to": "user:alice", "message": "two"})
        echoed = ask(socket, {"action": "echo"})

    assert {"from": "alice", "message": "one"} in frames
    assert [frame["sent"] for frame in frames if "sent" in frame] == [1]
    assert before == []
    assert (without["sent"], without["failed"]) == (0, 1)
    assert echoed["action"] == "echo"
    assert any(
        f"assumed-role/{role}" in each and "ManageConnections" in each
        for each in refusals(enforced)
    )


def test_strangers_reach_nothing(enforced: System) -> None:
    """Keys that nobody knows list no tables and post to nobody."""
    stranger = enforced.client("dynamodb", endpoint_url=enforced.endpoint_url)
    stranger._request_signer._credentials.secret_key = "wrong"

    with pytest.raises(ClientError) as refusal:
        stranger.list_tables()

    assert refusal.value.response["Error"]["Code"] == "InvalidSignatureException"


@pytest.mark.parametrize("access_key_id", ["000000000000", "__internal_call__"])
def test_secret_that_localstack_ships_opens_nothing(enforced: System, access_key_id: str) -> None:
    """What LocalStack's services sign with, as everybody can read it, is nobody's signature."""
    stranger = enforced.client("dynamodb", endpoint_url=enforced.endpoint_url)
    stranger._request_signer._credentials.access_key = access_key_id
    stranger._request_signer._credentials.secret_key = "__internal_call__"

    with pytest.raises(ClientError) as refusal:
        stranger.list_tables()

    assert refusal.value.response["Error"]["Code"] in {
        "InvalidSignatureException",
        "UnrecognizedClientException",
    }
