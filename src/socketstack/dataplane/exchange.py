"""One event on its way to an integration: what is known of it, and what can become of it."""

import json
from collections.abc import Mapping
from typing import NamedTuple, cast

import orjson

from socketstack.core.jsontext import as_text
from socketstack.core.model import ApiSnapshot, EventType, Integration, Json, Route
from socketstack.core.replies import BackendResponse, Rejection
from socketstack.dataplane.integrations import Outcome

Event = Mapping[str, object]
"""A payload of ``core.events``."""
Result = Outcome | BackendResponse | Rejection


class Exchange(NamedTuple):
    """One event of a connection, for the integration of one route."""

    route: Route
    integration: Integration
    snapshot: ApiSnapshot
    event: Event
    """As a proxy function gets it."""
    source_arn: str
    """The route on whose behalf the call is made (5.68)."""
    variables: Mapping[str, str]
    """The stage's variables."""

    @property
    def body(self) -> str:
        """The client's message; empty for ``$connect`` and ``$disconnect``."""
        return str(self.event.get("body", ""))

    @property
    def is_connect(self) -> bool:
        """Whether headers and query of the handshake are there to be read (2.31)."""
        return self._request_context()["eventType"] == EventType.CONNECT

    @property
    def headers(self) -> Mapping[str, list[str]]:
        """Headers of the handshake; empty for everything later."""
        return self._parameters("multiValueHeaders")

    @property
    def query(self) -> Mapping[str, list[str]]:
        """Query parameters of the handshake; empty for everything later."""
        return self._parameters("multiValueQueryStringParameters")

    def payload(self) -> bytes:
        """The event as a proxy function gets it."""
        return event_text(self.event)

    def context(self, **more: Json) -> dict[str, Json]:
        """``$context`` of templates and mappings: what an authorizer returned is texts (3.18)."""
        context = {**self._request_context(), **more}
        authorizer = context.get("authorizer")
        if isinstance(authorizer, dict):
            context["authorizer"] = {name: as_text(value) for name, value in authorizer.items()}
        return context

    def _request_context(self) -> dict[str, Json]:
        return cast("dict[str, Json]", self.event["requestContext"])  # in every event

    def _parameters(self, member: str) -> Mapping[str, list[str]]:
        if not self.is_connect:
            return {}
        return cast("Mapping[str, list[str]]", self.event.get(member, {}))


def event_text(event: Event) -> bytes:
    """The JSON text of an event, for a function."""
    try:
        return orjson.dumps(event)
    except TypeError:
        # What an authorizer returned may hold more than UTF-8 or 64 bits can.
        return json.dumps(event, separators=(",", ":")).encode()
