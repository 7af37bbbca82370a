"""The import diet: moto's large services stay on disk until somebody really needs them.

``import moto.cloudformation`` imports thirty services, and ``import moto.ssm`` imports ec2, for a
handful of names: about 120 MB and two seconds for services that a WebSocket system never calls.

The trick: a finder in front of ``sys.meta_path`` answers ``moto.ec2``, ``moto.ec2.models`` and
everything below with an empty *placeholder* module. Whatever is taken from a placeholder
(``from moto.ec2.models.core import TaggedEC2Resource``) is a ``Deferred``: it knows where the real
thing lies. Using it, that is calling it, reading an attribute or an item, or deriving from it,
imports the real service and goes on there; ``isinstance`` against it is false as long as nobody
imported the real one, because then there can be no instance. Modules of those packages outside
``models`` (``moto.ecr.exceptions``) are small and are always the real ones.

``load_service`` imports a service for real: directly called, or because a CloudFormation
template has one of its types (``load_for_type``). Such an import sees no placeholders at all, so
that what it needs is exactly what plain moto would have imported. Then the lists that
CloudFormation caches are emptied and see the new types.

Everything here runs in moto's thread only.
"""

import importlib
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, Final

LARGE_SERVICES: Final = frozenset(
    {
        "apigateway",
        "autoscaling",
        "batch",
        "datapipeline",
        "ec2",
        "ecr",
        "ecs",
        "efs",
        "elb",
        "elbv2",
        "emr",
        "iot",
        "organizations",
        "rds",
        "redshift",
        "route53",
        "sagemaker",
        "stepfunctions",
    }
)

_TOLERANT: Final = frozenset(
    {
        *("awslambda", "cloudformation", "cloudwatch", "dynamodb", "dynamodbstreams", "events"),
        *("iam", "kinesis", "kms", "logs", "s3", "secretsmanager", "sns", "sqs", "ssm", "sts"),
    }
)
"""Services that work with placeholders instead of those above; tested together."""

_SERVICE_OF_TYPE: Final[Mapping[str, str]] = {
    "AWS::ApiGateway": "apigateway",
    "AWS::AutoScaling": "autoscaling",
    "AWS::Batch": "batch",
    "AWS::DataPipeline": "datapipeline",
    "AWS::EC2": "ec2",
    "AWS::ECR": "ecr",
    "AWS::ECS": "ecs",
    "AWS::EFS": "efs",
    "AWS::EMR": "emr",
    "AWS::ElasticLoadBalancing": "elb",
    "AWS::ElasticLoadBalancingV2": "elbv2",
    "AWS::IoT": "iot",
    "AWS::RDS": "rds",
    "AWS::Redshift": "redshift",
    "AWS::Route53": "route53",
    "AWS::SageMaker": "sagemaker",
    "AWS::StepFunctions": "stepfunctions",
}
_PACKAGE_PARTS: Final = 2


class Deferred:
    """A name out of a placeholder: becomes the real object on first use."""

    def __init__(self, module: str, name: str) -> None:
        self._where = (module, name)

    def _real(self) -> Any:
        module, name = self._where
        load_service(module.split(".")[1])
        return getattr(sys.modules[module], name)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self._real(), name)

    def __getitem__(self, key: Any) -> Any:
        return self._real()[key]

    def __contains__(self, key: Any) -> bool:
        return key in self._real()

    def __iter__(self) -> Iterator[Any]:
        return iter(self._real())

    def __len__(self) -> int:
        return len(self._real())

    def __call__(self, *args: Any, **kwargs: Any) -> Any:  # noqa: D102 - as the real one says
        return self._real()(*args, **kwargs)

    def __mro_entries__(self, bases: tuple[Any, ...]) -> tuple[Any, ...]:
        return (self._real(),)

    def __instancecheck__(self, instance: object) -> bool:
        module, _ = self._where
        is_loaded = not isinstance(sys.modules.get(module), Placeholder)
        return is_loaded and isinstance(instance, self._real())


class Placeholder(ModuleType):
    """Stands for a module of a large service that has not been imported."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        current = sys.modules.get(self.__name__)
        if current is not None and current is not self:
            return getattr(current, name)
        return Deferred(self.__name__, name)


class _PlaceholderFinder(MetaPathFinder, Loader):
    """Answers imports of large services with placeholders while it is switched on."""

    def __init__(self) -> None:
        self.is_on = False
        self.loaded: set[str] = set()

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        del path, target
        root, *rest = fullname.split(".")
        if not self.is_on or root != "moto" or not rest:
            return None
        if (
            rest[0] not in LARGE_SERVICES
            or rest[0] in self.loaded
            or rest[1:2]
            not in (
                [],
                ["models"],
            )
        ):
            return None
        return ModuleSpec(fullname, self, is_package=True)

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return Placeholder(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        parts = module.__name__.split(".")
        if len(parts) == _PACKAGE_PARTS:
            # The small modules beside ``models`` are found where they really are.
            moto = sys.modules["moto"]
            module.__path__ = [f"{folder}/{parts[1]}" for folder in moto.__path__]


_finder: Final = _PlaceholderFinder()


def load_service(name: str) -> ModuleType:
    """Import one of moto's services, as ``moto`` names its folders, and return its package.

    The package's ``models`` are imported too. Raises ``ModuleNotFoundError`` when moto does not
    have the service.
    """
    _switch_on()
    with nullcontext() if name in _TOLERANT else _no_placeholders():
        package = importlib.import_module(f"moto.{name}")
        importlib.import_module(f"moto.{name}.models")
    _refresh_cloudformation()
    return package


def moto_module(name: str) -> Any:
    """One of moto's modules, ``core.models`` for example, to be read or mended.

    Typed loosely: what is mended here does not fit its declared type any more.
    """
    return importlib.import_module(f"moto.{name}")


def is_loaded(name: str) -> bool:
    """Whether the service's models are there, and are the real ones."""
    models = sys.modules.get(f"moto.{name}.models")
    return models is not None and not isinstance(models, Placeholder)


def load_for_type(resource_type: str) -> None:
    """Import the service that a CloudFormation resource type belongs to, if it is a large one."""
    service = _SERVICE_OF_TYPE.get(resource_type.rpartition("::")[0])
    if service is not None and service not in _finder.loaded:
        load_service(service)


def _switch_on() -> None:
    # It stays on: moto imports some of its modules only when it needs them.
    if _finder not in sys.meta_path:
        sys.meta_path.insert(0, _finder)
        # What something else imported before us is real and stays so.
        _finder.loaded |= {name for name in LARGE_SERVICES if f"moto.{name}" in sys.modules}
    _finder.is_on = True


@contextmanager
def _no_placeholders() -> Iterator[None]:
    """Take all placeholders away; put those back that nobody imported for real."""
    _finder.is_on = False
    hidden = {
        name: module for name, module in sys.modules.items() if isinstance(module, Placeholder)
    }
    for name in hidden:
        del sys.modules[name]
    try:
        yield
    finally:
        _finder.is_on = True
        _finder.loaded |= {name for name in LARGE_SERVICES if f"moto.{name}" in sys.modules}
        for name, module in hidden.items():
            if name.split(".")[1] not in _finder.loaded:
                sys.modules[name] = module


def _refresh_cloudformation() -> None:
    """Let CloudFormation see types that exist now, and load those that it is asked for."""
    parsing = sys.modules.get("moto.cloudformation.parsing")
    if parsing is None:
        return
    for cached in (parsing.get_model_list, parsing.get_model_map, parsing.get_name_type_map):
        cached.cache_clear()
    for name in ("resource_class_from_type", "resource_name_property_from_type"):
        lookup = getattr(parsing, name)
        if not isinstance(lookup, _LoadingLookup):
            setattr(parsing, name, _LoadingLookup(lookup))


class _LoadingLookup:
    """One of CloudFormation's look-ups by resource type, that imports the service first."""

    def __init__(self, lookup: Callable[[str], Any]) -> None:
        self._lookup = lookup

    def __call__(self, resource_type: str) -> Any:
        load_for_type(resource_type)
        return self._lookup(resource_type)
