"""API keys and usage plans: made through AWS's calls, needed on real handshakes."""

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from dataplane_world import (
    API,
    STAGE,
    HttpAnswer,
    World,
    allowed,
    guarded_connect,
    route,
    running,
)
from keys_bench import OTHER, VALUE, Keys

from socketstack.core.model import ExecutionLogging, LoggingLevel, StageLogging
from socketstack.trace import Step

FROM_AUTHORIZER = "$context.authorizer.usageIdentifierKey"
CONNECT = route("$connect", "connect", api_key_required=True)
DEFAULT = route("$default", "echo", is_two_way=True)


@pytest.fixture
async def keys(tmp_path: Path) -> AsyncIterator[Keys]:
    """A data plane whose $connect needs an API key, and the calls to make keys."""
    async with running(tmp_path) as world:
        world.deploy(CONNECT, DEFAULT)
        keys = Keys(world)
        yield keys
        keys.close()


def header(value: str = VALUE) -> dict[str, Any]:
    """The options of a handshake with a key."""
    return {"additional_headers": {"x-api-key": value}}


def identity(world: World) -> dict[str, str]:
    """Who connected, as the function of $connect saw it."""
    found: dict[str, str] = world.calls("connect")[-1]["requestContext"]["identity"]
    return found


def assert_forbidden(world: World, answer: HttpAnswer) -> None:
    """The handshake was refused, nothing ran for it, and no secret was told."""
    assert answer.status == 403
    assert json.loads(answer.body) == {"message": "Forbidden"}
    assert world.calls("connect") == []
    assert world.store.connection_count() == 0
    assert VALUE not in world.told()
    assert OTHER not in world.told()


# On the handshake


async def test_key_of_the_stages_plan_connects_and_is_named_in_events(keys: Keys) -> None:
    """The function sees the key and its id, at $connect and with every message. 4.08, 4.13."""
    key_id = await keys.key()
    await keys.plan(key_id)

    async with keys.world.connect(**header()) as client:
        await client.send("hello")
        await client.recv()

    seen = identity(keys.world)
    later = keys.world.calls("echo")[0]["requestContext"]["identity"]
    assert (seen["apiKey"], seen["apiKeyId"]) == (VALUE, key_id)
    assert list(seen) == ["apiKey", "apiKeyId", "userAgent", "sourceIp"]
    assert (later["apiKey"], later["apiKeyId"]) == (VALUE, key_id)
    assert VALUE not in keys.world.told()


async def test_key_is_not_shown_in_execution_logs(keys: Keys) -> None:
    """Logs with payloads star the key out, at $connect and in messages. 4.13, 9.07."""
    await keys.plan(await keys.key())
    execution = {"": ExecutionLogging(level=LoggingLevel.INFO, data_trace=True)}
    keys.world.deploy(CONNECT, DEFAULT, logging=StageLogging(execution=execution))

    async with keys.world.connect(**header()) as client:
        await client.send("hello")
        await client.recv()

    logged = "\n".join(keys.world.logs.execution)
    assert '"apiKeyId"' in logged
    assert VALUE not in logged


async def test_missing_key_is_forbidden(keys: Keys) -> None:
    """Without the header nothing runs. 4.09."""
    await keys.plan(await keys.key())

    answer = await keys.world.refused()

    assert_forbidden(keys.world, answer)
    assert "header x-api-key" in keys.world.summaries(Step.REFUSED)[0]


async def test_key_in_the_query_is_no_key(keys: Keys) -> None:
    """Only the header counts. 4.08."""
    await keys.plan(await keys.key())

    answer = await keys.world.refused(f"/{STAGE}?x-api-key={VALUE}")

    assert_forbidden(keys.world, answer)


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(OTHER, id="unknown"),
        pytest.param(VALUE[:-1], id="one-less"),
        pytest.param(VALUE + "x", id="one-more"),
        pytest.param(VALUE.upper(), id="other-case"),
    ],
)
async def test_wrong_key_is_forbidden(keys: Keys, value: str) -> None:
    """A value that no key has opens nothing. 4.09."""
    await keys.plan(await keys.key())

    answer = await keys.world.refused(**header(value))

    assert_forbidden(keys.world, answer)
    assert "No API key of this Region" in keys.world.summaries(Step.REFUSED)[0]


async def test_disabled_key_is_forbidden_until_it_is_enabled(keys: Keys) -> None:
    """Enabling acts at once. 4.09."""
    key_id = await keys.key(enabled=False)
    await keys.plan(key_id)

    answer = await keys.world.refused(**header())
    assert_forbidden(keys.world, answer)
    await keys.call(
        "update_api_key",
        apiKey=key_id,
        patchOperations=[{"op": "replace", "path": "/enabled", "value": "true"}],
    )

    async with keys.world.connect(**header()):
        assert keys.world.store.connection_count() == 1
    assert "disabled" in keys.world.summaries(Step.REFUSED)[0]


async def test_key_without_plan_is_forbidden(keys: Keys) -> None:
    """A key alone opens nothing, and the trace says what it lacks. 4.10."""
    key_id = await keys.key()
    await keys.plan()

    answer = await keys.world.refused(**header())

    assert_forbidden(keys.world, answer)
    [reason] = keys.world.summaries(Step.REFUSED)
    assert f"The API key {key_id} is in no usage plan" in reason
    assert f"{API}/{STAGE}" in reason


async def test_plan_without_the_stage_is_forbidden(keys: Keys) -> None:
    """A plan for another stage does not help, and the trace names both. 4.10."""
    keys.world.deploy(CONNECT, stage="prod")
    keys.world.deploy(CONNECT, DEFAULT)
    plan_id = await keys.plan(await keys.key(), stage="prod")

    answer = await keys.world.refused(**header())

    assert_forbidden(keys.world, answer)
    [reason] = keys.world.summaries(Step.REFUSED)
    assert f"basic ({plan_id}) holds {API}/prod" in reason


async def test_key_of_another_region_is_forbidden(keys: Keys) -> None:
    """Keys belong to a Region. 4.09."""
    abroad = Keys(keys.world)
    abroad._client.close()
    abroad._client = keys.world.gateway("us-east-1")
    await abroad.key()

    answer = await keys.world.refused(**header())

    assert_forbidden(keys.world, answer)
    assert (await keys.call("get_api_keys"))["items"] == []
    abroad.close()


@pytest.mark.parametrize(
    "change",
    [
        pytest.param("delete_api_key", id="key-deleted"),
        pytest.param("delete_usage_plan_key", id="key-taken-out"),
        pytest.param("remove_stage", id="stage-taken-out"),
    ],
)
async def test_what_is_taken_away_acts_at_once(keys: Keys, change: str) -> None:
    """Removing the key, its place in the plan, or the stage closes the door again. 4.10."""
    key_id = await keys.key()
    plan_id = await keys.plan(key_id)
    async with keys.world.connect(**header()):
        keys.world.runner.calls.clear()

    if change == "delete_api_key":
        await keys.call("delete_api_key", apiKey=key_id)
    elif change == "delete_usage_plan_key":
        await keys.call("delete_usage_plan_key", usagePlanId=plan_id, keyId=key_id)
    else:
        await keys.patch(plan_id, ("remove", "/apiStages", f"{API}:{STAGE}"))
    answer = await keys.world.refused(**header())

    assert answer.status == 403
    assert keys.world.calls("connect") == []


async def test_route_without_need_of_a_key_ignores_it(keys: Keys) -> None:
    """A key that nobody asks for is neither checked nor named. 4.08."""
    keys.world.deploy(route("$connect", "connect"))

    async with keys.world.connect(**header("wrong")):
        assert "apiKey" not in identity(keys.world)


# From the authorizer


def with_authorizer(world: World, answer: dict[str, Any], source: str = FROM_AUTHORIZER) -> None:
    """Deploy an authorizer that returns these members beside its policy."""
    guard = guarded_connect()
    connect = route(
        "$connect",
        "connect",
        api_key_required=True,
        authorization_type=guard.authorization_type,
        authorizer=guard.authorizer,
    )
    world.deploy(connect, DEFAULT, api_key_selection_expression=source)
    world.answer("authorizer", allowed(**answer))


async def test_authorizers_key_is_checked_in_place_of_the_header(keys: Keys) -> None:
    """The key that the authorizer returns opens the stage; the client sends none. 3.29."""
    with_authorizer(keys.world, {"usageIdentifierKey": VALUE})
    key_id = await keys.key()
    await keys.plan(key_id)

    async with keys.world.connect():
        assert identity(keys.world)["apiKeyId"] == key_id


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param({}, id="no-key"),
        pytest.param({"usageIdentifierKey": OTHER}, id="wrong-key"),
    ],
)
async def test_header_does_not_help_where_the_authorizer_decides(
    keys: Keys, answer: dict[str, Any]
) -> None:
    """With the authorizer as source a right key in the header counts for nothing. 1.19, 3.29."""
    with_authorizer(keys.world, answer)
    await keys.plan(await keys.key())

    refused = await keys.world.refused(**header())

    assert_forbidden(keys.world, refused)


async def test_authorizers_key_does_not_help_where_the_header_decides(keys: Keys) -> None:
    """With the header as source the authorizer's key counts for nothing. 1.19."""
    with_authorizer(keys.world, {"usageIdentifierKey": VALUE}, "$request.header.x-api-key")
    await keys.plan(await keys.key())

    refused = await keys.world.refused()

    assert_forbidden(keys.world, refused)


async def test_authorizer_is_asked_before_the_key_is_checked(keys: Keys) -> None:
    """A denial of the authorizer uses up nothing of the plan, and a bad key comes after it."""
    with_authorizer(keys.world, {}, "$request.header.x-api-key")
    key_id = await keys.key()
    plan_id = await keys.plan(key_id, quota={"limit": 1, "period": "DAY"})
    keys.world.answer("authorizer", allowed(effect="Deny"))

    denied = await keys.world.refused(**header())
    keys.world.answer("authorizer", allowed())
    wrong = await keys.world.refused(**header(OTHER))

    assert (denied.status, wrong.status) == (403, 403)
    assert len(keys.world.calls("authorizer")) == 2
    assert keys.world.store.usage(plan_id, key_id) == {}
    assert keys.world.calls("connect") == []


# Limits of plans


async def test_exhausted_quota_is_429_until_the_next_period(keys: Keys) -> None:
    """The third of two a day is refused; after midnight UTC it passes. 4.11."""
    key_id = await keys.key()
    plan_id = await keys.plan(key_id, quota={"limit": 2, "period": "DAY"})

    async with AsyncExitStack() as sockets:
        for _ in range(2):
            await sockets.enter_async_context(keys.world.connect(**header()))
        answer = await keys.world.refused(**header())
        called = len(keys.world.calls("connect"))
        keys.world.clock.advance(24 * 60 * 60)
        await sockets.enter_async_context(keys.world.connect(**header()))

    assert answer.status == 429
    assert json.loads(answer.body) == {"message": "Limit Exceeded"}
    assert called == 2
    [reason] = keys.world.summaries(Step.REFUSED)
    assert f"The API key {key_id} has used its 2 requests a day of the usage plan basic" in reason
    assert sorted(keys.world.store.usage(plan_id, key_id).values()) == [1, 2]


async def test_quota_counts_each_key_by_itself(keys: Keys) -> None:
    """What one key used is not missing for another of the same plan. 4.11."""
    await keys.plan(await keys.key(), await keys.key(OTHER), quota={"limit": 1, "period": "MONTH"})

    async with keys.world.connect(**header()), keys.world.connect(**header(OTHER)):
        first = await keys.world.refused(**header())
        second = await keys.world.refused(**header(OTHER))

    assert (first.status, second.status) == (429, 429)
    assert len(keys.world.calls("connect")) == 2


async def test_throttled_plan_is_429_and_uses_up_no_quota(keys: Keys) -> None:
    """Above the plan's rate a key is refused; a second later it passes. 4.11."""
    key_id = await keys.key()
    plan_id = await keys.plan(
        key_id,
        throttle={"rateLimit": 1.0, "burstLimit": 1},
        quota={"limit": 10, "period": "DAY"},
    )

    async with AsyncExitStack() as sockets:
        await sockets.enter_async_context(keys.world.connect(**header()))
        answer = await keys.world.refused(**header())
        keys.world.clock.advance(1)
        await sockets.enter_async_context(keys.world.connect(**header()))

    assert answer.status == 429
    assert json.loads(answer.body) == {"message": "Too Many Requests"}
    assert sum(keys.world.store.usage(plan_id, key_id).values()) == 2
    assert plan_id in keys.world.summaries(Step.REFUSED)[0]


async def test_usage_can_be_read(keys: Keys) -> None:
    """GetUsage has a pair of used and left for each day."""
    key_id = await keys.key()
    plan_id = await keys.plan(key_id, quota={"limit": 5, "period": "WEEK"})
    async with keys.world.connect(**header()), keys.world.connect(**header()):
        pass
    today = datetime.fromtimestamp(keys.world.clock.now_ms() / 1000, UTC).date().isoformat()

    usage = await keys.call("get_usage", usagePlanId=plan_id, startDate=today, endDate=today)

    assert usage["items"] == {key_id: [[2, 3]]}
    assert (usage["usagePlanId"], usage["startDate"]) == (plan_id, today)
