"""Values looked up elsewhere: dynamic references (``{{resolve:ssm:…}}``) and SSM parameters.

Dynamic references are replaced at the last moment, for the call that needs them: a stack keeps
the reference and never the value.
"""

import json
import re
from typing import Any, Final

from socketstack.services.cfn.calls import CallRefused, Services
from socketstack.services.cfn.errors import InvalidTemplate, ResourceFailed
from socketstack.services.cfn.parameters import SSM_TYPE
from socketstack.services.cfn.stack import Target

_REFERENCE: Final = re.compile(r"\{\{resolve:([a-z-]+):((?:(?!\}\}).)+)\}\}")
_SECRET_PARTS: Final = 4


async def replaced(value: Any, services: Services) -> Any:
    """The value with every dynamic reference replaced; raises ``ResourceFailed`` by name."""
    if isinstance(value, dict):
        return {name: await replaced(item, services) for name, item in value.items()}
    if isinstance(value, list):
        return [await replaced(item, services) for item in value]
    if not isinstance(value, str) or "{{resolve:" not in value:
        return value
    parts: list[str] = []
    end = 0
    for match in _REFERENCE.finditer(value):
        parts += [value[end : match.start()], await _look_up(match[1], match[2], services)]
        end = match.end()
    return "".join([*parts, value[end:]])


async def _look_up(service: str, reference: str, services: Services) -> str:
    try:
        if service in {"ssm", "ssm-secure"}:
            return await _parameter(reference, services)
        if service == "secretsmanager":
            return await _secret(reference, services)
    except CallRefused as refused:
        raise ResourceFailed(
            f"the dynamic reference {service}:{reference} cannot be resolved: {refused}"
        ) from refused
    raise ResourceFailed(f"dynamic references to {service} are not supported by the local engine")


async def _parameter(reference: str, services: Services) -> str:
    found = await services.call("ssm", "GetParameter", Name=reference, WithDecryption=True)
    return str(found["Parameter"]["Value"])


async def _secret(reference: str, services: Services) -> str:
    if reference.startswith("arn:"):
        arn, rest = reference.split(":")[:7], reference.split(":")[7:]
        secret_id, *parts = [":".join(arn), *rest]
    else:
        secret_id, *parts = reference.split(":")
    member, key, stage, version = (*parts, "", "", "", "")[:_SECRET_PARTS]
    if member not in {"", "SecretString"}:
        raise ResourceFailed(f"the dynamic reference to {secret_id} must ask for SecretString")
    found = await services.call(
        "secretsmanager",
        "GetSecretValue",
        SecretId=secret_id,
        VersionStage=stage or None,
        VersionId=version or None,
    )
    text = str(found.get("SecretString", ""))
    if not key:
        return text
    try:
        return str(json.loads(text)[key])
    except (ValueError, KeyError, TypeError) as error:
        raise ResourceFailed(f"the secret {secret_id} has no JSON key {key}") from error


async def fetched_parameters(target: Target, services: Services) -> dict[str, str | list[str]]:
    """Values of parameters of the types ``AWS::SSM::Parameter::Value<…>``."""
    found: dict[str, str | list[str]] = {}
    for name, declared in target.template.document.get("Parameters", {}).items():
        kind = str(declared.get("Type", "String"))
        if not kind.startswith(SSM_TYPE):
            continue
        try:
            answer = await services.call("ssm", "GetParameter", Name=target.parameters[name])
        except CallRefused as refused:
            raise InvalidTemplate(
                f"Unable to fetch parameters [{target.parameters[name]}] from parameter store "
                f"for this account: {refused}"
            ) from refused
        value = str(answer["Parameter"]["Value"])
        is_list = kind.removeprefix(SSM_TYPE).startswith(("List<", "CommaDelimitedList"))
        found[name] = value.split(",") if is_list else value
    return found
