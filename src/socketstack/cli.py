"""The command line: arguments to settings, errors to exit codes.

Exit codes: 0 done, 1 failed, 2 the user can mend it (``ConfigError``), 130 interrupted.
Commands import what they need when they run, so that none pays for another.
"""

# ruff: noqa: PLC0415

import argparse
import asyncio
import gc
import re
import signal
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from socketstack import __version__
from socketstack.errors import ConfigError, GatewayError
from socketstack.settings import Settings, from_environment, is_agreed

if TYPE_CHECKING:
    from socketstack.trace import TraceEvent

_FAILED: Final = 1
_MENDABLE: Final = 2
_INTERRUPTED: Final = 130
_TARGETS: Final = ("embedded", "aws")
_HYPHEN_ID: Final = re.compile(r"-[A-Za-z0-9_-]{14}=")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code."""
    options = _parser().parse_args(_readable(sys.argv[1:] if arguments is None else arguments))
    try:
        settings = from_environment(
            host=getattr(options, "host", None),
            port=getattr(options, "port", None),
            state_dir=getattr(options, "state_dir", None),
        )
        result: int = options.run(options, settings)
    except ConfigError as error:
        _complain(error)
        return _MENDABLE
    except GatewayError as error:
        _complain(error)
        return _FAILED
    except KeyboardInterrupt:
        return _INTERRUPTED
    else:
        return result


def _complain(error: GatewayError) -> None:
    print(f"socketstack: {error}", file=sys.stderr)


def _say(line: str) -> None:
    """Print a line. The work goes on when nobody reads about it any more (``up | head``)."""
    try:
        print(line, flush=True)
    except BrokenPipeError:
        from socketstack.kit.terminal import drop_output

        drop_output()


# Arguments


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="socketstack", description="Secured WebSocket APIs on AWS, on this machine first."
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    start = commands.add_parser("start", help="run the engine in the foreground")
    start.add_argument("--host", help="address to listen on (SOCKETSTACK_HOST, 127.0.0.1)")
    start.add_argument(
        "--state-dir", type=Path, help="folder that it belongs to (SOCKETSTACK_STATE_DIR)"
    )
    start.set_defaults(run=_start)

    up = commands.add_parser("up", help="build a template and run it on a background engine")
    _template_arguments(up)
    up.set_defaults(run=_up)

    down = commands.add_parser("down", help="stop the background engine")
    down.set_defaults(run=_down)

    status = commands.add_parser("status", help="say what runs")
    status.set_defaults(run=_status)

    logs = commands.add_parser("logs", help="follow every step of the engine")
    logs.add_argument("--no-follow", action="store_true", help="print what is kept and end")
    logs.set_defaults(run=_logs)

    trace = _trace_commands(commands)

    skip = commands.add_parser("skip", help="move API Gateway's time forward, to meet its limits")
    skip.add_argument("amount", nargs="?", help="how far, for example 10m, 1h30m or 90s")
    skip.add_argument(
        "--to",
        choices=("idle", "lifetime"),
        help="stop just before ten minutes of silence, or before two hours in all",
    )
    skip.add_argument("--before", metavar="TIME", help="how long before that limit (1s)")
    skip.add_argument(
        "--connection", metavar="ID", help="whose limit (the connection that meets it first)"
    )
    skip.set_defaults(run=_skip)

    compose = commands.add_parser("compose", help="the example system in containers (Docker)")
    compose.add_argument("action", choices=("up", "down"), help="bring it up, or remove it")
    compose.add_argument(
        "--backend",
        choices=("engine", "localstack", "localstack-licensed"),
        default="engine",
        help="what answers AWS calls (engine)",
    )
    _stack_argument(compose)
    compose.set_defaults(run=_compose)

    for command in (start, up, down, status, logs, trace, skip, compose):
        command.add_argument(
            "--port", type=int, help="the engine's port (SOCKETSTACK_PORT, 4566); 0 for any free"
        )

    build = commands.add_parser("build", help="build the functions and layers of a template")
    _template_arguments(build)
    _target_argument(build)
    build.set_defaults(run=_build)

    doctor = commands.add_parser("doctor", help="find out what is wrong with a deployed API")
    _doctor_arguments(doctor)
    doctor.set_defaults(run=_doctor)

    _aws_commands(commands)
    return parser


def _aws_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    deploy = commands.add_parser("deploy", help="deploy a template to an AWS account or engine")
    _template_arguments(deploy)
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
        type=_assignment,
        metavar="KEY=VALUE",
        help="tag of the stack and its resources, on AWS; may be repeated",
    )
    deploy.set_defaults(run=_deploy)

    destroy = commands.add_parser("destroy", help="delete a stack from an AWS account")
    _stack_argument(destroy)
    destroy.add_argument("--region", help="AWS region (AWS_REGION)")
    destroy.add_argument(
        "--terraform", type=Path, metavar="FOLDER", help="destroy what this Terraform module made"
    )
    destroy.set_defaults(run=_destroy)

    cost = commands.add_parser("cost", help="estimate what a month costs on AWS, with arithmetic")
    _cost_arguments(cost)
    cost.set_defaults(run=_cost)


def _readable(arguments: Sequence[str]) -> list[str]:
    """Arguments, with a space before ids that begin with a hyphen: no options (10.19)."""
    return [f" {each}" if _HYPHEN_ID.fullmatch(each) else each for each in arguments]


def _trace_commands(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]",
) -> argparse.ArgumentParser:
    trace = commands.add_parser("trace", help="what was decided, and why, step by step")
    trace.add_argument(
        "id",
        nargs="?",
        type=str.strip,
        help="request id or connection id; without one, the newest are listed",
    )
    trace.add_argument("--all", action="store_true", help="list what went well too")
    trace.add_argument("--limit", type=int, default=20, help="how many to list (20)")
    trace.add_argument("--json", action="store_true", help="print JSON")
    trace.set_defaults(run=_trace)

    explain = commands.add_parser("explain", help="what an error code (SS-…) means, and what helps")
    explain.add_argument("code", help="for example SS-201")
    explain.set_defaults(run=_explain)
    return trace


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


def _doctor_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "folder",
        type=Path,
        nargs="?",
        help="examine the Terraform files of this folder, and nothing deployed",
    )
    _target_argument(parser)
    parser.add_argument("--api", metavar="ID", help="the API; else the stack's, or the only one")
    parser.add_argument("--template", type=Path, help="examine this template, and nothing deployed")
    _parameter_argument(parser)
    parser.add_argument("--stack-name", help="the stack that made the API")
    parser.add_argument("--stage", metavar="NAME", help="the stage; else the only one")
    parser.add_argument("--region", help="AWS region (AWS_REGION)")
    parser.add_argument(
        "--tokens",
        metavar="FILE",
        help='JSON with tokens to try: "good", "expired", "foreign"; - is standard input',
    )
    parser.add_argument("--no-probes", action="store_true", help="make no handshakes")
    parser.add_argument("--json", action="store_true", help="print one JSON document")


def _template_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--template", type=Path, required=True, help="SAM or CloudFormation template"
    )
    _parameter_argument(parser)
    _stack_argument(parser)


def _parameter_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--parameter",
        action="append",
        default=[],
        type=_assignment,
        metavar="KEY=VALUE",
        help="value of a parameter or variable; may be repeated",
    )


def _stack_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--stack-name", default="socketstack", help="name of the stack")


def _target_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--target", choices=_TARGETS, default="embedded", help="what the packages are to run on"
    )


def _assignment(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        message = f"{text!r} is not KEY=VALUE"
        raise argparse.ArgumentTypeError(message)
    return name, value


# Commands


def _start(_options: argparse.Namespace, settings: Settings) -> int:
    from socketstack.flavour import Flavour, flavour

    if flavour() is Flavour.LOCALSTACK:
        from socketstack.localstack.start import serve as serve_localstack

        serve_localstack(settings, show=_show_step, say=_say)  # ends the process
    gc.disable()  # what is loaded now stays: looking for garbage in it takes a sixth of the start
    asyncio.run(serve(settings))
    return 0


def _show_step(event: "TraceEvent") -> None:
    from socketstack.kit.terminal import drop_output, print_event

    try:
        print_event(event.as_json())
    except BrokenPipeError:
        drop_output()


async def serve(settings: Settings) -> None:
    """Run an engine until SIGTERM or SIGINT. Raises ``ConfigError`` when the port is taken."""
    from socketstack.app import Engine
    from socketstack.console import StepPrinter

    engine = Engine(settings)
    printer = StepPrinter(_show_step, _say)
    engine.trace.subscribe(printer.take)
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    await engine.start()
    gc.freeze()
    gc.enable()
    try:
        _say(f"Socketstack {__version__} is ready on {engine.endpoint}")
        await stopping.wait()
    finally:
        await engine.stop()
        printer.flush()


def _up(options: argparse.Namespace, settings: Settings) -> int:
    from socketstack.kit.up import up

    running = up(
        options.template,
        stack_name=options.stack_name,
        settings=settings,
        parameters=dict(options.parameter),
        say=_say,
    )
    _tell_where(running.endpoint, running.deployment.socket_urls, running.outputs_file)
    return 0


def _down(_options: argparse.Namespace, settings: Settings) -> int:
    from socketstack.kit.up import down

    pid = down(settings, say=_say)
    _say("No engine of ours runs." if pid is None else f"Stopped the engine (process {pid}).")
    return 0


def _compose(options: argparse.Namespace, settings: Settings) -> int:
    from socketstack.kit.compose import Backend, compose_down, compose_up

    folder = Path()
    if options.action == "down":
        was_there = compose_down(folder, stack_name=options.stack_name, settings=settings, say=_say)
        _say("The containers are removed." if was_there else "No containers of ours are here.")
        return 0
    if options.backend == Backend.LICENSED:
        return _licensed(options, settings)
    running = compose_up(
        folder,
        backend=Backend(options.backend),
        stack_name=options.stack_name,
        settings=settings,
        say=_say,
    )
    _tell_where(running.endpoint, running.deployment.socket_urls, running.outputs_file)
    return 0


def _licensed(options: argparse.Namespace, settings: Settings) -> int:
    from socketstack.kit.licensed import licensed_up

    endpoint = licensed_up(Path(), stack_name=options.stack_name, settings=settings, say=_say)
    _say(f"AWS endpoint    {endpoint}   (AWS_ENDPOINT_URL)")
    _say("LocalStack runs as it is, without our plugin: nothing is deployed, and there is no page.")
    return 0


def _tell_where(endpoint: str, socket_urls: Sequence[str], outputs_file: Path) -> None:
    for url in socket_urls:
        _say(f"WebSocket API   {url}")
    _say(f"AWS endpoint    {endpoint}   (AWS_ENDPOINT_URL)")
    _say(f"Outputs         {outputs_file}")


def _status(_options: argparse.Namespace, settings: Settings) -> int:
    from socketstack.kit.up import status

    current = status(settings)
    if current.health is None:
        _say(f"No engine runs on port {settings.port}.")
        return _FAILED
    _say(f"Engine {current.health.version}, process {current.health.pid}, port {settings.port}")
    for name, value in current.outputs.items():
        _say(f"{name}: {value}")
    return 0


def _logs(options: argparse.Namespace, settings: Settings) -> int:
    from socketstack.kit.logs import follow_logs

    follow_logs(settings, is_following=not options.no_follow)
    return 0


def _trace(options: argparse.Namespace, settings: Settings) -> int:
    import json

    from socketstack.kit.traces import list_line, read_trace, read_traces, trace_lines

    if options.id is not None:
        trace = read_trace(settings, options.id)
        lines = [json.dumps(trace, indent=2)] if options.json else trace_lines(trace)
    else:
        traces = read_traces(settings, only_refused=not options.all, limit=options.limit)
        nothing = "Nothing was refused." if not options.all else "Nothing happened yet."
        lines = [list_line(trace) for trace in reversed(traces)] or [nothing]
        if options.json:
            lines = [json.dumps({"traces": traces}, indent=2)]
    for line in lines:
        _say(line)
    return 0


def _explain(options: argparse.Namespace, _settings: Settings) -> int:
    from socketstack.core.causes import BY_CODE

    cause = BY_CODE.get(options.code.upper())
    if cause is None:
        message = f"There is no code {options.code!r}: {min(BY_CODE)} to {max(BY_CODE)} exist."
        raise ConfigError(message)
    _say(f"{cause.code}  {cause.means}")
    _say(f"Fix     {cause.fix}")
    if cause.rules:
        _say(f"Rules   {', '.join(cause.rules)} (docs/parity.md)")
    _say(f"More    {cause.page}")
    return 0


def _skip(options: argparse.Namespace, settings: Settings) -> int:
    from socketstack.kit.skip import skip

    done = skip(
        settings,
        amount=options.amount,
        to=options.to,
        before=options.before,
        connection_id=options.connection,
    )
    _say(f"Skipped {done.moved_seconds:g} s. For API Gateway it is now {done.now}.")
    _say(f"Connections that this closes: {done.ending}. Functions and tokens keep real time.")
    if done.next_to_end is not None:
        connection_id, ends_in, limit = done.next_to_end
        _say(f"Next: {connection_id} closes in {ends_in:g} s ({limit}).")
    return 0


def _build(options: argparse.Namespace, _settings: Settings) -> int:
    from socketstack.kit.build import BuildTarget, build

    target = BuildTarget.AWS if options.target == "aws" else BuildTarget.LOCAL
    built = build(options.template, target=target, parameters=dict(options.parameter), say=_say)
    for artifact in built.artifacts:
        _say(f"{artifact.code.logical_id:<24} {artifact.archive}")
    _say(f"{'template':<24} {built.template}")
    return 0


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
            say=_say,
        )
    else:
        deployment = deploy_to_aws(
            options.template,
            stack_name=options.stack_name,
            parameters=dict(options.parameter),
            tags=dict(options.tag),
            region=options.region,
            ask=_ask,
            say=_say,
        )
    for name, value in deployment.outputs.items():
        _say(f"{name:<16} {value}")
    return 0


def _deploy_with_terraform(options: argparse.Namespace) -> int:
    from socketstack.kit import terraform

    outputs = terraform.deploy(
        terraform.Module(folder=options.terraform, template=options.template),
        name=options.stack_name,
        parameters=dict(options.parameter),
        tags=dict(options.tag),
        region=options.region,
        ask=_ask,
        say=_say,
    )
    for name, value in outputs.items():
        _say(f"{name:<16} {value}")
    return 0


def _doctor(options: argparse.Namespace, settings: Settings) -> int:
    from rich.console import Console

    from socketstack.clock import SystemClock
    from socketstack.doctor.command import doctor, doctor_offline, read_tokens
    from socketstack.doctor.template import read_template
    from socketstack.doctor.terraform import read_folder
    from socketstack.kit.cloud import aws_cloud, local_cloud

    is_local = options.target == "embedded"
    console = Console(highlight=False, emoji=False, markup=False, soft_wrap=True)
    given, region = dict(options.parameter), options.region or settings.region
    if options.folder is not None and options.template is not None:
        raise ConfigError("Name a Terraform folder or a template, not both.")
    if options.folder is not None or options.template is not None:
        api = (
            read_folder(options.folder, variables=given, region=region, api_name=options.api)
            if options.folder is not None
            else read_template(
                options.template, parameters=given, region=region, api_name=options.api
            )
        )
        is_healthy = doctor_offline(api, is_json=options.json, show=console.print)
        return 0 if is_healthy else _FAILED
    is_healthy = doctor(
        local_cloud(settings) if is_local else aws_cloud(options.region),
        api_id=options.api,
        stack_name=options.stack_name,
        stage_name=options.stage,
        tokens=None if options.no_probes else read_tokens(options.tokens),
        is_json=options.json,
        clock=SystemClock(),
        show=console.print,
    )
    return 0 if is_healthy else _FAILED


def _destroy(options: argparse.Namespace, _settings: Settings) -> int:
    from socketstack.kit import terraform
    from socketstack.kit.deploy import destroy_on_aws

    if options.terraform is not None:
        # Any template would do: destroying looks at the state alone.
        module = terraform.Module(folder=options.terraform, template=Path())
        kept = terraform.destroy(
            module, name=options.stack_name, region=options.region, ask=_ask, say=_say
        )
    else:
        kept = destroy_on_aws(
            stack_name=options.stack_name, region=options.region, ask=_ask, say=_say
        )
    if kept is None:
        _say(f"There is no stack {options.stack_name}.")
        return 0
    _say(f"The stack {options.stack_name} is deleted.")
    for one in kept:
        _say(f"kept: {one.name} ({one.why})")
    return 0


def _cost(options: argparse.Namespace, _settings: Settings) -> int:
    from socketstack.kit.cost import Usage, estimate, table

    given = {name: getattr(options, name) for name in Usage.__slots__}
    usage = Usage(**{name: value for name, value in given.items() if value is not None})
    for line in table(estimate(usage)):
        _say(line)
    return 0


def _ask(question: str) -> bool:
    if is_agreed():
        _say(f"{question} YES=1")
        return True
    if not sys.stdin.isatty():
        return False
    return input(f"{question} [y/N] ").strip().lower() in {"y", "yes"}
