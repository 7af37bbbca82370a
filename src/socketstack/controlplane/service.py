"""The service model: which operations exist, and which one an HTTP request means.

Botocore ships AWS's own description of apigatewayv2; this module loads it once and turns its
103 URI templates into one matcher. What the operations do stands in ``plane`` and below.
Rules: 1.01, 1.03, 1.04 (the model holds the status codes).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final
from urllib.parse import unquote

from botocore.loaders import Loader
from botocore.model import OperationModel, ServiceModel

SERVICE_NAME: Final = "apigatewayv2"

_LABEL: Final = re.compile(r"\{([^}+]+)\+?\}")
_ARN_LABEL: Final = "resource-arn"
"""The one label whose value may hold slashes that a client did not encode."""


@dataclass(frozen=True, slots=True)
class Match:
    """An operation and the decoded labels of its path, by wire name."""

    operation: OperationModel
    labels: Mapping[str, str]


class Service:
    """The operations of one service model, by name and by request line."""

    def __init__(self, model: ServiceModel) -> None:
        self._operations = {name: model.operation_model(name) for name in model.operation_names}
        self._routes = [
            (operation.http["method"], _pattern(operation.http["requestUri"]), operation)
            for operation in self._operations.values()
        ]

    @property
    def names(self) -> frozenset[str]:
        """All operations of the model, served here or not."""
        return frozenset(self._operations)

    def operation(self, name: str) -> OperationModel | None:
        """One operation by its name, None when the model has no such operation."""
        return self._operations.get(name)

    def match(self, method: str, raw_path: str) -> Match | None:
        """The operation that a request line means, None for no operation at all.

        ``raw_path`` is the path as sent, still percent-encoded: a route key or ARN inside it
        may hold encoded slashes.
        """
        for wanted, pattern, operation in self._routes:
            found = pattern.fullmatch(raw_path) if wanted == method else None
            if found is not None:
                labels = _LABEL.findall(operation.http["requestUri"])
                values = (unquote(value) for value in found.groups())
                return Match(operation, dict(zip(labels, values, strict=True)))
        return None


@cache
def load() -> Service:
    """The service model that botocore ships, read once per process."""
    description = Loader().load_service_model(SERVICE_NAME, "service-2")
    return Service(ServiceModel(slim(description), service_name=SERVICE_NAME))


def slim(described: Any) -> Any:
    """The model in plain dictionaries and without documentation: a third of the memory."""
    if isinstance(described, dict):
        return {
            name: slim(value)
            for name, value in described.items()
            if name != "documentation" or not isinstance(value, str)
        }
    return [slim(each) for each in described] if isinstance(described, list) else described


def _pattern(uri: str) -> re.Pattern[str]:
    parts = _LABEL.split(uri)
    literals, labels = parts[::2], parts[1::2]
    groups = ["(.+)" if label == _ARN_LABEL else "([^/]+)" for label in labels]
    pairs = zip(literals, [*groups, ""], strict=True)
    return re.compile("".join(re.escape(literal) + group for literal, group in pairs) + "/?")
