"""The command line: arguments to settings, errors to exit codes.

Exit codes: 0 done, 1 failed, 2 the user can mend it (``ConfigError``), 130 interrupted.
One module for each group of commands: ``add`` says what they take, the rest does them. Commands
import what they need when they run, so that none pays for another.
"""

import argparse
import re
import sys
from collections.abc import Sequence
from typing import Final

from socketstack import __version__
from socketstack.cli import aws, build, containers, doctor, engine, skip, traces
from socketstack.cli.output import FAILED, complain
from socketstack.errors import ConfigError, GatewayError
from socketstack.settings import from_environment

_MENDABLE: Final = 2
_INTERRUPTED: Final = 130
_GROUPS: Final = (engine, traces, skip, containers, build, doctor, aws)
"""In the order in which ``--help`` lists their commands."""
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
        complain(error)
        return _MENDABLE
    except GatewayError as error:
        complain(error)
        return FAILED
    except KeyboardInterrupt:
        return _INTERRUPTED
    else:
        return result


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="socketstack", description="Secured WebSocket APIs on AWS, on this machine first."
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for group in _GROUPS:
        group.add(commands)
    return parser


def _readable(arguments: Sequence[str]) -> list[str]:
    """Arguments, with a space before ids that begin with a hyphen: no options (10.19)."""
    return [f" {each}" if _HYPHEN_ID.fullmatch(each) else each for each in arguments]
