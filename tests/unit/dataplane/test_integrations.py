"""Calling what a route points to: permission first, then the call, and what failed."""

from collections.abc import Mapping

import pytest
from fakes import FakeRunner

from socketstack.core.causes import Cause
from socketstack.core.model import FailureKind, Integration, IntegrationType, InvokeResult
from socketstack.core.policy import PolicyDecision
from socketstack.dataplane.integrations import Integrations, Outcome, TimedOut, Unreachable
from socketstack.errors import FunctionUnavailable

ARN = "arn:aws:lambda:eu-west-1:000000000000:function:echo"
URI = f"arn:aws:apigateway:eu-west-1:lambda:path/2015-03-31/functions/{ARN}/invocations"
CALLER = "arn:aws:iam::000000000000:role/caller"
SOURCE = "arn:aws:execute-api:eu-west-1:000000000000:a1b2c3d4e5/dev/$default"
DONE = InvokeResult(payload=b'{"statusCode": 200}')
NO_VARIABLES: Mapping[str, str] = {}


class Permits:
    """Answers every question alike and remembers it."""

    def __init__(self, *, is_allowed: bool) -> None:
        self.asked: list[tuple[str, str]] = []
        self._is_allowed = is_allowed

    def allows(self, function: str, source_arn: str) -> PolicyDecision:
        """The one answer."""
        self.asked.append((function, source_arn))
        return PolicyDecision(is_allowed=self._is_allowed, reason="because")


class Roles:
    """Lets the role ``caller`` do everything and others nothing, and remembers the questions."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, str]] = []

    def may(self, role_arn: str, action: str, resource: str) -> PolicyDecision:
        """Decide by the role's name."""
        self.asked.append((role_arn, action, resource))
        return PolicyDecision(is_allowed=role_arn == CALLER, reason="it is another role")


class World:
    """Integrations over a function that answers."""

    def __init__(self, *, is_allowed: bool = True) -> None:
        self.runner = FakeRunner({"echo": DONE})
        self.permits = Permits(is_allowed=is_allowed)
        self.roles = Roles()
        self.integrations = Integrations(self.runner, self.permits, self.roles)

    async def call(
        self,
        integration: Integration,
        variables: Mapping[str, str] = NO_VARIABLES,
    ) -> Outcome:
        """Call on behalf of ``SOURCE``."""
        return await self.integrations.call(
            integration, b"{}", source_arn=SOURCE, variables=variables
        )


def proxy(
    uri: str | None = URI,
    *,
    kind: IntegrationType = IntegrationType.AWS_PROXY,
    timeout_ms: int = 29_000,
    credentials_arn: str | None = None,
    method: str | None = "POST",
) -> Integration:
    """An integration, by default with the function."""
    return Integration(
        integration_id="int001",
        integration_type=kind,
        integration_uri=uri,
        timeout_ms=timeout_ms,
        credentials_arn=credentials_arn,
        integration_method=method,
    )


async def test_permitted_function_is_called_with_the_integrations_own_time() -> None:
    """The call goes to the URI's function, with the event and the configured deadline."""
    world = World()

    outcome = await world.call(proxy(timeout_ms=1_234))

    assert outcome is DONE
    assert world.permits.asked == [(ARN, SOURCE)]
    assert world.runner.calls == [(ARN, b"{}")]
    assert world.runner.deadlines_ms == [1_234]


async def test_forbidden_function_is_not_called() -> None:
    """Without permission nothing runs, and the reason is told."""
    world = World(is_allowed=False)

    outcome = await world.call(proxy())

    assert isinstance(outcome, Unreachable)
    assert "may not call" in outcome.reason
    assert "because" in outcome.reason
    assert world.runner.calls == []


@pytest.mark.parametrize("role", [CALLER, CALLER.replace("caller", "${stageVariables.role}")])
async def test_role_decides_in_place_of_the_functions_policy(role: str) -> None:
    """With credentials the role is asked, and not the function's resource policy."""
    world = World(is_allowed=False)

    outcome = await world.call(proxy(credentials_arn=role), variables={"role": "caller"})

    assert outcome is DONE
    assert world.roles.asked == [(CALLER, "lambda:InvokeFunction", ARN)]
    assert world.permits.asked == []


@pytest.mark.parametrize(
    ("role", "reason"),
    [
        pytest.param(f"{CALLER}2", "it is another role", id="not-permitted"),
        pytest.param("${stageVariables.role}", "is not set", id="variable-not-set"),
    ],
)
async def test_role_that_may_not_call_calls_nothing(role: str, reason: str) -> None:
    """A role without permission calls nothing, even where the function's policy would allow."""
    world = World()

    outcome = await world.call(proxy(credentials_arn=role))

    assert isinstance(outcome, Unreachable)
    assert reason in outcome.reason
    assert world.permits.asked == []
    assert world.runner.calls == []


async def test_without_identities_no_role_may_call() -> None:
    """Where nobody keeps roles, what needs one is refused."""
    world = World()
    integrations = Integrations(world.runner, world.permits)

    outcome = await integrations.call(
        proxy(credentials_arn=CALLER), b"{}", source_arn=SOURCE, variables={}
    )

    assert isinstance(outcome, Unreachable)
    assert CALLER in outcome.reason
    assert world.runner.calls == []


@pytest.mark.parametrize(
    "kind", [kind for kind in IntegrationType if kind is not IntegrationType.AWS_PROXY]
)
async def test_other_types_are_unreachable_by_name(kind: IntegrationType) -> None:
    """A type that is not supported is named, and neither asked for nor called."""
    world = World()

    outcome = await world.call(proxy(kind=kind))

    assert isinstance(outcome, Unreachable)
    assert kind in outcome.reason
    assert "not supported" in outcome.reason
    assert world.permits.asked == []
    assert world.runner.calls == []


@pytest.mark.parametrize(
    "uri",
    [
        pytest.param(None, id="none"),
        pytest.param("", id="empty"),
        pytest.param("https://example.com", id="http"),
        pytest.param(URI.replace("lambda:path", "sqs:path"), id="other-service"),
        pytest.param(URI.replace(":echo/", ":${stageVariables.name}/"), id="variable-not-set"),
        pytest.param(f"{ARN}/../other", id="more-behind-the-name"),
    ],
)
async def test_uri_without_function_is_unreachable(uri: str | None) -> None:
    """What names no function is not called."""
    world = World()

    outcome = await world.call(proxy(uri))

    assert isinstance(outcome, Unreachable)
    assert "names no function" in outcome.reason
    assert world.permits.asked == []
    assert world.runner.calls == []


async def test_stage_variable_names_the_function() -> None:
    """A URI may take the function's name from the stage, and permission is asked for that one."""
    world = World()

    outcome = await world.call(
        proxy(URI.replace(":echo/", ":${stageVariables.name}/")), variables={"name": "echo"}
    )

    assert outcome is DONE
    assert world.permits.asked == [(ARN, SOURCE)]


async def test_missing_function_is_unreachable() -> None:
    """A function that does not exist is told as such."""
    world = World()
    del world.runner.answers["echo"]

    outcome = await world.call(proxy())

    assert isinstance(outcome, Unreachable)
    assert "not found" in outcome.reason


async def test_function_that_cannot_start_is_unreachable() -> None:
    """The runner's own failure is an outcome and no exception."""
    world = World()

    def cannot_start(payload: bytes) -> InvokeResult:
        raise FunctionUnavailable("nodejs22.x does not run here")

    world.runner.answers["echo"] = cannot_start

    outcome = await world.call(proxy())

    assert outcome == Unreachable("nodejs22.x does not run here", Cause.FUNCTION_UNAVAILABLE)


async def test_passed_deadline_is_its_own_outcome() -> None:
    """A function that is too slow is told apart from one that failed."""
    world = World()

    def too_slow(payload: bytes) -> InvokeResult:
        raise TimeoutError

    world.runner.answers["echo"] = too_slow

    outcome = await world.call(proxy(timeout_ms=700))

    assert outcome == TimedOut(700)


async def test_failed_call_is_a_result() -> None:
    """A function that raised has been called; what that means is decided elsewhere."""
    world = World()
    failed = InvokeResult(payload=b"{}", failure=FailureKind.HANDLED)
    world.runner.answers["echo"] = failed

    assert await world.call(proxy()) is failed


async def test_function_is_called_without_a_method_too() -> None:
    """An integration that names no method calls its function. Rule 1.55."""
    world = World()

    assert await world.call(proxy(method=None)) == DONE


@pytest.mark.parametrize("method", ["GET", "PUT", "ANY"])
async def test_function_behind_another_method_is_not_called(method: str) -> None:
    """Lambda takes POST only, so an integration with another method fails. Rule 1.55."""
    world = World()

    outcome = await world.call(proxy(method=method))

    assert isinstance(outcome, Unreachable)
    assert method in outcome.reason
    assert "IntegrationMethod to POST" in outcome.reason
    assert world.runner.calls == []
    assert world.permits.asked == []
