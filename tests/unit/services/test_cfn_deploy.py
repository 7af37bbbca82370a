"""Deployments over kinds that keep their resources in a dictionary."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterable
from typing import Any

import pytest
from fakes import FakeClock, FakeIds

from socketstack.services.cfn.api import PATIENCE_SECONDS, RegionApi
from socketstack.services.cfn.calls import Services
from socketstack.services.cfn.deploy import Tools
from socketstack.services.cfn.errors import InvalidTemplate, ResourceFailed, StackError
from socketstack.services.cfn.kinds import Change, Kind, Properties, Work
from socketstack.services.cfn.sam import Translator
from socketstack.services.cfn.stack import Stack, Stacks
from socketstack.services.http import AwsRequest, AwsResponse

TOPIC = "AWS::SNS::Topic"


class Shelf:
    """A kind whose resources stand on a shelf; names decide what goes wrong."""

    def __init__(self) -> None:
        self.items: dict[str, Properties] = {}
        self.log: list[str] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.entered = asyncio.Event()

    async def create(self, work: Work, properties: Properties) -> str:
        """Put one there."""
        name = str(properties.get("TopicName", work.logical_id))
        physical_id = f"{name}-{work.ids.uuid()[-3:]}"
        if properties.get("DisplayName") == "refused":
            raise ResourceFailed("the shelf is full")
        self.items[physical_id] = properties
        work.note(physical_id)
        self.log.append(f"+{work.logical_id}")
        self.entered.set()
        await self.gate.wait()
        if properties.get("DisplayName") == "half":
            raise ResourceFailed("the second half failed")
        if properties.get("DisplayName") == "mistake":
            raise KeyError("a mistake of the kind")
        return physical_id

    async def update(self, work: Work, change: Change) -> None:
        """Change one there."""
        if change.new.get("DisplayName") == "stuck" or change.old.get("DisplayName") == "stuck":
            raise ResourceFailed("it is stuck")
        self.items[change.physical_id] = change.new
        self.log.append(f"~{work.logical_id}")

    async def delete(self, work: Work, physical_id: str, properties: Properties) -> None:
        """Take one away."""
        if properties.get("DisplayName") == "glued":
            raise ResourceFailed("it is glued")
        self.items.pop(physical_id, None)
        self.log.append(f"-{work.logical_id}")

    async def read(self, work: Work, physical_id: str, properties: Properties) -> dict[str, Any]:
        """Its name."""
        return {"TopicArn": physical_id}

    def kind(self) -> Kind:
        """The kind."""
        return Kind(
            type_name=TOPIC,
            properties=frozenset({"TopicName", "DisplayName"}),
            create=self.create,
            update=self.update,
            delete=self.delete,
            read=self.read,
        )


class Region:
    """A region with one kind and no services."""

    def __init__(self) -> None:
        self.shelf, self.clock, self.stacks = Shelf(), FakeClock(), Stacks()
        self.statuses: list[str] = []
        self.is_complete = asyncio.Event()
        kind = self.shelf.kind()

        async def kinds(names: Iterable[str]) -> dict[str, Kind]:
            return {name: kind for name in names if name == TOPIC}

        async def nobody(_: AwsRequest) -> AwsResponse:
            raise AssertionError

        self.api = RegionApi(
            Tools(
                account_id="000000000000",
                stacks=self.stacks,
                services=Services(nobody, "us-east-1"),
                control=lambda _operation, _parameters: {},
                kinds=kinds,
                clock=self.clock,
                ids=FakeIds(),
                announce=self._announce,
                translator=Translator(),
            ),
            "us-east-1",
        )

    def _announce(self, stack: Stack) -> None:
        self.statuses.append(stack.status)
        if stack.status.endswith("_COMPLETE"):
            self.is_complete.set()

    async def call(self, operation: str, resources: Any = None, **members: Any) -> dict[str, Any]:
        """One operation on the stack ``s``."""
        given: dict[str, Any] = {"StackName": "s", **members}
        if resources is not None:
            given["TemplateBody"] = json.dumps({"Resources": resources})
        return await self.api.answer(operation, given)

    @property
    def status(self) -> str:
        """The stack's status."""
        return self.stacks.get("s").status

    @property
    def names(self) -> list[str]:
        """What stands on the shelf, without the numbers."""
        return sorted(physical_id.rsplit("-", 1)[0] for physical_id in self.shelf.items)


@pytest.fixture
async def region() -> AsyncIterator[Region]:
    """An empty region."""
    made = Region()
    yield made
    await made.api.stop()


def topic(display: str = "d", name: str | None = None, **members: Any) -> dict[str, Any]:
    """A resource."""
    properties = {"DisplayName": display, **({"TopicName": name} if name else {})}
    return {"Type": TOPIC, "Properties": properties, **members}


async def test_long_deployment_answers_before_it_is_done(region: Region) -> None:
    """After twenty seconds the call answers while the deployment goes on."""
    region.shelf.gate.clear()
    call = asyncio.create_task(region.call("CreateStack", {"A": topic()}))
    await region.shelf.entered.wait()

    region.clock.advance(PATIENCE_SECONDS)
    await call

    assert region.status == "CREATE_IN_PROGRESS"
    with pytest.raises(InvalidTemplate, match="is in CREATE_IN_PROGRESS state"):
        await region.call("UpdateStack", {"A": topic("other")})
    with pytest.raises(InvalidTemplate, match="cannot be deleted while in status"):
        await region.call("DeleteStack")
    region.shelf.gate.set()
    await region.is_complete.wait()
    assert region.status == "CREATE_COMPLETE"


async def test_stopping_ends_deployments(region: Region) -> None:
    """Stop cancels what is under way and leaves no task."""
    region.shelf.gate.clear()
    call = asyncio.create_task(region.call("CreateStack", {"A": topic()}))
    await region.shelf.entered.wait()

    await region.api.stop()
    await call

    assert region.status == "CREATE_IN_PROGRESS"


async def test_resources_go_in_reverse_order_of_their_making(region: Region) -> None:
    """Users are removed before what they use."""
    uses_a = {"Type": TOPIC, "Properties": {"DisplayName": {"Ref": "A"}}}
    await region.call("CreateStack", {"B": uses_a, "C": topic(DependsOn="B"), "A": topic()})

    await region.call("DeleteStack")

    assert region.shelf.log == ["+A", "+B", "+C", "-C", "-B", "-A"]


async def test_half_made_resource_is_discarded(region: Region) -> None:
    """What a failing creation has noted is deleted with the rest."""
    await region.call("CreateStack", {"A": topic(), "B": topic("half", DependsOn="A")})

    assert region.status == "ROLLBACK_COMPLETE"
    assert region.names == []
    assert region.shelf.log == ["+A", "+B", "-B", "-A"]


async def test_mistake_of_a_kind_fails_the_stack_and_rolls_back(region: Region) -> None:
    """An unexpected exception is a failed resource, not a stack that hangs."""
    await region.call("CreateStack", {"A": topic(), "B": topic("mistake", DependsOn="A")})

    stack = region.stacks.get("s")
    assert stack.status == "ROLLBACK_COMPLETE"
    assert "the local engine failed: KeyError" in (stack.reason or "")
    assert region.names == []


async def test_failed_rollback_is_named(region: Region) -> None:
    """What cannot be deleted makes ROLLBACK_FAILED, and the stack still knows it."""
    await region.call(
        "CreateStack", {"A": topic("glued"), "B": topic("refused", DependsOn="A"), "C": topic()}
    )

    stack = region.stacks.get("s")
    assert stack.status == "ROLLBACK_FAILED"
    assert stack.reason == "The following resource(s) failed to delete: [A]."
    assert list(stack.resources) == ["A"]


async def test_failed_update_restores_in_dependency_order(region: Region) -> None:
    """Old values come back in the order in which they were left; new resources go last."""
    before = {"A": topic("a1"), "B": topic("b1", DependsOn="A"), "N": topic(name="n1")}
    await region.call("CreateStack", before)
    region.shelf.log.clear()

    await region.call(
        "UpdateStack",
        {
            "A": topic("a2"),
            "B": topic("b2", DependsOn="A"),
            "N": topic(name="n2"),
            "X": topic("refused", DependsOn=["A", "B", "N"]),
        },
    )

    assert region.status == "UPDATE_ROLLBACK_COMPLETE"
    assert region.shelf.log == ["~A", "~B", "+N", "~A", "~B", "-N"]
    assert region.names == ["A", "B", "n1"]
    assert [one["DisplayName"] for one in region.shelf.items.values()] == ["a1", "b1", "d"]


async def test_update_that_cannot_be_undone_is_named(region: Region) -> None:
    """A resource that refuses to go back makes UPDATE_ROLLBACK_FAILED."""
    await region.call("CreateStack", {"A": topic("a1")})

    await region.call("UpdateStack", {"A": topic("stuck")})

    stack = region.stacks.get("s")
    assert stack.status == "UPDATE_ROLLBACK_FAILED"
    assert stack.reason == "The following resource(s) failed to update: [A]."


async def test_old_resource_goes_only_after_everything_succeeded(region: Region) -> None:
    """A replaced resource is deleted in the clean-up, after all changes."""
    await region.call("CreateStack", {"A": topic(name="one"), "B": topic("b1", DependsOn="A")})
    region.shelf.log.clear()

    await region.call("UpdateStack", {"A": topic(name="two"), "B": topic("b2", DependsOn="A")})

    assert region.status == "UPDATE_COMPLETE"
    assert region.shelf.log == ["+A", "~B", "-A"]
    assert "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS" in region.statuses


async def test_replaced_resource_may_be_retained(region: Region) -> None:
    """UpdateReplacePolicy Retain keeps the old one."""
    await region.call("CreateStack", {"A": topic(name="one", UpdateReplacePolicy="Retain")})

    await region.call("UpdateStack", {"A": topic(name="two", UpdateReplacePolicy="Retain")})

    assert region.names == ["one", "two"]


async def test_disabled_rollback_leaves_an_update_as_it_failed(region: Region) -> None:
    """With DisableRollback a failed update can be repaired by the next one."""
    await region.call("CreateStack", {"A": topic("a1")})

    await region.call(
        "UpdateStack",
        {"A": topic("a2"), "B": topic("refused", DependsOn="A")},
        DisableRollback=True,
    )
    failed = region.status
    await region.call("UpdateStack", {"A": topic("a2"), "B": topic("fine")})

    assert failed == "UPDATE_FAILED"
    assert region.status == "UPDATE_COMPLETE"
    assert region.names == ["A", "B"]


async def test_retain_except_on_create_goes_with_a_failed_creation(region: Region) -> None:
    """RetainExceptOnCreate keeps a resource later, not when its creation is rolled back."""
    policy = "RetainExceptOnCreate"

    await region.call(
        "CreateStack",
        {
            "A": topic(DeletionPolicy=policy),
            "R": topic(DeletionPolicy="Retain"),
            "X": topic("refused", DependsOn=["A", "R"]),
        },
    )

    assert region.names == ["R"]


async def test_changed_type_is_refused(region: Region) -> None:
    """A logical id keeps its type; the update is rolled back."""
    await region.call("CreateStack", {"A": topic()})
    region.stacks.get("s").resources["A"] = _retyped(region)

    await region.call("UpdateStack", {"A": topic("new")})

    assert region.status == "UPDATE_ROLLBACK_COMPLETE"
    assert "Update of resource type is not permitted" in (region.stacks.get("s").reason or "")


def _retyped(region: Region) -> Any:
    from dataclasses import replace

    return replace(region.stacks.get("s").resources["A"], type_name="AWS::SQS::Queue")


async def test_circle_is_refused_before_anything_is_made(region: Region) -> None:
    """Resources that need each other are named."""
    with pytest.raises(StackError, match=r"Circular dependency between resources: \[A, B\]"):
        await region.call(
            "CreateStack", {"A": topic(DependsOn="B"), "B": topic(DependsOn="A"), "C": topic()}
        )

    assert region.names == []
    assert region.stacks.live() == []


async def test_reference_to_a_resource_that_is_not_made_fails_the_stack(region: Region) -> None:
    """A Ref to a resource with a false condition is an error, never an empty text."""
    body = json.dumps(
        {
            "Conditions": {"No": {"Fn::Equals": ["a", "b"]}},
            "Resources": {
                "A": {**topic(), "Condition": "No"},
                "B": {"Type": TOPIC, "Properties": {"DisplayName": {"Ref": "A"}}},
            },
        }
    )

    await region.call("CreateStack", TemplateBody=body)

    assert region.status == "ROLLBACK_COMPLETE"
    assert "Unresolved resource dependencies [A]" in (region.stacks.get("s").reason or "")
    assert region.names == []


async def test_retained_resources_of_a_call_are_kept(region: Region) -> None:
    """RetainResources leaves a resource that cannot be deleted behind."""
    await region.call("CreateStack", {"A": topic("glued"), "B": topic()})
    await region.call("DeleteStack")
    failed = region.status

    await region.call("DeleteStack", RetainResources=["A"])

    assert failed == "DELETE_FAILED"
    assert region.stacks.live() == []
    assert region.names == ["A"]


async def test_what_a_glued_resource_depends_on_stays(region: Region) -> None:
    """A deletion that fails leaves alone what the failed resource still uses; the rest goes."""
    await region.call(
        "CreateStack",
        {
            "Base": topic(),
            "Middle": topic(DependsOn="Base"),
            "Top": topic("glued", DependsOn="Middle"),
            "Other": topic(),
        },
    )

    await region.call("DeleteStack")

    stack = region.stacks.get("s")
    assert stack.status == "DELETE_FAILED"
    assert stack.reason == "The following resource(s) failed to delete: [Top]."
    assert region.names == ["Base", "Middle", "Top"]
    assert list(stack.resources) == ["Base", "Middle", "Top"]
