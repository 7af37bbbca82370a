"""What a second Terraform plan must find: cleared, merged and computed members."""

import pytest
from controlplane_bench import FUNCTION_URI, Bench

from socketstack.core.model import Record

FUNCTION: Record = {"IntegrationType": "AWS_PROXY", "IntegrationUri": FUNCTION_URI}


@pytest.mark.parametrize(
    ("member", "value"),
    [
        pytest.param("OperationName", "Send", id="operation-name"),
        pytest.param("ModelSelectionExpression", "$request.body.kind", id="model-selection"),
        pytest.param("RouteResponseSelectionExpression", "$default", id="response-selection"),
    ],
)
def test_empty_text_clears_a_member(bench: Bench, api: str, member: str, value: str) -> None:
    """Terraform removes a member by sending an empty text; then it is absent."""
    route_id = bench.route(api, "send", **{member: value})
    assert bench.call("GetRoute", ApiId=api, RouteId=route_id)[member] == value

    changed = bench.call("UpdateRoute", ApiId=api, RouteId=route_id, **{member: ""})

    assert member not in changed
    assert changed["RouteKey"] == "send"


def test_empty_text_takes_the_target_away(bench: Bench, api: str) -> None:
    """A route can lose its integration, which can then be deleted."""
    integration_id = bench.integration(api)
    route_id = bench.route(api, "send", Target=f"integrations/{integration_id}")

    changed = bench.call("UpdateRoute", ApiId=api, RouteId=route_id, Target="")
    bench.call("DeleteIntegration", ApiId=api, IntegrationId=integration_id)

    assert "Target" not in changed


def test_cleared_member_falls_back_to_its_default(bench: Bench, api: str) -> None:
    """An API key selection that is cleared reads back as AWS's default."""
    bench.call(
        "UpdateApi",
        ApiId=api,
        ApiKeySelectionExpression="$context.authorizer.usageIdentifierKey",
        Version="1",
    )

    changed = bench.call("UpdateApi", ApiId=api, ApiKeySelectionExpression="", Version="")

    assert changed["ApiKeySelectionExpression"] == "$request.header.x-api-key"
    assert "Version" not in changed


def test_stage_variables_are_merged_and_emptied_one_by_one(bench: Bench, api: str) -> None:
    """An update adds and changes variables; an empty value removes one."""
    bench.stage(api, StageVariables={"a": "1", "b": "2"})

    changed = bench.call(
        "UpdateStage", ApiId=api, StageName="dev", StageVariables={"a": "", "c": "3"}
    )

    assert changed["StageVariables"] == {"b": "2", "c": "3"}


def test_integration_parameters_are_merged_and_emptied_one_by_one(bench: Bench, api: str) -> None:
    """Request parameters of an integration behave like stage variables."""
    old, new = "integration.request.header.a", "integration.request.querystring.b"
    integration_id = bench.integration(api, RequestParameters={old: "'1'"})

    changed = bench.call(
        "UpdateIntegration",
        ApiId=api,
        IntegrationId=integration_id,
        RequestParameters={old: "", new: "context.connectionId"},
    )

    assert changed["RequestParameters"] == {new: "context.connectionId"}


def test_request_templates_are_replaced(bench: Bench, api: str) -> None:
    """Templates that are not sent again are gone, as Terraform expects."""
    integration_id = bench.integration(api, RequestTemplates={"a": "1", "b": "2"})

    changed = bench.call(
        "UpdateIntegration", ApiId=api, IntegrationId=integration_id, RequestTemplates={"b": "3"}
    )
    emptied = bench.call(
        "UpdateIntegration", ApiId=api, IntegrationId=integration_id, RequestTemplates={}
    )

    assert changed["RequestTemplates"] == {"b": "3"}
    assert "RequestTemplates" not in emptied


def test_empty_access_log_settings_stop_the_log(bench: Bench, api: str) -> None:
    """Terraform removes the block by sending it empty; then it is absent."""
    bench.can_log = True
    settings = {
        "DestinationArn": "arn:aws:logs:us-east-1:0:log-group:g",
        "Format": "$context.requestId",
    }
    made = bench.stage(api, AccessLogSettings=settings)

    changed = bench.call("UpdateStage", ApiId=api, StageName="dev", AccessLogSettings={})

    assert made["AccessLogSettings"] == settings
    assert "AccessLogSettings" not in changed


def test_throttling_reads_back_as_sent(bench: Bench, api: str) -> None:
    """Zero is kept as zero and not as absent. Rule 1.98."""
    made = bench.stage(
        api, DefaultRouteSettings={"ThrottlingBurstLimit": 0, "ThrottlingRateLimit": 0.5}
    )

    changed = bench.call(
        "UpdateStage",
        ApiId=api,
        StageName="dev",
        DefaultRouteSettings={"DetailedMetricsEnabled": True},
    )

    expected = {
        "DataTraceEnabled": False,
        "DetailedMetricsEnabled": False,
        "LoggingLevel": "OFF",
        "ThrottlingBurstLimit": 0,
        "ThrottlingRateLimit": 0.5,
    }
    assert made["DefaultRouteSettings"] == expected
    assert changed["DefaultRouteSettings"] == {**expected, "DetailedMetricsEnabled": True}


def test_route_settings_entries_stand_alone(bench: Bench, api: str) -> None:
    """An entry takes nothing from the default settings, and is replaced as a whole. 1.100."""
    bench.stage(
        api,
        DefaultRouteSettings={"ThrottlingBurstLimit": 5},
        RouteSettings={"$connect": {"ThrottlingBurstLimit": 1}},
    )

    changed = bench.call(
        "UpdateStage",
        ApiId=api,
        StageName="dev",
        RouteSettings={
            "$connect": {"DetailedMetricsEnabled": True},
            "$default": {"ThrottlingRateLimit": 2},
        },
    )

    assert changed["RouteSettings"] == {
        "$connect": {"DetailedMetricsEnabled": True},
        "$default": {"ThrottlingRateLimit": 2},
    }


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        pytest.param({"IntegrationType": "MOCK"}, "${integration.response.statuscode}", id="mock"),
        pytest.param({"IntegrationType": "HTTP"}, "${integration.response.statuscode}", id="http"),
        pytest.param(
            {**FUNCTION, "IntegrationType": "AWS"},
            "${integration.response.body.errorMessage}",
            id="aws",
        ),
        pytest.param(FUNCTION, None, id="aws-proxy"),
        pytest.param({"IntegrationType": "HTTP_PROXY"}, None, id="http-proxy"),
    ],
)
def test_response_selection_follows_from_the_type(
    bench: Bench, api: str, sent: Record, expected: str | None
) -> None:
    """The integration response selection is computed, never sent. Rule 1.53."""
    made = bench.call("CreateIntegration", ApiId=api, **sent)

    assert made.get("IntegrationResponseSelectionExpression") == expected


def test_function_integration_is_called_by_post(bench: Bench, api: str) -> None:
    """Without a method a Lambda integration reads back POST. Rule 1.55."""
    made = bench.call("CreateIntegration", ApiId=api, **FUNCTION)

    assert made["IntegrationMethod"] == "POST"


def test_authorizer_id_without_type_is_not_used(bench: Bench, api: str) -> None:
    """An authorizer that is named but not asked for is accepted and dropped. Rule 1.39."""
    authorizer_id = bench.authorizer(api)

    made = bench.call("CreateRoute", ApiId=api, RouteKey="send", AuthorizerId=authorizer_id)

    assert made["AuthorizationType"] == "NONE"
    assert "AuthorizerId" not in made


def test_authorizer_stays_until_type_is_none(bench: Bench, api: str) -> None:
    """Leaving both members out keeps the authorizer; NONE takes it away. Rule 1.40."""
    authorizer_id = bench.authorizer(api)
    route_id = bench.route(api, "$connect", AuthorizationType="CUSTOM", AuthorizerId=authorizer_id)

    kept = bench.call("UpdateRoute", ApiId=api, RouteId=route_id, OperationName="x")
    gone = bench.call("UpdateRoute", ApiId=api, RouteId=route_id, AuthorizationType="NONE")

    assert (kept["AuthorizationType"], kept["AuthorizerId"]) == ("CUSTOM", authorizer_id)
    assert gone["AuthorizationType"] == "NONE"
    assert "AuthorizerId" not in gone


def test_authorizer_gives_way_to_iam(bench: Bench, api: str) -> None:
    """Changing CUSTOM to AWS_IAM, as Terraform sends it, drops the authorizer."""
    route_id = bench.route(
        api, "$connect", AuthorizationType="CUSTOM", AuthorizerId=bench.authorizer(api)
    )

    changed = bench.call(
        "UpdateRoute", ApiId=api, RouteId=route_id, AuthorizationType="AWS_IAM", AuthorizerId=""
    )

    assert changed["AuthorizationType"] == "AWS_IAM"
    assert "AuthorizerId" not in changed


def test_route_parameters_are_merged(bench: Bench, api: str) -> None:
    """An update adds and changes request parameters; removing one is its own operation."""
    old, new = "route.request.header.a", "route.request.querystring.b"
    route_id = bench.route(api, "$connect", RequestParameters={old: {"Required": True}})

    changed = bench.call(
        "UpdateRoute", ApiId=api, RouteId=route_id, RequestParameters={new: {"Required": False}}
    )

    assert changed["RequestParameters"] == {old: {"Required": True}, new: {"Required": False}}


def test_inert_http_members_are_dropped(bench: Bench, api: str) -> None:
    """Members of HTTP APIs that are off or empty change nothing."""
    made = bench.call(
        "CreateAuthorizer",
        ApiId=api,
        AuthorizerType="REQUEST",
        AuthorizerUri=FUNCTION_URI,
        Name="token",
        EnableSimpleResponses=False,
        AuthorizerResultTtlInSeconds=0,
    )

    assert not {"EnableSimpleResponses", "AuthorizerResultTtlInSeconds"} & set(made)
    assert made["IdentitySource"] == []
