"""Who may use ``@connections``: signatures always, permissions with ``SOCKETSTACK_IAM=enforce``."""

import asyncio
import http.client
import json
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from iam_world import (
    ACCOUNT,
    API,
    CONNECTIONS,
    REGION,
    ROOT,
    STAGE,
    STRANGER,
    IamWorld,
    iam_world,
    policy,
    route,
    soon,
    trust,
)

from socketstack.core.model import Json
from socketstack.trace import Step

NOBODY = "AAAAAAAAAAAAAAA="
MANAGE = "execute-api:ManageConnections"


@pytest.fixture
async def enforced() -> AsyncIterator[IamWorld]:
    """An engine that enforces IAM, with an API that lets everybody connect."""
    async with iam_world(is_enforced=True) as running:
        running.deploy(route("$default"))
        yield running


@pytest.fixture
async def lax() -> AsyncIterator[IamWorld]:
    """The same by default."""
    async with iam_world() as running:
        running.deploy(route("$default"))
        yield running


async def plain(
    world: IamWorld,
    connection_id: str,
    *,
    method: str = "POST",
    sent: bytes | None = None,
    credentials: Credentials | None = None,
    service: str = "execute-api",
) -> tuple[int, dict[str, str], Any]:
    """Status, headers and JSON of one call, signed by botocore's bare signer or not at all."""
    path = f"/_aws/execute-api/{API}/{STAGE}/@connections/{quote(connection_id, safe='')}"
    request = AWSRequest(method=method, url=f"{world.engine.endpoint}{path}", data=b"hello")
    if credentials is not None:
        SigV4Auth(credentials, service, REGION).add_auth(request)
    headers = {str(name): str(value) for name, value in request.headers.items()}

    def send() -> tuple[int, dict[str, str], Any]:
        connection = http.client.HTTPConnection("localhost", world.engine.port, timeout=20)
        connection.request(method, path, b"hello" if sent is None else sent, headers)
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        named = {name.lower(): value for name, value in answer.getheaders()}
        return answer.status, named, json.loads(text) if text else None

    return await asyncio.to_thread(send)


async def test_root_may_do_everything(enforced: IamWorld) -> None:
    """The default credentials of local tools own the account."""
    async with enforced.connect() as client:
        connection_id = enforced.connection_id()
        await enforced.manage("post_to_connection", ROOT, ConnectionId=connection_id, Data=b"hi")
        got = await soon(client.recv())
        told = await enforced.manage("get_connection", ROOT, ConnectionId=connection_id)
        await enforced.manage("delete_connection", ROOT, ConnectionId=connection_id)
        await soon(client.wait_closed())

    assert got == "hi"
    assert told["Identity"]["SourceIp"] == "127.0.0.1"


@pytest.mark.parametrize(
    ("credentials", "status", "code", "message"),
    [
        pytest.param(
            None,
            403,
            "MissingAuthenticationTokenException",
            "Missing Authentication Token",
            id="unsigned",
        ),
        pytest.param(
            STRANGER,
            403,
            "UnrecognizedClientException",
            "The security token included in the request is invalid.",
            id="unknown-key",
        ),
        pytest.param(
            Credentials("test", "wrong"),
            403,
            "InvalidSignatureException",
            "The request signature we calculated does not match",
            id="wrong-secret",
        ),
    ],
)
async def test_enforced_call_needs_a_right_signature(
    enforced: IamWorld, credentials: Credentials | None, status: int, code: str, message: str
) -> None:
    """With enforcement nothing reaches a client without a right signature (7.05, 7.06)."""
    async with enforced.connect() as client:
        answer = await plain(enforced, enforced.connection_id(), credentials=credentials)
        await enforced.manage(
            "post_to_connection", ROOT, ConnectionId=enforced.connection_id(), Data=b"last"
        )
        first = await soon(client.recv())

    assert answer[0] == status
    assert answer[1]["x-amzn-errortype"] == code
    assert answer[2]["message"].startswith(message)
    assert first == "last"


async def test_wrong_signature_is_told_what_should_have_been_signed(enforced: IamWorld) -> None:
    """The path in the answer is encoded once more than it was sent (7.05, 7.06)."""
    _, _, body = await plain(enforced, NOBODY, credentials=Credentials("test", "wrong"))

    assert (
        "The Canonical String for this request should have been\n"
        f"'POST\n/_aws/execute-api/{API}/{STAGE}/%40connections/AAAAAAAAAAAAAAA%253D\n\n"
        f"host:localhost:{enforced.engine.port}\n"
    ) in body["message"]


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"sent": b"another"}, id="body"),
        pytest.param({"service": "apigateway"}, id="service"),
    ],
)
async def test_signature_is_good_for_what_was_signed_only(
    enforced: IamWorld, changes: dict[str, Any]
) -> None:
    """A signed call is good for its own body and service (7.05)."""
    async with enforced.connect():
        status, headers, _ = await plain(
            enforced, enforced.connection_id(), credentials=ROOT, **changes
        )

    assert (status, headers["x-amzn-errortype"]) == (403, "InvalidSignatureException")
    assert enforced.told(Step.PUSH) == []


@pytest.mark.parametrize(
    ("documents", "allowed"),
    [
        pytest.param([], set(), id="none"),
        pytest.param([policy(MANAGE, f"{CONNECTIONS}/POST/@connections/*")], {"POST"}, id="post"),
        pytest.param([policy(MANAGE, f"{CONNECTIONS}/GET/*")], {"GET"}, id="get"),
        pytest.param([policy(MANAGE, f"{CONNECTIONS}/*")], {"POST", "GET"}, id="stage"),
        pytest.param([policy("execute-api:*", f"{CONNECTIONS}/POST/@connections")], set(), id="-"),
        pytest.param([policy("execute-api:Invoke", f"{CONNECTIONS}/*")], set(), id="invoke"),
        pytest.param(
            [policy(MANAGE, f"{CONNECTIONS.replace('/dev', '/prod')}/*")], set(), id="other-stage"
        ),
        pytest.param(
            [policy("*"), policy(MANAGE, f"{CONNECTIONS}/POST/*", "Deny")], {"GET"}, id="denied"
        ),
    ],
)
async def test_methods_are_authorized_one_by_one(
    enforced: IamWorld, documents: list[Json], allowed: set[str]
) -> None:
    """The permission is for a stage, a method and its connections (7.07, 7.08, 7.31)."""
    alice = await enforced.make_user("alice", *documents)

    async with enforced.connect():
        connection_id = enforced.connection_id()
        answers = {
            method: await plain(enforced, connection_id, method=method, credentials=alice)
            for method in ("POST", "GET")
        }

    passed = {method for method, (status, _, _) in answers.items() if status == 200}
    refused = {status for status, _, _ in answers.values()} - {200}
    assert passed == allowed
    assert refused <= {403}


async def test_missing_permission_is_answered_as_on_aws(enforced: IamWorld) -> None:
    """Capital Message, masked account, no connection id; the trace has it all (7.09, 10.14)."""
    alice = await enforced.make_user("alice")

    async with enforced.connect():
        connection_id = enforced.connection_id()
        status, headers, body = await plain(enforced, connection_id, credentials=alice)
        with pytest.raises(ClientError) as refusal:
            await enforced.manage(
                "post_to_connection", alice, ConnectionId=connection_id, Data=b"x"
            )

    assert status == 403
    assert headers["x-amzn-errortype"] == "AccessDeniedException"
    assert body == {
        "Message": f"User: arn:aws:iam::{ACCOUNT}:user/alice is not authorized to perform: "
        "execute-api:ManageConnections on resource: arn:aws:execute-api:us-east-1:********0000:"
        f"{API}/{STAGE}/POST/@connections/{{connectionId}}"
    }
    assert refusal.value.response["Error"]["Code"] == "AccessDeniedException"
    assert refusal.value.response["Error"]["Message"] == body["Message"]
    assert f"{CONNECTIONS}/POST/@connections/*" in enforced.told(Step.REFUSED)[-1]


async def test_explicit_deny_is_named(enforced: IamWorld) -> None:
    """A Deny tells that it was one."""
    alice = await enforced.make_user("alice", policy("*", "*", "Deny"))

    _, _, body = await plain(enforced, NOBODY, credentials=alice)

    assert body["Message"].endswith(" with an explicit deny in an identity-based policy")


async def test_permission_is_looked_at_before_the_connection(enforced: IamWorld) -> None:
    """Without permission a dead id is 403, with it 410 (7.32)."""
    alice = await enforced.make_user("alice")
    bob = await enforced.make_user("bob", policy(MANAGE))

    refused, _, _ = await plain(enforced, NOBODY, credentials=alice)
    gone, _, _ = await plain(enforced, NOBODY, credentials=bob)

    assert (refused, gone) == (403, 410)


async def test_session_of_a_role_may_push(enforced: IamWorld) -> None:
    """Anybody with permission may call, sessions of roles as well (7.31)."""
    resource = f"{CONNECTIONS}/POST/@connections/*"
    await enforced.make_role("pushers", trust(AWS=ACCOUNT), policy(MANAGE, resource))
    session = await enforced.assume("pushers")

    async with enforced.connect() as client:
        await enforced.manage(
            "post_to_connection", session, ConnectionId=enforced.connection_id(), Data=b"hi"
        )
        got = await soon(client.recv())

    assert got == "hi"


async def test_too_large_post_is_too_large_for_signers_as_well(enforced: IamWorld) -> None:
    """What is read no further cannot be verified: it is refused for its size."""
    with pytest.raises(ClientError) as refusal:
        await enforced.manage(
            "post_to_connection", ROOT, ConnectionId=NOBODY, Data=b"x" * (128 * 1024 + 1)
        )

    assert refusal.value.response["Error"]["Code"] == "PayloadTooLargeException"


@pytest.mark.parametrize(
    ("credentials", "status"),
    [
        pytest.param(None, 200, id="unsigned"),
        pytest.param(STRANGER, 200, id="unknown-key"),
        pytest.param(ROOT, 200, id="right"),
        pytest.param(Credentials("test", "wrong"), 403, id="known-key-wrong-secret"),
    ],
)
async def test_by_default_only_known_keys_must_sign_rightly(
    lax: IamWorld, credentials: Credentials | None, status: int
) -> None:
    """By default a call may be unsigned, but a known key's wrong signature is none (7.06)."""
    async with lax.connect():
        answer, _, _ = await plain(lax, lax.connection_id(), credentials=credentials)

    assert answer == status


async def test_by_default_a_missing_permission_is_told_once(lax: IamWorld) -> None:
    """By default the call passes, and the trace says once that AWS would refuse it (7.07)."""
    alice = await lax.make_user("alice")

    async with lax.connect() as client:
        for _ in range(3):
            await plain(lax, lax.connection_id(), credentials=alice)
            await soon(client.recv())

    (warning,) = lax.told(Step.WARNING)
    assert f"user/alice lacks {MANAGE} on {CONNECTIONS}/POST/@connections/*" in warning
    assert "SOCKETSTACK_IAM=enforce" in warning
