"""An image of LocalStack's own, for holders of a licence: started, and refused in plain words.

WebSocket APIs are built into it, so it runs without our plugin, deployment and page. It ends at
once when its licence cannot be activated; what it then says is long, and the cause is one line.
"""

import http.client
import json
import re
from pathlib import Path
from typing import Final

from socketstack.errors import DeploymentFailed
from socketstack.kit.client import EngineClient
from socketstack.kit.compose import (
    REMOVE,
    Backend,
    check_engine_port,
    check_other_backends,
    compose_of,
    failure,
)
from socketstack.kit.docker import Compose, End
from socketstack.kit.packages import Say
from socketstack.kit.waiting import poll, turn_in
from socketstack.settings import Settings, environment

_HEALTH: Final = "/_localstack/health"
_START_SECONDS: Final = 180.0
_POLL_SECONDS: Final = 0.2
_NO_LICENCE_EXIT: Final = 55
"""What LocalStack ends with when its licence cannot be activated."""
_ACTIVATION: Final = re.compile(r"(license|key) activation failed", re.IGNORECASE)
_TOKEN: Final = "LOCALSTACK_AUTH_TOKEN"  # noqa: S105 - a name


def licensed_up(
    folder: Path, *, stack_name: str, settings: Settings, say: Say = lambda _line: None
) -> str:
    """Start the image that ``LOCALSTACK_IMAGE`` names, and wait until it is healthy.

    Args:
        folder: Where ``docker-compose.yml`` lies.
        stack_name: As the compose file needs it; nothing is deployed.
        settings: The port.
        say: Told about steps that take time, and what Docker prints.

    Returns its address.

    Raises:
        ConfigError: as ``compose_up``.
        DeploymentFailed: it cannot be pulled, its licence is refused, or it does not get healthy.
            What was not up before is removed.
    """
    compose = compose_of(folder, stack_name, settings, say)
    service = Backend.LICENSED
    with turn_in(settings.state_dir, say=say):
        check_other_backends(compose, service)
        was_there = bool(compose.containers())
        if not was_there:
            check_engine_port(settings)
        is_up = False
        try:
            say("Starting LocalStack")
            started = compose.run("up", "--detach", "--remove-orphans", service)
            if started.code:
                raise DeploymentFailed(failure(compose, "LocalStack did not start.", started))
            endpoint = _wait_until_healthy(compose, settings)
            is_up = True
        finally:
            if not (is_up or was_there):
                compose.ask(*REMOVE)
        return endpoint


def _wait_until_healthy(compose: Compose, settings: Settings) -> str:
    client = EngineClient("localhost", settings.port)

    def look() -> End | bool | None:
        end = compose.end_of(Backend.LICENSED)
        return end if end is not None else (_is_healthy(client) or None)

    found = poll(look, every_seconds=_POLL_SECONDS, timeout_seconds=_START_SECONDS)
    if found is True:
        return client.endpoint
    if isinstance(found, End):
        raise DeploymentFailed(_end_message(compose, found))
    message = f"LocalStack does not get healthy at {client.endpoint}{_HEALTH}."
    raise DeploymentFailed(_without_token(failure(compose, message)))


def _is_healthy(client: EngineClient) -> bool:
    try:
        status, body = client.request("GET", _HEALTH)
        return status == http.client.OK and "services" in json.loads(body)
    except (OSError, http.client.HTTPException, ValueError):
        return False


def _end_message(compose: Compose, end: End) -> str:
    reason = licence_refusal(compose.log_of(Backend.LICENSED), end.code)
    if reason:
        return _without_token(
            f"LocalStack refuses its licence: {reason} Correct {_TOKEN}, which LocalStack's web "
            "application shows, or leave LOCALSTACK_IMAGE out: TARGET=localstack needs no token."
        )
    return _without_token(failure(compose, f"LocalStack ended with exit code {end.code}."))


def licence_refusal(log: str, code: int) -> str:
    """Why LocalStack refuses its licence, as a sentence; empty when it ended for another reason.

    Args:
        log: What it printed.
        code: Its exit code.
    """
    lines = [line.strip() for line in log.splitlines()]
    told = next((n for n, line in enumerate(lines) if _ACTIVATION.search(line)), None)
    if told is None:
        return "" if code != _NO_LICENCE_EXIT else "it does not say why."
    reason = next((line for line in lines[told + 1 :] if line.strip("=- ")), "")
    return f"{reason.partition('. ')[0].rstrip('.')}." if reason else "it does not say why."


def _without_token(text: str) -> str:
    token = environment().get(_TOKEN, "")
    return text.replace(token, f"<{_TOKEN}>") if token else text
