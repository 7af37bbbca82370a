"""The engine on this machine: ``start``, ``up``, ``down``, ``status``, ``logs``."""

# ruff: noqa: PLC0415 - a command imports what it needs when it runs

import argparse
import asyncio
import gc
import signal
from collections.abc import Sequence
from pathlib import Path

from socketstack import __version__
from socketstack.cli.arguments import Commands, port_argument, template_arguments
from socketstack.cli.output import FAILED, say, show_step
from socketstack.settings import Settings


def add(commands: Commands) -> None:
    """Say what these commands take."""
    start = commands.add_parser("start", help="run the engine in the foreground")
    start.add_argument("--host", help="address to listen on (SOCKETSTACK_HOST, 127.0.0.1)")
    start.add_argument(
        "--state-dir", type=Path, help="folder that it belongs to (SOCKETSTACK_STATE_DIR)"
    )
    start.set_defaults(run=_start)

    up = commands.add_parser("up", help="build a template and run it on a background engine")
    template_arguments(up)
    up.set_defaults(run=_up)

    down = commands.add_parser("down", help="stop the background engine")
    down.set_defaults(run=_down)

    status = commands.add_parser("status", help="say what runs")
    status.set_defaults(run=_status)

    logs = commands.add_parser("logs", help="follow every step of the engine")
    logs.add_argument("--no-follow", action="store_true", help="print what is kept and end")
    logs.set_defaults(run=_logs)

    for command in (start, up, down, status, logs):
        port_argument(command)


def _start(_options: argparse.Namespace, settings: Settings) -> int:
    from socketstack.flavour import Flavour, flavour

    if flavour() is Flavour.LOCALSTACK:
        from socketstack.localstack.start import serve as serve_localstack

        serve_localstack(settings, show=show_step, say=say)  # ends the process
    gc.disable()  # what is loaded now stays: looking for garbage in it takes a sixth of the start
    asyncio.run(serve(settings))
    return 0


async def serve(settings: Settings) -> None:
    """Run an engine until SIGTERM or SIGINT. Raises ``ConfigError`` when the port is taken."""
    from socketstack.app import Engine
    from socketstack.console import StepPrinter

    engine = Engine(settings)
    printer = StepPrinter(show_step, say)
    engine.trace.subscribe(printer.take)
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    await engine.start()
    gc.freeze()
    gc.enable()
    try:
        say(f"Socketstack {__version__} is ready on {engine.endpoint}")
        await stopping.wait()
    finally:
        await engine.stop()
        printer.flush()


def _up(options: argparse.Namespace, settings: Settings) -> int:
    gc.disable()  # boto3 reads models of megabytes, and the command ends before garbage matters
    from socketstack.kit.up import up

    running = up(
        options.template,
        stack_name=options.stack_name,
        settings=settings,
        parameters=dict(options.parameter),
        say=say,
    )
    tell_where(running.endpoint, running.deployment.socket_urls, running.outputs_file)
    return 0


def _down(_options: argparse.Namespace, settings: Settings) -> int:
    from socketstack.kit.up import down

    pid = down(settings, say=say)
    say("No engine of ours runs." if pid is None else f"Stopped the engine (process {pid}).")
    return 0


def tell_where(endpoint: str, socket_urls: Sequence[str], outputs_file: Path) -> None:
    """Print where what was deployed is reached."""
    for url in socket_urls:
        say(f"WebSocket API   {url}")
    say(f"AWS endpoint    {endpoint}   (AWS_ENDPOINT_URL)")
    say(f"Outputs         {outputs_file}")


def _status(_options: argparse.Namespace, settings: Settings) -> int:
    from socketstack.kit.up import status

    current = status(settings)
    if current.health is None:
        say(f"No engine runs on port {settings.port}.")
        return FAILED
    say(f"Engine {current.health.version}, process {current.health.pid}, port {settings.port}")
    for name, value in current.outputs.items():
        say(f"{name}: {value}")
    return 0


def _logs(options: argparse.Namespace, settings: Settings) -> int:
    from socketstack.kit.logs import follow_logs

    follow_logs(settings, is_following=not options.no_follow)
    return 0
