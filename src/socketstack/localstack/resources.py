"""``AWS::ApiGatewayV2::*`` for LocalStack's CloudFormation, over the kinds of our own.

A type keeps every property that it accepts; what AWS's schema does not know, and what would not be
kept, fails the resource by name. Every readable attribute is filled in, because LocalStack answers
``unknown`` for one that is not.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from localstack.services.cloudformation.resource_provider import (
    CloudFormationResourceProviderPlugin,
    OperationStatus,
    ProgressEvent,
    ResourceProvider,
    ResourceRequest,
)

from socketstack.controlplane.caller import Caller
from socketstack.core.model import Record
from socketstack.errors import GatewayError
from socketstack.localstack.host import Host, required_host
from socketstack.services.cfn.calls import CallRefused, Services
from socketstack.services.cfn.errors import ResourceFailed
from socketstack.services.cfn.kind_apigateway import TYPES, kind
from socketstack.services.cfn.kinds import Change, Kind, Properties, Work

_PREFIX: Final = "AWS::ApiGatewayV2::"
_IDS: Final = {"Stage": "StageName", "DomainName": "DomainName"}
_FAILURES: Final = (GatewayError, CallRefused)


@dataclass(eq=False)
class _Made:
    """What is known to exist of a resource under way."""

    physical_id: str = field(default="")

    def note(self, physical_id: str) -> None:
        self.physical_id = physical_id


class _Provider(ResourceProvider):  # type: ignore[misc]
    """One type: properties in, properties with id and attributes out."""

    SCHEMA: dict[str, Any]

    def __init__(self, type_name: str) -> None:
        self._kind: Kind = kind(type_name)
        short = type_name.removeprefix(_PREFIX)
        self._id_member = _IDS.get(short, f"{short}Id")
        self.SCHEMA = {
            **self._kind.schema.shape,
            "primaryIdentifier": [f"/properties/{self._id_member}"],
            # LocalStack replaces whatever names a resource that changes, a stage with its API's
            # name for example. ``update`` sees the values, and replaces when it must.
            "createOnlyProperties": [],
        }

    def create(self, request: ResourceRequest) -> ProgressEvent:
        """Make one; what was made of one that fails is removed."""
        made = _Made()
        try:
            host, work = _work(request, made)
            properties = self._checked(request.desired_state)
            physical_id = str(host.run(_awaited(self._kind.create, work, properties)))
            return self._done(host, work, physical_id, properties)
        except _FAILURES as error:
            self._undo(request, made)
            return _failed(error)

    def update(self, request: ResourceRequest) -> ProgressEvent:
        """Change one in place, or make a new one where a changed property replaces."""
        made = _Made()
        try:
            host, work = _work(request, made)
            physical_id = str(request.previous_state[self._id_member])
            old, new = self._own(request.previous_state), self._checked(request.desired_state)
            if self._kind.update is None or self._kind.replacing(old, new):
                new_id = str(host.run(_awaited(self._kind.create, work, new)))
                host.run(_awaited(self._kind.delete, work, physical_id, old))
                return self._done(host, work, new_id, new)
            change = Change(
                physical_id=physical_id,
                old=old,
                new=new,
                old_tags=work.tags(old),
                new_tags=work.tags(new),
            )
            host.run(_awaited(self._kind.update, work, change))
            return self._done(host, work, physical_id, new)
        except _FAILURES as error:
            self._undo(request, made)
            return _failed(error)

    def delete(self, request: ResourceRequest) -> ProgressEvent:
        """Remove one; one that is gone already is fine."""
        model = request.desired_state
        try:
            host, work = _work(request, _Made())
            physical_id = model.get(self._id_member)
            if physical_id:
                host.run(_awaited(self._kind.delete, work, str(physical_id), self._own(model)))
        except _FAILURES as error:
            return _failed(error)
        return ProgressEvent(status=OperationStatus.SUCCESS, resource_model=model)

    def read(self, request: ResourceRequest) -> ProgressEvent:
        """One with its attributes."""
        model = request.desired_state
        try:
            host, work = _work(request, _Made())
            return self._done(host, work, str(model[self._id_member]), self._own(model))
        except _FAILURES as error:
            return _failed(error)

    def _done(
        self, host: Host, work: Work, physical_id: str, properties: Properties
    ) -> ProgressEvent:
        attributes = host.run(_awaited(self._kind.read, work, physical_id, properties))
        model = {**properties, self._id_member: physical_id, **attributes}
        return ProgressEvent(status=OperationStatus.SUCCESS, resource_model=model)

    def _undo(self, request: ResourceRequest, made: _Made) -> None:
        if made.physical_id:
            request.desired_state = {**request.desired_state, self._id_member: made.physical_id}
            self.delete(request)

    def _checked(self, given: Mapping[str, Any]) -> Properties:
        """The properties in the schema's types. Raises for those that AWS or we do not know."""
        known = {n: v for n, v in given.items() if n not in self._readable}
        properties = self._kind.schema.coerced(known)
        faults = self._kind.schema.faults(properties)
        faults += [
            f"property {name} is not supported by the local engine"
            for name in self._kind.ignored(properties)
        ]
        if faults:
            raise ResourceFailed("; ".join(faults))
        return properties

    def _own(self, model: Mapping[str, Any]) -> Properties:
        """What a template set, of a resource with its id and attributes."""
        names = self._kind.schema.properties
        return self._kind.schema.coerced({n: v for n, v in model.items() if n in names})

    @property
    def _readable(self) -> frozenset[str]:
        return self._kind.schema.attributes


def _work(request: ResourceRequest, made: _Made) -> tuple[Host, Work]:
    host = required_host()
    engine = host.engine
    caller = Caller(request.account_id, request.region_name)

    def control(operation: str, parameters: Record) -> Record:
        return engine.plane.call(operation, parameters, caller)

    return host, Work(
        logical_id=request.logical_resource_id,
        stack_name=request.stack_name,
        region=request.region_name,
        account_id=request.account_id,
        services=Services(engine.app.handle, request.region_name),
        control=control,
        ids=engine.ids,
        stack_tags={},
        note=made.note,
    )


async def _awaited(call: Callable[..., Any], *arguments: object) -> Any:
    """The result of a kind's function, called on the engine's loop."""
    return await call(*arguments)


def _failed(error: Exception) -> ProgressEvent:
    return ProgressEvent(
        status=OperationStatus.FAILED,
        resource_model={},
        message=str(error),
        custom_context={"exception": error},
    )


def _plugin(type_name: str) -> type:
    """The class that LocalStack finds for a type by its entry point."""

    class Plugin(CloudFormationResourceProviderPlugin):  # type: ignore[misc]
        name = type_name

        def __init__(self) -> None:
            self.factory: Callable[[], _Provider] | None = None

        def load(self) -> None:
            self.factory = lambda: _Provider(type_name)

    return Plugin


_plugins: Final = {name.removeprefix(_PREFIX): _plugin(name) for name in TYPES}
Api = _plugins["Api"]
ApiMapping = _plugins["ApiMapping"]
Authorizer = _plugins["Authorizer"]
Deployment = _plugins["Deployment"]
DomainName = _plugins["DomainName"]
Integration = _plugins["Integration"]
IntegrationResponse = _plugins["IntegrationResponse"]
Model = _plugins["Model"]
Route = _plugins["Route"]
RouteResponse = _plugins["RouteResponse"]
Stage = _plugins["Stage"]
