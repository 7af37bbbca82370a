"""``socketstack doctor`` on the example system, healthy and broken on purpose."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from example_system import System


def doctor(system: System, *arguments: str, tokens: str = "{}") -> tuple[int, Any]:
    """Exit code and report of one examination."""
    done = subprocess.run(
        [
            *(system.python, "-m", "socketstack", "doctor", "--json", "--tokens", "-"),
            *(*system.doctor_arguments, *arguments),
        ],
        cwd=system.folder,
        env=system.environ,
        input=tokens,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.returncode in {0, 1}, done.stdout + done.stderr
    return done.returncode, json.loads(done.stdout)


def wrong(report: Any) -> set[str]:
    """The checks that failed."""
    return {one["check"] for one in report["findings"] if one["severity"] == "error"}


@contextmanager
def connect_route(system: System, **changes: Any) -> Iterator[None]:
    """``$connect`` with other members for a while; the stage deploys them by itself."""
    gateway = system.client("apigatewayv2")
    api_id, route = _route(system, "$connect")
    before = {name: route[name] for name in ("AuthorizationType", "AuthorizerId", "Target")}
    gateway.update_route(ApiId=api_id, RouteId=route["RouteId"], **changes)
    try:
        yield
    finally:
        gateway.update_route(ApiId=api_id, RouteId=route["RouteId"], **before)


def _route(system: System, key: str) -> tuple[str, Any]:
    """The API's id and one of its routes."""
    gateway = system.client("apigatewayv2")
    apis = gateway.get_apis()["Items"]
    api_id = next(str(api["ApiId"]) for api in apis if api["Name"] == system.stack_name)
    routes = gateway.get_routes(ApiId=api_id)["Items"]
    return api_id, next(route for route in routes if route["RouteKey"] == key)


def test_healthy_system_passes_and_no_token_is_shown(system: System) -> None:
    """Forged, expired and foreign tokens are refused, the good one gets in, and none is told."""
    tokens = system.run("webclient", "tokens").stdout

    code, report = doctor(system, tokens=tokens)

    passed = [one["what"] for one in report["findings"] if one["severity"] == "ok"]
    probes = [what for what in passed if what.startswith("A handshake")]
    assert (code, wrong(report), report["isHealthy"]) == (0, set(), True)
    assert len(probes) == 9
    assert sum("ApiConnectAuthorizer, called with junk" in what for what in passed) == 1
    assert "A handshake with a good token is let in." in probes
    assert "A handshake with an expired token is refused (401)." in probes
    assert any(what.endswith("/@connections answers.") for what in passed)
    assert not any(token in json.dumps(report) for token in json.loads(tokens).values())


@pytest.mark.local("it would open a deployed API to everybody for a while")
def test_detached_authorizer_is_found_and_proved(system: System) -> None:
    """An authorizer that $connect does not ask is an error, and so is a handshake that opens."""
    functions = system.client("lambda")
    name = f"{system.stack_name}-messages"
    _api_id, default = _route(system, "$default")
    functions.add_permission(
        FunctionName=name,
        StatementId="anything",
        Action="lambda:InvokeFunction",
        Principal="apigateway.amazonaws.com",
    )
    try:
        with connect_route(system, AuthorizationType="NONE", Target=default["Target"]):
            code, report = doctor(system)
    finally:
        functions.remove_permission(FunctionName=name, StatementId="anything")

    opened = [one for one in report["findings"] if one["check"] == "probe-refuses"]
    assert code == 1
    assert wrong(report) == {"open-connect", "probe-refuses"}
    assert [one["what"] for one in opened] == ["A handshake without a token is let in."]


@pytest.mark.local("it would close a deployed API to everybody for a while")
def test_missing_permission_is_found_and_explained(system: System) -> None:
    """Without its permission the authorizer cannot be called: the finding says how to grant it."""
    functions = system.client("lambda")
    name = f"{system.stack_name}-authorizer"
    policy = json.loads(functions.get_policy(FunctionName=name)["Policy"])
    statement = policy["Statement"][0]
    functions.remove_permission(FunctionName=name, StatementId=statement["Sid"])
    try:
        tokens = system.run("webclient", "tokens").stdout
        code, report = doctor(system, tokens=tokens)
    finally:
        functions.add_permission(
            FunctionName=name,
            StatementId=statement["Sid"],
            Action="lambda:InvokeFunction",
            Principal="apigateway.amazonaws.com",
            SourceArn=statement["Condition"]["ArnLike"]["AWS:SourceArn"],
        )

    finding = next(f for f in report["findings"] if f["check"] == "authorizer-permission")
    assert code == 1
    assert wrong(report) == {"authorizer-permission", "probe-admits"}
    assert f"aws lambda add-permission --function-name {name}" in finding["fix"]
    assert "/authorizers/" in finding["fix"]


@pytest.mark.local("it would open a deployed API to everybody for a while")
def test_reading_for_people_names_cause_and_cure(system: System) -> None:
    """Without --json the worst comes first, each with why, fix and where to read on."""
    with connect_route(system, AuthorizationType="NONE"):
        printed = system.run("socketstack", "doctor", "--no-probes", expect=1).stdout

    lines = printed.splitlines()
    assert lines[0].startswith("API ")
    assert lines[1].startswith("error   $connect has no authorization, so everybody gets in.")
    assert lines[2].startswith("        why  ")
    assert lines[3].startswith("        fix  ")
    assert lines[4] == "        more docs/errors.md#open-connect"
    assert lines[-1].startswith("1 error, ")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        pytest.param(["--api", "nothere000"], "There is no WebSocket API nothere000", id="api"),
        pytest.param(["--stage", "nope"], "has no stage nope. Name one with --stage", id="stage"),
        pytest.param(["--stack-name", "nope"], "The stack nope cannot be read", id="stack"),
        pytest.param(["--tokens", "missing.json"], "cannot be read as tokens", id="tokens"),
    ],
)
def test_unclear_question_is_refused(system: System, arguments: list[str], told: str) -> None:
    """What cannot be found ends with 2 and says what there is."""
    done = system.run("socketstack", "doctor", *system.doctor_arguments, *arguments, expect=2)

    assert told in done.stderr
    assert done.stdout == ""


@pytest.mark.local("AWS always answers")
def test_nothing_that_answers_is_said_in_one_line(system: System) -> None:
    """Without an engine the doctor says so and ends with 2."""
    done = system.run("socketstack", "doctor", expect=2, SOCKETSTACK_PORT="1")

    assert len(done.stderr.splitlines()) == 1
    assert "localhost:1" in done.stderr
