"""``outputs.json`` in the state folder: what runs here, for scripts and for ``status``."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from socketstack.settings import Settings

if TYPE_CHECKING:
    from socketstack.kit.deploy import Deployment


def outputs_file(settings: Settings) -> Path:
    """Where ``up`` writes what it deployed."""
    return settings.state_dir / "outputs.json"


def read_outputs(settings: Settings) -> dict[str, object]:
    """What ``up`` wrote last; empty when there is nothing."""
    try:
        told: dict[str, object] = json.loads(outputs_file(settings).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return told


def write_outputs(
    settings: Settings, deployment: "Deployment", outputs: Mapping[str, str], *, endpoint: str
) -> Path:
    """Write down a deployment; ``outputs`` are those of its outputs that may be shown."""
    path = outputs_file(settings)
    path.parent.mkdir(parents=True, exist_ok=True)
    told = {
        "stackName": deployment.stack_name,
        "endpoint": endpoint,
        "region": settings.region,
        "webSocketUrls": list(deployment.socket_urls),
        "outputs": dict(outputs),
    }
    path.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
    return path
