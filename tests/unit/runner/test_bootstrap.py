import json

import pytest

from socketstack.runner.bootstrap import (
    CALL_HEAD,
    ENGINE_NAMES,
    MANAGED_HOST,
    Invocation,
    LineSink,
    too_large,
)


@pytest.mark.parametrize(
    ("host", "is_managed"),
    [
        ("a1b2c3.execute-api.us-east-1.amazonaws.com", True),
        ("a1b2c3.execute-api.cn-north-1.amazonaws.com.cn", True),
        ("execute-api.us-east-1.amazonaws.com", False),
        ("a.b.execute-api.us-east-1.amazonaws.com", False),
        ("a.execute-api.us-east-1.amazonaws.com.evil.com", False),
        ("a.execute-api.us-east-1.amazonaws.company", False),
        ("a.execute-api.amazonaws.com", False),
        ("dynamodb.us-east-1.amazonaws.com", False),
        ("a.execute-apiXus-east-1.amazonaws.com", False),
    ],
)
def test_only_hosts_of_managed_apis_lead_to_the_engine(host: str, *, is_managed: bool) -> None:
    """A name is an API's own host, or it is left alone."""
    assert bool(MANAGED_HOST.fullmatch(host)) is is_managed


def test_call_is_read_as_it_was_sent() -> None:
    """A call's head and payload are told apart by the head's length."""
    head = b"id-1\narn:echo\n5\nchat.example.com"

    invocation = Invocation(CALL_HEAD.pack(len(head)) + head + b'{"a": 1}\n')

    assert (invocation.invoke_id, invocation.invoked_function_arn) == ("id-1", "arn:echo")
    assert invocation.deadline_time_in_ms == 5
    assert invocation.event_body == b'{"a": 1}\n'
    assert {"chat.example.com"} == ENGINE_NAMES


@pytest.mark.parametrize(
    ("record", "written"),
    [
        pytest.param("one\n", "one\n", id="one-line"),
        pytest.param("no end", "no end\n", id="without-end"),
        pytest.param("two\nlines\n", "two\rlines\n", id="several-lines"),
        pytest.param("", "\n", id="empty"),
    ],
)
def test_record_is_one_line(capsys: pytest.CaptureFixture[str], record: str, written: str) -> None:
    """A log record crosses the pipe as exactly one line."""
    LineSink().log(record)

    assert capsys.readouterr().out == written


def test_size_of_a_refused_answer_is_told() -> None:
    """The error for a large answer has its size and the limit."""
    error = json.loads(too_large(7_000_000))

    assert error["errorType"] == "Function.ResponseSizeTooLarge"
    assert "(7000000 bytes)" in error["errorMessage"]
