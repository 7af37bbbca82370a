"""What must be mended in moto 5.2 before it can serve for hours: leaks, costs, refusals.

Each repair belongs to one of moto's services and is applied once, right after that service has
been imported (``apply``). Functions' own rules stand in ``function_rules``
and ``function_policies``.
"""

# ruff: noqa: SLF001 - moto is mended from inside, its private methods included

import functools
import json
import re
import sys
from collections.abc import Callable, Mapping
from functools import cache
from types import ModuleType
from typing import Any, Final

from botocore.loaders import JSONFileLoader

from socketstack.services import function_policies, function_rules, managed_policies, table_rules
from socketstack.services.sparse_imports import Placeholder, moto_module

_REGION_NAME: Final = re.compile(r"[a-z]{2,4}(-[a-z]+)+-\d")
_POLICY_VERSIONS: Final = frozenset({"2012-10-17", "2008-10-17"})


def configure(account_id: str) -> None:
    """Mend moto's core and name its account; before any of its services is imported."""
    core = moto_module("core")
    responses = moto_module("core.responses")
    # Services take the default account from here when they are imported; responses ask each time.
    core.models.DEFAULT_ACCOUNT_ID = core.DEFAULT_ACCOUNT_ID = account_id
    responses.BaseResponse.get_current_account = lambda _response: account_id
    # Every instance of every model ever made is kept in a list for moto's dashboard: a leak.
    base = moto_module("core.common_models").BaseModel
    base.__new__ = lambda cls, *_args, **_kwargs: super(base, cls).__new__(cls)
    # Walks over all members of a class for each call; doubles the time of cheap calls.
    responses.method_names_from_class = _cached(responses.method_names_from_class)
    responses.camelcase_to_underscores = _cached(responses.camelcase_to_underscores)
    # Models are kept as long as the process lives, two thirds of them documentation.
    moto_module("core.utils")._load_service_model = _load_service_model
    # Asking boto3 for the regions of each service costs 14 MB and 40 ms a service.
    account = moto_module("core.base_backend").AccountSpecificBackend
    account._generate_regions = lambda *_: []
    account.__init__ = _with_any_region(account.__init__)


def apply() -> None:
    """Mend every service that is imported by now and has not been mended."""
    for service, repair in _REPAIRS.items():
        models = sys.modules.get(f"moto.{service}.models")
        if models is None or isinstance(models, Placeholder) or models in _mended:
            continue
        _mended.add(models)
        repair()


def forget_everything() -> None:
    """Clear the state of all services; in moto's thread."""
    moto_module("core.base_backend").BackendDict.reset()


_mended: Final[set[ModuleType]] = set()
_OBJECT_IN_MEMORY_MAX_BYTES: Final = 1024 * 1024


def _cached(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return function if hasattr(function, "cache_info") else cache(function)


class _AnyRegion(list[str]):
    """All regions there will ever be, by the shape of their names."""

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and (
            _REGION_NAME.fullmatch(name) is not None or super().__contains__(name)
        )


def _with_any_region(original: Callable[..., None]) -> Callable[..., None]:
    if hasattr(original, "__wrapped__"):
        return original  # by an engine before this one in the same process

    @functools.wraps(original)
    def initialize(self: Any, *args: Any, **kwargs: Any) -> None:
        original(self, *args, **kwargs)
        if kwargs["use_boto3_regions"]:
            self.regions = _AnyRegion(self.regions)

    return initialize


def _without_documentation(pairs: Mapping[str, Any]) -> Mapping[str, Any]:
    if isinstance(pairs.get("documentation"), str):
        return {name: value for name, value in pairs.items() if name != "documentation"}
    return pairs


class _SlimFileLoader(JSONFileLoader):
    """Reads botocore's models into plain dictionaries, without their documentation."""

    def _load_file(self, full_path: str, open_method: Callable[..., Any]) -> Any:
        try:
            with open_method(full_path, "rb") as file:
                return json.loads(file.read(), object_hook=_without_documentation)
        except FileNotFoundError:
            return None


def _load_service_model(service_name: str, model_name: str) -> Any:
    loader = moto_module("core.loaders").create_loader()
    loader.file_loader = _SlimFileLoader()
    return loader.load_service_model(service_name, model_name)


def _repair_iam() -> None:
    managed_policies.repair()

    def validate_version(validator: Any) -> None:
        # AWS takes policies without Version (SAM makes them) and those of 2008.
        document = validator._policy_json
        assert document.get("Version", "2012-10-17") in _POLICY_VERSIONS

    validators = moto_module("iam.policy_validation")
    validators.BaseIAMPolicyValidator._validate_version = validate_version


def _repair_s3() -> None:
    # An object that was replaced closes its temporary file; nothing to warn about.
    key = moto_module("s3.models").FakeKey
    key.__del__ = key.dispose
    _repair_buffers()


def _repair_buffers() -> None:
    """Larger objects go to a temporary file: moto keeps packages of functions in memory.

    Each such object is an open file, so smaller ones stay. A lower limit of moto's own counts.
    """
    models = moto_module("s3.models")
    configured = models.get_s3_default_key_buffer_size
    models.get_s3_default_key_buffer_size = lambda: min(configured(), _OBJECT_IN_MEMORY_MAX_BYTES)


def _repair_functions() -> None:
    function_rules.repair()
    function_policies.repair()


_REPAIRS: Final[Mapping[str, Callable[[], None]]] = {
    "iam": _repair_iam,
    "s3": _repair_s3,
    "awslambda": _repair_functions,
    "dynamodb": table_rules.repair,
}
