"""Packages of a template: ``build``."""

# ruff: noqa: PLC0415 - a command imports what it needs when it runs

import argparse

from socketstack.cli.arguments import Commands, target_argument, template_arguments
from socketstack.cli.output import say
from socketstack.settings import Settings


def add(commands: Commands) -> None:
    """Say what the command takes."""
    build = commands.add_parser("build", help="build the functions and layers of a template")
    template_arguments(build)
    target_argument(build)
    build.set_defaults(run=_build)


def _build(options: argparse.Namespace, _settings: Settings) -> int:
    from socketstack.kit.build import BuildTarget, build

    target = BuildTarget.AWS if options.target == "aws" else BuildTarget.LOCAL
    built = build(options.template, target=target, parameters=dict(options.parameter), say=say)
    for artifact in built.artifacts:
        say(f"{artifact.code.logical_id:<24} {artifact.archive}")
    say(f"{'template':<24} {built.template}")
    return 0
