import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from socketstack.core.model import Json
from socketstack.doctor.checks import examine
from socketstack.doctor.facts import (
    Api,
    Authorizer,
    Function,
    Route,
    Stage,
    Throttle,
    http_features,
)
from socketstack.doctor.findings import Severity

ARNS = "arn:aws:execute-api:eu-west-1:123456789012:a1b2c3d4e5"
FORMAT = '{"id":"$context.requestId","why":"$context.authorizer.error"}'


def permitting(*source_arns: str) -> str:
    """A resource policy that lets API Gateway call for these."""
    statements = [
        {
            "Effect": "Allow",
            "Principal": {"Service": "apigateway.amazonaws.com"},
            "Action": "lambda:InvokeFunction",
            "Resource": "*",
            "Condition": {"ArnLike": {"AWS:SourceArn": source_arn}},
        }
        for source_arn in source_arns
    ]
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


def function(name: str, *source_arns: str, **members: Any) -> Function:
    """A function that API Gateway may call for these."""
    arn = f"arn:aws:lambda:eu-west-1:123456789012:function:{name}"
    return Function(**{"arn": arn, "policy": permitting(*source_arns)} | members)


POSTING: Json = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Action": "execute-api:ManageConnections",
            "Resource": f"{ARNS}/prod/POST/@connections/*",
        }
    ],
}
GUARD = Authorizer(
    authorizer_id="auth01",
    name="tokens",
    identity_sources=("route.request.querystring.token",),
    function=function("authorizer", f"{ARNS}/authorizers/auth01"),
)


def route(key: str, **members: Any) -> Route:
    """A route that calls the function ``messages``."""
    called = function("messages", f"{ARNS}/*/*", role_policies=(POSTING,))
    given: dict[str, Any] = {
        "route_key": key,
        "has_target": True,
        "integration_type": "AWS_PROXY",
        "function": called,
        "has_response": True,
    }
    return Route(**given | members)


CONNECT = route("$connect", authorization_type="CUSTOM", authorizer=GUARD)
STAGE = Stage(name="prod", deployment_id="d1", is_auto_deployed=True, access_log_format=FORMAT)
HEALTHY = Api(
    api_id="a1b2c3d4e5",
    name="chat",
    region="eu-west-1",
    account_id="123456789012",
    routes=(CONNECT, route("$default")),
    authorizers=(GUARD,),
    stage=STAGE,
)


def found(api: Api) -> dict[str, Severity]:
    """What is not right: check and severity."""
    return {f.check: f.severity for f in examine(api) if f.severity is not Severity.OK}


def with_connect(**members: Any) -> Api:
    """The healthy API with another ``$connect``."""
    return replace(HEALTHY, routes=(replace(CONNECT, **members), route("$default")))


def with_guard(**members: Any) -> Api:
    """The healthy API with another authorizer."""
    guard = replace(GUARD, **members)
    return replace(with_connect(authorizer=guard), authorizers=(guard,))


def with_stage(**members: Any) -> Api:
    """The healthy API with another stage."""
    return replace(HEALTHY, stage=replace(STAGE, **members))


def test_healthy_api_has_no_findings() -> None:
    """An API without mistakes passes every check, and the report says what was looked at."""
    findings = examine(HEALTHY)

    assert found(HEALTHY) == {}
    assert {"open-connect", "deployment", "authorizer-permission", "access-logs"} <= {
        finding.check for finding in findings
    }


_ERROR, _WARNING, _NOTE = Severity.ERROR, Severity.WARNING, Severity.NOTE


@pytest.mark.parametrize(
    ("api", "check", "severity"),
    [
        pytest.param(
            replace(HEALTHY, routes=(route("$default"),)), "open-connect", _ERROR, id="no-connect"
        ),
        pytest.param(
            with_connect(authorization_type="NONE"), "open-connect", _ERROR, id="not-attached"
        ),
        pytest.param(
            replace(with_connect(authorizer=None), authorizers=()),
            "open-connect",
            _ERROR,
            id="authorizer-is-gone",
        ),
        pytest.param(
            replace(
                with_connect(authorization_type="NONE", authorizer=None, api_key_required=True),
                authorizers=(),
            ),
            "open-connect",
            _WARNING,
            id="key-alone",
        ),
        pytest.param(
            replace(HEALTHY, authorizers=(GUARD, replace(GUARD, authorizer_id="other"))),
            "unused-authorizer",
            _WARNING,
            id="unused",
        ),
        pytest.param(
            with_guard(identity_sources=("$request.querystring.token",)),
            "identity-source",
            _ERROR,
            id="source-of-http-apis",
        ),
        pytest.param(with_guard(identity_sources=()), "identity-source", _NOTE, id="no-source"),
        pytest.param(
            with_guard(
                identity_sources=("route.request.querystring.a", "route.request.querystring.b")
            ),
            "identity-source",
            _NOTE,
            id="two-sources",
        ),
        pytest.param(
            with_guard(identity_sources=("route.request.header.Authorization",)),
            "browser-credentials",
            _WARNING,
            id="header",
        ),
        pytest.param(
            with_guard(function=function("authorizer", policy=None)),
            "authorizer-permission",
            _ERROR,
            id="not-permitted",
        ),
        pytest.param(
            with_guard(function=function("authorizer", f"{ARNS}/prod/$connect")),
            "authorizer-permission",
            _ERROR,
            id="permitted-for-the-route-only",
        ),
        pytest.param(
            with_guard(function=function("authorizer", exists=False)),
            "authorizer-permission",
            _ERROR,
            id="no-such-function",
        ),
        pytest.param(
            with_guard(function=None), "authorizer-permission", _ERROR, id="uri-of-nothing"
        ),
        pytest.param(
            with_connect(function=function("messages", policy=None)),
            "integration-permission",
            _ERROR,
            id="route-not-permitted",
        ),
        pytest.param(with_connect(has_target=False), "integration", _ERROR, id="no-target"),
        pytest.param(with_connect(integration_type=None), "integration", _ERROR, id="dangling"),
        pytest.param(
            replace(HEALTHY, routes=(CONNECT,)), "default-route", _WARNING, id="no-default"
        ),
        pytest.param(
            replace(HEALTHY, routes=(CONNECT, route("$default", has_response=False))),
            "route-response",
            _NOTE,
            id="one-way",
        ),
        pytest.param(with_stage(deployment_id=None), "deployment", _ERROR, id="not-deployed"),
        pytest.param(with_stage(is_auto_deployed=False), "deployment", _NOTE, id="by-hand"),
        pytest.param(with_stage(deployment_problem="no routes"), "deployment", _ERROR, id="failed"),
        pytest.param(
            with_stage(default_throttle=Throttle(rate=0, burst=10)),
            "throttling",
            _ERROR,
            id="stage-closed",
        ),
        pytest.param(
            with_stage(throttles={"echo": Throttle(rate=5, burst=0)}),
            "throttling",
            _ERROR,
            id="route-closed",
        ),
        pytest.param(
            with_guard(http_features=("EnableSimpleResponses",)),
            "http-api-features",
            _ERROR,
            id="http-api-features",
        ),
        pytest.param(with_stage(logging_level="INFO"), "log-role", _ERROR, id="no-log-role"),
        pytest.param(
            replace(HEALTHY, log_role_arn=None, is_log_role_known=True),
            "log-role",
            _ERROR,
            id="access-logs-without-role",
        ),
        pytest.param(with_stage(access_log_format=None), "access-logs", _WARNING, id="no-logs"),
        pytest.param(
            with_stage(access_log_format="$context.requestId"),
            "access-logs",
            _WARNING,
            id="logs-without-reason",
        ),
        pytest.param(
            replace(HEALTHY, is_endpoint_disabled=True), "endpoint", _WARNING, id="disabled"
        ),
    ],
)
def test_mistake_is_found_once(api: Api, check: str, severity: Severity) -> None:
    """Each mistake has a finding with cause and cure, and nothing else is blamed."""
    findings = [one for one in examine(api) if one.severity is not Severity.OK]

    assert [(one.check, one.severity) for one in findings] == [(check, severity)]
    assert findings[0].what.endswith((".", "exists."))
    assert findings[0].why
    assert findings[0].fix or severity is Severity.NOTE


def test_wide_permission_is_a_warning() -> None:
    """A permission for every API works, and is said to be too wide."""
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "apigateway.amazonaws.com"},
        "Action": "lambda:InvokeFunction",
        "Resource": "*",
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})

    api = with_guard(function=function("authorizer", policy=policy))

    assert found(api) == {"wide-permission": Severity.WARNING}


@pytest.mark.parametrize(
    "policies",
    [
        pytest.param((), id="nothing"),
        pytest.param(
            (json.loads(json.dumps(POSTING).replace("/prod/", "/dev/")),), id="another-stage"
        ),
        pytest.param((json.loads(json.dumps(POSTING).replace("POST", "GET")),), id="only-get"),
    ],
)
def test_function_that_may_not_post_is_told(policies: tuple[Json, ...]) -> None:
    """When no role allows to post to this stage's connections, pushing cannot work."""
    silent = function("messages", f"{ARNS}/*/*", role_policies=policies)
    routes = tuple(replace(each, function=silent) for each in HEALTHY.routes)

    assert found(replace(HEALTHY, routes=routes)) == {"callback-permission": Severity.WARNING}


def test_roles_that_cannot_be_read_are_not_judged() -> None:
    """What the caller may not read leads to silence, not to a guess."""
    unread = function("messages", f"{ARNS}/*/*", role_policies=None)
    routes = tuple(replace(each, function=unread) for each in HEALTHY.routes)

    findings = examine(replace(HEALTHY, routes=routes))

    assert "callback-permission" not in {finding.check for finding in findings}


def test_every_check_has_its_section_in_the_documents() -> None:
    """The link of a finding leads to a section of docs/errors.md, and no section is orphaned."""
    root = Path(__file__).parents[3]
    sources = (root / "src" / "socketstack" / "doctor").rglob("*.py")
    text = "\n".join(path.read_text() for path in sources)
    page = (root / "docs" / "errors.md").read_text()
    import re

    used = set(re.findall(r'(?:error|warning|note|ok|_Call)\(\s*"([a-z]+(?:-[a-z]+)*)"', text)) | {
        "open-connect"
    }

    assert set(re.findall(r"^## ([a-z-]+)$", page, re.MULTILINE)) == used


@pytest.mark.parametrize(
    ("record", "features"),
    [
        pytest.param({"AuthorizerType": "REQUEST"}, (), id="none"),
        pytest.param(
            {"EnableSimpleResponses": False, "AuthorizerResultTtlInSeconds": 0},
            (),
            id="switched-off",
        ),
        pytest.param({"AuthorizerType": "JWT"}, ("AuthorizerType JWT",), id="type"),
        pytest.param(
            {"JwtConfiguration": {"Issuer": "x"}, "AuthorizerResultTtlInSeconds": 300},
            ("AuthorizerResultTtlInSeconds", "JwtConfiguration"),
            id="several",
        ),
    ],
)
def test_features_of_http_apis_are_named(record: dict[str, Any], features: tuple[str, ...]) -> None:
    """What is off, or 0, asks for nothing."""
    assert http_features(record) == features
