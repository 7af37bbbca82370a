"""Stages and deployments: what is frozen, what acts at once, what follows by itself."""

import pytest
from controlplane_bench import FUNCTION_URI, Bench

from socketstack.controlplane.stages import partition_of
from socketstack.core.model import (
    AccessLogging,
    DeployedStage,
    ExecutionLogging,
    LoggingLevel,
    Record,
    StageLogging,
    Throttle,
)
from socketstack.errors import BadRequest, Conflict, NotFound, NotImplementedYet
from socketstack.trace import Step

LOG_GROUP = "arn:aws:logs:us-east-1:000000000000:log-group:access"


def served(bench: Bench, api: str, stage: str = "dev") -> DeployedStage:
    """What clients meet at a stage, which must be deployed."""
    deployed = bench.store.deployed_stage(api, stage)
    assert deployed is not None
    return deployed


def auto_stage(bench: Bench, api: str) -> Record:
    """A stage that deploys by itself, as it reads now."""
    bench.stage(api, AutoDeploy=True)
    return bench.call("GetStage", ApiId=api, StageName="dev")


def test_deployment_without_routes_is_refused(bench: Bench, api: str) -> None:
    """An API without routes cannot be deployed, and no deployment is made. Rule 1.76."""
    with pytest.raises(
        BadRequest, match=r"^At least one route is required before deploying the Api\.$"
    ):
        bench.deployment(api)

    assert bench.items("GetDeployments", ApiId=api) == []


def test_deployment_reads_back_deployed(bench: Bench, api: str) -> None:
    """A deployment has its status and was not made by itself. Rule 1.77."""
    bench.route(api)

    made = bench.call("CreateDeployment", ApiId=api, Description="first")

    assert made["DeploymentStatus"] == "DEPLOYED"
    assert made["AutoDeployed"] is False
    assert made["Description"] == "first"
    assert "StageName" not in made


def test_deployment_to_unknown_stage_is_refused(bench: Bench, api: str) -> None:
    """A stage name that does not exist is a bad request, and no deployment is made. 1.82."""
    bench.route(api)

    with pytest.raises(BadRequest, match="no stage nope"):
        bench.deployment(api, StageName="nope")

    assert bench.items("GetDeployments", ApiId=api) == []


def test_deployment_moves_the_stage_it_names(bench: Bench, api: str) -> None:
    """CreateDeployment with a stage name points that stage to it. Rule 1.81."""
    bench.route(api)
    bench.stage(api)
    assert bench.store.deployed_stage(api, "dev") is None

    deployment_id = bench.deployment(api, StageName="dev")

    stage = bench.call("GetStage", ApiId=api, StageName="dev")
    assert stage["DeploymentId"] == deployment_id
    assert served(bench, api).snapshot.deployment_id == deployment_id


def test_deployment_is_a_snapshot(bench: Bench, api: str) -> None:
    """Changes after a deployment reach clients with the next one only. Rule 1.78."""
    route_id = bench.route(api, "a")
    bench.stage(api, DeploymentId=bench.deployment(api))

    bench.route(api, "b")
    bench.call("UpdateRoute", ApiId=api, RouteId=route_id, RouteKey="c")
    bench.call("UpdateApi", ApiId=api, RouteSelectionExpression="$request.body.kind")

    old = served(bench, api).snapshot
    assert (set(old.routes), old.route_selection_expression) == ({"a"}, "$request.body.action")
    bench.deployment(api, StageName="dev")
    new = served(bench, api).snapshot
    assert (set(new.routes), new.route_selection_expression) == ({"b", "c"}, "$request.body.kind")


def test_snapshot_holds_everything_below_the_api(bench: Bench, api: str) -> None:
    """Integration, its responses, authorizer, models and route response are all frozen."""
    integration_id = bench.integration(api)
    bench.call(
        "CreateIntegrationResponse",
        ApiId=api,
        IntegrationId=integration_id,
        IntegrationResponseKey="/2../",
    )
    bench.model(api, "Message", '{"type":"object"}')
    authorizer_id = bench.authorizer(api)
    target = f"integrations/{integration_id}"
    bench.route(
        api, "$connect", AuthorizationType="CUSTOM", AuthorizerId=authorizer_id, Target=target
    )
    send = bench.route(api, "send", Target=target, RequestModels={"$default": "Message"})
    bench.call("CreateRouteResponse", ApiId=api, RouteId=send, RouteResponseKey="$default")

    bench.stage(api, DeploymentId=bench.deployment(api))

    snapshot = served(bench, api).snapshot
    connect, route = snapshot.routes["$connect"], snapshot.routes["send"]
    assert (snapshot.account_id, snapshot.region) == ("000000000000", "us-east-1")
    assert connect.authorizer is not None
    assert connect.authorizer.authorizer_uri == FUNCTION_URI
    assert not connect.is_two_way
    assert route.is_two_way
    assert route.request_models == {"$default": '{"type":"object"}'}
    assert route.integration is not None
    assert [r.integration_response_key for r in route.integration.responses] == ["/2../"]


def test_stage_settings_act_at_once(bench: Bench, api: str) -> None:
    """A changed stage variable is seen without a new deployment. Rule 1.79."""
    bench.route(api)
    deployment_id = bench.deployment(api)
    bench.stage(api, DeploymentId=deployment_id, StageVariables={"mode": "a"})

    bench.call("UpdateStage", ApiId=api, StageName="dev", StageVariables={"mode": "b"})

    assert served(bench, api).settings.variables == {"mode": "b"}
    assert served(bench, api).snapshot.deployment_id == deployment_id


def test_stage_can_be_pointed_to_an_older_deployment(bench: Bench, api: str) -> None:
    """UpdateStage with a deployment id rolls back."""
    bench.route(api, "a")
    first = bench.deployment(api)
    bench.route(api, "b")
    bench.stage(api, DeploymentId=bench.deployment(api))

    bench.call("UpdateStage", ApiId=api, StageName="dev", DeploymentId=first)

    assert set(served(bench, api).snapshot.routes) == {"a"}


def test_deployment_in_use_cannot_be_deleted(bench: Bench, api: str) -> None:
    """A deployment that a stage points to stays, and keeps serving. Rule 1.83."""
    bench.route(api)
    deployment_id = bench.deployment(api)
    bench.stage(api, DeploymentId=deployment_id)

    with pytest.raises(
        BadRequest,
        match=r"^Active stages pointing to this deployment must be moved or deleted$",
    ):
        bench.call("DeleteDeployment", ApiId=api, DeploymentId=deployment_id)

    assert served(bench, api).snapshot.deployment_id == deployment_id
    assert len(bench.items("GetDeployments", ApiId=api)) == 1


def test_deleted_stage_and_deployment_serve_nobody(bench: Bench, api: str) -> None:
    """After its stage a deployment can go, and its snapshot with it."""
    bench.route(api)
    deployment_id = bench.deployment(api)
    bench.stage(api, DeploymentId=deployment_id)

    bench.call("DeleteStage", ApiId=api, StageName="dev")
    bench.call("DeleteDeployment", ApiId=api, DeploymentId=deployment_id)

    assert not bench.store.has_stage(api, "dev")
    bench.stage(api)
    bench.store.point_stage(api, "dev", deployment_id)
    assert bench.store.deployed_stage(api, "dev") is None


def test_update_deployment_changes_its_description_only(bench: Bench, api: str) -> None:
    """A deployment's description is all that can be changed. Rule 1.84."""
    bench.route(api)
    made = bench.call("CreateDeployment", ApiId=api)

    changed = bench.call(
        "UpdateDeployment",
        ApiId=api,
        DeploymentId=made["DeploymentId"],
        Description="x",
        AutoDeployed=True,
    )

    assert changed == {**made, "Description": "x"}


def test_deployment_can_be_described_after_its_routes_are_gone(bench: Bench, api: str) -> None:
    """Only a new deployment needs routes; an old one can still be changed. Rules 1.76, 1.84."""
    route_id = bench.route(api)
    deployment_id = bench.deployment(api)
    bench.call("DeleteRoute", ApiId=api, RouteId=route_id)

    changed = bench.call("UpdateDeployment", ApiId=api, DeploymentId=deployment_id, Description="x")

    assert changed["Description"] == "x"


@pytest.mark.parametrize(
    ("members", "hint"),
    [
        pytest.param({"StageName": None}, "missing stage name", id="1.85-missing"),
        pytest.param({"StageName": "a b"}, "letters, digits", id="1.85-space"),
        pytest.param({"StageName": "a/b"}, "letters, digits", id="1.85-slash"),
        pytest.param({"StageName": "s" * 129}, "129 characters", id="1.85-long"),
        pytest.param({"DeploymentId": "nope"}, "no deployment nope", id="1.88"),
        pytest.param({"StageVariables": {"a-b": "1"}}, "alphanumeric", id="1.101-name"),
        pytest.param({"StageVariables": {"a": "x y"}}, "must match", id="1.101-value"),
        pytest.param(
            {"DefaultRouteSettings": {"LoggingLevel": "INFO"}},
            "^CloudWatch Logs role ARN must be set in account settings to enable logging$",
            id="1.96-level",
        ),
        pytest.param(
            {"RouteSettings": {"$connect": {"DataTraceEnabled": True}}},
            "^CloudWatch Logs role ARN must be set",
            id="1.96-trace",
        ),
        pytest.param(
            {"AccessLogSettings": {"DestinationArn": LOG_GROUP, "Format": "$context.requestId"}},
            "^CloudWatch Logs role ARN must be set",
            id="1.96-access",
        ),
        pytest.param({"DefaultRouteSettings": {"LoggingLevel": "ALL"}}, "ERROR, INFO", id="level"),
        pytest.param({"DefaultRouteSettings": {"ThrottlingBurstLimit": -1}}, "negative", id="low"),
        pytest.param(
            {"DefaultRouteSettings": {"ThrottlingRateLimit": float("inf")}}, "double", id="infinite"
        ),
        pytest.param(
            {"AccessLogSettings": {"DestinationArn": "group", "Format": "$context.requestId"}},
            "Invalid ARN",
            id="1.102-arn",
        ),
        pytest.param(
            {"AccessLogSettings": {"DestinationArn": LOG_GROUP, "Format": "$context.stage"}},
            "at least",
            id="1.102-id",
        ),
        pytest.param(
            {"AccessLogSettings": {"DestinationArn": LOG_GROUP, "Format": "a\n$context.requestId"}},
            "single line",
            id="1.102-lines",
        ),
        pytest.param(
            {
                "AccessLogSettings": {
                    "DestinationArn": LOG_GROUP,
                    "Format": "$context.requestId" + "x" * 3072,
                }
            },
            "3072",
            id="1.102-long",
        ),
    ],
)
def test_bad_stage_is_refused(bench: Bench, api: str, members: Record, hint: str) -> None:
    """A stage that AWS would refuse is refused with the reason, and none is made."""
    with pytest.raises(BadRequest, match=hint):
        bench.call("CreateStage", ApiId=api, **{"StageName": "dev", **members})

    assert bench.items("GetStages", ApiId=api) == []
    assert not bench.store.has_stage(api, "dev")


def test_access_log_format_may_be_longer_than_the_model_says(bench: Bench, api: str) -> None:
    """Up to 3 KB are accepted. Rule 1.102."""
    bench.can_log = True
    layout = "$context.extendedRequestId " + "x" * 2000

    made = bench.stage(api, AccessLogSettings={"DestinationArn": LOG_GROUP, "Format": layout})

    assert made["AccessLogSettings"] == {"DestinationArn": LOG_GROUP, "Format": layout}


def test_access_log_to_firehose_is_not_served(bench: Bench, api: str) -> None:
    """A destination that nobody would write to is refused by name, and no stage is made."""
    bench.can_log = True
    stream = "arn:aws:firehose:us-east-1:000000000000:deliverystream/amazon-apigateway-a"
    settings = {"DestinationArn": stream, "Format": "$context.requestId"}

    with pytest.raises(NotImplementedYet, match="Firehose"):
        bench.call("CreateStage", ApiId=api, StageName="dev", AccessLogSettings=settings)

    assert not bench.store.has_stage(api, "dev")


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        pytest.param({}, None, id="nothing"),
        pytest.param({"DefaultRouteSettings": {"LoggingLevel": "OFF"}}, None, id="off"),
        pytest.param({"RouteSettings": {"$connect": {"DataTraceEnabled": True}}}, None, id="trace"),
        pytest.param(
            {"AccessLogSettings": {"DestinationArn": LOG_GROUP, "Format": "$context.requestId"}},
            StageLogging(
                access=AccessLogging(LOG_GROUP, "$context.requestId"),
                execution={"": ExecutionLogging()},
            ),
            id="access",
        ),
        pytest.param(
            {
                "DefaultRouteSettings": {"LoggingLevel": "ERROR"},
                "RouteSettings": {"$default": {"LoggingLevel": "INFO", "DataTraceEnabled": True}},
            },
            StageLogging(
                execution={
                    "": ExecutionLogging(level=LoggingLevel.ERROR),
                    "$default": ExecutionLogging(level=LoggingLevel.INFO, data_trace=True),
                }
            ),
            id="levels",
        ),
    ],
)
def test_logs_of_a_stage_act_at_once(
    bench: Bench, api: str, members: Record, expected: StageLogging | None
) -> None:
    """What a stage logs is in force without a deployment; nothing to log is None. Rule 9.07."""
    bench.can_log = True
    bench.route(api, "$default")
    bench.stage(api, DeploymentId=bench.deployment(api))

    bench.call("UpdateStage", ApiId=api, StageName="dev", **members)

    assert served(bench, api).settings.logging == expected


def test_second_stage_with_a_name_conflicts(bench: Bench, api: str) -> None:
    """Stage names are unique; the first one keeps its settings. Rule 1.87."""
    bench.stage(api, Description="first")

    with pytest.raises(Conflict, match=r"^Stage already exists$"):
        bench.stage(api, Description="second")

    assert bench.call("GetStage", ApiId=api, StageName="dev")["Description"] == "first"


def test_default_stage_is_kept_and_cannot_be_reached(bench: Bench, api: str) -> None:
    """A $default stage is accepted, and serves nobody. Rule 1.86."""
    bench.route(api)

    made = bench.stage(api, "$default", DeploymentId=bench.deployment(api))

    assert made["StageName"] == "$default"
    assert Step.WARNING in [event.step for event in bench.events]
    assert bench.store.deployed_stage(api, "$default") is None


def test_logging_is_accepted_with_an_account_role(bench: Bench, api: str) -> None:
    """With a CloudWatch role in the account, execution logs can be switched on. Rule 1.96."""
    bench.can_log = True

    made = bench.stage(api, DefaultRouteSettings={"LoggingLevel": "INFO"})

    settings = made["DefaultRouteSettings"]
    assert isinstance(settings, dict)
    assert settings["LoggingLevel"] == "INFO"


def test_route_settings_need_their_route(bench: Bench, api: str) -> None:
    """A custom key without a route is not found; predefined keys need none. Rule 1.99."""
    with pytest.raises(
        NotFound, match=r"^Unable to find Route by key send within the provided RouteSettings$"
    ):
        bench.stage(api, RouteSettings={"send": {}})
    assert not bench.store.has_stage(api, "dev")

    bench.route(api, "send")
    made = bench.stage(api, RouteSettings={"send": {}, "$connect": {}, "$disconnect": {}})

    settings = made["RouteSettings"]
    assert isinstance(settings, dict)
    assert set(settings) == {"send", "$connect", "$disconnect"}


def test_settings_of_a_gone_route_stop_new_settings_only(bench: Bench, api: str) -> None:
    """After its route is gone, a setting must be deleted before others can be changed. 1.99."""
    route_id = bench.route(api, "send")
    bench.stage(api, RouteSettings={"send": {}})
    place: Record = {"ApiId": api, "StageName": "dev"}
    bench.call("DeleteRoute", ApiId=api, RouteId=route_id)

    bench.call("UpdateStage", **place, Description="x")
    with pytest.raises(NotFound, match="Unable to find Route by key send"):
        bench.call("UpdateStage", **place, RouteSettings={"$connect": {}})
    bench.call("DeleteRouteSettings", **place, RouteKey="send")
    changed = bench.call("UpdateStage", **place, RouteSettings={"$connect": {}})

    settings = changed["RouteSettings"]
    assert isinstance(settings, dict)
    assert set(settings) == {"$connect"}


def test_automatic_stage_is_deployed_after_the_call(bench: Bench, api: str) -> None:
    """The answer has no deployment yet, a read afterwards has one. Rules 1.91, 1.92."""
    bench.route(api)

    made = bench.stage(api, AutoDeploy=True)

    assert "DeploymentId" not in made
    stage = bench.call("GetStage", ApiId=api, StageName="dev")
    (deployment,) = bench.items("GetDeployments", ApiId=api)
    assert stage["DeploymentId"] == deployment["DeploymentId"]
    assert deployment["AutoDeployed"] is True
    assert set(served(bench, api).snapshot.routes) == {"$default"}


def test_automatic_stage_without_routes_says_why_it_failed(bench: Bench, api: str) -> None:
    """A failed automatic deployment stands in the stage's status message. Rule 1.94."""
    stage = auto_stage(bench, api)

    assert stage["LastDeploymentStatusMessage"] == (
        "Deployment attempt failed: At least one route is required before deploying the Api."
    )
    assert "DeploymentId" not in stage
    assert bench.store.deployed_stage(api, "dev") is None


@pytest.mark.parametrize(
    ("operation", "members"),
    [
        pytest.param("CreateRoute", {"RouteKey": "new"}, id="route-made"),
        pytest.param("UpdateRoute", {"OperationName": "x"}, id="route-changed"),
        pytest.param("DeleteRoute", {}, id="route-deleted"),
        pytest.param("CreateRouteResponse", {"RouteResponseKey": "$default"}, id="response-made"),
        pytest.param("CreateIntegration", {"IntegrationType": "MOCK"}, id="integration-made"),
        pytest.param("UpdateIntegration", {"Description": "x"}, id="integration-changed"),
        pytest.param(
            "CreateIntegrationResponse", {"IntegrationResponseKey": "$default"}, id="int-response"
        ),
        pytest.param("UpdateAuthorizer", {"Name": "other"}, id="authorizer-changed"),
        pytest.param("CreateModel", {"Name": "M", "Schema": "{}"}, id="model-made"),
        pytest.param("UpdateApi", {"RouteSelectionExpression": "x"}, id="api-changed"),
        pytest.param(
            "DeleteRouteRequestParameter",
            {"RequestParameterKey": "route.request.header.a"},
            id="parameter-deleted",
        ),
    ],
)
def test_each_change_makes_an_automatic_deployment(
    bench: Bench, api: str, operation: str, members: Record
) -> None:
    """Every change below an API moves its automatic stages, and no others. Rule 1.93."""
    integration_id, authorizer_id = bench.integration(api), bench.authorizer(api)
    bench.route(api, "keep")
    route_id = bench.route(
        api, "$connect", RequestParameters={"route.request.header.a": {"Required": True}}
    )
    before = auto_stage(bench, api)["DeploymentId"]
    bench.stage(api, "fixed", DeploymentId=before)

    bench.call(
        operation,
        ApiId=api,
        RouteId=route_id,
        IntegrationId=integration_id,
        AuthorizerId=authorizer_id,
        **members,
    )

    stage = bench.call("GetStage", ApiId=api, StageName="dev")
    newest = bench.items("GetDeployments", ApiId=api)[-1]
    assert newest["AutoDeployed"] is True
    assert newest["DeploymentId"] != before
    assert stage["DeploymentId"] == newest["DeploymentId"]
    assert served(bench, api).snapshot.deployment_id == newest["DeploymentId"]
    assert served(bench, api, "fixed").snapshot.deployment_id == before


def test_failed_automatic_deployment_keeps_the_old_one(bench: Bench, api: str) -> None:
    """Deleting the last route leaves clients where they were, with a message. Rule 1.94."""
    route_id = bench.route(api)
    before = auto_stage(bench, api)["DeploymentId"]

    bench.call("DeleteRoute", ApiId=api, RouteId=route_id)

    stage = bench.call("GetStage", ApiId=api, StageName="dev")
    assert stage["DeploymentId"] == before
    assert "Deployment attempt failed" in str(stage["LastDeploymentStatusMessage"])
    assert set(served(bench, api).snapshot.routes) == {"$default"}


def test_refused_change_makes_no_automatic_deployment(bench: Bench, api: str) -> None:
    """A call that fails deploys nothing."""
    bench.route(api, "send")
    auto_stage(bench, api)

    with pytest.raises(Conflict):
        bench.route(api, "send")

    assert len(bench.items("GetDeployments", ApiId=api)) == 1


def test_automatic_stage_takes_no_deployment_by_hand(bench: Bench, api: str) -> None:
    """Neither UpdateStage, CreateStage nor CreateDeployment moves an automatic stage. 1.95."""
    bench.route(api)
    by_hand = bench.deployment(api)
    before = auto_stage(bench, api)
    text = (
        f"^Deployment ID cannot be set on this stage 000000000000:{api} because AutoDeploy is "
        "enabled.$"
    )

    with pytest.raises(BadRequest, match=text):
        bench.call("UpdateStage", ApiId=api, StageName="dev", DeploymentId=by_hand)
    with pytest.raises(BadRequest, match=text):
        bench.stage(api, "other", AutoDeploy=True, DeploymentId=by_hand)
    with pytest.raises(BadRequest, match=text):
        bench.deployment(api, StageName="dev")

    assert bench.call("GetStage", ApiId=api, StageName="dev") == before
    assert not bench.store.has_stage(api, "other")


def test_stage_can_be_switched_to_automatic_and_back(bench: Bench, api: str) -> None:
    """Switching on deploys what is there; switching off takes a deployment again."""
    bench.route(api, "a")
    by_hand = bench.deployment(api)
    bench.stage(api, DeploymentId=by_hand)
    bench.route(api, "b")

    bench.call("UpdateStage", ApiId=api, StageName="dev", AutoDeploy=True)
    on = set(served(bench, api).snapshot.routes)
    bench.call("UpdateStage", ApiId=api, StageName="dev", AutoDeploy=False, DeploymentId=by_hand)

    assert on == {"a", "b"}
    assert set(served(bench, api).snapshot.routes) == {"a"}


@pytest.mark.parametrize(
    ("settings", "is_closed"),
    [
        pytest.param({}, False, id="absent-is-no-throttle"),
        pytest.param({"ThrottlingBurstLimit": 0}, True, id="no-burst"),
        pytest.param({"ThrottlingRateLimit": 0.0}, True, id="no-rate"),
        pytest.param({"ThrottlingBurstLimit": 5, "ThrottlingRateLimit": 0.5}, False, id="some"),
    ],
)
def test_throttling_of_zero_closes_the_stage_at_once(
    bench: Bench, api: str, settings: Record, *, is_closed: bool
) -> None:
    """Zero lets nothing pass, without a deployment; a route's settings stand alone. 1.98."""
    bench.route(api, "a")
    auto_stage(bench, api)

    bench.call(
        "UpdateStage",
        ApiId=api,
        StageName="dev",
        DefaultRouteSettings=settings,
        RouteSettings={"a": {"ThrottlingBurstLimit": 7}},
    )

    throttle = served(bench, api).settings.throttle_of("$connect")
    assert (throttle is not None and throttle.is_closed) == is_closed
    assert served(bench, api).settings.throttle_of("a") == Throttle(
        rate_per_second=10_000.0, burst=7
    )


@pytest.mark.parametrize(
    ("region", "partition"),
    [("eu-west-1", "aws"), ("cn-north-1", "aws-cn"), ("us-gov-west-1", "aws-us-gov")],
)
def test_partition_follows_from_the_region(region: str, partition: str) -> None:
    """ARNs of Chinese and government regions have their own partition."""
    assert partition_of(region) == partition


REFERRING = '{"$ref": "https://apigateway.amazonaws.com/restapis/%s/models/Text"}'


@pytest.mark.parametrize("is_automatic", [False, True], ids=["by-hand", "automatic"])
def test_model_that_leads_nowhere_is_not_deployed(
    bench: Bench, api: str, *, is_automatic: bool
) -> None:
    """A deployment checks the models, and makes none when one cannot be applied. 1.22, 1.94."""
    bench.route(api, "send")
    text = bench.model(api, "Text", '{"type": "string"}')
    bench.model(api, "Chat", REFERRING % api)
    bench.call("DeleteModel", ApiId=api, ModelId=text)
    before = len(bench.items("GetDeployments", ApiId=api))

    if is_automatic:
        bench.stage(api, "auto", AutoDeploy=True)
        message = bench.call("GetStage", ApiId=api, StageName="auto")["LastDeploymentStatusMessage"]
    else:
        with pytest.raises(BadRequest) as refusal:
            bench.deployment(api)
        message = refusal.value.message

    assert "Invalid model Chat" in str(message)
    assert len(bench.items("GetDeployments", ApiId=api)) == before


def test_models_are_not_checked_when_the_api_says_so(bench: Bench) -> None:
    """With disableSchemaValidation a deployment looks at no model. 1.22."""
    api = bench.api(DisableSchemaValidation=True)
    bench.route(api, "send")
    text = bench.model(api, "Text", '{"type": "string"}')
    bench.model(api, "Chat", REFERRING % api)
    bench.call("DeleteModel", ApiId=api, ModelId=text)

    assert bench.deployment(api)
