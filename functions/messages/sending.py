"""What a client may ask for with ``send``, and how it is answered. Pure.

A request is ``{"action": "send", "to": TARGET, "message": ANY}``; a recipient receives
``{"from": USER, "message": ANY}``. Answers are JSON objects; a refusal has the member ``error``
with ``code`` and ``message``.
"""

import json
from dataclasses import asdict, dataclass
from typing import Final

from push import Counts, MessageTooLargeError, Target, TargetError, encode, parse_target

_EXAMPLE: Final = '{"action":"send","to":"user:NAME","message":"hello"}'


@dataclass(frozen=True, slots=True)
class SendRequest:
    """A request that can be carried out."""

    target: Target
    to: str
    """The target as the client wrote it."""
    data: bytes
    """What recipients receive."""


class RequestError(Exception):
    """The client's mistake; both texts are meant for the client."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def parse_send(body: str, sender: str) -> SendRequest:
    """Read the body of a ``send`` message. Raises ``RequestError``."""
    try:
        request = json.loads(body)
    except (ValueError, RecursionError):
        raise RequestError("BadJson", f"The message is not JSON. Send {_EXAMPLE}.") from None
    if not isinstance(request, dict):
        raise RequestError("BadRequest", f"The message is not a JSON object. Send {_EXAMPLE}.")
    if "message" not in request:
        raise RequestError("BadRequest", f'The member "message" is missing. Send {_EXAMPLE}.')
    try:
        target = parse_target(request.get("to"))
        data = encode({"from": sender, "message": request["message"]})
    except TargetError as error:
        raise RequestError("BadTarget", f"{error} Send {_EXAMPLE}.") from None
    except MessageTooLargeError as error:
        raise RequestError("TooLarge", str(error)) from None
    except (UnicodeEncodeError, RecursionError):
        raise RequestError("BadJson", "The message is not valid Unicode text.") from None
    return SendRequest(target, request["to"], data)


def answer(request: SendRequest, counts: Counts) -> str:
    """How many connections were reached."""
    return json.dumps({"action": "send", "to": request.to, **asdict(counts)})


def refusal(error: RequestError) -> str:
    """Why nothing was sent."""
    return json.dumps({"error": {"code": error.code, "message": str(error)}})
