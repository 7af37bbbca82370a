import pytest
from unit.core.builders import upgrade

from socketstack.core.identity import SourceKind, context_variables, parse_source, resolve
from socketstack.errors import ExpressionError


@pytest.mark.parametrize(
    ("text", "kind", "name"),
    [
        pytest.param("route.request.header.X-Token", SourceKind.HEADER, "X-Token", id="header"),
        pytest.param(
            "route.request.querystring.token", SourceKind.QUERY_STRING, "token", id="query"
        ),
        pytest.param("context.identity.sourceIp", SourceKind.CONTEXT, "identity.sourceIp", id="c"),
        pytest.param("stageVariables.color", SourceKind.STAGE_VARIABLE, "color", id="variable"),
    ],
)
def test_source_is_read(text: str, kind: SourceKind, name: str) -> None:
    """Each of the four forms names its place and its name."""
    source = parse_source(text)

    assert (source.kind, source.name, source.text) == (kind, name, text)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        pytest.param(
            "$request.querystring.token",
            "write it route.request.querystring.token.",
            id="http-api-form",
        ),
        pytest.param(
            "${request.header.Auth}", "write it route.request.header.Auth.", id="http-api-braces"
        ),
        pytest.param(
            "method.request.header.Auth", "write it route.request.header.Auth.", id="rest-form"
        ),
        pytest.param("", "cannot be read", id="empty"),
        pytest.param("token", "cannot be read", id="bare-name"),
        pytest.param("route.request.header.", "cannot be read", id="no-name"),
        pytest.param("route.request.header.a b", "cannot be read", id="space"),
        pytest.param("Route.Request.Header.a", "cannot be read", id="case"),
        pytest.param("stageVariables.a-b", "cannot be read", id="variable-with-hyphen"),
        pytest.param("route.request.body.token", "cannot be read", id="body"),
    ],
)
def test_unreadable_source_is_refused_with_a_form_that_works(text: str, part: str) -> None:
    """A source of another form is refused, and the reason names the right one."""
    with pytest.raises(ExpressionError) as refusal:
        parse_source(text)

    assert part in str(refusal.value)
    assert "route.request." in str(refusal.value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        pytest.param("route.request.header.x-token", "h", id="header-in-another-case"),
        pytest.param("route.request.querystring.token", "last", id="last-of-repeated"),
        pytest.param("context.stage", "prod", id="context"),
        pytest.param("stageVariables.color", "blue", id="stage-variable"),
        pytest.param("route.request.querystring.Token", None, id="query-in-another-case"),
        pytest.param("route.request.querystring.empty", None, id="empty-query"),
        pytest.param("route.request.header.X-Empty", None, id="empty-header"),
        pytest.param("route.request.header.absent", None, id="absent-header"),
        pytest.param("context.absent", None, id="absent-context"),
        pytest.param("stageVariables.absent", None, id="absent-variable"),
    ],
)
def test_source_is_found_or_missing(text: str, value: str | None) -> None:
    """A source that is absent or empty is missing; header names have no case, others do."""
    handshake = upgrade(
        headers=(("X-Token", "h"), ("X-Empty", "")),
        query=(("token", "first"), ("token", "last"), ("empty", "")),
    )

    resolved = resolve([parse_source(text)], handshake, {"stage": "prod"}, {"color": "blue"})

    assert resolved.values == ({text: value} if value else {})
    assert resolved.missing == (() if value else (text,))


def test_one_missing_source_is_reported_beside_the_others() -> None:
    """Every source counts: one that is missing is reported although the other is there."""
    sources = [
        parse_source("route.request.querystring.token"),
        parse_source("route.request.header.X-Tenant"),
    ]

    resolved = resolve(sources, upgrade(query=(("token", "t"),)), {}, {})

    assert resolved.missing == ("route.request.header.X-Tenant",)
    assert resolved.values == {"route.request.querystring.token": "t"}


def test_no_source_misses_nothing() -> None:
    """An authorizer without identity sources misses none."""
    resolved = resolve([], upgrade(), {}, {})

    assert resolved.missing == ()


def test_request_context_becomes_context_variables() -> None:
    """Nested members of a request context are found by dotted names; null ones are absent."""
    variables = context_variables(
        {"stage": "prod", "connectedAt": 5, "identity": {"sourceIp": "203.0.113.9", "user": None}}
    )

    assert variables == {"stage": "prod", "connectedAt": "5", "identity.sourceIp": "203.0.113.9"}
