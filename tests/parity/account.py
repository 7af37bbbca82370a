"""An account at the target: clients, functions, APIs, what functions noted; all of it is removed.

Everything is made through AWS's own calls. ``Account.close`` removes it in reverse order, also
after failures, and says what it could not remove.
"""

import io
import json
import secrets
import socket
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import boto3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.exceptions import BotoCoreError, ClientError
from botocore.httpsession import URLLib3Session
from parity.target import Target, management_url

_ACTOR = Path(__file__).with_name("actor.py")
_RUNTIME = "python3.13"
_QUIET_SECONDS = 5.0
"""So long nothing is found before log groups count as removed: a socket of a removed API may take a
second to close, and its function is told then."""
_OVERLAP_NS = 5_000_000_000
_T = TypeVar("_T")
Event = dict[str, Any]

_TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"Service": "lambda.amazonaws.com"},
            "Action": "sts:AssumeRole",
        }
    ],
}
_RIGHTS = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            # Not CreateLogGroup: a late line would make a group anew that was removed.
            "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
            "Resource": "*",
        },
        {
            "Effect": "Allow",
            "Action": "dynamodb:PutItem",
            "Resource": "arn:aws:dynamodb:*:*:table/parity-*",
        },
        {"Effect": "Allow", "Action": "execute-api:ManageConnections", "Resource": "*"},
    ],
}


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """How a call of an AWS service was refused."""

    status: int
    code: str
    message: str


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A plain answer."""

    status: int
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes

    def json(self) -> Any:
        """The body, parsed."""
        return json.loads(self.body)


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A deployed API, as its clients see it."""

    api_id: str
    name: str
    url: str

    @property
    def management_url(self) -> str:
        """The address of its ``@connections``."""
        return management_url(self.url)


@dataclass
class Function:
    """A function of the suite; ``notes`` is what it noted so far, by id and in order."""

    name: str
    arn: str
    notes: dict[str, Event] = field(default_factory=dict)

    def integration_uri(self, region: str) -> str:
        """How API Gateway calls it."""
        return (
            f"arn:aws:apigateway:{region}:lambda:path/2015-03-31/functions/{self.arn}/invocations"
        )


class Account:
    """What a run makes and uses."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self.prefix = f"parity-{secrets.token_hex(4)}"
        self.left_behind: list[str] = []
        """What could not be removed."""
        self._clients: dict[tuple[str, str], Any] = {}
        self._undo: list[tuple[str, Callable[[], object]]] = []
        self._role: str | None = None
        self._table: str | None = None
        self._has_functions = False

    # Calls

    def client(self, service: str, endpoint_url: str | None = None) -> Any:
        """A boto3 client that checks nothing itself: the service is to refuse."""
        key = (service, endpoint_url or "")
        if key not in self._clients:
            options = self.target.client_options()
            if endpoint_url is not None:
                options["endpoint_url"] = endpoint_url
            client = boto3.client(service, **options)  # type: ignore[call-overload]
            if service == "apigatewayv2":
                client.meta.events.register("after-call.apigatewayv2.CreateApi", self._note_api)
            self._clients[key] = client
        return self._clients[key]

    @property
    def gateway(self) -> Any:
        """The control plane."""
        return self.client("apigatewayv2")

    def management(self, stage: Stage) -> Any:
        """A client of a stage's ``@connections``."""
        return self.client("apigatewaymanagementapi", stage.management_url)

    def signed(
        self,
        method: str,
        url: str,
        body: bytes | None = None,
        *,
        service: str = "execute-api",
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """One signed request, sent as it is, without a client between."""
        session = boto3.Session()
        options = self.target.client_options()
        if "aws_access_key_id" in options:
            session = boto3.Session(options["aws_access_key_id"], options["aws_secret_access_key"])
        request = AWSRequest(method=method, url=url, data=body, headers=dict(headers or {}))
        credentials = session.get_credentials()
        assert credentials is not None, "no credentials for this target"
        SigV4Auth(credentials.get_frozen_credentials(), service, self.target.region).add_auth(
            request
        )
        http = URLLib3Session(
            timeout=int(self.target.patience_seconds),
            socket_options=[(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)],  # type: ignore[list-item] # its types are wrong
        )
        try:
            raw = http.send(request.prepare())
            return Answer(
                status=raw.status_code,
                headers={name.lower(): value for name, value in raw.headers.items()},
                body=raw.content,
            )
        finally:
            http.close()

    @property
    def control_plane_url(self) -> str:
        """Where ``/v2/apis`` is."""
        endpoint: str = self.gateway.meta.endpoint_url
        return endpoint

    @contextmanager
    def recorded(self, operation: str) -> Iterator[list[Answer]]:
        """What really travels for one operation of the control plane."""
        answers: list[Answer] = []

        def keep(response_dict: dict[str, Any], **_: object) -> None:
            headers = {name.lower(): value for name, value in response_dict["headers"].items()}
            status, body = response_dict["status_code"], response_dict["body"]
            answers.append(Answer(status=status, headers=headers, body=body))

        event = f"before-parse.apigatewayv2.{operation}"
        self.gateway.meta.events.register(event, keep)
        try:
            yield answers
        finally:
            self.gateway.meta.events.unregister(event, keep)

    # Functions

    def make_function(
        self, name: str, *, is_permitted: bool = True, wish: object = None, seconds: int = 15
    ) -> Function:
        """A function with the suite's source; ``wish`` is what it always does."""
        full = f"{self.prefix}-{name}"
        variables = {"TABLE": self._table_name()}
        if wish is not None:
            variables["WISH"] = json.dumps(wish)
        if self.target.endpoint is not None:
            variables["ENDPOINT"] = self.target.endpoint
        self._has_functions = True
        if self.target.is_aws:
            # Elsewhere functions make their groups themselves; on AWS they may not.
            self.client("logs").create_log_group(logGroupName=f"/aws/lambda/{full}")
        made = self.eventually(
            lambda: self._create_function(
                FunctionName=full,
                Runtime=_RUNTIME,
                Handler="actor.handle",
                Role=self._role_arn(),
                Code={"ZipFile": _package()},
                Timeout=seconds,
                MemorySize=256,
                Environment={"Variables": variables},
            )
        )
        self.on_close(full, lambda: self.client("lambda").delete_function(FunctionName=full))
        function = Function(full, made["FunctionArn"])
        if is_permitted:
            self.permit(function)
        self.eventually(lambda: self._is_active(full))
        return function

    def permit(self, function: Function, source_arn: str | None = None) -> None:
        """Let API Gateway call a function."""
        condition = {} if source_arn is None else {"SourceArn": source_arn}
        self.client("lambda").add_permission(
            FunctionName=function.name,
            StatementId=f"gateway-{secrets.token_hex(3)}",
            Action="lambda:InvokeFunction",
            Principal="apigateway.amazonaws.com",
            **condition,
        )

    def _create_function(self, **members: Any) -> dict[str, Any] | None:
        try:
            made: dict[str, Any] = self.client("lambda").create_function(**members)
        except ClientError as error:
            # AWS needs a while until a new role can be used.
            if "cannot be assumed" in str(error):
                return None
            raise
        return made

    def _is_active(self, name: str) -> bool | None:
        found = self.client("lambda").get_function_configuration(FunctionName=name)
        return True if found.get("State", "Active") == "Active" else None

    def _role_arn(self) -> str:
        if self._role is None:
            iam, name = self.client("iam"), f"{self.prefix}-functions"
            made = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(_TRUST))
            self.on_close(name, lambda: iam.delete_role(RoleName=name))
            iam.put_role_policy(
                RoleName=name, PolicyName="rights", PolicyDocument=json.dumps(_RIGHTS)
            )
            self.on_close(
                f"{name}/rights", lambda: iam.delete_role_policy(RoleName=name, PolicyName="rights")
            )
            self._role = made["Role"]["Arn"]
        return self._role

    def _table_name(self) -> str:
        """The table of notes; it is made for the first function."""
        if self._table is None:
            name, dynamodb = f"{self.prefix}-notes", self.client("dynamodb")
            keys = {"function": "HASH", "id": "RANGE"}
            dynamodb.create_table(
                TableName=name,
                KeySchema=[{"AttributeName": n, "KeyType": kind} for n, kind in keys.items()],
                AttributeDefinitions=[{"AttributeName": n, "AttributeType": "S"} for n in keys],
                BillingMode="PAY_PER_REQUEST",
            )
            self.on_close(name, lambda: dynamodb.delete_table(TableName=name))

            def is_active() -> bool | None:
                found = dynamodb.describe_table(TableName=name)["Table"]
                return True if found["TableStatus"] == "ACTIVE" else None

            self.eventually(is_active, "active table")
            self._table = name
        return self._table

    # What functions noted

    def events(
        self, function: Function, matching: Callable[[Event], bool], count: int = 1
    ) -> list[Event]:
        """The events that a function got, when there are ``count`` of them."""

        def found() -> list[Event] | None:
            events = self._noted(function, matching)
            return events if len(events) >= count else None

        return self.eventually(found, f"{count} such event(s) at the function {function.name}")

    def calls_so_far(self, function: Function, matching: Callable[[Event], bool]) -> list[Event]:
        """Such events that a function got up to now.

        A call of our own goes before: it takes about as long as one that must not happen would.
        """
        sentinel = secrets.token_hex(8)
        payload = json.dumps({"sentinel": sentinel}).encode()
        self.client("lambda").invoke(FunctionName=function.name, Payload=payload)
        self.events(function, lambda event: event.get("sentinel") == sentinel)
        return self._noted(function, matching)

    def was_called(self, function: Function, matching: Callable[[Event], bool]) -> bool:
        """Whether a function got such an event up to now."""
        return bool(self.calls_so_far(function, matching))

    def _noted(self, function: Function, matching: Callable[[Event], bool]) -> list[Event]:
        newest = int(max(function.notes).partition("-")[0]) if function.notes else 0
        # Notes of several processes may arrive out of order.
        since = f"{max(newest - _OVERLAP_NS, 0):020d}"
        pages = self.client("dynamodb").get_paginator("query")
        for page in pages.paginate(
            TableName=self._table_name(),
            ConsistentRead=True,
            KeyConditionExpression="#function = :function AND id >= :since",
            ExpressionAttributeNames={"#function": "function"},
            ExpressionAttributeValues={
                ":function": {"S": function.name},
                ":since": {"S": since},
            },
        ):
            for item in page["Items"]:
                function.notes.setdefault(item["id"]["S"], json.loads(item["event"]["S"]))
        return [event for _id, event in sorted(function.notes.items()) if matching(event)]

    # Deadlines and cleaning up

    def eventually(self, look: Callable[[], _T | None], what: str = "what was waited for") -> _T:
        """Poll until there is something; fails when the target's patience is over."""
        end = time.monotonic() + self.target.patience_seconds
        while (found := look()) is None:
            if time.monotonic() >= end:
                message = f"no {what} within {self.target.patience_seconds:.0f} s"
                raise AssertionError(message)
            time.sleep(self.target.poll_seconds)
        return found

    def on_close(self, what: str, undo: Callable[[], object]) -> None:
        """Remove something at the end."""
        self._undo.append((what, undo))

    def close(self) -> None:
        """Remove everything that was made, last things first."""
        while self._undo:
            what, undo = self._undo.pop()
            try:
                undo()
            except ClientError as error:
                if error.response["ResponseMetadata"].get("HTTPStatusCode") != 404 and (
                    "NotFound" not in error.response["Error"]["Code"]
                ):
                    self.left_behind.append(f"{what}: {error}")
            except BotoCoreError as error:
                self.left_behind.append(f"{what}: {error}")
        try:
            if self._has_functions:
                self._remove_log_groups()
        except (ClientError, BotoCoreError) as error:
            self.left_behind.append(f"log groups of {self.prefix}: {error}")
        for client in self._clients.values():
            client.close()
        self._clients.clear()

    def _remove_log_groups(self) -> None:
        """Remove what functions logged, until nothing comes any more.

        When its API is removed a function is told that connections closed, and may log that after
        it is gone itself. Where functions make their groups such a line makes it anew.
        """
        logs = self.client("logs")
        end = time.monotonic() + _QUIET_SECONDS
        while time.monotonic() < end:
            pages = logs.get_paginator("describe_log_groups").paginate(
                logGroupNamePrefix=f"/aws/lambda/{self.prefix}"
            )
            names = [group["logGroupName"] for page in pages for group in page["logGroups"]]
            for name in names:
                logs.delete_log_group(logGroupName=name)
            if names:
                end = time.monotonic() + _QUIET_SECONDS
            time.sleep(self.target.poll_seconds)

    def _note_api(self, parsed: dict[str, Any], **_: object) -> None:
        """Whatever API is made, also one that should have been refused, is removed."""
        api_id = parsed.get("ApiId")
        if api_id:
            self.on_close(f"API {api_id}", lambda: self.gateway.delete_api(ApiId=api_id))


def refusal(call: Callable[..., object], **parameters: Any) -> Refusal:
    """How a call was refused; fails when it was accepted."""
    try:
        made = call(**parameters)
    except ClientError as error:
        status = error.response["ResponseMetadata"]["HTTPStatusCode"]
        told = error.response["Error"]
        return Refusal(status=status, code=told["Code"], message=told.get("Message", ""))
    kept = {k: v for k, v in made.items() if k != "ResponseMetadata"} if made else made  # type: ignore[attr-defined]
    message = f"accepted: {kept}"
    raise AssertionError(message)


def without_metadata(record: Mapping[str, Any]) -> dict[str, Any]:
    """An answer without boto3's own member."""
    return {name: value for name, value in record.items() if name != "ResponseMetadata"}


def _package() -> bytes:
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w", zipfile.ZIP_DEFLATED) as archive:
        # A fixed mode: AWS runs functions as another user.
        entry = zipfile.ZipInfo("actor.py")
        entry.external_attr = 0o644 << 16
        archive.writestr(entry, _ACTOR.read_bytes())
    return code.getvalue()
