"""What an account of the parity suite removes, waits for and refuses to take."""

import pytest
from botocore.exceptions import ClientError
from parity.account import Account, Refusal, refusal
from parity.target import Target

NOWHERE = Target(name="x", endpoint="http://127.0.0.1:1", patience_seconds=0.05)


def error(status: int, code: str) -> ClientError:
    """An error as boto3 raises it."""
    response = {
        "Error": {"Code": code, "Message": "words"},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    return ClientError(response, "Operation")  # type: ignore[arg-type]


def test_everything_is_removed_last_things_first() -> None:
    """A failure stops nothing, and is told; what is gone already is fine."""
    account, done = Account(NOWHERE), []

    def failing(status: int, code: str) -> None:
        raise error(status, code)

    account.on_close("role", lambda: done.append("role"))
    account.on_close("table", lambda: failing(404, "ResourceNotFoundException"))
    account.on_close("group", lambda: failing(400, "ResourceNotFoundException"))
    account.on_close("API", lambda: failing(429, "TooManyRequestsException"))
    account.on_close("function", lambda: done.append("function"))
    account.close()
    account.close()

    assert done == ["function", "role"]
    assert len(account.left_behind) == 1
    assert account.left_behind[0].startswith("API: ")


def test_endpoint_that_does_not_answer_is_told() -> None:
    """Nothing can be removed at an endpoint that is gone."""
    account = Account(NOWHERE)
    account.on_close("API", lambda: account.gateway.delete_api(ApiId="abc"))

    account.close()

    assert len(account.left_behind) == 1


def test_prefix_is_new_for_each_run() -> None:
    """Two runs against one target do not meet."""
    first, second = Account(NOWHERE), Account(NOWHERE)

    assert first.prefix.startswith("parity-")
    assert first.prefix != second.prefix


def test_waiting_ends_at_the_target_s_patience() -> None:
    """What never comes is a failure that names it."""
    with pytest.raises(AssertionError, match="no answer within 0 s"):
        Account(NOWHERE).eventually(lambda: None, "answer")


def test_waiting_gives_what_came() -> None:
    """The first thing that is not None is returned."""
    answers = iter([None, None, 0])

    assert Account(NOWHERE).eventually(lambda: next(answers)) == 0


def test_refusal_has_status_code_and_message() -> None:
    """A refused call is a value."""

    def call(**_members: object) -> object:
        raise error(409, "ConflictException")

    assert refusal(call) == Refusal(status=409, code="ConflictException", message="words")


def test_accepted_call_is_a_failure() -> None:
    """A call that should have been refused fails the test and shows what was made."""
    with pytest.raises(AssertionError, match=r"accepted: \{'ApiId': 'abc'\}"):
        refusal(lambda **_members: {"ApiId": "abc", "ResponseMetadata": {}})
