"""The function of the parity suite: it notes its event in a table and does what is wished.

One source serves as authorizer, ``$connect``, message and ``$disconnect`` function, so that few
functions are needed. It runs unchanged on every target. Notes go to DynamoDB: what was written
can be read at once everywhere, other than in a log.

A wish is an object with one member. Clients send it base64-encoded in the handshake's ``X-Wish``
header, as ``{"authorizer": wish, "connect": wish}``, or in a message as ``{"wish": wish}``; a
function that is made for one purpose has it in its variable ``WISH``:

- ``return``: return this value; ``$METHOD`` and ``$STAGE`` in it stand for the method ARN and for
  the method ARN without its last part.
- ``raise``: raise an exception with this text.
- ``exit``: end the process with this code.
- ``sleep``: wait that many seconds, then go on as without a wish.
- ``body_of``: return a proxy response with a body of that many characters.
- ``result_of``: return an authorizer's result of that many bytes.
- ``post_to``: post to the own connection through this management address, note the status of the
  answer as ``posted``, and go on as without a wish.
"""

import base64
import hashlib
import json
import os
import socket
import time
import uuid
from collections.abc import Callable
from typing import Any

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.httpsession import URLLib3Session

Json = Any
_LONG = 8192
_AT_ONCE = [(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)]
_HTTP = URLLib3Session(socket_options=_AT_ONCE)  # type: ignore[arg-type] # its types are wrong


def handle(event: dict[str, Json], _context: object) -> Json:
    """Note the event, then fulfil the wish."""
    _note(_shortened(event))
    wish = _wish(event)
    if wish:
        ((name, value),) = wish.items()
        return _WISHES[name](value, event)
    return _answer(event)


def _note(told: dict[str, Json]) -> None:
    """Put one row into the table; by hand, since a whole client takes long to load."""
    item = {
        "function": {"S": os.environ["AWS_LAMBDA_FUNCTION_NAME"]},
        "id": {"S": f"{time.time_ns():020d}-{uuid.uuid4().hex}"},
        "event": {"S": json.dumps(told)},
    }
    answer = _dynamodb("PutItem", {"TableName": os.environ["TABLE"], "Item": item})
    if answer.status_code != 200:
        raise RuntimeError(f"no note could be written: {answer.status_code} {answer.text}")


def _dynamodb(operation: str, members: Json) -> Json:
    region = os.environ["AWS_REGION"]
    url = (
        os.environ.get("AWS_ENDPOINT_URL")
        or os.environ.get("ENDPOINT")
        or f"https://dynamodb.{region}.amazonaws.com"
    )
    request = AWSRequest(
        method="POST",
        url=f"{url}/",
        data=json.dumps(members).encode(),
        headers={
            "Content-Type": "application/x-amz-json-1.0",
            "X-Amz-Target": f"DynamoDB_20120810.{operation}",
        },
    )
    credentials = Credentials(
        os.environ["AWS_ACCESS_KEY_ID"],
        os.environ["AWS_SECRET_ACCESS_KEY"],
        os.environ.get("AWS_SESSION_TOKEN") or None,
    )
    SigV4Auth(credentials, "dynamodb", region).add_auth(request)
    return _HTTP.send(request.prepare())


def _wish(event: dict[str, Json]) -> dict[str, Json]:
    if "WISH" in os.environ:
        own: dict[str, Json] = json.loads(os.environ["WISH"])
        return own
    kind = event.get("requestContext", {}).get("eventType")
    if kind == "MESSAGE":
        return _member(_parsed(event.get("body")), "wish")
    if kind != "CONNECT":
        return {}
    headers = {name.lower(): value for name, value in (event.get("headers") or {}).items()}
    told = headers.get("x-wish", "")
    wishes = _parsed(base64.b64decode(told)) if told else None
    return _member(wishes, "authorizer" if "methodArn" in event else "connect")


def _member(wishes: Json, name: str) -> dict[str, Json]:
    found = wishes.get(name) if isinstance(wishes, dict) else None
    return found if isinstance(found, dict) else {}


def _parsed(text: str | bytes | None) -> Json:
    try:
        return json.loads(text or "")
    except ValueError:
        return None


def _answer(event: dict[str, Json]) -> Json:
    if "methodArn" in event:
        return _allowing(event)
    if event.get("requestContext", {}).get("eventType") == "MESSAGE":
        return {"statusCode": 200, "body": json.dumps(_shortened(event))}
    return {"statusCode": 200}


def _allowing(event: dict[str, Json], **context: str) -> dict[str, Json]:
    statement = {
        "Action": "execute-api:Invoke",
        "Effect": "Allow",
        "Resource": event["methodArn"],
    }
    policy = {"Version": "2012-10-17", "Statement": [statement]}
    return {"principalId": "parity", "policyDocument": policy, "context": context}


def _shortened(event: dict[str, Json]) -> dict[str, Json]:
    body = event.get("body")
    if not isinstance(body, str) or len(body) <= _LONG:
        return event
    digest = hashlib.sha256(body.encode()).hexdigest()
    return {**event, "body": {"length": len(body), "sha256": digest}}


def _return(value: Json, event: dict[str, Json]) -> Json:
    text = json.dumps(value)
    arn = event.get("methodArn", "")
    filled = text.replace("$METHOD", arn).replace("$STAGE", arn.rpartition("/")[0])
    return json.loads(filled)


def _raise(text: str, _event: dict[str, Json]) -> Json:
    raise Exception(text)  # noqa: TRY002 - the text alone decides


def _exit(code: int, _event: dict[str, Json]) -> Json:
    os._exit(code)


def _sleep(seconds: float, event: dict[str, Json]) -> Json:
    time.sleep(seconds)
    return _answer(event)


def _body_of(length: int, _event: dict[str, Json]) -> Json:
    return {"statusCode": 200, "body": "x" * length}


def _result_of(size: int, event: dict[str, Json]) -> Json:
    bare = len(json.dumps(_allowing(event, pad="")))
    return _allowing(event, pad="x" * (size - bare))


def _post_to(address: str, event: dict[str, Json]) -> Json:
    from botocore.exceptions import ClientError
    from botocore.session import Session

    client: Json = Session().create_client(
        "apigatewaymanagementapi",
        endpoint_url=address,
        region_name=os.environ.get("AWS_REGION", "us-east-1"),
    )
    try:
        answer = client.post_to_connection(
            ConnectionId=event["requestContext"]["connectionId"], Data=b"from within"
        )
    except ClientError as error:
        answer = error.response
    finally:
        client.close()
    status = answer["ResponseMetadata"]["HTTPStatusCode"]
    _note({"posted": status, "requestContext": event["requestContext"]})
    return _answer(event)


_WISHES: dict[str, Callable[[Json, dict[str, Json]], Json]] = {
    "return": _return,
    "raise": _raise,
    "exit": _exit,
    "sleep": _sleep,
    "body_of": _body_of,
    "result_of": _result_of,
    "post_to": _post_to,
}
