"""Functions called through Lambda's own API, as with LocalStack's docker executor."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from services_world import ACCOUNT, REGION, ServicesWorld, services_world

from socketstack.core.model import FailureKind, InvokeResult
from socketstack.errors import FunctionNotFound, FunctionThrottled, FunctionUnavailable
from socketstack.localstack.invoking import InvokingRunner

ARN = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:echo"


@pytest.fixture
async def world() -> AsyncIterator[ServicesWorld]:
    """Services with one function, ``echo``, that answers ``"done"``."""
    async with services_world() as world:
        await world.make_role()
        await world.make_function()
        world.fake_runner.answers["echo"] = InvokeResult(payload=b'"done"')
        yield world


@pytest.fixture
def runner(world: ServicesWorld) -> InvokingRunner:
    """The runner, over what answers ``Invoke`` there."""
    return InvokingRunner(world.invoke_api, region=REGION)


async def test_answer_and_version_come_back(runner: InvokingRunner) -> None:
    """What the function returns is the result's payload, and no failure."""
    result = await runner.invoke(ARN, b"{}")

    assert (result.payload, result.failure) == (b'"done"', None)
    assert result.executed_version == "$LATEST"


async def test_raised_error_is_a_result_and_no_exception(
    world: ServicesWorld, runner: InvokingRunner
) -> None:
    """``X-Amz-Function-Error`` makes it a failure with AWS's error object."""
    failed = InvokeResult(payload=b'{"errorMessage":"no"}', failure=FailureKind.UNHANDLED)
    world.fake_runner.answers["echo"] = failed

    result = await runner.invoke(ARN, b"{}")

    assert result.failure is FailureKind.HANDLED
    assert result.payload == b'{"errorMessage":"no"}'


async def test_function_that_is_not_there_is_not_found(
    world: ServicesWorld, runner: InvokingRunner
) -> None:
    """A missing function is an error of its own, and nothing was called."""
    with pytest.raises(FunctionNotFound):
        await runner.invoke(f"{ARN}2", b"{}")

    assert world.fake_runner.calls == []


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        pytest.param(FunctionThrottled("busy"), FunctionThrottled, id="throttled"),
        pytest.param(FunctionUnavailable("broken"), FunctionUnavailable, id="unavailable"),
    ],
)
async def test_refusals_of_lambda_are_told_apart(
    world: ServicesWorld,
    runner: InvokingRunner,
    raised: Exception,
    expected: type[Exception],
) -> None:
    """Throttling and functions that cannot run are what the runner calls them."""

    def refuse(_payload: bytes) -> InvokeResult:
        raise raised

    world.fake_runner.answers["echo"] = refuse

    with pytest.raises(expected):
        await runner.invoke(ARN, b"{}")


async def test_caller_out_of_time_leaves_the_call_running(world: ServicesWorld) -> None:
    """The deadline ends the wait and not the call, as on AWS."""
    begun, release, ended = asyncio.Event(), asyncio.Event(), asyncio.Event()

    class Slow:
        async def handle(self, request: object) -> object:
            begun.set()
            await release.wait()
            ended.set()
            return await world.invoke_api.handle(request)  # type: ignore[arg-type]

    runner = InvokingRunner(Slow(), region=REGION)  # type: ignore[arg-type]

    with pytest.raises(TimeoutError):
        await runner.invoke(ARN, b"{}", deadline_ms=1)
    assert begun.is_set()
    assert not ended.is_set()
    release.set()
    await asyncio.wait_for(ended.wait(), 20)
