import json
from typing import Any

import pytest
from services_world import TRUST, zipped

from socketstack.services.function_checks import (
    Refusal,
    check_configuration,
    check_environment,
    check_new,
    check_zip,
    may_be_assumed_by_lambda,
)

SPEC = {"FunctionName": "echo", "Runtime": "python3.13", "Handler": "h.handle"}


@pytest.mark.parametrize("runtime", ["python3.9", "python3.14", "nodejs22.x", "java21", "ruby3.4",
                                     "dotnet8", "provided.al2023", "provided"])  # fmt: skip
def test_runtimes_of_lambda_are_accepted(runtime: str) -> None:
    """Every family of runtimes passes, whether it can run here or not."""
    check_new({**SPEC, "Runtime": runtime})


@pytest.mark.parametrize(
    ("members", "part"),
    [
        pytest.param({"FunctionName": "a b"}, "functionName", id="name"),
        pytest.param({"FunctionName": "x" * 65}, "functionName", id="long-name"),
        pytest.param({"Handler": None}, "mandatory", id="handler"),
        pytest.param({"Runtime": None}, "mandatory", id="runtime"),
        pytest.param({"Timeout": 0}, "greater than or equal to 1", id="timeout-low"),
        pytest.param({"Timeout": "901"}, "less than or equal to 900", id="timeout-high"),
        pytest.param({"Timeout": "soon"}, "whole number", id="timeout-text"),
        pytest.param({"MemorySize": 127}, "greater than or equal to 128", id="memory"),
        pytest.param({"Layers": ["l"] * 6}, "more than 5 layers", id="layers"),
        pytest.param({"Environment": {"Variables": {"1A": "x"}}}, "1A", id="variable-name"),
    ],
)
def test_what_is_out_of_bounds_is_refused(members: dict[str, Any], part: str) -> None:
    """Each limit is refused with Lambda's words."""
    with pytest.raises(Refusal) as refusal:
        check_new({**SPEC, **members})

    assert part in refusal.value.message
    assert refusal.value.status == 400


def test_images_need_neither_runtime_nor_handler() -> None:
    """A container image brings its own."""
    check_new({"FunctionName": "echo", "PackageType": "Image"})


def test_texts_of_templates_are_numbers_too() -> None:
    """CloudFormation may give numbers as text and values of any kind."""
    check_configuration(
        {"Timeout": "30", "MemorySize": "256", "Environment": {"Variables": {"FLAG": True}}}
    )


def test_four_kilobytes_of_environment_pass_and_more_do_not() -> None:
    """The limit counts names and values as JSON."""
    frame = len('{"BIG":""}')

    check_environment({"BIG": "x" * (4096 - frame)})

    with pytest.raises(Refusal):
        check_environment({"BIG": "x" * (4097 - frame)})


@pytest.mark.parametrize("code", [b"", b"no zip", b"PK\x03\x04broken"])
def test_what_is_no_zip_is_refused(code: bytes) -> None:
    """Only zips are code."""
    check_zip(zipped({"a": "b"}))

    with pytest.raises(Refusal):
        check_zip(code)


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        pytest.param({}, True, id="lambda"),
        pytest.param({"Principal": {"Service": ["ec2.amazonaws.com", "lambda.amazonaws.com"]}},
                     True, id="list"),
        pytest.param({"Action": ["sts:AssumeRole", "sts:TagSession"]}, True, id="actions"),
        pytest.param({"Action": "sts:*"}, True, id="wildcard"),
        pytest.param({"Principal": {"Service": "ec2.amazonaws.com"}}, False, id="other-service"),
        pytest.param({"Principal": {"AWS": "*"}}, False, id="accounts"),
        pytest.param({"Effect": "Deny"}, False, id="deny"),
        pytest.param({"Action": "sts:AssumeRoleWithWebIdentity"}, False, id="other-action"),
    ],
)  # fmt: skip
def test_trust_policies_are_read(statement: dict[str, Any], expected: object) -> None:
    """A role is taken only when a statement lets Lambda assume it."""
    document = {**TRUST, "Statement": {**TRUST["Statement"][0], **statement}}  # type: ignore[dict-item]

    assert may_be_assumed_by_lambda(json.dumps(document)) is expected


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"Statement": 5}', "null"])
def test_unreadable_trust_policies_let_nobody_in(text: str) -> None:
    """What cannot be read is a refusal."""
    assert may_be_assumed_by_lambda(text) is False
