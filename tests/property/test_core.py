"""What holds in the core whatever is sent."""

import json

from hypothesis import given
from hypothesis import strategies as st

from socketstack.core.authorizer import Allow, decide
from socketstack.core.expressions import MISSING, parse
from socketstack.core.globs import matches
from socketstack.core.lifecycle import TRANSITIONS, Event, State, advance, runs_disconnect
from socketstack.core.model import ApiSnapshot, FailureKind, InvokeResult, Json, Route
from socketstack.core.policy import evaluate
from socketstack.core.replies import error_frame, for_route, verdict
from socketstack.core.routing import select_route
from socketstack.errors import ExpressionError

_ACTION = "execute-api:Invoke"
_ARN = "arn:aws:execute-api:eu-west-1:123456789012:a1b2c3d4e5/prod/$connect"

_KEYS = st.text(max_size=8)
_JSON: st.SearchStrategy[Json] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_KEYS, inner, max_size=4),
    max_leaves=20,
)
_EXPRESSIONS = st.sampled_from(
    [
        "$request.body.action",
        "${request.body.a.b}",
        "$request.body.a[0]['b']",
        "${request.body.a}/x/${request.body.b}",
        r"\$default",
        "constant",
    ]
)
_EXPRESSION_TEXTS = st.text(alphabet="$\\{}[].'\"abrequstody /0*", max_size=30) | st.text()
_PATTERNS = st.sampled_from(
    ["*", _ARN, _ARN[:-8] + "*", _ARN[:-8] + "*/*", "arn:aws:execute-api:*:*:*", "arn:a:b:c:d:e"]
)
_STATEMENTS = st.fixed_dictionaries(
    {
        "Effect": st.sampled_from(["Allow", "Deny"]),
        "Action": st.sampled_from(["*", _ACTION, "execute-api:*", "s3:Get*"]),
        "Resource": _PATTERNS | st.lists(_PATTERNS, min_size=1, max_size=3),
    }
)
_MATCHING_DENY: dict[str, Json] = {"Effect": "Deny", "Action": _ACTION, "Resource": _ARN}


def _reachable(value: Json) -> Json:
    """The value below the members that the sampled expressions name."""
    return {"action": value, "a": value, "b": value}


@given(_EXPRESSIONS, _JSON)
def test_expressions_never_raise_on_any_json(text: str, value: Json) -> None:
    """Evaluation gives a text or nothing, whatever the message holds."""
    expression = parse(text)

    outcomes = [expression.evaluate(body) for body in (value, _reachable(value), MISSING)]

    assert all(outcome is None or isinstance(outcome, str) for outcome in outcomes)


@given(_EXPRESSION_TEXTS, _JSON)
def test_any_text_is_an_expression_or_refused(text: str, value: Json) -> None:
    """A text is either refused by name or can be evaluated."""
    try:
        expression = parse(text)
    except ExpressionError:
        return

    outcome = expression.evaluate(value)

    assert outcome is None or isinstance(outcome, str)


@given(_EXPRESSIONS, st.text() | _JSON.map(json.dumps))
def test_routing_never_raises_and_never_selects_lifecycle_routes(
    expression: str, text: str
) -> None:
    """Any message, JSON or not, goes to a route for messages or to none."""
    keys = ("$connect", "$disconnect", "true", "[]")
    snapshot = ApiSnapshot(
        api_id="a",
        account_id="1",
        region="r",
        deployment_id="d",
        route_selection_expression=expression,
        routes={key: Route(route_id=key, route_key=key) for key in keys},
    )

    route = select_route(snapshot, text)

    assert route is None or route.route_key in {"true", "[]"}


@given(st.lists(_STATEMENTS, max_size=5), st.integers(min_value=0, max_value=5))
def test_matching_deny_never_allows_whatever_the_order(
    statements: list[dict[str, Json]], position: int
) -> None:
    """A policy with a matching Deny allows nothing, wherever the Deny stands."""
    document: list[Json] = [*statements[:position], _MATCHING_DENY, *statements[position:]]

    decision = evaluate({"Statement": document}, _ACTION, _ARN)

    assert not decision.is_allowed
    assert not decision.is_malformed


@given(st.permutations([*range(4)]), st.lists(_STATEMENTS, min_size=4, max_size=4))
def test_order_of_statements_does_not_matter(
    order: list[int], statements: list[dict[str, Json]]
) -> None:
    """The outcome of a policy is the same in every order of its statements."""
    shuffled: list[Json] = [statements[index] for index in order]

    first = evaluate({"Statement": [*statements]}, _ACTION, _ARN)
    second = evaluate({"Statement": shuffled}, _ACTION, _ARN)

    assert first.is_allowed is second.is_allowed


@given(_JSON)
def test_arbitrary_documents_never_allow(document: Json) -> None:
    """What is no policy allows nothing and raises nothing."""
    decision = evaluate(document, _ACTION, _ARN)

    assert not decision.is_allowed


@given(st.binary() | _JSON.map(lambda value: json.dumps(value).encode()))
def test_arbitrary_authorizer_results_never_allow(payload: bytes) -> None:
    """Whatever an authorizer returns, only a valid policy lets anybody in."""
    decision = decide(InvokeResult(payload=payload), _ARN)

    assert not isinstance(decision, Allow)
    assert decision.reason


@given(
    st.binary() | _JSON.map(lambda value: json.dumps(value).encode()),
    st.sampled_from([None, *FailureKind]),
    st.sampled_from(
        [
            Route(route_id="r", route_key="send"),
            Route(route_id="r", route_key="send", is_two_way=True),
        ]
    ),
)
def test_arbitrary_results_always_have_an_outcome(
    payload: bytes, failure: FailureKind | None, route: Route
) -> None:
    """Whatever a function gives, there is a verdict and a reply."""
    result = InvokeResult(payload=payload, failure=failure)

    outcomes = (verdict(result), for_route(route, result))

    assert all(outcome is not None for outcome in outcomes)


@given(st.lists(st.sampled_from(Event)))
def test_random_event_sequences_never_leave_the_table(events: list[Event]) -> None:
    """Any sequence of events stays in the table, and runs $disconnect at most once."""
    state = State.CONNECTING
    disconnects = 0
    for event in events:
        after = advance(state, event)
        assert after is state or TRANSITIONS[state][event] is after
        disconnects += runs_disconnect(state, after)
        state = after

    assert state in TRANSITIONS
    assert disconnects <= 1


@given(st.text(), st.text(), st.text())
def test_error_frame_always_parses(message: str, connection_id: str, request_id: str) -> None:
    """An error frame is JSON with its three members, whatever they hold."""
    frame = error_frame(message, connection_id, request_id)

    assert json.loads(frame) == {
        "message": message,
        "connectionId": connection_id,
        "requestId": request_id,
    }


@given(st.text(alphabet="ab*?", max_size=8), st.text(alphabet="ab", max_size=8))
def test_globs_agree_with_their_definition(pattern: str, text: str) -> None:
    """The wildcard matcher agrees with the obvious recursive definition."""

    def by_definition(at: int, position: int) -> bool:
        if at == len(pattern):
            return position == len(text)
        if pattern[at] == "*":
            rest = range(position, len(text) + 1)
            return any(by_definition(at + 1, later) for later in rest)
        return (
            position < len(text)
            and pattern[at] in {"?", text[position]}
            and by_definition(at + 1, position + 1)
        )

    assert matches(pattern, text) is by_definition(0, 0)
