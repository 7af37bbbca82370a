"""The operations outside the table of kinds: tags, single settings, model templates.

Rules: 1.23 to 1.25, 1.43, 1.99, 3.23; the status codes stand in the model (1.04).
"""

import re
from collections.abc import Mapping
from typing import Final

from socketstack.controlplane.caller import Caller
from socketstack.controlplane.crud import Crud
from socketstack.controlplane.kinds import API, DOMAIN_NAME, MODEL, ROUTE, STAGE
from socketstack.controlplane.members import mapping, text, texts
from socketstack.controlplane.stage_checks import unknown_route_key
from socketstack.controlplane.templates import model_template
from socketstack.core.model import Record
from socketstack.errors import BadRequest, NotFound
from socketstack.store import Path, Store

_ARN: Final = re.compile(  # 1.23, 1.24
    r"arn:[^:]+:apigateway:(?P<region>[^:]*)::"
    r"(?:/apis/(?P<api>[^/]+)(?:/stages/(?P<stage>[^/]+))?|/domainnames/(?P<domain>[^/]+))"
)
_TAGS_MAX: Final = 50
_TAG_KEY_MAX_CHARACTERS: Final = 128
_TAG_VALUE_MAX_CHARACTERS: Final = 256


class Extras:
    """Handlers by operation; each takes parameters and caller and gives the answer's members."""

    def __init__(self, *, crud: Crud, store: Store) -> None:
        self._crud = crud
        self._store = store

    def tag_resource(self, parameters: Record, caller: Caller) -> Record:
        """Add tags to an Api, a Stage or a DomainName; a known key gets the new value."""
        path, record = self._tagged(parameters, caller)
        tags = {**mapping(record, "Tags"), **mapping(parameters, "Tags")}
        verify_tags(tags)
        self._store.put(path, {**record, "Tags": tags})
        return {}

    def untag_resource(self, parameters: Record, caller: Caller) -> Record:
        """Remove tags by key; keys that are not there are no error."""
        path, record = self._tagged(parameters, caller)
        unwanted = set(texts(parameters, "TagKeys"))
        tags = {k: v for k, v in mapping(record, "Tags").items() if k not in unwanted}
        self._store.put(path, {**record, "Tags": tags})
        return {}

    def get_tags(self, parameters: Record, caller: Caller) -> Record:
        """The tags of an Api, a Stage or a DomainName."""
        _path, record = self._tagged(parameters, caller)
        return {"Tags": dict(mapping(record, "Tags"))}

    def delete_route_request_parameter(self, parameters: Record, caller: Caller) -> Record:
        """Remove one key of a route's request parameters. Rule 1.43."""
        path, record = self._crud.find(ROUTE, parameters, caller)
        key = text(parameters, "RequestParameterKey")
        rest = dict(mapping(record, "RequestParameters"))
        if rest.pop(key, None) is None:
            raise NotFound(f"Invalid RequestParameter identifier specified {key}")
        record.pop("RequestParameters")
        self._store.put(path, {**record, "RequestParameters": rest} if rest else record)
        return {}

    def delete_route_settings(self, parameters: Record, caller: Caller) -> Record:
        """Remove one route's settings from a stage. Rule 1.99."""
        path, record = self._crud.find(STAGE, parameters, caller)
        key = text(parameters, "RouteKey")
        rest = dict(mapping(record, "RouteSettings"))
        if rest.pop(key, None) is None:
            raise NotFound(unknown_route_key(key))
        self._put_stage(path, {**record, "RouteSettings": rest})
        return {}

    def delete_access_log_settings(self, parameters: Record, caller: Caller) -> Record:
        """Stop a stage's access log; a stage without one is no error."""
        path, record = self._crud.find(STAGE, parameters, caller)
        record.pop("AccessLogSettings", None)
        self._put_stage(path, record)
        return {}

    def reset_authorizers_cache(self, parameters: Record, caller: Caller) -> Record:
        """Forget decisions kept for a stage: there are none to forget (3.23)."""
        self._crud.find(STAGE, parameters, caller)
        return {}

    def get_model_template(self, parameters: Record, caller: Caller) -> Record:
        """A sample mapping template for a model."""
        record = self._crud.get(MODEL, parameters, caller)
        return {"Value": model_template(text(record, "Schema"))}

    def _put_stage(self, path: Path, record: Record) -> None:
        self._store.put(path, {**record, "LastUpdatedDate": self._crud.now()})

    def _tagged(self, parameters: Record, caller: Caller) -> tuple[Path, Record]:
        arn = text(parameters, "ResourceArn")
        found = _ARN.fullmatch(arn)
        if found is None:
            raise BadRequest(
                f"Invalid ARN {arn!r}: tags belong to "
                "arn:aws:apigateway:{region}::/apis/{apiId}, .../stages/{stageName} below it, and "
                "arn:aws:apigateway:{region}::/domainnames/{domainName}."
            )
        if found["region"] != caller.region:
            raise NotFound(f"Invalid resource identifier specified {arn}")
        if found["domain"] is not None:
            return self._crud.find(DOMAIN_NAME, {"DomainName": found["domain"]}, caller)
        place: Record = {"ApiId": found["api"], "StageName": found["stage"]}
        return self._crud.find(API if found["stage"] is None else STAGE, place, caller)


def verify_tags(tags: Mapping[str, object]) -> None:
    """Refuse tags that AWS refuses. Rule 1.25."""
    for key, value in tags.items():
        if key.lower().startswith("aws:"):
            raise BadRequest(
                "Invalid tag key. Tag keys cannot start with 'aws:' (case insensitive)"
            )
        if not 1 <= len(key) <= _TAG_KEY_MAX_CHARACTERS:
            raise BadRequest(
                f"Invalid tag key {key!r}: 1 to {_TAG_KEY_MAX_CHARACTERS} characters are allowed."
            )
        if len(str(value)) > _TAG_VALUE_MAX_CHARACTERS:
            raise BadRequest(
                f"Invalid value of tag {key!r}: {_TAG_VALUE_MAX_CHARACTERS} characters are allowed."
            )
    if len(tags) > _TAGS_MAX:
        raise BadRequest(f"Too many tags: {_TAGS_MAX} per resource are allowed.")
