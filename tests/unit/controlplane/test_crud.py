from datetime import UTC, datetime

import pytest
from controlplane_bench import FUNCTION_URI, Bench

from socketstack.controlplane.kinds import KINDS, Kind
from socketstack.controlplane.plane import Caller
from socketstack.core.model import Record
from socketstack.errors import BadRequest, NotFound

CREATE: dict[str, Record] = {
    "Api": {
        "Name": "chat",
        "ProtocolType": "WEBSOCKET",
        "RouteSelectionExpression": "$request.body.action",
    },
    "Route": {"RouteKey": "send"},
    "RouteResponse": {"RouteResponseKey": "$default"},
    "Integration": {"IntegrationType": "MOCK"},
    "IntegrationResponse": {"IntegrationResponseKey": "$default"},
    "Authorizer": {"AuthorizerType": "REQUEST", "AuthorizerUri": FUNCTION_URI, "Name": "token"},
    "Model": {"Name": "Message", "Schema": "{}"},
    "Deployment": {},
    "Stage": {"StageName": "dev"},
}
KINDS_OF_APIS = {name: KINDS[name] for name in CREATE}
UPDATE: dict[str, Record] = {
    "Api": {"Description": "talk"},
    "Route": {"OperationName": "Send"},
    "RouteResponse": {"ModelSelectionExpression": "x"},
    "Integration": {"Description": "talk"},
    "IntegrationResponse": {"ContentHandlingStrategy": "CONVERT_TO_TEXT"},
    "Authorizer": {"Name": "other"},
    "Model": {"Description": "talk"},
    "Deployment": {"Description": "talk"},
    "Stage": {"Description": "talk"},
}


def parents(bench: Bench, kind: Kind) -> Record:
    """Ids of what a record of this kind lies below, freshly made."""
    place: Record = {}
    if kind.parents:
        place["ApiId"] = bench.api()
        bench.route(str(place["ApiId"]), "$default")
    if "Route" in kind.parents:
        place["RouteId"] = bench.route(str(place["ApiId"]), "send")
    if "Integration" in kind.parents:
        place["IntegrationId"] = bench.integration(str(place["ApiId"]))
    return place


@pytest.mark.parametrize("kind", KINDS_OF_APIS.values(), ids=KINDS_OF_APIS)
def test_kind_can_be_made_read_listed_changed_and_deleted(bench: Bench, kind: Kind) -> None:
    """Each of the nine kinds answers all five verbs, and is gone in the end."""
    place = parents(bench, kind)

    made = bench.call(f"Create{kind.name}", **place, **CREATE[kind.name])
    named = {**place, kind.id_member: made[kind.id_member]}
    read = bench.call(f"Get{kind.name}", **named)
    listed = bench.items(f"Get{kind.plural}", **place)
    changed = bench.call(f"Update{kind.name}", **named, **UPDATE[kind.name])
    deleted = bench.call(f"Delete{kind.name}", **named)

    assert read == made
    assert made in listed
    assert changed == {**made, **UPDATE[kind.name]}
    assert deleted == {}
    with pytest.raises(NotFound):
        bench.call(f"Get{kind.name}", **named)
    assert made not in bench.items(f"Get{kind.plural}", **place)


@pytest.mark.parametrize("verb", ["Get", "Update", "Delete"])
@pytest.mark.parametrize("kind", KINDS_OF_APIS.values(), ids=KINDS_OF_APIS)
def test_unknown_id_is_not_found(bench: Bench, kind: Kind, verb: str) -> None:
    """An id that does not exist, or has another shape, is not found and no bad request. 1.07."""
    place = parents(bench, kind)

    with pytest.raises(NotFound) as caught:
        bench.call(f"{verb}{kind.name}", **place, **{kind.id_member: "no such id"})

    assert caught.value.members == {"resourceType": kind.name}


@pytest.mark.parametrize(
    "kind", [k for k in KINDS_OF_APIS.values() if k.parents], ids=lambda k: k.name
)
def test_unknown_api_is_not_found_with_its_account(bench: Bench, kind: Kind) -> None:
    """Below an API that does not exist nothing is made or listed. Rule 1.08."""
    place: Record = {KINDS[name].id_member: "gone" for name in kind.parents}

    for operation, members in (
        (f"Create{kind.name}", CREATE[kind.name]),
        (f"Get{kind.plural}", {}),
    ):
        with pytest.raises(NotFound) as caught:
            bench.call(operation, **place, **members)
        assert caught.value.message == "Invalid API identifier specified 000000000000:gone"

    assert bench.store.children(("Api", "gone"), kind.name) == []


@pytest.mark.parametrize(
    ("kind", "length"),
    [("Api", 10), ("Route", 7), ("RouteResponse", 6), ("Authorizer", 6), ("Deployment", 6)],
)
def test_ids_have_the_lengths_of_aws(bench: Bench, kind: str, length: int) -> None:
    """Ids have as many characters as on AWS. Rules 1.17, 1.31, 1.48, 1.73, 1.77."""
    place = parents(bench, KINDS[kind])

    made = bench.call(f"Create{kind}", **place, **CREATE[kind])

    assert len(str(made[KINDS[kind].id_member])) == length


def test_minimal_api_reads_back_with_defaults(bench: Bench) -> None:
    """A new API shows the defaults of AWS and none of the members that were not given. 1.15."""
    api_id = bench.api()

    assert bench.call("GetApi", ApiId=api_id) == {
        "ApiEndpoint": f"ws://localhost:4566/_aws/execute-api/{api_id}",
        "ApiId": api_id,
        "ApiKeySelectionExpression": "$request.header.x-api-key",
        "CreatedDate": datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC),
        "DisableExecuteApiEndpoint": False,
        "IpAddressType": "ipv4",
        "Name": "chat",
        "ProtocolType": "WEBSOCKET",
        "RouteSelectionExpression": "$request.body.action",
        "Tags": {},
    }


def test_minimal_route_reads_back_with_defaults(bench: Bench, api: str) -> None:
    """A new route is open and needs no key. Rule 1.30."""
    route_id = bench.route(api, "send")

    assert bench.call("GetRoute", ApiId=api, RouteId=route_id) == {
        "ApiKeyRequired": False,
        "AuthorizationType": "NONE",
        "RouteId": route_id,
        "RouteKey": "send",
    }


def test_minimal_integration_reads_back_with_defaults(bench: Bench, api: str) -> None:
    """A new integration shows connection type, passthrough and timeout. Rules 1.52, 1.53."""
    integration_id = bench.integration(api)

    assert bench.call("GetIntegration", ApiId=api, IntegrationId=integration_id) == {
        "ConnectionType": "INTERNET",
        "IntegrationId": integration_id,
        "IntegrationResponseSelectionExpression": "${integration.response.statuscode}",
        "IntegrationType": "MOCK",
        "PassthroughBehavior": "WHEN_NO_MATCH",
        "PayloadFormatVersion": "1.0",
        "TimeoutInMillis": 29_000,
    }


def test_minimal_stage_reads_back_with_defaults(bench: Bench, api: str) -> None:
    """A new stage logs nothing and has no throttling members. Rules 1.89, 1.90."""
    bench.stage(api)

    now = datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)
    assert bench.call("GetStage", ApiId=api, StageName="dev") == {
        "AutoDeploy": False,
        "CreatedDate": now,
        "DefaultRouteSettings": {
            "DataTraceEnabled": False,
            "DetailedMetricsEnabled": False,
            "LoggingLevel": "OFF",
        },
        "LastUpdatedDate": now,
        "RouteSettings": {},
        "StageName": "dev",
        "StageVariables": {},
        "Tags": {},
    }


def test_update_moves_last_updated_date_only(bench: Bench, api: str) -> None:
    """Changing a stage keeps its creation date."""
    made = bench.stage(api)
    bench.clock.advance(60)

    changed = bench.call("UpdateStage", ApiId=api, StageName="dev", Description="x")

    assert changed["CreatedDate"] == made["CreatedDate"]
    assert changed["LastUpdatedDate"] == datetime(2023, 11, 14, 22, 14, 20, tzinfo=UTC)


def test_protocol_type_cannot_be_changed(bench: Bench, api: str) -> None:
    """UpdateApi has no protocol type; what is sent has no effect. Rule 1.18."""
    changed = bench.call("UpdateApi", ApiId=api, ProtocolType="HTTP")

    assert changed["ProtocolType"] == "WEBSOCKET"


@pytest.mark.parametrize(
    ("operation", "parameters"),
    [
        pytest.param("UpdateApi", {"Name": ""}, id="api-name"),
        pytest.param("UpdateApi", {"RouteSelectionExpression": ""}, id="route-selection"),
        pytest.param("UpdateRoute", {"RouteKey": ""}, id="route-key"),
    ],
)
def test_required_member_cannot_be_cleared(
    bench: Bench, api: str, operation: str, parameters: Record
) -> None:
    """An update that clears what Create requires is refused and changes nothing."""
    route_id = bench.route(api, "send")
    before = bench.call("GetApi", ApiId=api), bench.items("GetRoutes", ApiId=api)

    with pytest.raises(BadRequest):
        bench.call(operation, ApiId=api, RouteId=route_id, **parameters)

    assert (bench.call("GetApi", ApiId=api), bench.items("GetRoutes", ApiId=api)) == before


def test_lists_of_two_parents_are_apart(bench: Bench) -> None:
    """Routes of one API are not listed for another."""
    first, second = bench.api(), bench.api()
    bench.route(first, "a")

    assert bench.items("GetRoutes", ApiId=second) == []


def test_regions_are_apart(bench: Bench, api: str) -> None:
    """An API of another region can neither be read, listed, changed nor deleted."""
    other = Caller("000000000000", "eu-west-1")

    for operation in ("GetApi", "UpdateApi", "DeleteApi", "GetRoutes"):
        with pytest.raises(NotFound):
            bench.plane.call(operation, {"ApiId": api}, other)

    assert bench.plane.call("GetApis", {}, other)["Items"] == []
    assert bench.call("GetApi", ApiId=api)["ApiId"] == api


def test_answers_are_copies(bench: Bench, api: str) -> None:
    """Changing an answer, or what was sent, changes nothing that is stored."""
    sent = {"mode": "test"}
    made = bench.stage(api, StageVariables=sent)

    sent["mode"] = "other"
    variables = made["StageVariables"]
    assert isinstance(variables, dict)
    variables["mode"] = "third"

    assert bench.call("GetStage", ApiId=api, StageName="dev")["StageVariables"] == {"mode": "test"}


def test_deleting_an_api_removes_all_below(bench: Bench, api: str) -> None:
    """An API goes with its routes, integrations, stages and deployments. Rule 1.26."""
    integration_id = bench.integration(api)
    route_id = bench.route(api, "$default", Target=f"integrations/{integration_id}")
    bench.call("CreateRouteResponse", ApiId=api, RouteId=route_id, RouteResponseKey="$default")
    bench.stage(api, DeploymentId=bench.deployment(api))
    assert bench.store.deployed_stage(api, "dev") is not None

    bench.call("DeleteApi", ApiId=api)

    assert not bench.store.has_api(api)
    assert not bench.store.has_stage(api, "dev")
    assert bench.store.deployed_stage(api, "dev") is None
    for kind in KINDS:
        assert bench.store.children(("Api", api), kind) == []
