import pytest
from controlplane_bench import Bench

from socketstack.controlplane import service
from socketstack.controlplane.kinds import OPERATIONS
from socketstack.core.model import Record
from socketstack.errors import BadRequest, NotFound, NotImplementedYet
from socketstack.trace import Step

EXTRAS = {
    "TagResource",
    "UntagResource",
    "GetTags",
    "DeleteRouteRequestParameter",
    "DeleteRouteSettings",
    "DeleteAccessLogSettings",
    "GetModelTemplate",
    "ResetAuthorizersCache",
}


def test_the_websocket_side_is_served(bench: Bench) -> None:
    """Exactly the operations of WebSocket APIs are served."""
    served = {name for name in service.load().names if bench.plane.serves(name)}

    assert served == set(OPERATIONS) | EXTRAS


@pytest.mark.parametrize("name", sorted(service.load().names - set(OPERATIONS) - EXTRAS))
def test_unserved_operation_names_itself(bench: Bench, name: str) -> None:
    """An operation outside the WebSocket side is refused by name, never a silent success."""
    with pytest.raises(NotImplementedYet, match=name):
        bench.call(name)

    assert bench.events == []


def test_http_api_is_not_served(bench: Bench) -> None:
    """An HTTP API is refused as not served, and none is made."""
    with pytest.raises(NotImplementedYet, match="CreateApi with ProtocolType HTTP"):
        bench.call("CreateApi", Name="a", ProtocolType="HTTP")

    assert bench.items("GetApis") == []


@pytest.mark.parametrize(
    ("operation", "members", "told"),
    [
        pytest.param("CreateRoute", {"RouteKey": "x"}, ("CreateRoute x", ""), id="create"),
        pytest.param("UpdateApi", {"Name": "b"}, ("UpdateApi b", ""), id="update"),
        pytest.param("UpdateStage", {"StageName": "dev"}, ("UpdateStage dev", "dev"), id="stage"),
        pytest.param("DeleteStage", {"StageName": "dev"}, ("DeleteStage dev", "dev"), id="delete"),
        pytest.param(
            "CreateDeployment",
            {"StageName": "dev"},
            ("CreateDeployment dev", "dev"),
            id="deployment",
        ),
        pytest.param("DeleteApi", {}, ("DeleteApi", ""), id="api"),
        pytest.param(
            "DeleteAccessLogSettings",
            {"StageName": "dev"},
            ("DeleteAccessLogSettings dev", "dev"),
            id="extra",
        ),
    ],
)
def test_change_is_one_event(
    bench: Bench, api: str, operation: str, members: Record, told: tuple[str, str]
) -> None:
    """Each change tells its operation, API and stage, so that sockets can be closed."""
    bench.route(api)
    bench.stage(api)
    bench.events.clear()

    bench.call(operation, ApiId=api, **members)

    (event,) = bench.events
    assert event.step is Step.CONTROL
    assert ((event.summary, event.stage_name), event.api_id) == (told, api)
    assert event.detail == {"operation": operation}


def test_new_api_is_announced_with_its_id(bench: Bench) -> None:
    """The event of a new API carries the id that it was given."""
    api_id = bench.api()

    assert [(e.summary, e.api_id) for e in bench.events] == [("CreateApi chat", api_id)]


def test_automatic_deployment_is_announced_after_its_cause(bench: Bench, api: str) -> None:
    """A change is told first, then the deployment that follows from it."""
    bench.route(api)
    bench.stage(api, AutoDeploy=True)
    bench.events.clear()

    bench.route(api, "new")

    assert [event.detail["operation"] for event in bench.events] == [
        "CreateRoute",
        "CreateDeployment",
    ]
    assert bench.events[1].detail["automatic"] is True
    assert bench.events[1].stage_name == "dev"


def test_reads_and_refusals_are_no_events(bench: Bench, api: str) -> None:
    """Nothing is told about calls that change nothing."""
    bench.events.clear()

    bench.call("GetApi", ApiId=api)
    bench.items("GetRoutes", ApiId=api)
    bench.call("GetTags", ResourceArn=f"arn:aws:apigateway:us-east-1::/apis/{api}")
    with pytest.raises(BadRequest):
        bench.route(api, "$bad")
    with pytest.raises(NotFound):
        bench.call("DeleteRoute", ApiId=api, RouteId="none")

    assert bench.events == []


def test_secrets_of_records_do_not_enter_events(bench: Bench, api: str) -> None:
    """Values of stage variables and templates are never part of an event."""
    bench.stage(api, StageVariables={"key": "hunter2"}, Tags={"t": "hunter2"})

    assert "hunter2" not in str([event.as_json() for event in bench.events])
