"""Skips of time on a real engine with real sockets and functions: what moves and what does not."""

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import websockets
from engine_world import ACCOUNT, REGION, STAGE, EngineWorld, eventually, running_engine
from websockets.sync.client import ClientConnection

from socketstack.core.limits import CONNECTION_MAX_SECONDS, IDLE_TIMEOUT_SECONDS

GOING_AWAY = (1001, "Going away")
_WAITING = """
    import json
    import socket
    import time

    def handle(event, context):
        asked = json.loads(event["body"])
        began = time.time()
        with socket.create_connection(("127.0.0.1", asked["port"])) as test:
            test.sendall(b"here")
            test.recv(1)
        left = context.get_remaining_time_in_millis()
        answer = {"began": began, "ended": time.time(), "left": left}
        return {"statusCode": 200, "body": json.dumps(answer)}
"""
"""Answers when the test lets it."""


class World:
    """An engine of its own for each test, since a skip meets every connection."""

    def __init__(self, engine: EngineWorld) -> None:
        self.engine = engine
        arn = engine.make_function("recorder")
        waiting = engine.make_function("waiting", _WAITING, Timeout=10)
        routes = {"$connect": arn, "$disconnect": arn, "$default": arn, "wait": waiting}
        self.api = engine.make_api(routes)

    def skip(self, **wanted: object) -> dict[str, Any]:
        """A skip that must succeed."""
        status, answer = self.engine.own("POST", "clock", wanted)
        assert status == 200, answer
        assert isinstance(answer, dict)
        return answer

    def contexts(self, event_type: str, count: int = 1) -> list[dict[str, Any]]:
        """The request contexts of one kind of event."""

        def found() -> list[dict[str, Any]] | None:
            contexts = [event["requestContext"] for event in self.engine.events("recorder", 1)]
            chosen = [each for each in contexts if each["eventType"] == event_type]
            return chosen if len(chosen) >= count else None

        return eventually(found)

    def open_count(self) -> int:
        """How many connections are open."""
        count: int = self.engine.own("GET", "clock")[1]["connectionCount"]
        return count


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """An echo API on a fresh engine."""
    with running_engine(tmp_path) as engine:
        yield World(engine)


def _closed_with(client: ClientConnection) -> tuple[int, str]:
    with pytest.raises(websockets.ConnectionClosed) as closed:
        client.recv(timeout=10)
    assert closed.value.rcvd is not None
    return closed.value.rcvd.code, closed.value.rcvd.reason


def _echo(client: ClientConnection, text: str) -> bool:
    client.send(text)
    return client.recv(timeout=10) == text


def test_socket_lives_until_just_before_ten_idle_minutes_and_no_longer(world: World) -> None:
    """Just before the limit the socket works, traffic begins it anew, and past it is 1001. 6.08."""
    with world.engine.connect(world.api.url) as client:
        first = world.skip(to="idle", beforeSeconds=30)
        works = _echo(client, "still here")
        after_traffic = world.engine.own("GET", "clock")[1]["connections"][0]
        second = world.skip(to="idle", beforeSeconds=30)
        works_again = _echo(client, "and again")
        world.skip(to="idle", beforeSeconds=0)
        code = _closed_with(client)

    assert IDLE_TIMEOUT_SECONDS - 40 < first["movedSeconds"] <= IDLE_TIMEOUT_SECONDS - 30
    assert works
    assert works_again
    assert after_traffic["limit"] == "idle"
    assert after_traffic["endsInSeconds"] > IDLE_TIMEOUT_SECONDS - 20
    assert second["ending"] == 0
    assert code == GOING_AWAY
    (context,) = world.contexts("DISCONNECT")
    assert (context["disconnectStatusCode"], context["disconnectReason"]) == GOING_AWAY
    age_ms = context["requestTimeEpoch"] - context["connectedAt"]
    assert age_ms > 3 * (IDLE_TIMEOUT_SECONDS - 40) * 1000
    assert world.open_count() == 0


def test_two_hours_end_an_active_socket(world: World) -> None:
    """The socket is usable just before two hours; then it is closed although it is in use. 6.11."""
    with world.engine.connect(world.api.url) as client:
        connected_at = world.contexts("CONNECT")[0]["connectedAt"]
        moved = world.skip(to="lifetime", beforeSeconds=30)
        works = _echo(client, "nearly over")
        (message,) = world.contexts("MESSAGE")
        last = world.skip(skipSeconds=31)
        code = _closed_with(client)

    assert moved["ending"] == 0
    assert works
    assert message["connectedAt"] == connected_at
    age_ms = message["requestTimeEpoch"] - connected_at
    assert (CONNECTION_MAX_SECONDS - 40) * 1000 < age_ms < CONNECTION_MAX_SECONDS * 1000
    assert last["ending"] == 1
    assert code == GOING_AWAY
    (context,) = world.contexts("DISCONNECT")
    assert (context["disconnectStatusCode"], context["disconnectReason"]) == GOING_AWAY
    assert context["connectedAt"] == connected_at


def test_limit_passes_by_itself_after_a_skip_to_just_before_it(world: World) -> None:
    """The second that a skip leaves passes on the real clock, and then the timer acts."""
    with world.engine.connect(world.api.url) as client:
        world.skip(to="idle", beforeSeconds=0.3)
        code = _closed_with(client)

    assert code == GOING_AWAY


def test_last_active_at_moves_with_the_clock(world: World) -> None:
    """@connections tells times of the moved clock, and a post there is activity. 6.09."""
    management = world.engine.management(world.api)
    with world.engine.connect(world.api.url) as client:
        connection_id = world.contexts("CONNECT")[0]["connectionId"]
        before = management.get_connection(ConnectionId=connection_id)
        world.skip(skipSeconds=500)
        management.post_to_connection(ConnectionId=connection_id, Data=b"hello")
        received = client.recv(timeout=10)
        world.skip(skipSeconds=500)
        works = _echo(client, "the post kept it open")
        after = management.get_connection(ConnectionId=connection_id)

    assert received == "hello"
    assert works
    assert after["ConnectedAt"] == before["ConnectedAt"]
    assert (after["LastActiveAt"] - before["LastActiveAt"]).total_seconds() >= 1000


def test_running_calls_are_not_moved(world: World) -> None:
    """Neither the function's timeout nor API Gateway's 29 s pass for a call that is under way."""
    with (
        socket.create_server(("127.0.0.1", 0)) as gate,
        world.engine.connect(world.api.url) as client,
    ):
        port = gate.getsockname()[1]
        client.send(json.dumps({"action": "wait", "port": port}))
        function, _address = gate.accept()
        with function:
            arrived = function.recv(4)
            world.skip(skipSeconds=IDLE_TIMEOUT_SECONDS - 60)
            function.sendall(b"!")
            answer = json.loads(client.recv(timeout=10))

    assert arrived == b"here"
    assert 0 < answer["left"] <= 10_000
    assert answer["ended"] - answer["began"] < 10
    assert abs(answer["ended"] - time.time()) < 60
    assert not [line for line in world.engine.log_lines("waiting") if "timed out" in line.lower()]


def test_new_connection_after_a_skip_has_its_whole_time(world: World) -> None:
    """Who connects later has ten minutes from then on, and its handshake the moved time."""
    world.skip(skipSeconds=86_400)
    with world.engine.connect(world.api.url):
        (context,) = world.contexts("CONNECT")
        state = world.engine.own("GET", "clock")[1]

    assert context["connectedAt"] > (time.time() + 86_000) * 1000
    assert state["skippedSeconds"] == 86_400
    assert state["connections"][0]["endsInSeconds"] > IDLE_TIMEOUT_SECONDS - 20


def test_stage_logs_keep_real_time(world: World) -> None:
    """Access logs arrive after a skip too: CloudWatch Logs refuses what comes from the future."""
    group = "/aws/apigateway/moved"
    role = f"arn:aws:iam::{ACCOUNT}:role/functions"
    world.engine.client("apigateway").update_account(
        patchOperations=[{"op": "replace", "path": "/cloudwatchRoleArn", "value": role}]
    )
    world.engine.client("logs").create_log_group(logGroupName=group)
    world.engine.client("apigatewayv2").update_stage(
        ApiId=world.api.api_id,
        StageName=STAGE,
        AccessLogSettings={
            "DestinationArn": f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{group}",
            "Format": "$context.requestId $context.requestTimeEpoch",
        },
    )
    world.skip(skipSeconds=86_400)
    with world.engine.connect(world.api.url):
        (context,) = world.contexts("CONNECT")

    def written() -> list[dict[str, Any]] | None:
        found = world.engine.client("logs").filter_log_events(logGroupName=group)["events"]
        return found or None

    event = eventually(written)[0]
    assert event["message"] == f"{context['requestId']} {context['requestTimeEpoch']}"
    assert abs(event["timestamp"] - time.time() * 1000) < 60_000
    assert context["requestTimeEpoch"] - event["timestamp"] > 86_000_000


@pytest.mark.parametrize(
    ("body", "status"),
    [
        pytest.param({"skipSeconds": -600}, 400, id="back"),
        pytest.param({"skipSeconds": "600"}, 400, id="text"),
        pytest.param({"to": "noon"}, 400, id="unknown-limit"),
        pytest.param({"to": "idle", "connectionId": "nobody"}, 404, id="unknown-connection"),
    ],
)
def test_refused_skip_moves_nothing(world: World, body: object, status: int) -> None:
    """A refusal has a reason; time and sockets are as they were."""
    with world.engine.connect(world.api.url) as client:
        answered, answer = world.engine.own("POST", "clock", body)
        works = _echo(client, "untouched")
        state = world.engine.own("GET", "clock")[1]

    assert answered == status
    assert answer["message"]
    assert works
    assert state["skippedSeconds"] == 0
    assert world.engine.steps("clock") == []


def test_page_of_somebody_else_cannot_skip(world: World) -> None:
    """A foreign web page that posts to the engine moves nothing."""
    headers = {"Origin": "https://example.org", "Content-Type": "text/plain"}

    status, _body = world.engine.process.request(
        "POST", "/_socketstack/clock", {"skipSeconds": 600}, headers
    )

    assert status == 403
    assert world.engine.own("GET", "clock")[1]["skippedSeconds"] == 0


# The command


def _command(port: int, *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "socketstack", "skip", "--port", str(port), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_command_skips_and_says_what_it_did(world: World) -> None:
    """``socketstack skip`` by an amount and to a limit; the last line says who is next."""
    port = world.engine.port
    with world.engine.connect(world.api.url) as client:
        by_amount = _command(port, "1m30s")
        to_limit = _command(port, "--to", "idle", "--before", "20s")
        works = _echo(client, "still here")
        past = _command(port, "10m1s")
        code = _closed_with(client)

    assert (by_amount.returncode, to_limit.returncode, past.returncode) == (0, 0, 0)
    assert by_amount.stdout.startswith("Skipped 90 s. For API Gateway it is now 20")
    assert "(idle)." in by_amount.stdout
    assert "Connections that this closes: 0." in to_limit.stdout
    assert works
    assert "Connections that this closes: 1." in past.stdout
    assert "Next:" not in past.stdout
    assert code == GOING_AWAY


def test_command_passes_a_refusal_on(world: World) -> None:
    """A refused command ends with 2 and the engine's reason, and moves nothing."""
    refused = _command(world.engine.port, "--to", "idle")

    assert refused.returncode == 2
    assert "No connection is open" in refused.stderr
    assert refused.stdout == ""
    assert world.engine.own("GET", "clock")[1]["skippedSeconds"] == 0


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        pytest.param(["10m"], "No engine runs on port", id="no-engine"),
        pytest.param([], "Say how far", id="nothing-said"),
        pytest.param(["-600"], "is no duration", id="negative"),
        pytest.param(["soon"], "is no duration", id="no-duration"),
        pytest.param(["--to", "noon"], "invalid choice", id="unknown-limit"),
    ],
)
def test_command_that_cannot_work_says_why(arguments: list[str], reason: str) -> None:
    """Without an engine, or with an amount that is none, the command ends with 2 and the reason."""
    with socket.socket() as nobody:  # bound and not listening: connections are refused
        nobody.bind(("127.0.0.1", 0))
        done = _command(nobody.getsockname()[1], *arguments)

    assert done.returncode == 2
    assert reason in done.stderr
