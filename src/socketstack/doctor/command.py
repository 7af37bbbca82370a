"""``socketstack doctor``: facts, checks and probes put together."""

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.text import Text

from socketstack.clock import Clock
from socketstack.doctor import probes, report
from socketstack.doctor.checks import examine
from socketstack.doctor.facts import Api
from socketstack.doctor.findings import Finding
from socketstack.doctor.live import Patient
from socketstack.doctor.probes import Tokens
from socketstack.errors import ConfigError
from socketstack.ids import RandomIds
from socketstack.kit.cloud import Cloud, aws_errors


def doctor_offline(api: Api, *, is_json: bool, show: Callable[[Text], None]) -> bool:
    """Examine what a template says of an API; whether it is healthy."""
    return _report(api, examine(api), is_json=is_json, show=show)


def doctor(
    cloud: Cloud,
    *,
    api_id: str | None,
    stack_name: str | None,
    stage_name: str | None,
    tokens: Tokens | None,
    is_json: bool,
    clock: Clock,
    show: Callable[[Text], None],
) -> bool:
    """Examine one API where it runs; whether it is healthy.

    Args:
        cloud: Where it runs.
        api_id: The API; None for that of the stack, or the only one.
        stack_name: The stack that made it.
        stage_name: The stage; None for the only one.
        tokens: What to probe with; None to make no handshakes.
        is_json: One JSON document instead of lines.
        clock: For the times in forged tokens.
        show: Takes the report, line by line.

    Raises:
        ConfigError: it is not clear which API or stage is meant, or there are no credentials.
        DeploymentFailed: AWS refused a read call that everything rests on.
    """
    patient = Patient(cloud, clock)
    with aws_errors():
        found = patient.find_api(api_id=api_id, stack_name=stack_name)
        api = patient.facts(found, stage_name)
        findings = examine(api)
        if tokens is not None:
            callback = patient.callback(api)
            findings += [callback] if callback is not None else []
            findings += patient.tried_authorizers(api, clock, RandomIds())
            findings += probes.run(api, tokens, clock, RandomIds())
    return _report(api, findings, is_json=is_json, show=show)


def _report(
    api: Api, findings: Sequence[Finding], *, is_json: bool, show: Callable[[Text], None]
) -> bool:
    if is_json:
        show(Text(report.as_json(api, findings)))
    else:
        for line in report.lines(api, findings):
            show(line)
    return report.is_healthy(findings)


def read_tokens(path: str | None) -> Tokens:
    """Tokens from a JSON file with any of the members good, expired and foreign.

    ``-`` is standard input; None is no file. Raises ``ConfigError``.
    """
    if path is None:
        return Tokens()
    try:
        text = sys.stdin.read() if path == "-" else Path(path).read_text()
        given = json.loads(text)
        tokens = Tokens(**given)
    except (OSError, ValueError, TypeError) as error:
        # The error may quote the file, which holds tokens.
        raise ConfigError(
            f"{path} cannot be read as tokens ({type(error).__name__}): give a JSON object with "
            'any of "good", "expired" and "foreign".'
        ) from None
    if not all(isinstance(value, str) for value in given.values()):
        raise ConfigError(f"{path}: tokens must be texts.")
    return tokens
