"""Arguments that several commands take."""

import argparse
from pathlib import Path
from typing import Final, TypeAlias

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # noqa: SLF001 - it has no public name
"""Where a group of commands adds its own."""
_TARGETS: Final = ("embedded", "aws")


def template_arguments(parser: argparse.ArgumentParser) -> None:
    """Template, parameters, stack."""
    parser.add_argument(
        "--template", type=Path, required=True, help="SAM or CloudFormation template"
    )
    parameter_argument(parser)
    stack_argument(parser)


def parameter_argument(parser: argparse.ArgumentParser) -> None:
    """Values of parameters."""
    parser.add_argument(
        "--parameter",
        action="append",
        default=[],
        type=assignment,
        metavar="KEY=VALUE",
        help="value of a parameter or variable; may be repeated",
    )


def stack_argument(parser: argparse.ArgumentParser) -> None:
    """The name of the stack."""
    parser.add_argument("--stack-name", default="socketstack", help="name of the stack")


def target_argument(parser: argparse.ArgumentParser) -> None:
    """Engine or AWS."""
    parser.add_argument(
        "--target", choices=_TARGETS, default="embedded", help="what the packages are to run on"
    )


def assignment(text: str) -> tuple[str, str]:
    """``KEY=VALUE`` as a pair."""
    name, equals, value = text.partition("=")
    if not name or not equals:
        message = f"{text!r} is not KEY=VALUE"
        raise argparse.ArgumentTypeError(message)
    return name, value


def port_argument(parser: argparse.ArgumentParser) -> None:
    """The engine's port."""
    parser.add_argument(
        "--port", type=int, help="the engine's port (SOCKETSTACK_PORT, 4566); 0 for any free"
    )
