"""From a call to a target: template found, parameters chosen, transform done, all checked."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from socketstack.services.cfn import plan
from socketstack.services.cfn.calls import CallRefused, Services
from socketstack.services.cfn.deploy import Tools
from socketstack.services.cfn.dynamic import fetched_parameters
from socketstack.services.cfn.errors import InsufficientCapabilities, InvalidTemplate
from socketstack.services.cfn.parameters import choose
from socketstack.services.cfn.sam import Translator
from socketstack.services.cfn.stack import Resource, Stack, Target, Template
from socketstack.services.cfn.template import BODY_MAX_BYTES, check_form, parse, transforms

_TAG_MAX: Final = 50
_NO_RESOURCES: Final[Mapping[str, Resource]] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A call's template and parameters, before the transform."""

    text: str
    document: dict[str, Any]
    parameters: dict[str, str]


async def template_text(members: Mapping[str, Any], services: Services, stack: Stack | None) -> str:
    """The template of a call: TemplateBody, TemplateURL or the stack's present one."""
    body, url = members.get("TemplateBody"), members.get("TemplateURL")
    is_previous = bool(members.get("UsePreviousTemplate"))
    if sum(map(bool, (body, url, is_previous))) > 1:
        raise InvalidTemplate(
            "You cannot specify more than one of TemplateBody, TemplateURL and UsePreviousTemplate."
        )
    if is_previous:
        if stack is None or stack.target is None:
            raise InvalidTemplate("There is no previous template to use.")
        return stack.target.template.text
    if body:
        if len(str(body).encode()) > BODY_MAX_BYTES:
            raise InvalidTemplate(
                "1 validation error detected: Value at 'templateBody' failed to satisfy "
                f"constraint: Member must have length less than or equal to {BODY_MAX_BYTES}; "
                "hand the template over through S3 (TemplateURL)."
            )
        return str(body)
    if url:
        return await _fetched(str(url), services)
    raise InvalidTemplate("Either Template URL or Template Body must be specified.")


async def _fetched(url: str, services: Services) -> str:
    parts = urlsplit(url)
    host, path = parts.hostname or "", unquote(parts.path.lstrip("/"))
    first = host.split(".")[0]
    is_path_style = first == "s3" or first.startswith("s3-") or ".s3" not in host
    bucket, key = (
        path.split("/", 1) if is_path_style and "/" in path else (host.split(".s3")[0], path)
    )
    try:
        found = await services.call("s3", "GetObject", Bucket=bucket, Key=key)
    except CallRefused as refused:
        raise InvalidTemplate(f"S3 error: {refused}") from refused
    body = found["Body"]
    return body if isinstance(body, str) else bytes(body).decode()  # botocore has decoded it


def draft(text: str, members: Mapping[str, Any], stack: Stack | None) -> Draft:
    """Parse the template and choose parameter values; raises ``InvalidTemplate``."""
    document = form_checked(parse(text))
    previous = None if stack is None or stack.target is None else stack.target.parameters
    chosen = choose(document, members.get("Parameters", []), previous)
    return Draft(text=text, document=document, parameters=chosen)


async def target(
    made: Draft, members: Mapping[str, Any], stack: Stack, translator: Translator
) -> Target:
    """Apply the transform and check the result's form; raises ``InvalidTemplate``."""
    document = await translator.processed(made.document, made.parameters, stack.region)
    check_form(document)
    present = stack.target
    tags = _tags(members.get("Tags"))
    if tags is None:
        tags = {} if present is None else dict(present.tags)
    return Target(
        template=Template(
            text=made.text, document=document, transforms=tuple(transforms(made.document))
        ),
        parameters=made.parameters,
        tags=tags,
        capabilities=tuple(members.get("Capabilities", ())),
        role_arn=members.get("RoleARN"),
    )


def _tags(given: Sequence[Mapping[str, str]] | None) -> dict[str, str] | None:
    if given is None:
        return None
    if len(given) > _TAG_MAX:
        raise InvalidTemplate(f"A stack can have at most {_TAG_MAX} tags.")
    return {tag["Key"]: tag["Value"] for tag in given}


def check_capabilities(wanted: Target, *, must_expand: bool) -> None:
    """Refuse what the caller has not acknowledged.

    ``must_expand``: transforms need CAPABILITY_AUTO_EXPAND when there is no change set to look at.
    """
    needed = plan.required_capabilities(wanted.template.document)
    given = set(wanted.capabilities)
    if "CAPABILITY_NAMED_IAM" in given:
        given.add("CAPABILITY_IAM")
    if must_expand and wanted.template.transforms:
        needed.append("CAPABILITY_AUTO_EXPAND")
    missing = [name for name in needed if name not in given]
    if missing:
        raise InsufficientCapabilities(f"Requires capabilities : [{', '.join(missing)}]")


async def lookup(stack: Stack, wanted: Target, tools: Tools, *, is_empty: bool) -> plan.Lookup:
    """A preview lookup for a target, over the stack's present resources or over none."""
    return plan.Lookup(
        stack=stack,
        target=wanted,
        account_id=tools.account_id,
        exported=lambda name: next(
            (o.value for _, o in tools.stacks.exports() if o.export_name == name), None
        ),
        resources=_NO_RESOURCES if is_empty else stack.resources,
        fetched=await fetched_parameters(wanted, tools.services),
        is_preview=True,
    )


async def check(stack: Stack, wanted: Target, tools: Tools) -> None:
    """Refuse a target of which something would fail for certain; raises ``InvalidTemplate``."""
    scope = await lookup(stack, wanted, tools, is_empty=True)
    resources = wanted.template.document["Resources"]
    kinds = await tools.kinds({one["Type"] for one in resources.values()})
    found = list(dict.fromkeys(plan.problems(wanted.template.document, kinds, scope)))
    if found:
        raise InvalidTemplate("; ".join(found))


def unprocessed(made: Draft, members: Mapping[str, Any]) -> Target:
    """The target before its transform, to show of a change set that fails."""
    return Target(
        template=Template(text=made.text, document=made.document),
        parameters=made.parameters,
        tags=_tags(members.get("Tags")) or {},
        capabilities=tuple(members.get("Capabilities", ())),
    )


def form_checked(document: dict[str, Any]) -> dict[str, Any]:
    """The template, if it has resources."""
    if not isinstance(document.get("Resources"), dict) or not document["Resources"]:
        raise InvalidTemplate(
            "Template format error: At least one Resources member must be defined."
        )
    return document


def as_json(document: Mapping[str, Any]) -> str:
    """A processed template as text."""
    return json.dumps(document, indent=2)
