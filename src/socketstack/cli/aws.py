"""An AWS account: ``deploy``, ``destroy``, ``cost``."""

# ruff: noqa: PLC0415 - a command imports what it needs when it runs

import argparse
from dataclasses import replace
from pathlib import Path

from socketstack.cli.arguments import Commands, assignment, stack_argument, template_arguments
from socketstack.cli.output import ask, say
from socketstack.errors import ConfigError
from socketstack.settings import Settings


def add(commands: Commands) -> None:
    """Say what these commands take."""
    deploy = commands.add_parser("deploy", help="deploy a template to an AWS account or engine")
    template_arguments(deploy)
    deploy.add_argument(
        "--endpoint",
        metavar="URL",
        help="deploy to the engine that runs there, for example http://engine:4566, not to AWS",
    )
    deploy.add_argument("--region", help="AWS region (AWS_REGION)")
    deploy.add_argument(
        "--terraform",
        type=Path,
        metavar="FOLDER",
        help="apply this Terraform module, the template's twin, instead of CloudFormation",
    )
    deploy.add_argument(
        "--tag",
        action="append",
        default=[],
        type=assignment,
        metavar="KEY=VALUE",
        help="tag of the stack and its resources, on AWS; may be repeated",
    )
    deploy.set_defaults(run=_deploy)

    destroy = commands.add_parser("destroy", help="delete a stack from an AWS account")
    stack_argument(destroy)
    destroy.add_argument("--region", help="AWS region (AWS_REGION)")
    destroy.add_argument(
        "--terraform", type=Path, metavar="FOLDER", help="destroy what this Terraform module made"
    )
    destroy.set_defaults(run=_destroy)

    cost = commands.add_parser("cost", help="estimate what a month costs on AWS, with arithmetic")
    _cost_arguments(cost)
    cost.set_defaults(run=_cost)


def _cost_arguments(parser: argparse.ArgumentParser) -> None:
    for name, what in (
        ("connections", "open at the same time (1000)"),
        ("session-minutes", "how long one stays open (60)"),
        ("messages-per-minute", "from one client, each answered (1)"),
        ("pushes-per-minute", "to one client (1)"),
        ("message-kb", "size of a message (1)"),
        ("function-ms", "duration of one call (20)"),
        ("memory-mb", "memory of the functions (256)"),
        ("log-kb", "what one call logs (0.5)"),
        ("sweeps-per-minute", "1 where sessions have an end of their own (0)"),
        ("traced-percent", "of a hundred calls, how many X-Ray records (0)"),
    ):
        parser.add_argument(f"--{name}", type=float, metavar="N", help=what)
    parser.add_argument(
        "--architecture", choices=("arm64", "x86_64"), help="processor of the functions (arm64)"
    )


def _deploy(options: argparse.Namespace, settings: Settings) -> int:
    from socketstack.kit.deploy import deploy_to_aws
    from socketstack.kit.up import deploy_to_engine

    if options.terraform is not None:
        if options.endpoint is not None:
            raise ConfigError("--endpoint does not go with --terraform: set AWS_ENDPOINT_URL.")
        return _deploy_with_terraform(options)
    if options.endpoint is not None:
        deployment = deploy_to_engine(
            options.template,
            endpoint=options.endpoint,
            stack_name=options.stack_name,
            settings=replace(settings, region=options.region or settings.region),
            parameters=dict(options.parameter),
            say=say,
        )
    else:
        deployment = deploy_to_aws(
            options.template,
            stack_name=options.stack_name,
            parameters=dict(options.parameter),
            tags=dict(options.tag),
            region=options.region,
            ask=ask,
            say=say,
        )
    for name, value in deployment.outputs.items():
        say(f"{name:<16} {value}")
    return 0


def _deploy_with_terraform(options: argparse.Namespace) -> int:
    from socketstack.kit import terraform

    outputs = terraform.deploy(
        terraform.Module(folder=options.terraform, template=options.template),
        name=options.stack_name,
        parameters=dict(options.parameter),
        tags=dict(options.tag),
        region=options.region,
        ask=ask,
        say=say,
    )
    for name, value in outputs.items():
        say(f"{name:<16} {value}")
    return 0


def _destroy(options: argparse.Namespace, _settings: Settings) -> int:
    from socketstack.kit import terraform
    from socketstack.kit.deploy import destroy_on_aws

    if options.terraform is not None:
        # Any template would do: destroying looks at the state alone.
        module = terraform.Module(folder=options.terraform, template=Path())
        kept = terraform.destroy(
            module, name=options.stack_name, region=options.region, ask=ask, say=say
        )
    else:
        kept = destroy_on_aws(
            stack_name=options.stack_name, region=options.region, ask=ask, say=say
        )
    if kept is None:
        say(f"There is no stack {options.stack_name}.")
        return 0
    say(f"The stack {options.stack_name} is deleted.")
    for one in kept:
        say(f"kept: {one.name} ({one.why})")
    return 0


def _cost(options: argparse.Namespace, _settings: Settings) -> int:
    from socketstack.kit.cost import Usage, estimate, table

    given = {name: getattr(options, name) for name in Usage.__slots__}
    usage = Usage(**{name: value for name, value in given.items() if value is not None})
    for line in table(estimate(usage)):
        say(line)
    return 0
