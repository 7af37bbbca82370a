"""What a backend gets: the request template, the mapped parameters, binary content.

Rules: 5.40, 5.46 to 5.51, 5.60 to 5.62, 5.64, 5.69.
"""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final
from urllib.parse import quote, urlsplit

from socketstack.core.addressing import substituted
from socketstack.core.causes import Cause
from socketstack.core.expressions import parse
from socketstack.core.jsontext import MISSING, Missing, as_text, read_json
from socketstack.core.model import IntegrationType, Json
from socketstack.core.replies import FrameMessage, Rejection
from socketstack.dataplane.backends.base import BackendRequest
from socketstack.dataplane.exchange import Exchange
from socketstack.errors import ExpressionError
from socketstack.mapping.mapper import Failed, Mapper, TemplateInput
from socketstack.mapping.parameters import (
    BodyPath,
    Given,
    Place,
    Undeclared,
    destination,
    source_value,
)

_DEFAULT: Final = "$default"
_TO_BINARY: Final = "CONVERT_TO_BINARY"
_PROXIES: Final = frozenset({IntegrationType.AWS_PROXY, IntegrationType.HTTP_PROXY})


@dataclass(frozen=True, slots=True)
class Mapped:
    """A request for the backend, and what people should know of it."""

    request: BackendRequest
    warnings: tuple[str, ...]


class RequestSide:
    """Makes requests for backends."""

    def __init__(self, mapper: Mapper) -> None:
        self._mapper = mapper

    async def map(self, exchange: Exchange) -> Mapped | Rejection:
        """The backend's request, or why there is none."""
        body = await self._body(exchange)
        if isinstance(body, Rejection):
            return body
        values = await self._parameters(exchange)
        if isinstance(values, Rejection):
            return values
        uri = _uri(exchange, values.of(Place.PATH))
        if isinstance(uri, Rejection):
            return uri
        request = BackendRequest(
            exchange=exchange,
            uri=uri,
            body=body,
            headers=tuple(values.of(Place.HEADER).items()),
            query=tuple(values.of(Place.QUERY_STRING).items()),
        )
        return Mapped(request, tuple(values.warnings))

    async def _body(self, exchange: Exchange) -> bytes | Rejection:
        template = _template(exchange)
        if isinstance(template, Rejection):
            return template
        text: str | Failed = exchange.body
        if template is not None:
            text = await self._mapper.render(template, exchange.body, template_input(exchange))
        if isinstance(text, Failed):
            return _broken(
                f"The request template failed: {text.reason} [5.50]", Cause.TEMPLATE_FAILED
            )
        return _binary(exchange, text)

    async def _parameters(self, exchange: Exchange) -> "_Values | Rejection":
        values = _Values()
        given = Given(
            context=exchange.context(),
            variables=exchange.variables,
            headers=exchange.headers,
            query=exchange.query,
            declared=exchange.route.request_parameters,
        )
        for key, source in exchange.integration.request_parameters.items():
            place = destination(key)
            if place is None:
                return _broken(f"The mapping key {key!r} cannot be read. [1.58]")
            found = source_value(source, given)
            if isinstance(found, Undeclared):
                values.warnings.append(
                    f"{found.key} is not mapped: the route does not declare it. Add it to the "
                    "route's RequestParameters. [5.62]"
                )
            elif isinstance(found, BodyPath):
                looked_up = await self._body_value(exchange.body, found.path)
                if isinstance(looked_up, Failed):
                    return _broken(f"The mapping of {key} failed: {looked_up.reason} [5.61]")
                values.add(place, looked_up)
            else:
                values.add(place, found)
        return values

    async def _body_value(self, body: str, path: str) -> str | Missing | Failed:
        if not path:
            return body or MISSING
        found = await self._mapper.value(path, body)
        if isinstance(found, Failed):
            return found
        return MISSING if found is MISSING or found is None else as_text(found)


class _Values:
    """Mapped values by place and name; what has no value is left out."""

    def __init__(self) -> None:
        self.warnings: list[str] = []
        self._values: dict[tuple[Place, str], str] = {}

    def add(self, place: tuple[Place, str], value: str | Missing) -> None:
        if value is not MISSING:
            self._values[place] = value

    def of(self, place: Place) -> dict[str, str]:
        return {name: value for (each, name), value in self._values.items() if each is place}


def template_input(exchange: Exchange, **context: Json) -> TemplateInput:
    """What templates of an exchange may read besides their payload (5.51)."""
    parameters: dict[str, Mapping[str, str]] = {}
    if exchange.is_connect:
        parameters = {
            "path": {},
            "querystring": {name: values[-1] for name, values in exchange.query.items()},
            "header": {name: values[-1] for name, values in exchange.headers.items()},
        }
    return TemplateInput(
        context=exchange.context(**context), variables=exchange.variables, parameters=parameters
    )


def selected(
    templates: Mapping[str, str], expression: str | None, body: str, sources: Mapping[str, Json]
) -> str | None:
    """The template that an expression selects, else that of ``$default``, else None (5.46, 5.48).

    Raises ``ExpressionError`` for an expression that cannot be read.
    """
    key = None
    if expression is not None:
        key = parse(expression).evaluate(read_json(body), sources)
    if key is not None and key in templates:
        return templates[key]
    return templates.get(_DEFAULT)


def _template(exchange: Exchange) -> str | Rejection | None:
    """The request template; None when the message passes through as it is."""
    integration = exchange.integration
    if integration.integration_type in _PROXIES:
        return None  # 5.49
    templates = integration.request_templates
    try:
        found = selected(templates, integration.template_selection_expression, exchange.body, {})
    except ExpressionError as error:
        return _broken(f"{error} [5.46]")
    passes = integration.passthrough_behavior == "WHEN_NO_MATCH" or (
        integration.passthrough_behavior == "WHEN_NO_TEMPLATES" and not templates
    )
    if found is not None or passes:
        return found
    known = ", ".join(sorted(templates)) or "none"
    return Rejection(
        status=HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        message=FrameMessage.UNSUPPORTED_MEDIA_TYPE,
        reason=f"No request template fits (there are: {known}), and PassthroughBehavior "
        f"{integration.passthrough_behavior} lets nothing else pass. Add a template with the key "
        "$default. [5.40]",
        cause=Cause.NO_TEMPLATE,
    )


def _binary(exchange: Exchange, text: str) -> bytes | Rejection:
    if exchange.integration.content_handling_strategy != _TO_BINARY:
        return text.encode("utf-8", "replace")
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        return _broken(
            f"CONVERT_TO_BINARY needs base64, and this is none: {error}. [5.69]",
            Cause.CONTENT_HANDLING,
        )


def _uri(exchange: Exchange, path: Mapping[str, str]) -> str | Rejection:
    """The URI with stage variables (5.64) and path parameters put in."""
    given = exchange.integration.integration_uri or ""
    uri = substituted(given, exchange.variables)
    if uri is None:
        return _broken(f"The integration URI {given!r} names a stage variable that is not set.")
    placeholders = [(name, f"{{{name}}}") for name in path if f"{{{name}}}" in uri]
    if any(placeholder in urlsplit(uri).netloc for _name, placeholder in placeholders):
        return _broken(f"The integration URI {given!r} takes its host from the request.")
    for name, placeholder in placeholders:
        uri = uri.replace(placeholder, quote(path[name], safe=""))
    return uri


def _broken(reason: str, cause: Cause = Cause.INTEGRATION_SETTINGS) -> Rejection:
    return Rejection(
        status=HTTPStatus.INTERNAL_SERVER_ERROR,
        message=FrameMessage.INTERNAL_SERVER_ERROR,
        reason=reason,
        cause=cause,
    )
