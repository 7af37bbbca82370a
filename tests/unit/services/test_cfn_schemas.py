from typing import Any

import pytest

from socketstack.services.cfn import kind_apigateway
from socketstack.services.cfn.registry import MODULES
from socketstack.services.cfn.schemas import Schema, schema

KINDS = [kind for module in MODULES for kind in module.KINDS] + [
    kind_apigateway.kind(name) for name in sorted(kind_apigateway.TYPES)
]


def known(type_name: str) -> Schema:
    """A schema that must exist."""
    found = schema(type_name)
    assert found is not None
    return found


def test_unknown_type_has_no_schema() -> None:
    """A type that AWS does not have is told apart."""
    assert schema("AWS::Nothing::Here") is None


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.type_name)
def test_vouched_properties_are_properties_that_aws_knows(kind: Any) -> None:
    """No kind claims to keep a property that a template could not even set."""
    assert kind.properties <= kind.schema.properties
    assert kind.replaces <= kind.schema.properties


@pytest.mark.parametrize(
    ("properties", "fault"),
    [
        pytest.param({"Nope": 1}, "#: extraneous key [Nope] is not permitted", id="unknown"),
        pytest.param(
            {"Environment": {"Vars": {}}},
            "#/Environment: extraneous key [Vars] is not permitted",
            id="unknown-below",
        ),
        pytest.param({"Timeout": "soon"}, "#/Timeout: expected type: Integer", id="type"),
        pytest.param({"Layers": "one"}, "#/Layers: expected type: Array", id="no-list"),
        pytest.param({"Runtime": "python1"}, "#/Runtime: python1 is not a valid enum", id="enum"),
        pytest.param({"Arn": "x"}, "#: Arn is a read-only property", id="read-only"),
    ],
)
def test_properties_that_aws_refuses_are_found(properties: dict[str, Any], fault: str) -> None:
    """Names, types and values are checked against AWS's schema."""
    given = {"Role": "r", "Code": {}, **properties}

    assert any(one.startswith(fault) for one in known("AWS::Lambda::Function").faults(given))


def test_missing_property_is_found() -> None:
    """Required properties are required."""
    assert "#: required key [Role] not found" in known("AWS::Lambda::Function").faults({})


def test_functions_are_passed_over() -> None:
    """What is not resolved yet is not judged yet."""
    given = {"Role": {"Ref": "R"}, "Code": {"Ref": "C"}, "Timeout": {"Ref": "T"}}

    assert known("AWS::Lambda::Function").faults(given) == []


def test_texts_become_what_the_schema_wants() -> None:
    """Parameters are texts; numbers and booleans are made of them, and the other way round."""
    given = {
        "Timeout": "30",
        "Description": 5,
        "VpcConfig": {"Ipv6AllowedForDualStack": "true"},
        "Tags": [{"Key": 1, "Value": True}],
    }

    assert known("AWS::Lambda::Function").coerced(given) == {
        "Timeout": 30,
        "Description": "5",
        "VpcConfig": {"Ipv6AllowedForDualStack": True},
        "Tags": [{"Key": "1", "Value": "true"}],
    }


def test_replacement_and_identity_come_from_the_schema() -> None:
    """Which changes replace, what names a resource and what can be read is AWS's statement."""
    api, stage = known("AWS::ApiGatewayV2::Api"), known("AWS::ApiGatewayV2::Stage")

    assert api.create_only == {"ProtocolType"}
    assert {"ApiId", "ApiEndpoint"} <= api.attributes
    assert stage.create_only == {"ApiId", "StageName"}
    assert stage.identifier == ("ApiId", "StageName")
