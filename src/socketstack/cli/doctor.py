"""What is wrong with an API: ``doctor``."""

# ruff: noqa: PLC0415 - a command imports what it needs when it runs

import argparse
from pathlib import Path

from socketstack.cli.arguments import Commands, parameter_argument, target_argument
from socketstack.cli.output import FAILED
from socketstack.errors import ConfigError
from socketstack.settings import Settings


def add(commands: Commands) -> None:
    """Say what the command takes."""
    doctor = commands.add_parser("doctor", help="find out what is wrong with a deployed API")
    doctor.add_argument(
        "folder",
        type=Path,
        nargs="?",
        help="examine the Terraform files of this folder, and nothing deployed",
    )
    target_argument(doctor)
    doctor.add_argument("--api", metavar="ID", help="the API; else the stack's, or the only one")
    doctor.add_argument("--template", type=Path, help="examine this template, and nothing deployed")
    parameter_argument(doctor)
    doctor.add_argument("--stack-name", help="the stack that made the API")
    doctor.add_argument("--stage", metavar="NAME", help="the stage; else the only one")
    doctor.add_argument("--region", help="AWS region (AWS_REGION)")
    doctor.add_argument(
        "--tokens",
        metavar="FILE",
        help='JSON with tokens to try: "good", "expired", "foreign"; - is standard input',
    )
    doctor.add_argument("--no-probes", action="store_true", help="make no handshakes")
    doctor.add_argument("--json", action="store_true", help="print one JSON document")
    doctor.set_defaults(run=_doctor)


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
        return 0 if is_healthy else FAILED
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
    return 0 if is_healthy else FAILED
