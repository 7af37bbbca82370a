"""Terraform's AWS provider sets domain names, API keys and usage plans, and reads them back."""

import os
import shutil
from pathlib import Path

import pytest
from integration.cloudformation_server import cloudformation_world
from integration.test_controlplane_terraform import pytestmark, terraform

from socketstack.core.model import Throttle
from socketstack.core.usage import Period, Quota
from socketstack.store import Store

__all__ = ["pytestmark"]

MODULE = Path(__file__).with_name("domain_names.tf")
REGION = "us-east-1"
DOMAIN = "api.example.com"


def assert_step(store: Store, step: int) -> None:
    """What clients meet after a step."""
    [(path, _api)] = store.children((), "Api")
    api_id = path[-1]
    domain = store.domain(DOMAIN)
    [plan] = store.usage_plans(REGION).plans
    [key] = store.usage_plans(REGION).keys
    deployed = store.deployed_stage(api_id, "dev")
    assert domain is not None
    assert deployed is not None
    is_first = step == 1
    assert domain.mappings == {
        "": (api_id, "dev" if is_first else "prod"),
        "chat" if is_first else "talk": (api_id, "dev"),
    }
    assert plan.name == ("basic" if is_first else "gold")
    assert plan.stages == {(api_id, "prod"), *([(api_id, "dev")] if is_first else [])}
    assert plan.key_ids == {key.key_id}
    assert plan.quota == (Quota(limit=100, period=Period.WEEK, offset=2) if is_first else None)
    assert plan.throttle == (
        Throttle(rate_per_second=1.5, burst=5)
        if is_first
        else Throttle(rate_per_second=2.5, burst=6)
    )
    assert key.is_enabled == is_first
    assert deployed.snapshot.routes["$connect"].api_key_required == is_first
    assert deployed.settings.throttle_of("$default") == (
        Throttle(rate_per_second=5.0, burst=10)
        if is_first
        else Throttle(rate_per_second=2.5, burst=20)
    )


@pytest.mark.timeout(600)  # ten runs of Terraform, on machines that do other things too
async def test_every_plan_after_an_apply_is_empty(tmp_path: Path) -> None:
    """Setting, changing, clearing and setting again leave nothing to change, and destroy all."""
    shutil.copy(MODULE, tmp_path / "main.tf")
    mirror = os.environ.get("TF_PLUGIN_DIR")

    async with cloudformation_world() as world:
        await terraform(tmp_path, "init", *([f"-plugin-dir={mirror}"] if mirror else []))
        endpoint = f"-var=endpoint={world.url}"
        for step in (1, 2, 1):
            variables = (f"-var=step={step}", endpoint)
            await terraform(tmp_path, "apply", "-auto-approve", *variables)
            await terraform(tmp_path, "plan", "-detailed-exitcode", *variables)
            assert_step(world.store, step)
        await terraform(tmp_path, "destroy", "-auto-approve", "-var=step=1", endpoint)

        assert world.store.domain(DOMAIN) is None
        assert world.store.usage_plans(REGION).plans == ()
        assert world.store.usage_plans(REGION).keys == ()
        assert world.store.children((), "Api") == []
