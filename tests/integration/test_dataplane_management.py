"""``@connections`` through boto3 and raw requests: statuses, bodies, addresses, order, limits."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from dataplane_world import (
    API,
    CLOSE,
    STAGE,
    RawClient,
    World,
    eventually,
    frame,
    running,
    soon,
)

from socketstack.core.limits import POSTED_MAX_BYTES
from socketstack.dataplane.session import BUFFERED_MAX_BYTES
from socketstack.trace import Step

UNKNOWN = "AbCdEfGhIjKlMn-="


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """A data plane with an echo API."""
    async with running(tmp_path) as world:
        world.deploy_echo()
        yield world


def address(connection_id: str, *, api_id: str = API, stage: str | None = STAGE) -> str:
    """A connection's path in the path form."""
    middle = "" if stage is None else f"/{stage}"
    return f"/_aws/execute-api/{api_id}{middle}/@connections/{connection_id}"


async def failure(call: Callable[..., Any], **parameters: Any) -> tuple[int, str, str]:
    """Status, code and message of a call that must fail."""
    with pytest.raises(ClientError) as refused:
        await asyncio.to_thread(call, **parameters)
    response = refused.value.response
    error = response["Error"]
    return response["ResponseMetadata"]["HTTPStatusCode"], error["Code"], error.get("Message", "")


async def test_post_arrives_as_one_text_message(world: World) -> None:
    """What boto3 posts arrives unchanged, and the answer is 200 and empty."""
    boto = world.management()

    async with world.connect() as client:
        (connection_id,) = world.connection_ids()
        for text in ("hello", "\u00e4\U0001f600", ""):
            answer = await asyncio.to_thread(
                boto.post_to_connection, ConnectionId=connection_id, Data=text.encode()
            )
            assert answer["ResponseMetadata"]["HTTPStatusCode"] == 200
            assert await soon(client.recv()) == text

    raw = await world.http("POST", address(connection_id), b"x")
    assert (raw.status, raw.body) == (410, b"")
    assert world.summaries(Step.PUSH)[0] == "5 bytes posted"


async def test_get_tells_times_and_identity(world: World) -> None:
    """GET has times in ISO 8601 with milliseconds and the client's identity."""
    boto = world.management()

    async with world.connect(user_agent_header="probe/1") as client:
        (connection_id,) = world.connection_ids()
        world.clock.advance(3.25)
        await client.send("hello")
        await soon(client.recv())
        raw = await world.http("GET", address(connection_id))
        answer = await asyncio.to_thread(boto.get_connection, ConnectionId=connection_id)

    assert (raw.status, json.loads(raw.body)) == (
        200,
        {
            "connectedAt": "2023-11-14T22:13:20.000Z",
            "identity": {"sourceIp": "127.0.0.1", "userAgent": "probe/1"},
            "lastActiveAt": "2023-11-14T22:13:23.250Z",
        },
    )
    assert raw.headers["content-type"].startswith("application/json")
    assert (answer["LastActiveAt"] - answer["ConnectedAt"]).total_seconds() == 3.25
    assert answer["Identity"] == {"SourceIp": "127.0.0.1", "UserAgent": "probe/1"}


async def test_user_agent_is_null_when_the_client_sent_none(world: World) -> None:
    """A missing User-Agent is null and not an empty text."""
    async with world.connect(user_agent_header=None):
        raw = await world.http("GET", address(world.connection_ids()[0]))

    assert json.loads(raw.body)["identity"] == {"sourceIp": "127.0.0.1", "userAgent": None}


async def test_delete_closes_the_connection(world: World) -> None:
    """boto3's delete_connection answers 204, and the connection is gone at once."""
    boto = world.management()

    async with world.connect() as client:
        (connection_id,) = world.connection_ids()
        answer = await asyncio.to_thread(boto.delete_connection, ConnectionId=connection_id)
        status, code, message = await failure(boto.get_connection, ConnectionId=connection_id)
        await soon(client.wait_closed())

    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert (status, code, message) == (410, "GoneException", "")
    assert client.close_code == 1000


@pytest.mark.parametrize("operation", ["post_to_connection", "get_connection", "delete_connection"])
@pytest.mark.parametrize("was_open", [True, False])
async def test_connection_that_is_not_there_is_gone(
    world: World, operation: str, *, was_open: bool
) -> None:
    """Closed connections and ids that never were give GoneException with an empty body."""
    connection_id = UNKNOWN
    if was_open:
        async with world.connect():
            (connection_id,) = world.connection_ids()
        await world.disconnected()
    boto = world.management()
    members = {"Data": b"x"} if operation == "post_to_connection" else {}

    error = await failure(getattr(boto, operation), ConnectionId=connection_id, **members)

    assert error == (410, "GoneException", "")
    with pytest.raises(boto.exceptions.GoneException):
        await asyncio.to_thread(getattr(boto, operation), ConnectionId=connection_id, **members)


@pytest.mark.parametrize("method", ["POST", "GET", "DELETE"])
async def test_gone_has_an_empty_body(world: World, method: str) -> None:
    """The raw 410 names its error in a header only."""
    raw = await world.http(method, address(UNKNOWN), b"x" if method == "POST" else b"")

    assert (raw.status, raw.body, raw.headers["x-amzn-errortype"]) == (410, b"", "GoneException")


@pytest.mark.parametrize(
    "connection_id",
    ["abc", "AbCdEfGhIjKlMn-", "AbCdEfGhIjKlMn-==", "AbCdEfGhIj+lMn-=", "AbCdEfGhIj%20Mn-=", "%C3"],
)
async def test_malformed_id_is_a_bad_request(world: World, connection_id: str) -> None:
    """An id of another length or alphabet gives 400 with the id in its message."""
    raw = await world.http("GET", address(connection_id))

    assert raw.status == 400
    assert raw.headers["x-amzn-errortype"] == "BadRequestException"
    assert json.loads(raw.body)["message"].startswith("Invalid connectionId: ")


@pytest.mark.parametrize(
    "path",
    [
        pytest.param("{api}/@connections/{id}", id="no-stage"),
        pytest.param("{api}/prod/@connections/{id}", id="unknown-stage"),
        pytest.param("nosuchapi1/dev/@connections/{id}", id="unknown-api"),
        pytest.param("{api}/empty/@connections/{id}", id="stage-without-deployment"),
        pytest.param("{api}/second/@connections/{id}", id="another-stage"),
        pytest.param("otherapi00/dev/@connections/{id}", id="another-api"),
        pytest.param("{api}/dev/@connections/", id="no-id"),
        pytest.param("{api}/dev/@connections/{id}/more", id="deeper"),
        pytest.param("{api}/dev/room/@connections/{id}", id="below-a-stage"),
    ],
)
@pytest.mark.parametrize("method", ["POST", "GET", "DELETE"])
async def test_wrong_address_is_forbidden(world: World, path: str, method: str) -> None:
    """A connection is reached through its own API and stage only."""
    world.deploy_echo(stage="second", deployment_id="dep002")
    world.deploy_echo(stage="empty", deployment_id="dep003")
    world.store.point_stage(API, "empty", None)
    world.deploy_echo(api_id="otherapi00")

    async with world.connect() as client:
        (connection_id,) = world.connection_ids()
        target = path.format(api=API, id=connection_id)
        raw = await world.http(method, f"/_aws/execute-api/{target}", b"wrong")
        right = await world.http("POST", address(connection_id), b"right")

        assert (raw.status, json.loads(raw.body)) == (403, {"message": "Forbidden"})
        assert raw.headers["x-amzn-errortype"] == "ForbiddenException"
        assert right.status == 200
        assert await soon(client.recv()) == "right"


@pytest.mark.parametrize("method", ["POST", "GET", "DELETE"])
async def test_host_of_another_region_is_forbidden(world: World, method: str) -> None:
    """Through AWS's name of a Region only the connections of that Region are reached."""
    async with world.connect() as client:
        (connection_id,) = world.connection_ids()
        path = f"/dev/@connections/{connection_id}"
        host = f"{API}.execute-api.us-west-2.amazonaws.com"
        headers = {"Host": host, "Authorization": "AWS4-HMAC-SHA256 x"}
        wrong = await world.http(method, path, b"wrong", headers)
        right = await world.http("POST", address(connection_id), b"right")

        assert (wrong.status, json.loads(wrong.body)) == (403, {"message": "Forbidden"})
        assert right.status == 200
        assert await soon(client.recv()) == "right"


@pytest.mark.parametrize(
    ("path", "host"),
    [
        pytest.param(f"/_aws/execute-api/{API}/dev/@connections/{{id}}", "localhost", id="path"),
        pytest.param(f"/_aws/execute-api/{API}/dev/%40connections/{{id}}", "localhost", id="%40"),
        pytest.param("/dev/@connections/{id}", f"{API}.execute-api.localhost", id="host"),
        pytest.param(
            "/dev/@connections/{id}", f"{API}.execute-api.eu-west-1.amazonaws.com", id="aws-host"
        ),
        pytest.param("/dev/@connections/{id}", "localhost", id="root-with-stage"),
        pytest.param("/@connections/{id}", "localhost", id="root"),
        pytest.param("/%40connections/{id}", "127.0.0.1", id="root-%40"),
    ],
)
@pytest.mark.parametrize("encoded", [True, False])
async def test_every_form_of_address_reaches_the_connection(
    world: World, path: str, host: str, *, encoded: bool
) -> None:
    """Path form, host form and the bare id work, with the id's equals sign encoded or not."""
    async with world.connect() as client:
        (connection_id,) = world.connection_ids()
        shown = connection_id.replace("=", "%3D") if encoded else connection_id
        headers = {"Host": f"{host}:{world.port}", "Authorization": "AWS4-HMAC-SHA256 x"}
        raw = await world.http("POST", path.format(id=shown), b"hello", headers)

        assert raw.status == 200
        assert await soon(client.recv()) == "hello"


async def test_root_address_with_a_wrong_stage_is_forbidden(world: World) -> None:
    """Even where the id names its API, a stage in the path must be the connection's."""
    world.deploy_echo(stage="prod", deployment_id="dep002")

    async with world.connect():
        (connection_id,) = world.connection_ids()
        raw = await world.http("POST", f"/prod/@connections/{connection_id}", b"x")

        assert raw.status == 403


@pytest.mark.parametrize("method", ["HEAD", "PUT", "PATCH", "OPTIONS"])
async def test_other_methods_are_refused(world: World, method: str) -> None:
    """Only POST, GET and DELETE exist; others change nothing."""
    async with world.connect() as client:
        (connection_id,) = world.connection_ids()
        raw = await world.http(method, address(connection_id), b"")
        await client.send("still open")

        assert raw.status == 403
        assert await soon(client.recv()) == "still open"


# Sizes and order


async def test_posts_of_one_caller_arrive_in_order(world: World) -> None:
    """Sequential posts keep their order."""
    boto = world.management()

    def post_all(connection_id: str) -> None:
        for number in range(100):
            boto.post_to_connection(ConnectionId=connection_id, Data=str(number).encode())

    async with world.connect() as client:
        await asyncio.to_thread(post_all, world.connection_ids()[0])

        assert [await soon(client.recv()) for _ in range(100)] == list(map(str, range(100)))


async def test_large_post_is_split_into_frames(world: World) -> None:
    """131072 bytes are accepted and travel in four frames of 32 KB."""
    data = bytes(ord("a") + at % 26 for at in range(POSTED_MAX_BYTES))

    async with RawClient.connect(world) as client:
        raw = await world.http("POST", address(world.connection_ids()[0]), data)
        frames = [await client.receive() for _ in range(4)]

    assert raw.status == 200
    assert [(f.opcode, f.is_final) for f in frames] == [
        (1, False),
        (0, False),
        (0, False),
        (0, True),
    ]
    assert b"".join(f.payload for f in frames) == data
    assert {len(f.payload) for f in frames} == {32_768}


@pytest.mark.parametrize("size", [POSTED_MAX_BYTES + 1, 5_000_000])
async def test_post_above_128_kb_is_too_large(world: World, size: int) -> None:
    """One byte more is refused with PayloadTooLargeException, and nothing is sent."""
    boto = world.management()

    async with world.connect() as client:
        (connection_id,) = world.connection_ids()
        error = await failure(boto.post_to_connection, ConnectionId=connection_id, Data=b"x" * size)
        await client.send("next")

        assert error[:2] == (413, "PayloadTooLargeException")
        assert await soon(client.recv()) == "next"


async def test_bytes_that_are_no_utf_8_do_not_break_the_client(world: World) -> None:
    """A text message is always valid UTF-8; other bytes are replaced, and the trace warns."""
    async with world.connect() as client:
        raw = await world.http("POST", address(world.connection_ids()[0]), b"a\xffb")

        assert raw.status == 200
        assert await soon(client.recv()) == "a\ufffdb"
        assert "UTF-8" in world.summaries(Step.WARNING)[0]


@pytest.mark.parametrize("secure", [False, True])
async def test_slow_reader_is_answered_with_429_and_bounded_memory(
    world: World, *, secure: bool
) -> None:
    """A client that does not read fills its buffer; then posters are told, and it may recover."""
    boto = world.management()
    options: dict[str, Any] = {"ssl": world.trust(), "server_hostname": "localhost"}
    async with RawClient.connect(world, limit=1024, **(options if secure else {})) as client:
        (entry,) = world.store.connections()
        connection_id = entry.connection.connection_id
        client.writer.transport.pause_reading()  # type: ignore[attr-defined]
        statuses = []
        for _ in range(400):
            raw = await world.http("POST", address(connection_id), b"x" * POSTED_MAX_BYTES)
            statuses.append(raw.status)
            if raw.status != 200:
                break
        waiting = entry.peer._transport.get_write_buffer_size()  # type: ignore[attr-defined]
        error = await failure(
            boto.post_to_connection, ConnectionId=connection_id, Data=b"x" * POSTED_MAX_BYTES
        )
        client.writer.transport.resume_reading()  # type: ignore[attr-defined]
        for _ in range(4 * statuses.count(200)):
            await client.receive()
        recovered = await world.http("POST", address(connection_id), b"again")

        assert (await client.receive()).payload == b"again"

    assert statuses[-1] == 429
    assert waiting <= BUFFERED_MAX_BYTES
    assert error[:2] == (429, "LimitExceededException")
    assert recovered.status == 200


async def test_dropped_reply_of_a_slow_reader_is_warned_about(world: World) -> None:
    """A reply that finds the buffer full is dropped, and the trace says so."""
    async with RawClient.connect(world, limit=1024) as client:
        (entry,) = world.store.connections()
        client.writer.transport.pause_reading()  # type: ignore[attr-defined]
        status = 200
        while status == 200:
            path = address(entry.connection.connection_id)
            status = (await world.http("POST", path, b"x" * POSTED_MAX_BYTES)).status
        client.send(frame(1, b"y" * 32_000) * 5)
        await eventually(lambda: bool(world.summaries(Step.WARNING)))

        assert "dropped" in world.summaries(Step.WARNING)[0]
        counts = world.data_plane.counts
        await eventually(lambda: counts.replies + counts.dropped_replies == 5)
        assert counts.dropped_replies > 0
        assert world.store.connection_count() == 1


async def test_poster_that_leaves_in_the_middle_sends_nothing(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """Half a body is no message, and a poster that hangs up is nothing to log."""
    async with world.connect() as client:
        (connection_id,) = world.connection_ids()
        async with RawClient.dial(world) as poster:
            head = f"POST {address(connection_id)} HTTP/1.1\r\nHost: localhost\r\n"
            poster.send(f"{head}Content-Length: 100\r\n\r\nhalf".encode())
            await eventually(lambda: len(world.web.connections) == 1)
        await eventually(lambda: not world.web.connections)
        await client.send("next")

        assert await soon(client.recv()) == "next"
        assert caplog.records == []


async def test_chunked_body_is_posted_whole(world: World) -> None:
    """A body in chunks arrives as one message."""
    async with world.connect() as client, RawClient.dial(world) as poster:
        head = f"POST {address(world.connection_ids()[0])} HTTP/1.1\r\nHost: localhost\r\n"
        poster.send(
            f"{head}Transfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n".encode()
        )
        status = await soon(poster.reader.readline())

        assert b" 200 " in status
        assert await soon(client.recv()) == "hello"


async def test_broken_chunks_are_a_bad_request(world: World) -> None:
    """A body that cannot be read is refused, and nothing is sent."""
    async with world.connect() as client, RawClient.dial(world) as poster:
        head = f"POST {address(world.connection_ids()[0])} HTTP/1.1\r\nHost: localhost\r\n"
        poster.send(f"{head}Transfer-Encoding: chunked\r\n\r\n3\r\nhel\r\nZZ\r\n".encode())
        status = await soon(poster.reader.readline())
        await client.send("next")

        assert b" 400 " in status
        assert await soon(client.recv()) == "next"


async def test_posts_and_replies_do_not_mix(world: World) -> None:
    """Frames of concurrent posts stay whole: each message arrives as it was sent."""
    letters = "abcdefghij"

    async with world.connect() as client:
        path = address(world.connection_ids()[0])
        posts = [world.http("POST", path, letter.encode() * 100_000) for letter in letters]
        posting = asyncio.gather(*posts)
        got = [await soon(client.recv()) for _ in letters]
        answers = await posting

    assert {answer.status for answer in answers} == {200}
    assert sorted(map(str, got)) == [letter * 100_000 for letter in letters]


async def test_post_to_a_closing_connection_is_gone(world: World) -> None:
    """After our close frame nothing more is sent."""
    async with RawClient.connect(world) as client:
        (entry,) = world.store.connections()
        deleted = await world.http("DELETE", address(entry.connection.connection_id))
        posted = await world.http("POST", address(entry.connection.connection_id), b"late")
        closed = await client.receive()

    assert (deleted.status, posted.status, closed.opcode) == (204, 410, CLOSE)


async def test_content_type_of_a_post_has_no_effect(world: World) -> None:
    """A message arrives as it was posted, whatever its content type says. Rule 7.23."""
    async with world.connect() as client:
        path = address(world.connection_ids()[0])
        for content_type in ("application/octet-stream", "application/json; charset=latin-1"):
            await world.http("POST", path, b"gr\xc3\xbcezi", {"Content-Type": content_type})
            assert await soon(client.recv()) == "grüezi"
