"""Models as configuration: schemas that can be applied, now and when an API is deployed.

Rules: 1.22, 1.74, 1.75.
"""

from typing import Final

from socketstack.controlplane.kinds import MODEL
from socketstack.controlplane.members import text
from socketstack.controlplane.subject import Subject
from socketstack.errors import BadRequest
from socketstack.mapping.schemas import schema_problem
from socketstack.store import Path, Store

_JSON: Final = "application/json"


def verify_schema(subject: Subject) -> None:
    """Refuse a schema that is no JSON Schema draft 4, or refers to what is not there."""
    if text(subject.record, "ContentType") != _JSON:
        return
    names = {text(model, "Name") for model in subject.of_api(MODEL)}
    known = frozenset(names | {text(subject.record, "Name")})
    problem = schema_problem(text(subject.record, "Schema"), known, subject.api[-1])
    if problem is not None:
        raise BadRequest(f"Invalid model schema specified: {problem}")


def verify_deployable(store: Store, api: Path) -> None:
    """Refuse to deploy models that cannot be applied, unless the API says not to look (1.22)."""
    record = store.get(api)
    if record is None or record.get("DisableSchemaValidation") is True:
        return
    models = [model for _path, model in store.children(api, MODEL.name)]
    known = frozenset(text(model, "Name") for model in models)
    for model in models:
        if text(model, "ContentType") == _JSON:
            problem = schema_problem(text(model, "Schema"), known, api[-1])
            if problem is not None:
                raise BadRequest(f"Invalid model {text(model, 'Name')}: {problem}")
