"""The example system in containers: ``compose``."""

# ruff: noqa: PLC0415 - a command imports what it needs when it runs

import argparse
from pathlib import Path

from socketstack.cli.arguments import Commands, port_argument, stack_argument
from socketstack.cli.engine import tell_where
from socketstack.cli.output import say
from socketstack.settings import Settings


def add(commands: Commands) -> None:
    """Say what the command takes."""
    compose = commands.add_parser("compose", help="the example system in containers (Docker)")
    compose.add_argument("action", choices=("up", "down"), help="bring it up, or remove it")
    compose.add_argument(
        "--backend",
        choices=("engine", "localstack", "localstack-licensed"),
        default="engine",
        help="what answers AWS calls (engine)",
    )
    stack_argument(compose)
    compose.set_defaults(run=_compose)
    port_argument(compose)


def _compose(options: argparse.Namespace, settings: Settings) -> int:
    from socketstack.kit.compose import Backend, compose_down, compose_up

    folder = Path()
    if options.action == "down":
        was_there = compose_down(folder, stack_name=options.stack_name, settings=settings, say=say)
        say("The containers are removed." if was_there else "No containers of ours are here.")
        return 0
    if options.backend == Backend.LICENSED:
        return _licensed(options, settings)
    running = compose_up(
        folder,
        backend=Backend(options.backend),
        stack_name=options.stack_name,
        settings=settings,
        say=say,
    )
    tell_where(running.endpoint, running.deployment.socket_urls, running.outputs_file)
    return 0


def _licensed(options: argparse.Namespace, settings: Settings) -> int:
    from socketstack.kit.licensed import licensed_up

    endpoint = licensed_up(Path(), stack_name=options.stack_name, settings=settings, say=say)
    say(f"AWS endpoint    {endpoint}   (AWS_ENDPOINT_URL)")
    say("LocalStack runs as it is, without our plugin: nothing is deployed, and there is no page.")
    return 0
