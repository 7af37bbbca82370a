"""Decision traces of a real engine: by HTTP, and from the command line."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from botocore.exceptions import ClientError
from engine_world import Deployed, EngineWorld, eventually, running_engine
from websockets.exceptions import InvalidStatus

TOKEN = "eyJhbGciOiJIUzI1NiJ9.secret-payload-of-alice.c2lnbmF0dXJl"

AUTHORIZER = """
    def handle(event, context):
        token = event["queryStringParameters"]["token"]
        print("looking at a token")
        if token.endswith("bad"):
            raise Exception("cannot read " + token)
        statement = {
            "Action": "execute-api:Invoke",
            "Effect": "Deny" if token.endswith("deny") else "Allow",
            "Resource": event["methodArn"],
        }
        policy = {"Version": "2012-10-17", "Statement": [statement]}
        return {"principalId": "alice", "policyDocument": policy}
"""
BREAKS = """
    def handle(event, context):
        print("about to fail")
        raise ValueError("no luck")
"""


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineWorld]:
    """One engine for the tests of this file, which make APIs of their own."""
    with running_engine(tmp_path_factory.mktemp("traces")) as world:
        yield world


@pytest.fixture(scope="module")
def api(engine: EngineWorld) -> Deployed:
    """A guarded API with a route that answers and one that fails."""
    echo = engine.make_function("echo")
    return engine.make_api(
        {"$connect": echo, "$default": echo, "break": engine.make_function("breaks", BREAKS)},
        authorizer=engine.make_function("authorizer", AUTHORIZER),
        sources=("route.request.querystring.token",),
    )


def refused(engine: EngineWorld, url: str) -> tuple[int, str]:
    """Status and request id of a handshake that must fail."""
    with pytest.raises(InvalidStatus) as refusal, engine.connect(url):
        pass
    response = refusal.value.response
    return response.status_code, response.headers["x-amzn-RequestId"]


def trace_of(engine: EngineWorld, trace_id: str) -> dict[str, Any]:
    """A trace by its id."""
    status, answer = engine.own("GET", f"traces/{quote(trace_id, safe='')}")
    assert status == 200, answer
    found: dict[str, Any] = answer
    return found


def detail(trace: dict[str, Any], step: str) -> dict[str, Any]:
    """The details of the only step of one kind."""
    (found,) = [each for each in trace["steps"] if each["step"] == step]
    facts: dict[str, Any] = found.get("detail", {})
    return facts


def cli(engine: EngineWorld, *arguments: str) -> subprocess.CompletedProcess[str]:
    """One command of the command line, against the engine."""
    return subprocess.run(
        [sys.executable, "-m", "socketstack", *arguments],
        env={"SOCKETSTACK_PORT": str(engine.port), "PATH": "", "TZ": "UTC"},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_missing_identity_source_is_told_without_any_call(
    engine: EngineWorld, api: Deployed
) -> None:
    """The refused handshake's request id leads to a trace with code, rule, cause and fix."""
    before = len(engine.log_lines("authorizer"))

    status, request_id = refused(engine, api.url)

    trace = trace_of(engine, request_id)
    assert (status, trace["status"], trace["kind"]) == (401, 401, "CONNECT")
    assert trace["refusal"]["code"] == "SS-201"
    assert "3.07" in trace["refusal"]["rules"]
    assert "Send every identity source" in trace["refusal"]["fix"]
    assert detail(trace, "identity") == {
        "sources": [{"name": "route.request.querystring.token", "isPresent": False}]
    }
    assert [each["step"] for each in trace["steps"]] == ["handshake", "identity", "refused"]
    assert len(engine.log_lines("authorizer")) == before


def test_denial_names_the_statement_and_how_long_the_function_took(
    engine: EngineWorld, api: Deployed
) -> None:
    """A policy that denies is told by its statement; the function's own lines stand between."""
    status, request_id = refused(engine, f"{api.url}?token={TOKEN}-deny")

    trace = trace_of(engine, request_id)
    assert (status, trace["refusal"]["code"]) == (403, "SS-203")
    assert detail(trace, "decision") == {"outcome": "Deny", "status": 403, "statement": 0}
    assert detail(trace, "authorizer")["durationMs"] >= 0
    assert "looking at a token" in [each["summary"] for each in trace["steps"]]


def test_no_token_is_in_any_trace(engine: EngineWorld, api: Deployed) -> None:
    """Of a token the last characters are shown, also where the function itself quotes it."""
    _status, request_id = refused(engine, f"{api.url}?token={TOKEN}-bad")

    trace = trace_of(engine, request_id)
    assert trace["refusal"]["code"] == "SS-205"
    assert "secret-payload" not in json.dumps(trace)
    assert "secret-payload" not in engine.engine_log()
    assert "secret-payload" in "".join(engine.log_lines("authorizer"))
    (source,) = detail(trace, "identity")["sources"]
    assert source["value"] == f"…Jl-bad ({len(TOKEN) + 4} characters)"


def test_admitted_handshake_and_messages_are_traces(engine: EngineWorld, api: Deployed) -> None:
    """What went well is kept as well; an error frame's request id leads to its message."""
    with engine.connect(f"{api.url}?token={TOKEN}") as client:
        client.send('{"action": "anything"}')
        client.recv(timeout=20)
        client.send('{"action": "break"}')
        frame = json.loads(client.recv(timeout=20))

    failed = trace_of(engine, frame["requestId"])
    assert failed["refusal"]["code"] == "SS-605"
    assert detail(failed, "message")["evaluatedKey"] == "break"
    assert detail(failed, "invoked")["failure"] == "Handled"
    assert "about to fail" in [each["summary"] for each in failed["steps"]]
    handshake = trace_of(engine, frame["connectionId"])
    assert (handshake["kind"], handshake["outcome"]) == ("CONNECT", "connected")
    assert detail(handshake, "decision")["principalId"] == "alice"
    _status, listed = engine.own("GET", f"traces?connectionId={quote(frame['connectionId'])}")
    assert [each["kind"] for each in listed["traces"]][-3:] == ["MESSAGE", "MESSAGE", "CONNECT"]


def test_call_on_a_gone_connection_is_a_trace(engine: EngineWorld, api: Deployed) -> None:
    """The SDK's request id leads to the refusal of an @connections call."""
    with pytest.raises(ClientError) as gone:
        engine.management(api).post_to_connection(ConnectionId="L0SM9cOFvHcCIhw=", Data=b"x")

    trace = trace_of(engine, gone.value.response["ResponseMetadata"]["RequestId"])
    assert (trace["kind"], trace["status"]) == ("@connections", 410)
    assert trace["refusal"]["code"] == "SS-801"


def test_unknown_trace_and_bad_limit_are_said(engine: EngineWorld) -> None:
    """A wrong question gets a clear answer and no traceback."""
    missing, told = engine.own("GET", "traces/nope")
    bad, why = engine.own("GET", "traces?limit=many")

    assert (missing, bad) == (404, 400)
    assert "'nope'" in told["message"]
    assert "limit is 'many'" in why["message"]


def test_terminal_prints_code_fix_and_where_to_look(engine: EngineWorld, api: Deployed) -> None:
    """The engine's own output names the code and the command that shows the whole trace."""
    _status, request_id = refused(engine, api.url)

    log = eventually(lambda: text if request_id in (text := engine.engine_log()) else None)

    assert "SS-201  Send every identity source" in log
    assert f"socketstack trace {request_id}" in log


def test_command_shows_one_trace_and_lists_refusals(engine: EngineWorld, api: Deployed) -> None:
    """From a terminal: the newest refusals in lines, one trace in steps, JSON for programs."""
    _status, request_id = refused(engine, api.url)

    one = cli(engine, "trace", request_id)
    several = cli(engine, "trace")
    as_json = cli(engine, "trace", request_id, "--json")

    assert one.returncode == several.returncode == as_json.returncode == 0
    assert "  SS-201  An identity source is missing" in one.stdout
    assert "  More    docs/errors.md#ss-201" in one.stdout
    assert f"{request_id} CONNECT      SS-201" in several.stdout.splitlines()[-1]
    assert json.loads(as_json.stdout)["id"] == request_id


@pytest.mark.parametrize("arguments", [(), ("--json",)])
def test_id_that_begins_with_a_hyphen_is_an_id(
    engine: EngineWorld, arguments: tuple[str, ...]
) -> None:
    """One id in 64 looks like an option; it is looked for all the same. Rule 10.19."""
    done = cli(engine, "trace", "-hDZQKp3O2Ndlc_=", *arguments)

    assert done.returncode == 2
    assert "No trace has the id '-hDZQKp3O2Ndlc_='" in done.stderr


def test_command_explains_codes(engine: EngineWorld) -> None:
    """A code from a log is explained without an engine; an unknown one ends with 2."""
    known = cli(engine, "explain", "ss-204")
    unknown = cli(engine, "explain", "SS-000")
    nowhere = cli(engine, "trace", "nope")

    assert known.returncode == 0
    assert known.stdout.startswith("SS-204  No statement of the authorizer's policy")
    assert (unknown.returncode, nowhere.returncode) == (2, 2)
    assert "There is no code 'SS-000'" in unknown.stderr
    assert "No trace has the id 'nope'" in nowhere.stderr
