"""Deploying a build and taking it down again, the same way on the engine and on AWS."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from socketstack.errors import ConfigError
from socketstack.kit.artifacts import ArtifactStore
from socketstack.kit.build import Build, BuildTarget, build
from socketstack.kit.cloud import Cloud, aws_cloud, aws_errors
from socketstack.kit.packages import Say
from socketstack.kit.stack import Stack, TemplateSource
from socketstack.kit.template import Template

_BODY_MAX_BYTES: Final = 51_200
"""A larger template goes through S3."""

Ask = Callable[[str], bool]
"""Puts a yes-or-no question to the user."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """What stands after a deployment.

    ``resources`` maps logical ids to type and physical id. ``socket_urls`` are the addresses
    that clients dial, one per stage.
    """

    stack_name: str
    is_changed: bool
    outputs: Mapping[str, str]
    resources: Mapping[str, tuple[str, str]]
    socket_urls: tuple[str, ...]


def deploy(
    built: Build,
    cloud: Cloud,
    *,
    stack_name: str,
    parameters: Mapping[str, str] | None = None,
    say: Say = lambda _line: None,
) -> Deployment:
    """Upload what was built and bring the stack to it.

    Raises:
        DeploymentFailed: with the resources that failed and why.
        ConfigError: credentials, an unknown parameter, or a stack in an unfit state.
    """
    with aws_errors():
        template = Template.load(built.template)
        template.check_parameters(parameters or {})
        source = _upload(built, template, cloud, say)
        stack = Stack(cloud, stack_name, say=say)
        is_changed = stack.apply(
            source, known_parameters=template.parameter_names(), parameters=parameters or {}
        )
        return _deployment(stack, cloud, is_changed=is_changed)


def standing(cloud: Cloud, *, stack_name: str) -> Deployment:
    """What a deployment that somebody else made has left; empty where there is no such stack."""
    with aws_errors():
        stack = Stack(cloud, stack_name)
        return _deployment(stack, cloud, is_changed=False)


def deploy_to_aws(
    template: Path,
    *,
    stack_name: str,
    parameters: Mapping[str, str] | None = None,
    region: str | None = None,
    ask: Ask,
    say: Say = lambda _line: None,
) -> Deployment:
    """Build for AWS and deploy there, after ``ask`` agreed to account and region."""
    Template.load(template).check_parameters(parameters or {})
    cloud = aws_cloud(region)
    _confirm(f"Deploy the stack {stack_name}", cloud, ask)
    built = build(template, target=BuildTarget.AWS, parameters=parameters, say=say)
    return deploy(built, cloud, stack_name=stack_name, parameters=parameters, say=say)


def destroy_on_aws(
    *,
    stack_name: str,
    region: str | None = None,
    ask: Ask,
    say: Say = lambda _line: None,
) -> list[str] | None:
    """Delete a stack on AWS, after ``ask`` agreed; see ``destroy``."""
    cloud = aws_cloud(region)
    _confirm(f"Delete the stack {stack_name} and everything in it", cloud, ask)
    return destroy(cloud, stack_name=stack_name, say=say)


def destroy(cloud: Cloud, *, stack_name: str, say: Say = lambda _line: None) -> list[str] | None:
    """Delete a stack and wait for it.

    Returns what is kept, as ``type name``: resources that the template retains, and the
    artefact bucket, which other stacks may use. None when there was no such stack.
    """
    with aws_errors():
        kept = Stack(cloud, stack_name, say=say).delete()
        return None if kept is None else [*kept, f"AWS::S3::Bucket {ArtifactStore(cloud).bucket}"]


def _deployment(stack: Stack, cloud: Cloud, *, is_changed: bool) -> Deployment:
    resources = stack.physical_ids()
    return Deployment(
        stack_name=stack.name,
        is_changed=is_changed,
        outputs=stack.outputs(),
        resources=resources,
        socket_urls=_socket_urls(resources, cloud),
    )


def _confirm(action: str, cloud: Cloud, ask: Ask) -> None:
    if not ask(f"{action} in AWS account {cloud.account_id}, region {cloud.region}?"):
        message = "Nothing was done. Answer y, or set YES=1, to go on."
        raise ConfigError(message)


def _upload(built: Build, template: Template, cloud: Cloud, say: Say) -> TemplateSource:
    store = ArtifactStore(cloud, say=say)
    store.ensure()
    keys = {
        artifact.code.logical_id: store.put(artifact.archive, digest=artifact.digest)
        for artifact in built.artifacts
    }
    codes = {artifact.code.logical_id: artifact.code for artifact in built.artifacts}
    for resource in template.resources():
        code = codes.get(resource.logical_id)
        if code is not None:
            place = _place(code.type, store.bucket, keys[code.logical_id])
            resource.set_property(code.property_name, place)
    text = template.text()
    if len(text.encode()) <= _BODY_MAX_BYTES:
        return TemplateSource(body=text)
    large = built.folder / "deployed.yaml"
    large.write_text(text, encoding="utf-8")
    key = store.put(large, digest=hashlib.sha256(text.encode()).hexdigest())
    return TemplateSource(url=store.url(key))


def _place(resource_type: str, bucket: str, key: str) -> str | dict[str, str]:
    if resource_type.startswith("AWS::Serverless::"):
        return f"s3://{bucket}/{key}"
    return {"S3Bucket": bucket, "S3Key": key}


def _socket_urls(resources: Mapping[str, tuple[str, str]], cloud: Cloud) -> tuple[str, ...]:
    # A stage does not say which API it belongs to; with one API there is no question.
    apis = [pid for kind, pid in resources.values() if kind == "AWS::ApiGatewayV2::Api"]
    stages = [pid for kind, pid in resources.values() if kind == "AWS::ApiGatewayV2::Stage"]
    if len(apis) != 1:
        return ()
    if cloud.endpoint_url is not None:
        root = cloud.endpoint_url.replace("http", "ws", 1) + f"/_aws/execute-api/{apis[0]}"
    else:
        suffix = "amazonaws.com.cn" if cloud.region.startswith("cn-") else "amazonaws.com"
        root = f"wss://{apis[0]}.execute-api.{cloud.region}.{suffix}"
    return tuple(f"{root}/{stage}" for stage in stages)
