"""Terraform's AWS provider against the control plane: what it sets, it reads back.

Needs ``terraform`` on the PATH and the AWS provider, from the registry or from the mirror folder
that ``TF_PLUGIN_DIR`` names. The whole module on the whole engine is tested in ``e2e``.
"""

import asyncio
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from controlplane_bench import Site, serving

pytestmark = [
    pytest.mark.terraform,
    pytest.mark.timeout(300),
    pytest.mark.skipif(
        shutil.which("terraform") is None, reason="terraform is not installed on this machine"
    ),
]
MODULE = Path(__file__).with_name("controlplane.tf")


async def terraform(folder: Path, *arguments: str) -> str:
    """One terraform command, which must succeed; its output."""
    environ = {**os.environ, "CHECKPOINT_DISABLE": "1", "TF_IN_AUTOMATION": "1"}
    environ.pop("TF_CLI_CONFIG_FILE", None)
    done = await asyncio.to_thread(
        subprocess.run,
        ["terraform", arguments[0], "-no-color", "-input=false", *arguments[1:]],
        cwd=folder,
        env=environ,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def apis(site: Site) -> list[str]:
    """Ids of all APIs there are."""
    return [path[-1] for path, _record in site.store.children((), "Api")]


async def test_every_plan_after_an_apply_is_empty(tmp_path: Path) -> None:
    """Setting, changing, clearing and setting again leave nothing to change, and destroy all."""
    shutil.copy(MODULE, tmp_path / "main.tf")
    mirror = os.environ.get("TF_PLUGIN_DIR")

    async with serving(can_log=True) as site:
        await terraform(tmp_path, "init", *([f"-plugin-dir={mirror}"] if mirror else []))
        endpoint = f"-var=endpoint={site.url}"
        for step in (1, 2, 1):
            variables = (f"-var=step={step}", endpoint)
            await terraform(tmp_path, "apply", "-auto-approve", *variables)
            await terraform(tmp_path, "plan", "-detailed-exitcode", *variables)
            (api_id,) = apis(site)
            deployed = site.store.deployed_stage(api_id, "dev")
            assert deployed is not None
            expected = {"$connect", "echo"} if step == 1 else {"$connect", "echo2"}
            assert set(deployed.snapshot.routes) == expected
        await terraform(tmp_path, "destroy", "-auto-approve", "-var=step=1", endpoint)

        assert apis(site) == []
