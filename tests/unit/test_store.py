"""The Store keeps records as a tree and answers what a client can reach."""

from fakes import FakePeer

from socketstack.core.model import ApiSnapshot, Connection, StageSettings
from socketstack.store import Store


def _snapshot(deployment_id: str) -> ApiSnapshot:
    return ApiSnapshot(
        api_id="api1",
        account_id="000000000000",
        region="us-east-1",
        deployment_id=deployment_id,
        route_selection_expression="$request.body.action",
    )


def _connection(connection_id: str, api_id: str = "api1") -> Connection:
    return Connection(
        connection_id=connection_id,
        api_id=api_id,
        stage_name="dev",
        account_id="000000000000",
        region="us-east-1",
        domain_name="api1.execute-api.localhost:4566",
        connected_at_ms=5,
        source_ip="127.0.0.1",
    )


def test_removing_a_record_removes_what_is_below_it_deepest_first() -> None:
    """Deleting an API takes its routes and their responses along."""
    store = Store()
    store.put(("Api", "a"), {"Name": "one"})
    store.put(("Api", "a", "Route", "r"), {})
    store.put(("Api", "a", "Route", "r", "RouteResponse", "x"), {})
    store.put(("Api", "b"), {})

    removed = store.remove(("Api", "a"))

    assert removed == [
        ("Api", "a", "Route", "r", "RouteResponse", "x"),
        ("Api", "a", "Route", "r"),
        ("Api", "a"),
    ]
    assert store.get(("Api", "a", "Route", "r")) is None
    assert [path for path, _ in store.children((), "Api")] == [("Api", "b")]


def test_removing_an_unknown_record_changes_nothing() -> None:
    """A second delete finds nothing to do."""
    store = Store()
    store.put(("Api", "a"), {})

    assert store.remove(("Api", "zzz")) == []
    assert store.has_api("a")


def test_records_are_copies_so_a_caller_cannot_change_the_store() -> None:
    """What comes out of the Store is the caller's own."""
    store = Store()
    store.put(("Api", "a"), {"Name": "one"})

    record = store.get(("Api", "a"))
    assert record is not None
    record["Name"] = "two"

    assert store.get(("Api", "a")) == {"Name": "one"}


def test_stage_without_deployment_cannot_be_called() -> None:
    """A stage exists before it serves anything."""
    store = Store()
    store.set_stage("api1", StageSettings(stage_name="dev", deployment_id=None))

    assert store.has_stage("api1", "dev")
    assert store.deployed_stage("api1", "dev") is None


def test_stage_serves_the_deployment_it_points_to() -> None:
    """Moving a stage changes what clients meet; other snapshots stay for other stages."""
    store = Store()
    store.publish(_snapshot("d1"))
    store.publish(_snapshot("d2"))
    store.set_stage("api1", StageSettings(stage_name="dev", deployment_id="d1"))

    store.point_stage("api1", "dev", "d2")

    stage = store.deployed_stage("api1", "dev")
    assert stage is not None
    assert stage.snapshot.deployment_id == "d2"


def test_removed_stage_and_unpublished_deployment_cannot_be_called() -> None:
    """Neither a stage without snapshot nor a snapshot without stage is reachable."""
    store = Store()
    store.publish(_snapshot("d1"))
    store.set_stage("api1", StageSettings(stage_name="dev", deployment_id="d1"))
    store.set_stage("api1", StageSettings(stage_name="prod", deployment_id="d1"))

    store.remove_stage("api1", "dev")
    assert store.deployed_stage("api1", "dev") is None
    assert store.deployed_stage("api1", "prod") is not None
    store.unpublish("api1", "d1")

    assert store.deployed_stage("api1", "prod") is None


def test_connections_are_registered_touched_and_forgotten_once() -> None:
    """A connection is found while it is open and removed exactly once."""
    store = Store()
    store.add_connection(_connection("c1="), FakePeer())
    store.add_connection(_connection("c2=", api_id="api2"), FakePeer())

    store.touch("c1=", 99)
    store.touch("unknown=", 99)

    entry = store.connection("c1=")
    assert entry is not None
    assert entry.last_active_ms == 99
    assert [e.connection.connection_id for e in store.connections("api2")] == ["c2="]
    assert len(store.connections()) == 2
    assert store.remove_connection("c1=")
    assert not store.remove_connection("c1=")
    assert store.connection_count() == 1
