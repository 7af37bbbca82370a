"""Models: what is a schema, and what matches it."""

import json
from typing import Any

import pytest

from socketstack.mapping.schemas import DRAFT_4, schema_problem, validation_error

API = "a1b2c3d4e5"
URL = f"https://apigateway.amazonaws.com/restapis/{API}/models"


@pytest.mark.parametrize(
    "schema",
    [
        pytest.param({}, id="empty"),
        pytest.param({"$schema": DRAFT_4, "type": "object"}, id="draft-4"),
        pytest.param({"$schema": DRAFT_4.rstrip("#")}, id="without-fragment"),
        pytest.param({"$ref": f"{URL}/Other"}, id="other-model"),
        pytest.param(
            {"definitions": {"a/b": {}}, "items": {"$ref": "#/definitions/a~1b"}}, id="definition"
        ),
        pytest.param({"properties": {"$ref": {"type": "string"}}}, id="member-named-ref"),
        pytest.param({"anyOf": [{"$ref": "#"}]}, id="itself"),
    ],
)
def test_schema_is_accepted(schema: Any) -> None:
    """Draft 4 with references to itself and to models of its API is a schema. 1.74."""
    assert schema_problem(json.dumps(schema), frozenset({"Other"}), API) is None


@pytest.mark.parametrize(
    ("text", "why"),
    [
        pytest.param("{", "not JSON", id="no-json"),
        pytest.param("[]", "JSON object", id="no-object"),
        pytest.param('{"type": "strin"}', "at #/type", id="unknown-type"),
        pytest.param('{"required": true}', "at #/required", id="draft-3-required"),
        pytest.param('{"exclusiveMinimum": 5}', "at #/exclusiveMinimum", id="draft-6"),
        pytest.param('{"minLength": -1}', "minLength", id="negative"),
        pytest.param(
            '{"$schema": "http://json-schema.org/draft-07/schema#"}', "draft 4", id="draft-7"
        ),
        pytest.param('{"$schema": 4}', "draft 4", id="schema-number"),
        pytest.param('{"$ref": "http://example.com/x"}', "not followed", id="remote"),
        pytest.param('{"$ref": "file:///etc/passwd"}', "not followed", id="file"),
        pytest.param(f'{{"$ref": "{URL}/Nobody"}}', "no model of this API", id="no-such-model"),
        pytest.param(
            '{"$ref": "https://apigateway.amazonaws.com/restapis/zzz/models/Other"}',
            "no model of this API",
            id="other-api",
        ),
        pytest.param('{"$ref": "#/definitions/x"}', "leads nowhere", id="nowhere"),
        pytest.param('{"items": ' * 400 + "{}" + "}" * 400, "too deeply", id="depth"),
    ],
)
def test_what_is_no_schema_is_told(text: str, why: str) -> None:
    """Everything else is refused with the reason. 1.74, 1.75."""
    problem = schema_problem(text, frozenset({"Other"}), API)

    assert problem is not None
    assert why in problem


@pytest.mark.parametrize(
    ("schema", "document", "expected"),
    [
        pytest.param({"type": "integer"}, "1", None, id="match"),
        pytest.param({"type": "integer"}, "1.5", '[#/: does not match type "integer"]', id="type"),
        pytest.param({"type": "integer"}, "true", '[#/: does not match type "integer"]', id="bool"),
        pytest.param(
            {"maximum": 3, "exclusiveMaximum": True}, "3", "maximum", id="draft-4-maximum"
        ),
        pytest.param({}, "no json", "[the message is not JSON]", id="no-json"),
        pytest.param({}, "NaN", "[the message is not JSON]", id="nan"),
        pytest.param({}, "", "[the message is not JSON]", id="empty"),
        pytest.param({"$ref": f"{URL}/Text"}, '"a"', None, id="reference"),
        pytest.param({"$ref": f"{URL}/Text"}, "1", 'type "string"', id="reference-fails"),
        pytest.param({"$ref": f"{URL}/Nested"}, '{"t": 1}', "#/t", id="references-of-references"),
        pytest.param({"$ref": f"{URL}/Gone"}, "1", "cannot be applied", id="model-gone"),
    ],
)
def test_message_is_held_against_the_model(
    schema: Any, document: str, expected: str | None
) -> None:
    """What does not match is told with its place; what cannot be applied matches nothing. 5.75."""
    models = {
        "Text": '{"type": "string"}',
        "Page": "<xml/>",
        "Nested": json.dumps({"properties": {"t": {"$ref": f"{URL}/Text"}}}),
    }

    problem = validation_error(json.dumps(schema), models, document)

    assert problem is None if expected is None else expected in str(problem)


def test_values_of_a_message_are_not_told() -> None:
    """What a client sent stays out of logs; places and what was wanted are enough."""
    schema = {
        "additionalProperties": False,
        "required": ["id"],
        "properties": {"token": {"type": "integer"}, "kind": {"enum": ["a"]}},
    }
    document = {"token": "secret-1", "kind": "secret-2", "more": "secret-3"}

    problem = validation_error(json.dumps(schema), {}, json.dumps(document))

    assert problem is not None
    assert "secret" not in problem
    assert "'id' is a required property" in problem
    assert 'enum ["a"]' in problem


def test_many_errors_are_cut() -> None:
    """A message with a thousand errors does not make a log line of a thousand errors."""
    problem = validation_error('{"items": {"type": "string"}}', {}, json.dumps(list(range(1000))))

    assert problem is not None
    assert problem.count("does not match type") == 10
