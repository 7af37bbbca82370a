"""Which kinds there are: those we vouch for, then moto's own CloudFormation models.

Choice for moto's types that nobody checked here: they may be used, and a property counts as
kept when the model's source names it; anything else fails the stack by name. Their every change
is a replacement, since what their updates do was not checked either.
"""

import importlib
import inspect
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import Any, Final, TypeVar

from socketstack.services import sparse_imports
from socketstack.services.cfn import (
    kind_account,
    kind_apigateway,
    kind_certificates,
    kind_dynamodb,
    kind_iam,
    kind_lambda,
    kind_messaging,
    kind_s3,
    kind_secrets,
    kind_usage,
    kind_watch,
)
from socketstack.services.cfn.errors import ResourceFailed
from socketstack.services.cfn.kinds import Kind, Properties, Work
from socketstack.services.cfn.schemas import schema

T = TypeVar("T")

MODULES: Final = (
    kind_account,
    kind_certificates,
    kind_dynamodb,
    kind_iam,
    kind_lambda,
    kind_messaging,
    kind_s3,
    kind_secrets,
    kind_usage,
    kind_watch,
)
_MOTO_FOLDERS: Final = {
    "CertificateManager": "acm",
    "Cognito": "cognitoidp",
    "ElasticLoadBalancing": "elb",
    "ElasticLoadBalancingV2": "elbv2",
    "Elasticsearch": "es",
    "Lambda": "awslambda",
}
_REFUSED: Final = frozenset({"AWS::CloudFormation", "AWS::Lambda", "AWS::ApiGatewayV2"})
"""Services whose every type is either vouched for or refused: moto's models are not asked."""


class Registry:
    """Finds kinds by type name."""

    def __init__(self, run: "Run") -> None:
        self._run = run
        self._known: dict[str, Kind | None] = {
            kind.type_name: kind for module in MODULES for kind in module.KINDS
        }

    async def kinds(self, type_names: Iterable[str]) -> dict[str, Kind]:
        """The kinds of these types; a type that nobody can make is missing."""
        found: dict[str, Kind] = {}
        for name in sorted(set(type_names)):
            kind = await self._find(name)
            if kind is not None:
                found[name] = kind
        return found

    async def _find(self, type_name: str) -> Kind | None:
        if type_name not in self._known:
            if type_name in kind_apigateway.TYPES:
                self._known[type_name] = kind_apigateway.kind(type_name)
            else:
                self._known[type_name] = await self._of_moto(type_name)
        return self._known[type_name]

    async def _of_moto(self, type_name: str) -> Kind | None:
        service, _, _ = type_name.rpartition("::")
        described = schema(type_name)
        if described is None or service in _REFUSED:
            return None
        model = await self._run(partial(_moto_model, type_name))
        if model is None:
            return None
        source = inspect.getsource(model)
        named = frozenset(p for p in described.properties if f'"{p}"' in source)
        maker = _MotoMaker(self._run, model, type_name)
        return Kind(
            type_name=type_name,
            properties=named,
            create=maker.create,
            delete=maker.delete,
            read=maker.read,
        )


class Run:
    """Runs something in moto's thread (``MotoApp.run``)."""

    def __init__(self, run: Callable[[Callable[[], Any]], Awaitable[Any]]) -> None:
        self._run = run

    async def __call__(self, call: Callable[[], T]) -> T:
        """Run it there and wait."""
        result: T = await self._run(call)
        return result


def _moto_model(type_name: str) -> type[Any] | None:
    from moto.core.common_models import CloudFormationModel  # noqa: PLC0415 - moto is loaded late

    service = type_name.split("::")[1]
    folder = _MOTO_FOLDERS.get(service, service.lower())
    sparse_imports.load_for_type(type_name)
    try:
        importlib.import_module(f"moto.{folder}.models")
    except ModuleNotFoundError:
        return None
    for model in CloudFormationModel.__subclasses__():
        if model.cloudformation_type() == type_name:
            found: type[Any] = model
            return found
    return None


class _MotoMaker:
    """Makes resources of one type through moto's model of it."""

    def __init__(self, run: Run, model: type[Any], type_name: str) -> None:
        self._run = run
        self._model = model
        self._type_name = type_name
        self._made: dict[str, Any] = {}

    async def create(self, work: Work, properties: Properties) -> str:
        """Make one; its physical id."""
        given = properties.get(self._model.cloudformation_name_type() or "")
        name = work.name(given, is_lower=self._type_name.startswith("AWS::S3"))
        document = {"Type": self._type_name, "Properties": properties}

        def make() -> Any:
            resource = self._model.create_from_cloudformation_json(
                name,
                document,
                work.account_id,
                work.region,
                LogicalId=work.logical_id,
                StackId=work.stack_name,
                ResourceType=self._type_name,
            )
            resource.logical_resource_id = work.logical_id
            resource.cf_resource_type = self._type_name
            return resource

        resource = await self._run(partial(_as_failure, make))
        physical_id = str(resource.physical_resource_id)
        self._made[physical_id] = resource
        work.note(physical_id)
        return physical_id

    async def delete(self, work: Work, physical_id: str, properties: Properties) -> None:
        """Remove one."""
        resource = self._made.get(physical_id)
        document = {"Type": self._type_name, "Properties": properties}

        def remove() -> None:
            if resource is not None and hasattr(resource, "delete"):
                resource.delete(work.account_id, work.region)
            elif hasattr(self._model.delete_from_cloudformation_json, "__isabstractmethod__"):
                raise ResourceFailed("deleting this type is not supported by the local engine")
            else:
                self._model.delete_from_cloudformation_json(
                    physical_id, document, work.account_id, work.region
                )

        await self._run(partial(_as_failure, remove))
        self._made.pop(physical_id, None)

    async def read(self, work: Work, physical_id: str, properties: Properties) -> dict[str, Any]:
        """The attributes that moto's model gives."""
        del work, properties
        resource = self._made[physical_id]
        described = schema(self._type_name)
        assert described is not None

        def look() -> dict[str, Any]:
            found = {name: _attribute(resource, name) for name in described.attributes}
            return {name: value for name, value in found.items() if value is not None}

        return await self._run(look)


def _attribute(resource: Any, name: str) -> Any:
    try:
        return resource.get_cfn_attribute(name)
    except Exception:  # noqa: BLE001 - each model has its own way to say that it has none
        return None


def _as_failure(act: Callable[[], T]) -> T:
    try:
        return act()
    except ResourceFailed:
        raise
    except Exception as error:
        raise ResourceFailed(f"{type(error).__name__}: {error}") from error
