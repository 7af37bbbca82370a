"""Deploying a build and taking it down again, the same way on the engine and on AWS."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from socketstack.errors import ConfigError
from socketstack.kit import changes, preflight
from socketstack.kit.artifacts import ArtifactStore
from socketstack.kit.build import Build, BuildTarget, build
from socketstack.kit.changes import Change
from socketstack.kit.cloud import Cloud, aws_cloud, aws_errors
from socketstack.kit.packages import Say
from socketstack.kit.stack import Agree, Stack, TemplateSource
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """Something that outlives its stack: ``name`` is its type and physical id."""

    name: str
    why: str


def deploy(
    built: Build,
    cloud: Cloud,
    *,
    stack_name: str,
    parameters: Mapping[str, str] | None = None,
    tags: Mapping[str, str] | None = None,
    agree: Agree = lambda _changes: True,
    ready: Callable[[], None] = lambda: None,
    say: Say = lambda _line: None,
) -> Deployment:
    """Upload what was built and bring the stack to it; packages of before are then removed.

    ``ready`` is called before the first call goes out, and may wait for whoever is to answer it:
    making the clients takes a tenth of a second, in which an engine can start.

    Raises:
        DeploymentFailed: with the resources that failed and why.
        ConfigError: credentials, an unknown parameter, a stack in an unfit state, or ``agree``
            said no to the changes.
    """
    with aws_errors():
        template = Template.load(built.template)
        template.check_parameters(parameters or {})
        store = ArtifactStore(cloud, stack_name, say=say)
        stack = Stack(cloud, stack_name, say=say)
        ready()
        store.ensure()
        source, keys = _upload(built, template, store)
        is_changed = stack.apply(
            source,
            known_parameters=template.parameter_names(),
            parameters=parameters or {},
            tags=tags,
            agree=agree,
        )
        store.prune(keys)
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
    tags: Mapping[str, str] | None = None,
    region: str | None = None,
    ask: Ask,
    say: Say = lambda _line: None,
) -> Deployment:
    """Look ahead, build for AWS and deploy there.

    ``ask`` agrees twice: to account and region before anything is built or uploaded, and to the
    changes before any is made. Raises as ``deploy``, ``preflight.check`` and ``build`` do.
    """
    Template.load(template).check_parameters(parameters or {})
    cloud = aws_cloud(region)
    with aws_errors():
        standing = Stack(cloud, stack_name).parameters()
    preflight.check(
        template,
        cloud,
        stack_name=stack_name,
        parameters=parameters or {},
        standing=standing,
        say=say,
    )
    confirm(f"Deploy the stack {stack_name}", cloud, ask)
    built = build(template, target=BuildTarget.AWS, parameters=parameters, say=say)

    def agree(planned: Sequence[Change]) -> bool:
        say(f"What changes in the stack {stack_name}:")
        for line in changes.lines(planned):
            say(line)
        return ask(f"Make these changes to {stack_name}?")

    return deploy(
        built,
        cloud,
        stack_name=stack_name,
        parameters=parameters,
        tags=tags,
        agree=agree,
        say=say,
    )


def destroy_on_aws(
    *,
    stack_name: str,
    region: str | None = None,
    ask: Ask,
    say: Say = lambda _line: None,
) -> list[Kept] | None:
    """Delete a stack on AWS, after ``ask`` agreed; see ``destroy``."""
    cloud = aws_cloud(region)
    with aws_errors():
        resources = Stack(cloud, stack_name).resources()
    if resources:
        say(f"The stack {stack_name} has {len(resources)} resources, among them:")
        for change in changes.holding_data(resources):
            say(f"  {change}")
    confirm(f"Delete the stack {stack_name} and everything in it", cloud, ask)
    return destroy(cloud, stack_name=stack_name, say=say)


def destroy(cloud: Cloud, *, stack_name: str, say: Say = lambda _line: None) -> list[Kept] | None:
    """Delete a stack, wait for it, and remove its packages.

    Returns what is kept and why: resources that the template retains, and the artefact bucket
    when other stacks use it. None when there was no such stack; packages that a deployment left
    which never came to a stack are removed all the same.
    """
    with aws_errors():
        retained = Stack(cloud, stack_name, say=say).delete()
        store = ArtifactStore(cloud, stack_name, say=say)
        reason = store.remove()
    if retained is None:
        return None
    kept = [Kept(name=name, why="its DeletionPolicy is Retain") for name in retained]
    if reason is not None:
        kept.append(Kept(name=f"AWS::S3::Bucket {store.bucket}", why=reason))
    return kept


def _deployment(stack: Stack, cloud: Cloud, *, is_changed: bool) -> Deployment:
    resources = stack.physical_ids()
    return Deployment(
        stack_name=stack.name,
        is_changed=is_changed,
        outputs=stack.outputs(),
        resources=resources,
        socket_urls=_socket_urls(resources, cloud),
    )


def confirm(action: str, cloud: Cloud, ask: Ask) -> None:
    """Have account and region agreed to. Raises ``ConfigError`` after a no."""
    if not ask(f"{action} in AWS account {cloud.account_id}, region {cloud.region}?"):
        message = "Nothing was done. Answer y, or set YES=1, to go on."
        raise ConfigError(message)


def _upload(
    built: Build, template: Template, store: ArtifactStore
) -> tuple[TemplateSource, frozenset[str]]:
    """The template with its packages in S3, and the keys of all that it needs there."""
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
        return TemplateSource(body=text), frozenset(keys.values())
    large = built.folder / "deployed.yaml"
    large.write_text(text, encoding="utf-8")
    key = store.put(large, digest=hashlib.sha256(text.encode()).hexdigest())
    return TemplateSource(url=store.url(key)), frozenset({*keys.values(), key})


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
