"""Deployments and stages of the control plane."""

from collections.abc import Iterator
from typing import Any

import pytest
from parity.account import Account, refusal, without_metadata
from parity.apis import ApiBuilder, all_items
from parity.cases import case

rule = pytest.mark.rule
NO_ROUTES = "At least one route is required before deploying the Api."


@pytest.fixture
def bare(account: Account) -> Iterator[str]:
    """An API without routes."""
    api_id = ApiBuilder(account, "bare").api_id
    yield api_id
    account.gateway.delete_api(ApiId=api_id)


@pytest.fixture
def api_id(account: Account, bare: str) -> str:
    """An API with one route."""
    account.gateway.create_route(ApiId=bare, RouteKey="$default")
    return bare


@pytest.fixture(scope="module")
def shared(account: Account) -> str:
    """An API for refusals: none of them may leave a stage."""
    api_id = ApiBuilder(account, "stages").api_id
    account.gateway.create_route(ApiId=api_id, RouteKey="$default")
    return api_id


def stage_of(account: Account, api_id: str, name: str = "dev") -> dict[str, Any]:
    """A stage as it reads now."""
    return without_metadata(account.gateway.get_stage(ApiId=api_id, StageName=name))


# Deployments


@rule("1.76")
def test_api_without_routes_cannot_be_deployed(account: Account, bare: str) -> None:
    """It is refused in AWS's words, and no deployment is made."""
    told = refusal(account.gateway.create_deployment, ApiId=bare)

    assert (told.status, told.message) == (400, NO_ROUTES)
    assert account.gateway.get_deployments(ApiId=bare)["Items"] == []


@rule("1.77")
def test_deployment_reads_back_deployed(account: Account, api_id: str) -> None:
    """It has an id, a status, a date, and was not made by itself."""
    made = account.gateway.create_deployment(ApiId=api_id, Description="first")

    def deployed() -> dict[str, Any] | None:
        now = account.gateway.get_deployment(ApiId=api_id, DeploymentId=made["DeploymentId"])
        return now if now["DeploymentStatus"] != "PENDING" else None

    found = account.eventually(deployed)
    assert made["DeploymentId"] == found["DeploymentId"]
    assert found["DeploymentStatus"] == "DEPLOYED"
    assert found["AutoDeployed"] is False
    assert "CreatedDate" in found


@rule("1.81")
def test_deployment_moves_the_stage_it_names(account: Account, api_id: str) -> None:
    """CreateDeployment with a stage's name points that stage to it."""
    account.gateway.create_stage(ApiId=api_id, StageName="dev")

    made = account.gateway.create_deployment(ApiId=api_id, StageName="dev")

    assert stage_of(account, api_id)["DeploymentId"] == made["DeploymentId"]


@rule("1.82")
def test_deployment_of_what_is_not_there_is_refused(account: Account, api_id: str) -> None:
    """An unknown API is not found, an unknown stage a bad request; nothing is deployed."""
    no_api = refusal(account.gateway.create_deployment, ApiId="zzzzzzzzzz")
    no_stage = refusal(account.gateway.create_deployment, ApiId=api_id, StageName="nosuch")

    assert (no_api.status, no_stage.status) == (404, 400)
    assert account.gateway.get_deployments(ApiId=api_id)["Items"] == []


@rule("1.83")
def test_deployment_in_use_cannot_be_deleted(account: Account, api_id: str) -> None:
    """While a stage serves it, a deployment stays."""
    made = account.gateway.create_deployment(ApiId=api_id)
    place = {"ApiId": api_id, "DeploymentId": made["DeploymentId"]}
    account.gateway.create_stage(StageName="dev", **place)

    told = refusal(account.gateway.delete_deployment, **place)

    assert told.status == 400
    assert stage_of(account, api_id)["DeploymentId"] == made["DeploymentId"]
    assert account.gateway.get_deployment(**place)["DeploymentId"] == made["DeploymentId"]


@rule("1.84")
def test_description_of_a_deployment_can_be_changed(account: Account, api_id: str) -> None:
    """The description is new, everything else is as it was."""
    made = account.gateway.create_deployment(ApiId=api_id)
    place = {"ApiId": api_id, "DeploymentId": made["DeploymentId"]}
    before = without_metadata(account.gateway.get_deployment(**place))

    account.gateway.update_deployment(**place, Description="second")

    after = without_metadata(account.gateway.get_deployment(**place))
    assert after == {**before, "Description": "second"}


# Stages


@pytest.mark.parametrize(
    "members",
    [
        case("1.85", "no-name", {"StageName": None}),
        case("1.85", "space", {"StageName": "a b"}),
        case("1.85", "dot", {"StageName": "a.b"}),
        case("1.85", "long", {"StageName": "s" * 129}),
        case("1.88", "unknown-deployment", {"DeploymentId": "nosuch"}),
        case("1.101", "variable-name", {"StageVariables": {"a-b": "1"}}),
        case("1.101", "variable-value", {"StageVariables": {"a": "x y"}}),
        case(
            "1.102",
            "no-request-id",
            {"AccessLogSettings": {"DestinationArn": "LOGS", "Format": "$context.stage"}},
        ),
    ],
)
def test_bad_stage_is_refused(account: Account, shared: str, members: dict[str, Any]) -> None:
    """A stage that AWS refuses is a bad request, and none is made."""
    wanted = {"StageName": "refused", **members}
    if "AccessLogSettings" in wanted:
        arn = f"arn:aws:logs:{account.target.region}:123456789012:log-group:some"
        wanted["AccessLogSettings"] = {**wanted["AccessLogSettings"], "DestinationArn": arn}
    sent = {name: value for name, value in wanted.items() if value is not None}

    told = refusal(account.gateway.create_stage, ApiId=shared, **sent)

    assert (told.status, told.code) == (400, "BadRequestException")
    assert list(all_items(account.gateway.get_stages, ApiId=shared)) == []


@rule("1.85")
def test_stage_name_may_have_hyphen_and_underscore(account: Account, api_id: str) -> None:
    """Letters, digits, hyphens and underscores are accepted."""
    account.gateway.create_stage(ApiId=api_id, StageName="Dev-1_a")

    assert stage_of(account, api_id, "Dev-1_a")["StageName"] == "Dev-1_a"


@rule("1.87")
def test_second_stage_with_a_name_conflicts(account: Account, api_id: str) -> None:
    """The first one keeps its settings."""
    account.gateway.create_stage(ApiId=api_id, StageName="dev", Description="first")

    told = refusal(
        account.gateway.create_stage, ApiId=api_id, StageName="dev", Description="second"
    )

    assert (told.status, told.code) == (409, "ConflictException")
    assert stage_of(account, api_id)["Description"] == "first"


@rule("1.89")
def test_stage_may_have_no_deployment(account: Account, api_id: str) -> None:
    """It can be made before anything is deployed."""
    account.gateway.create_stage(ApiId=api_id, StageName="dev")

    assert not stage_of(account, api_id).get("DeploymentId")


@rule("1.90")
def test_bare_stage_reads_back_with_defaults(account: Account, api_id: str) -> None:
    """Logging is off, and there are no throttling members."""
    account.gateway.create_stage(ApiId=api_id, StageName="dev")

    found = stage_of(account, api_id)
    assert found["DefaultRouteSettings"] == {
        "DataTraceEnabled": False,
        "DetailedMetricsEnabled": False,
        "LoggingLevel": "OFF",
    }
    assert (found["RouteSettings"], found["StageVariables"]) == ({}, {})
    assert found.get("AutoDeploy", False) is False


@rule("1.91", "1.92", "1.93")
def test_automatic_stage_deploys_itself_and_each_change(account: Account, api_id: str) -> None:
    """The deployment id comes after the answer; another follows each change, marked automatic."""
    account.gateway.create_stage(ApiId=api_id, StageName="dev", AutoDeploy=True)

    def deployment() -> str | None:
        return stage_of(account, api_id).get("DeploymentId")

    first = account.eventually(deployment, "deployment of the automatic stage")
    account.gateway.create_route(ApiId=api_id, RouteKey="send")

    def another() -> str | None:
        now = deployment()
        return now if now not in {None, first} else None

    second = account.eventually(another, "second deployment")
    made = account.gateway.get_deployment(ApiId=api_id, DeploymentId=second)
    assert made["AutoDeployed"] is True


@rule("1.94")
def test_failed_automatic_deployment_is_told_by_the_stage(account: Account, bare: str) -> None:
    """Without routes the stage's status message has the reason."""
    account.gateway.create_stage(ApiId=bare, StageName="dev", AutoDeploy=True)

    message = account.eventually(
        lambda: stage_of(account, bare).get("LastDeploymentStatusMessage"), "status message"
    )

    assert NO_ROUTES in message
    assert "DeploymentId" not in stage_of(account, bare)


@rule("1.95")
def test_automatic_stage_takes_no_deployment_by_hand(account: Account, api_id: str) -> None:
    """Moving it is a bad request, and it stays where it is."""
    made = account.gateway.create_deployment(ApiId=api_id)
    account.gateway.create_stage(ApiId=api_id, StageName="dev", AutoDeploy=True)
    own = account.eventually(
        lambda: stage_of(account, api_id).get("DeploymentId"), "deployment of the stage"
    )

    told = refusal(
        account.gateway.update_stage,
        ApiId=api_id,
        StageName="dev",
        DeploymentId=made["DeploymentId"],
    )

    assert told.status == 400
    assert stage_of(account, api_id)["DeploymentId"] == own


@rule("1.99")
def test_route_settings_are_removed_one_by_one(account: Account, api_id: str) -> None:
    """They go by route key."""
    settings = {"DetailedMetricsEnabled": True}
    account.gateway.create_stage(
        ApiId=api_id,
        StageName="dev",
        RouteSettings={"$connect": settings, "$default": settings},
    )

    gone = account.gateway.delete_route_settings(ApiId=api_id, StageName="dev", RouteKey="$connect")

    assert gone["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert set(stage_of(account, api_id)["RouteSettings"]) == {"$default"}


@rule("1.101")
def test_stage_variables_are_kept(account: Account, api_id: str) -> None:
    """Names of letters, digits and underscores, values of their alphabet."""
    wanted = {"host_1": "example.com:80/a?b=c&d,e#f~g_h-i"}

    account.gateway.create_stage(ApiId=api_id, StageName="dev", StageVariables=wanted)

    assert stage_of(account, api_id)["StageVariables"] == wanted


@rule("1.04")
def test_authorizers_cache_is_reset_with_204(account: Account, api_id: str) -> None:
    """Resetting the cache of a stage is 204 without body, and 404 where there is no stage."""
    account.gateway.create_stage(ApiId=api_id, StageName="dev")

    with account.recorded("ResetAuthorizersCache") as answers:
        account.gateway.reset_authorizers_cache(ApiId=api_id, StageName="dev")
    told = refusal(account.gateway.reset_authorizers_cache, ApiId=api_id, StageName="none")

    assert [(each.status, each.body) for each in answers] == [(204, b"")]
    assert told.status == 404


@rule("1.103")
def test_deleted_stage_is_not_found(account: Account, api_id: str) -> None:
    """After DeleteStage a read gives 404."""
    account.gateway.create_stage(ApiId=api_id, StageName="dev")

    account.gateway.delete_stage(ApiId=api_id, StageName="dev")

    told = refusal(account.gateway.get_stage, ApiId=api_id, StageName="dev")
    assert told.status == 404
