"""What a rule's target gets: the event, or what the target makes of it. In moto's thread."""

import json
from collections.abc import Mapping
from typing import Any

from socketstack.services.sparse_imports import moto_module

Event = dict[str, Any]


def bus_event(event: Mapping[str, Any]) -> Event:
    """An event of a bus, as moto keeps it, in the shape that EventBridge sends."""
    time = event.get("time")
    if isinstance(time, int | float):
        utils = moto_module("core.utils")
        time = utils.iso_8601_datetime_without_milliseconds(utils.utcfromtimestamp(time))
    members = ("version", "id", "detail-type", "source", "account", "time", "region")
    known = {**event, "time": time, "resources": event.get("resources") or []}
    return {name: known[name] for name in (*members, "resources", "detail") if name in known}


def target_input(target: Mapping[str, Any], event: Event) -> str:
    """The text that a target of a rule gets for an event."""
    if "Input" in target:
        return str(target["Input"])
    if "InputPath" in target:
        return json.dumps(_at(str(target["InputPath"]), event))
    transformer = target.get("InputTransformer")
    if not transformer:
        return json.dumps(event)
    sent = moto_module("events.models").EventTemplateParser.parse(
        input_template=transformer.get("InputTemplate"),
        input_paths_map=transformer.get("InputPathsMap", {}),
        event={**event, "ingestion-time": event["time"]},
    )
    return sent if isinstance(sent, str) else json.dumps(sent)


def _at(path: str, event: Event) -> Any:
    from jsonpath_ng.ext.parser import parse  # noqa: PLC0415 - as moto does, when there is a path

    found = parse(path).find(event)
    return found[0].value if found else None
