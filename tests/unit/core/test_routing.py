import pytest
from unit.core.builders import api_snapshot

from socketstack.core.routing import explain_route, select_route
from socketstack.errors import ExpressionError


@pytest.mark.parametrize(
    ("text", "key"),
    [
        pytest.param('{"action":"join"}', "join", id="exact"),
        pytest.param('{"action":"Join"}', "$default", id="case-differs"),
        pytest.param('{"action":"other"}', "$default", id="unknown-key"),
        pytest.param('{"act":"join"}', "$default", id="member-missing"),
        pytest.param('{"action":null}', "$default", id="member-null"),
        pytest.param('{"action":""}', "$default", id="member-empty"),
        pytest.param('{"action":1}', "1", id="number"),
        pytest.param('{"action":true}', "true", id="boolean"),
        pytest.param('{"action":["a","b"]}', "[a, b]", id="array"),
        pytest.param('{"action":"$default"}', "$default", id="default-by-name"),
        pytest.param('{"action":"$connect"}', "$default", id="connect-is-not-selectable"),
        pytest.param('{"action":"$disconnect"}', "$default", id="disconnect-is-not-selectable"),
        pytest.param("hello", "$default", id="not-json"),
        pytest.param("", "$default", id="empty"),
        pytest.param('"join"', "$default", id="json-text"),
        pytest.param("null", "$default", id="json-null"),
        pytest.param('["join"]', "$default", id="json-array"),
        pytest.param("[" * 100_000, "$default", id="nested-too-deep"),
    ],
)
def test_message_selects_its_route(text: str, key: str) -> None:
    """A message goes to the route whose key it selects, else to $default."""
    snapshot = api_snapshot("$connect", "$disconnect", "$default", "join", "1", "true", "[a, b]")

    route = select_route(snapshot, text)

    assert route is not None
    assert route.route_key == key


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        pytest.param("hello", "not JSON", id="not-json"),
        pytest.param("[1]", "no object", id="no-object"),
        pytest.param('{"act":"join"}', "nothing at $request.body.action", id="member-missing"),
        pytest.param('{"action":"leave"}', "no deployed route has the key 'leave'", id="unknown"),
        pytest.param('{"action":"$connect"}', "cannot be selected", id="connect"),
        pytest.param('{"action":"$disconnect"}', "cannot be selected", id="disconnect"),
    ],
)
def test_message_without_route_and_default_selects_none(text: str, reason: str) -> None:
    """Without a match and without $default no route takes the message, and the reason says why."""
    snapshot = api_snapshot("$connect", "$disconnect", "join")

    selection = explain_route(snapshot, text)

    assert selection.route is None
    assert reason in selection.reason
    assert "deploy" in selection.reason


def test_constant_expression_takes_every_message() -> None:
    """A constant expression sends every message to its route, JSON or not."""
    snapshot = api_snapshot("all", "$default", expression="all")

    routes = [select_route(snapshot, text) for text in ('{"action":"x"}', "no json", "[1]")]

    assert [route.route_key for route in routes if route] == ["all", "all", "all"]


def test_joined_expression_matches_its_text() -> None:
    """A joined expression matches the key that has the same text."""
    snapshot = api_snapshot(
        "chat/join", "/", expression="${request.body.service}/${request.body.action}"
    )

    matching = select_route(snapshot, '{"service":"chat","action":"join"}')
    no_json = select_route(snapshot, "no json")

    assert matching is not None
    assert matching.route_key == "chat/join"
    assert no_json is None


def test_reason_names_the_chosen_key() -> None:
    """The reason of a match names the key, and that of a fallback says that $default took it."""
    snapshot = api_snapshot("join", "$default")

    assert explain_route(snapshot, '{"action":"join"}').reason == "the route key is join"
    assert explain_route(snapshot, "x").reason == "the message is not JSON; $default takes it"


def test_unreadable_expression_raises() -> None:
    """An API whose expression cannot be read routes nothing."""
    snapshot = api_snapshot("$default", expression="$request.nothing")

    with pytest.raises(ExpressionError):
        select_route(snapshot, "{}")
