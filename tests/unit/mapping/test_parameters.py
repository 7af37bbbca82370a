"""Parameter mappings: destinations and sources."""

from typing import Any

import pytest

from socketstack.core.jsontext import MISSING
from socketstack.mapping.parameters import (
    BodyPath,
    Given,
    Place,
    Undeclared,
    destination,
    source_value,
)

GIVEN = Given(
    context={"connectionId": "c1", "identity": {"sourceIp": "1.2.3.4"}, "n": 7, "a.b": "dotted"},
    variables={"env": "dev"},
    headers={"X-One": ["1", "2"]},
    query={"q": ["a", "b"]},
    declared=frozenset(
        {"route.request.header.x-one", "route.request.querystring.q", "route.request.header.none"}
    ),
)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        pytest.param("'text'", "text", id="text"),
        pytest.param("''", "", id="empty-text"),
        pytest.param("context.connectionId", "c1", id="context"),
        pytest.param("context.identity.sourceIp", "1.2.3.4", id="nested-context"),
        pytest.param("context.n", "7", id="number"),
        pytest.param("context.a.b", "dotted", id="name-with-dots"),
        pytest.param("context.identity.none", MISSING, id="missing-context"),
        pytest.param("stageVariables.env", "dev", id="variable"),
        pytest.param("stageVariables.none", MISSING, id="missing-variable"),
        pytest.param("route.request.body", BodyPath(""), id="body"),
        pytest.param("route.request.body.a[0].b", BodyPath("a[0].b"), id="body-path"),
        pytest.param("route.request.header.x-one", "2", id="last-header"),
        pytest.param("route.request.multivalueheader.x-one", "1,2", id="all-headers"),
        pytest.param("route.request.querystring.q", "b", id="query"),
        pytest.param("route.request.header.none", MISSING, id="missing-header"),
        pytest.param(
            "route.request.querystring.z",
            Undeclared("route.request.querystring.z"),
            id="undeclared",
        ),
        pytest.param("something.else", MISSING, id="no-source"),
    ],
)
def test_source_gives_its_value(source: str, expected: Any) -> None:
    """Each source has its form; parameters count only when they are declared. 5.61, 5.62."""
    assert source_value(source, GIVEN) == expected


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        pytest.param("integration.request.header.x", (Place.HEADER, "x"), id="header"),
        pytest.param(
            "integration.request.querystring.a.b", (Place.QUERY_STRING, "a.b"), id="query"
        ),
        pytest.param("integration.request.path.p", (Place.PATH, "p"), id="path"),
        pytest.param("integration.request.body", None, id="body"),
        pytest.param("x", None, id="anything"),
    ],
)
def test_destination_is_read(key: str, expected: Any) -> None:
    """Headers, query parameters and parts of the path can be mapped. 1.58."""
    assert destination(key) == expected
