"""The parity suite's function: what it does for which event and wish."""

import base64
import hashlib
import json
from typing import Any

import pytest
from parity import actor

ARN = "arn:aws:execute-api:eu-west-1:000000000000:abc/dev/$connect"
Event = dict[str, Any]


@pytest.fixture
def notes(monkeypatch: pytest.MonkeyPatch) -> list[Event]:
    """What would be written to the table."""
    written: list[Event] = []
    monkeypatch.setattr(actor, "_note", written.append)
    return written


def connecting(wishes: object, **members: Any) -> Event:
    """A CONNECT event with wishes in its header."""
    told = base64.b64encode(json.dumps(wishes).encode()).decode()
    return {
        "headers": {"x-WISH": told},
        "requestContext": {"eventType": "CONNECT"},
        **members,
    }


def message(body: str) -> Event:
    """A MESSAGE event."""
    return {"requestContext": {"eventType": "MESSAGE"}, "body": body}


def test_each_function_finds_its_own_wish(notes: list[Event]) -> None:
    """Authorizer and ``$connect`` read one header and take what is theirs."""
    wishes = {"authorizer": {"return": "a"}, "connect": {"return": "c"}}

    assert actor.handle(connecting(wishes, methodArn=ARN), None) == "a"
    assert actor.handle(connecting(wishes), None) == "c"
    assert len(notes) == 2


def test_authorizer_allows_without_a_wish(notes: list[Event]) -> None:
    """The policy allows exactly the method."""
    result = actor.handle(connecting({}, methodArn=ARN), None)

    (statement,) = result["policyDocument"]["Statement"]
    assert (statement["Effect"], statement["Resource"]) == ("Allow", ARN)


def test_arns_are_filled_in(notes: list[Event]) -> None:
    """A wished policy can name method and stage before they are known."""
    wishes = {"authorizer": {"return": ["$METHOD", "$STAGE/*"]}}

    result = actor.handle(connecting(wishes, methodArn=ARN), None)

    assert result == [ARN, "arn:aws:execute-api:eu-west-1:000000000000:abc/dev/*"]


@pytest.mark.parametrize("body", ["hello", "[1]", "7", '{"action":"x"}', '{"wish":1}', ""])
def test_message_without_a_wish_is_answered_with_its_event(notes: list[Event], body: str) -> None:
    """Whatever the text is, the client gets the event that it became."""
    event = message(body)

    result = actor.handle(event, None)

    assert (result["statusCode"], json.loads(result["body"])) == (200, event)
    assert notes == [event]


def test_long_body_is_told_by_its_digest(notes: list[Event]) -> None:
    """An answer never exceeds what a message may hold."""
    text = "x" * 100_000

    told = json.loads(actor.handle(message(text), None)["body"])

    digest = hashlib.sha256(text.encode()).hexdigest()
    assert told["body"] == {"length": 100_000, "sha256": digest}


def test_result_has_exactly_the_wished_size(notes: list[Event]) -> None:
    """Limits are met to the byte."""
    wishes = {"authorizer": {"result_of": 5000}}

    result = actor.handle(connecting(wishes, methodArn=ARN), None)

    assert len(json.dumps(result)) == 5000


def test_failure_comes_after_the_note(notes: list[Event]) -> None:
    """Also a function that fails has been called."""
    with pytest.raises(Exception, match=r"^boom$"):
        actor.handle(connecting({"connect": {"raise": "boom"}}), None)

    assert len(notes) == 1


def test_own_wish_comes_first(notes: list[Event], monkeypatch: pytest.MonkeyPatch) -> None:
    """A function that is made for one purpose asks nobody."""
    monkeypatch.setenv("WISH", '{"body_of": 3}')

    assert actor.handle(message('{"wish": {"raise": "x"}}'), None) == {
        "statusCode": 200,
        "body": "xxx",
    }
