"""What a client gets of a backend's answer: the integration response, its template and headers.

Proxy types have none of this. For the others the response is chosen by the status, or by what a
function raised; without one nothing can be returned.

Rules: 2.26, 5.29, 5.39, 5.56 to 5.59, 5.70.
"""

import base64
import binascii
import re
from collections.abc import Sequence
from http import HTTPStatus
from typing import Final

from socketstack.core.causes import Cause
from socketstack.core.jsontext import MISSING, Missing, as_text, read_json
from socketstack.core.model import IntegrationResponse, IntegrationType, Json
from socketstack.core.replies import BackendResponse, FrameMessage, Rejection
from socketstack.core.service_calls import Pairs
from socketstack.dataplane.backends.base import BackendAnswer, BackendRequest
from socketstack.dataplane.exchange import Exchange
from socketstack.dataplane.request_side import selected, template_input
from socketstack.errors import ExpressionError
from socketstack.mapping.mapper import Failed, Mapper

_DEFAULT: Final = "$default"
_SUBPROTOCOL: Final = "sec-websocket-protocol"
_HEADER: Final = re.compile(r"(?:method|route)\.response\.header\.(?P<name>.+)")
_LITERAL: Final = re.compile(r"'(?P<text>[^']*)'")
_FROM_HEADER: Final = re.compile(r"integration\.response\.(?:multivalue)?header\.(?P<name>.+)")
_FROM_BODY: Final = re.compile(r"integration\.response\.body(?:\.(?P<path>.+))?")


class ResponseSide:
    """Makes responses of backends' answers."""

    def __init__(self, mapper: Mapper) -> None:
        self._mapper = mapper

    async def map(
        self, request: BackendRequest, answer: BackendAnswer
    ) -> BackendResponse | Rejection:
        """The response, or why there is none."""
        exchange = request.exchange
        if exchange.integration.integration_type is IntegrationType.HTTP_PROXY:
            return BackendResponse(
                status=answer.status,
                body=_text(answer.body),
                subprotocols=_header_values(answer.headers, _SUBPROTOCOL),
                sent=request.body,
                received=answer.body,
            )
        chosen = await self._choose(exchange.integration.responses, answer)
        if not isinstance(chosen, IntegrationResponse):
            return _broken(chosen, Cause.NO_INTEGRATION_RESPONSE, answer)
        body = await self._body(exchange, chosen, answer)
        subprotocols = await self._subprotocols(chosen, answer)
        if isinstance(body, Failed) or isinstance(subprotocols, Failed):
            failed = body if isinstance(body, Failed) else subprotocols
            assert isinstance(failed, Failed)
            return _broken(
                f"Integration response {chosen.integration_response_key}: {failed.reason}",
                Cause.TEMPLATE_FAILED,
                answer,
            )
        return BackendResponse(
            status=answer.status,
            body=body,
            subprotocols=subprotocols,
            failure=answer.failure,
            sent=request.body,
            received=answer.body,
        )

    async def _choose(
        self, responses: Sequence[IntegrationResponse], answer: BackendAnswer
    ) -> IntegrationResponse | str:
        """The integration response for an answer; a text says why there is none (5.57, 5.58)."""
        by_key = {each.integration_response_key: each for each in responses}
        subject = answer.error_message
        for key in sorted(by_key):
            if not key.startswith("/"):
                continue
            is_match = await self._is_match(key[1:-1], answer)
            if isinstance(is_match, Failed):
                return f"The integration response key {key} cannot be matched: {is_match.reason}"
            if is_match:
                return by_key[key]
        if _DEFAULT in by_key:
            return by_key[_DEFAULT]
        known = ", ".join(by_key) or "none"
        what = f"the status {answer.status}" if subject is None else f"the error {subject!r}"
        return (
            f"No integration response fits {what} (there are: {known}). Add one with the key "
            "$default. [5.39, 5.56]"
        )

    async def _is_match(self, pattern: str, answer: BackendAnswer) -> bool | Failed:
        if answer.error_message is not None:
            return await self._mapper.matches(pattern, answer.error_message)
        if answer.is_function:
            return False  # 5.58: what a function returns is for $default
        return re.fullmatch(pattern, str(answer.status)) is not None

    async def _body(
        self, exchange: Exchange, chosen: IntegrationResponse, answer: BackendAnswer
    ) -> str | Failed:
        text = _handled(chosen.content_handling_strategy, answer.body)
        if isinstance(text, Failed):
            return text
        try:
            template = selected(
                chosen.response_templates,
                chosen.template_selection_expression,
                exchange.body,
                _sources(answer),
            )
        except ExpressionError as error:
            return Failed(f"{error} [5.59]")
        if template is None:
            # A MOCK has nothing of its own to pass on: what it was sent is no answer.
            is_mock = exchange.integration.integration_type is IntegrationType.MOCK
            return "" if is_mock else text
        given = template_input(exchange, status=answer.status)
        rendered = await self._mapper.render(template, text, given)
        if isinstance(rendered, Failed):
            return Failed(f"the response template failed: {rendered.reason} [5.59]")
        return rendered

    async def _subprotocols(
        self, chosen: IntegrationResponse, answer: BackendAnswer
    ) -> tuple[str, ...] | Failed:
        """The one header that reaches a client, when it is mapped. Rule 2.26."""
        for key, source in chosen.response_parameters.items():
            header = _HEADER.fullmatch(key)
            if header is None or header["name"].lower() != _SUBPROTOCOL:
                continue
            if (literal := _LITERAL.fullmatch(source)) is not None:
                return (literal["text"],)
            if (named := _FROM_HEADER.fullmatch(source)) is not None:
                return _header_values(answer.headers, named["name"])
            if (body := _FROM_BODY.fullmatch(source)) is not None:
                return await self._from_body(body["path"] or "", answer)
        return ()

    async def _from_body(self, path: str, answer: BackendAnswer) -> tuple[str, ...] | Failed:
        found: Json | Missing | Failed = _text(answer.body)
        if path:
            found = await self._mapper.value(path, _text(answer.body))
        if isinstance(found, Failed):
            return found
        return () if found is MISSING or found in (None, "") else (as_text(found),)


def _sources(answer: BackendAnswer) -> dict[str, Json]:
    """What the template selection of an integration response may read. Rule 5.59."""
    several: dict[str, Json] = {}
    single: dict[str, Json] = {}
    for name, value in answer.headers:
        single[name] = value
        held = several.setdefault(name, [])
        if isinstance(held, list):
            held.append(value)
    body = read_json(answer.body)
    response: dict[str, Json] = {
        "statuscode": answer.status,
        "header": single,
        "multivalueheader": several,
        "body": None if body is MISSING else body,
    }
    return {"integration": {"response": response}}


def _handled(strategy: str | None, body: bytes) -> str | Failed:
    """A backend's body as text, converted as the integration response says. Rule 5.70."""
    if strategy == "CONVERT_TO_TEXT":
        return base64.b64encode(body).decode()
    if strategy == "CONVERT_TO_BINARY":
        try:
            return _text(base64.b64decode(body, validate=True))
        except (binascii.Error, ValueError) as error:
            return Failed(f"CONVERT_TO_BINARY needs base64, and the answer is none: {error}")
    return _text(body)


def _text(body: bytes) -> str:
    return body.decode("utf-8", "replace")


def _header_values(headers: Pairs, name: str) -> tuple[str, ...]:
    wanted = name.lower()
    return tuple(value for given, value in headers if given.lower() == wanted)


def _broken(reason: str, cause: Cause, answer: BackendAnswer) -> Rejection:
    told = f"{reason} {answer.failure}".rstrip()
    return Rejection(
        status=HTTPStatus.INTERNAL_SERVER_ERROR,
        message=FrameMessage.INTERNAL_SERVER_ERROR,
        reason=told,
        cause=cause,
    )
