"""The calls about API keys and usage plans: what they keep, show and refuse."""

from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from dataplane_world import API, STAGE, route, running
from keys_bench import VALUE, Keys

from socketstack.trace import Step


@pytest.fixture
async def keys(tmp_path: Path) -> AsyncIterator[Keys]:
    """An API at a stage, and the calls to make keys for it."""
    async with running(tmp_path) as world:
        world.deploy(route("$connect", "connect", api_key_required=True))
        keys = Keys(world)
        yield keys
        keys.close()


async def test_key_reads_back_without_its_value_unless_asked(keys: Keys) -> None:
    """Creation shows the value once; later it must be asked for."""
    made = await keys.call("create_api_key", name="client", description="d", tags={"a": "1"})
    key_id = made["id"]

    plain = await keys.call("get_api_key", apiKey=key_id)
    whole = await keys.call("get_api_key", apiKey=key_id, includeValue=True)
    listed = await keys.call("get_api_keys", includeValues=True, nameQuery="cli")
    none = await keys.call("get_api_keys", nameQuery="other")

    assert made["ResponseMetadata"]["HTTPStatusCode"] == 201
    assert len(made["value"]) == 40
    assert made["enabled"] is False
    assert isinstance(made["createdDate"], datetime)
    assert "value" not in plain
    assert plain["tags"] == {"a": "1"}
    assert whole["value"] == made["value"]
    assert [key["value"] for key in listed["items"]] == [made["value"]]
    assert none["items"] == []
    assert made["value"] not in keys.world.told()


@pytest.mark.parametrize(
    ("operation", "members", "code", "status", "message"),
    [
        pytest.param(
            "create_api_key",
            {"value": "too-short"},
            "BadRequestException",
            400,
            "API Key value should be at least 20 characters",
            id="short-value",
        ),
        pytest.param(
            "create_api_key",
            {"value": VALUE},
            "ConflictException",
            409,
            "API Key already exists",
            id="value-taken",
        ),
        pytest.param(
            "get_api_key",
            {"apiKey": "nosuchkey0"},
            "NotFoundException",
            404,
            "Invalid API Key identifier specified",
            id="unknown-key",
        ),
        pytest.param(
            "get_usage_plan",
            {"usagePlanId": "nosuch"},
            "NotFoundException",
            404,
            "Invalid Usage Plan ID specified",
            id="unknown-plan",
        ),
        pytest.param(
            "create_usage_plan",
            {"name": "p", "apiStages": [{"apiId": "nosuchapi0", "stage": STAGE}]},
            "NotFoundException",
            404,
            f"API Stage not found: nosuchapi0:{STAGE}",
            id="unknown-api",
        ),
        pytest.param(
            "create_usage_plan",
            {"name": "p", "apiStages": [{"apiId": API, "stage": "nosuch"}]},
            "NotFoundException",
            404,
            f"API Stage not found: {API}:nosuch",
            id="unknown-stage",
        ),
        pytest.param(
            "create_usage_plan",
            {"name": "p", "quota": {"limit": 5, "period": "DAY", "offset": 1}},
            "BadRequestException",
            400,
            "Usage Plan quota offset must be zero in the DAY period",
            id="offset-of-a-day",
        ),
        pytest.param(
            "create_usage_plan",
            {"name": "p", "quota": {"limit": 5, "period": "WEEK", "offset": 7}},
            "BadRequestException",
            400,
            "Usage Plan quota offset must be between 0 and 6 inclusive in the WEEK period",
            id="offset-of-a-week",
        ),
        pytest.param(
            "create_usage_plan",
            {"name": "p", "quota": {"limit": 5, "period": "YEAR"}},
            "BadRequestException",
            400,
            "Invalid value 'YEAR' for quota.period: valid values are DAY, WEEK, MONTH.",
            id="unknown-period",
        ),
        pytest.param(
            "create_usage_plan",
            {"name": "p", "quota": {"limit": 0, "period": "DAY"}},
            "BadRequestException",
            400,
            "Usage Plan quota limit must be greater than zero",
            id="no-quota",
        ),
        pytest.param(
            "create_usage_plan",
            {"name": "p", "throttle": {"rateLimit": -1.0}},
            "BadRequestException",
            400,
            "Usage Plan throttle rateLimit must not be negative",
            id="negative-rate",
        ),
        pytest.param(
            "create_usage_plan",
            {"name": "p", "tags": {"aws:x": "1"}},
            "BadRequestException",
            400,
            "Invalid tag key. Tag keys cannot start with 'aws:' (case insensitive)",
            id="reserved-tag",
        ),
    ],
)
async def test_bad_call_is_refused_and_changes_nothing(  # noqa: PLR0917 - a table's columns
    keys: Keys, operation: str, members: dict[str, Any], code: str, status: int, message: str
) -> None:
    """Each refusal has AWS's name and status, and leaves everything as it was."""
    await keys.key()

    refusal = await keys.refused(operation, **members)

    assert refusal == (code, status, message)
    assert len((await keys.call("get_api_keys"))["items"]) == 1
    assert (await keys.call("get_usage_plans"))["items"] == []


async def test_plan_is_changed_by_patches_and_read_back(keys: Keys) -> None:
    """Numbers in patches are texts on the wire and numbers in the plan."""
    plan_id = await keys.plan(stage="")

    changed = await keys.patch(
        plan_id,
        ("replace", "/name", "gold"),
        ("add", "/apiStages", f"{API}:{STAGE}"),
        ("add", "/throttle/rateLimit", "1.5"),
        ("add", "/throttle/burstLimit", "3"),
        ("add", "/quota/limit", "100"),
        ("add", "/quota/period", "WEEK"),
        ("add", "/quota/offset", "1"),
    )
    read = await keys.call("get_usage_plan", usagePlanId=plan_id)
    bare = await keys.patch(plan_id, ("remove", "/quota", ""), ("remove", "/throttle", ""))

    assert read["name"] == changed["name"] == "gold"
    assert read["apiStages"] == [{"apiId": API, "stage": STAGE}]
    assert read["throttle"] == {"rateLimit": 1.5, "burstLimit": 3}
    assert read["quota"] == {"limit": 100, "period": "WEEK", "offset": 1}
    assert "quota" not in bare
    assert "throttle" not in bare


@pytest.mark.parametrize(
    ("operation", "message"),
    [
        pytest.param(
            ("remove", f"/apiStages/{API}:{STAGE}", ""),
            f"Invalid patch path  '/apiStages/{API}:{STAGE}' specified for op 'remove'.",
            id="unknown-path",
        ),
        pytest.param(
            ("remove", "/apiStages", f"{API}:other"), "Invalid API Stage specified", id="not-held"
        ),
        pytest.param(
            ("add", "/apiStages", f"{API}:other"), f"API Stage not found: {API}:other", id="unknown"
        ),
        pytest.param(
            ("replace", "/quota/limit", "many"), "Invalid patch value 'many'", id="no-number"
        ),
        pytest.param(("copy", "/name", "x"), "specified for op 'copy'", id="unknown-verb"),
    ],
)
async def test_bad_patch_changes_nothing(
    keys: Keys, operation: tuple[str, str, str], message: str
) -> None:
    """One bad patch refuses all of them."""
    plan_id = await keys.plan()
    patches = [("replace", "/name", "changed"), operation]

    _code, _status, said = await keys.refused(
        "update_usage_plan",
        usagePlanId=plan_id,
        patchOperations=[
            {"op": verb, "path": path, "value": value} for verb, path, value in patches
        ],
    )

    assert message in said
    assert (await keys.call("get_usage_plan", usagePlanId=plan_id))["name"] == "basic"


async def test_plan_with_stages_is_not_deleted(keys: Keys) -> None:
    """The stages must leave the plan first."""
    plan_id = await keys.plan()

    refusal = await keys.refused("delete_usage_plan", usagePlanId=plan_id)
    await keys.patch(plan_id, ("remove", "/apiStages", f"{API}:{STAGE}"))
    await keys.call("delete_usage_plan", usagePlanId=plan_id)

    assert refusal == (
        "BadRequestException",
        400,
        (
            f"Cannot delete Usage Plan {plan_id} because there are API Stages associated with it, "
            f"including {API}:{STAGE}"
        ),
    )
    assert (await keys.call("get_usage_plans"))["items"] == []


async def test_key_has_one_plan_for_a_stage(keys: Keys) -> None:
    """A second plan with the same stage is refused: nobody could say whose limits count."""
    key_id = await keys.key()
    first = await keys.plan(key_id)
    second = await keys.plan()
    third = await keys.plan(key_id, stage="")

    by_key = await keys.refused(
        "create_usage_plan_key", usagePlanId=second, keyId=key_id, keyType="API_KEY"
    )
    again = await keys.refused(
        "create_usage_plan_key", usagePlanId=first, keyId=key_id, keyType="API_KEY"
    )
    by_stage = await keys.refused(
        "update_usage_plan",
        usagePlanId=third,
        patchOperations=[{"op": "add", "path": "/apiStages", "value": f"{API}:{STAGE}"}],
    )

    assert [refusal[:2] for refusal in (by_key, again, by_stage)] == [
        ("ConflictException", 409)
    ] * 3
    plans = (await keys.call("get_usage_plans", keyId=key_id))["items"]
    assert {plan["id"] for plan in plans} == {first, third}


async def test_keys_of_a_plan_are_listed_in_pages(keys: Keys) -> None:
    """Pages go on at the position; each key is there once."""
    ids = [await keys.key(f"{number:030d}", name=f"k{number}") for number in range(3)]
    plan_id = await keys.plan(*ids)

    first = await keys.call("get_usage_plan_keys", usagePlanId=plan_id, limit=2)
    rest = await keys.call(
        "get_usage_plan_keys", usagePlanId=plan_id, limit=2, position=first["position"]
    )
    one = await keys.call("get_usage_plan_key", usagePlanId=plan_id, keyId=ids[0])

    assert [key["id"] for key in first["items"] + rest["items"]] == ids
    assert "position" not in rest
    assert (one["type"], one["name"]) == ("API_KEY", "k0")


async def test_tags_of_keys_and_plans_can_be_changed(keys: Keys) -> None:
    """Tags are added, read and removed by ARN."""
    key_id = await keys.key(tags={"a": "1"})
    arn = f"arn:aws:apigateway:eu-west-1::/apikeys/{key_id}"

    await keys.call("tag_resource", resourceArn=arn, tags={"b": "2"})
    await keys.call("untag_resource", resourceArn=arn, tagKeys=["a"])

    assert (await keys.call("get_tags", resourceArn=arn))["tags"] == {"b": "2"}
    assert (await keys.call("get_api_key", apiKey=key_id))["tags"] == {"b": "2"}


async def test_import_of_keys_says_that_it_is_not_served(keys: Keys) -> None:
    """An operation that is missing is named, and makes no key."""
    _code, status, message = await keys.refused(
        "import_api_keys", body=b"name,key\nx,y", format="csv"
    )

    assert status == 501
    assert "ImportApiKeys" in message
    assert (await keys.call("get_api_keys"))["items"] == []


async def test_other_calls_of_the_service_are_passed_on(keys: Keys) -> None:
    """REST APIs and account settings are somebody else's."""
    _code, status, _message = await keys.refused("get_rest_apis")

    assert status == 501
    assert keys.world.summaries(Step.CONTROL) == []
