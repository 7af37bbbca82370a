"""Deploying and destroying the Terraform twin, with the steps of the CloudFormation way.

The module is applied by the ``terraform`` command; the plan is the list of changes that people
agree to, and exactly that plan is applied. Each name, account and region has a workspace of its
own, so another AWS profile never meets the state of somebody else's account.
"""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from socketstack.errors import ConfigError, DeploymentFailed
from socketstack.kit import preflight
from socketstack.kit.build import BuildTarget, build
from socketstack.kit.cloud import Cloud, aws_cloud
from socketstack.kit.deploy import Ask, Kept, confirm
from socketstack.kit.packages import Say
from socketstack.kit.template import Template
from socketstack.settings import environment

_NO_CHANGES: Final = 0
_CHANGES: Final = 2
_WORD: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_SECRET_DAYS: Final = 30
"""How long Secrets Manager keeps what the provider deletes, unless told otherwise."""
_SHOWN_LINES: Final = 25


@dataclass(frozen=True, slots=True, kw_only=True)
class Module:
    """A Terraform module beside the template that it is the twin of."""

    folder: Path
    template: Path
    output: Path = Path(".build")
    """Where builds, the plan and outputs go."""

    @property
    def outputs_file(self) -> Path:
        """What ``deploy`` writes last: the stack's outputs, by the names of the template's."""
        return self.output / "terraform" / "outputs.json"


def deploy(
    module: Module,
    *,
    name: str,
    parameters: Mapping[str, str],
    tags: Mapping[str, str],
    region: str | None,
    ask: Ask,
    say: Say,
) -> dict[str, str]:
    """Look ahead, build, plan and apply; returns the outputs by the names of the template's.

    Args:
        module: What to apply.
        name: Prefix of everything that is made.
        parameters: By the names of the template's parameters.
        tags: Of every resource.
        region: Where; None for the environment's or the profile's.
        ask: Agrees to account and region, then to the plan.
        say: Told what happens.

    Raises:
        ConfigError: what the user can mend, ``terraform`` missing among it; or a no.
        DeploymentFailed: Terraform failed; what it made before stands in its state.
    """
    Template.load(module.template).check_parameters(parameters)
    cloud = aws_cloud(region)
    terraform = _Terraform(module, cloud, name, say)
    terraform.init()
    preflight.check(
        module.template,
        cloud,
        stack_name=name,
        parameters=parameters,
        # A variable that is not given has its default, whatever was applied before.
        standing={} if terraform.has_resources() else None,
        say=say,
    )
    confirm(f"Deploy {name} with Terraform", cloud, ask)
    built = build(
        module.template,
        target=BuildTarget.AWS,
        output=module.output,
        parameters=parameters,
        say=say,
    )
    variables = {
        "name": name,
        "build_dir": str(built.folder),
        "tags": json.dumps(dict(tags)),
        **{variable_name(key): value for key, value in parameters.items()},
    }
    with terraform.planned(variables) as is_change:
        if is_change:
            if not ask(f"Make these changes to {name}?"):
                raise ConfigError("Nothing was changed. Answer y, or set YES=1, to go on.")
            terraform.apply()
    outputs = terraform.outputs()
    module.outputs_file.write_text(json.dumps(outputs, indent=1) + "\n", encoding="utf-8")
    return outputs


def destroy(
    module: Module, *, name: str, region: str | None, ask: Ask, say: Say
) -> list[Kept] | None:
    """Destroy what ``deploy`` made; None when there is nothing. Returns what is kept, and why.

    Asks and raises as ``deploy`` does.
    """
    cloud = aws_cloud(region)
    terraform = _Terraform(module, cloud, name, say)
    terraform.init()
    if not terraform.has_resources():
        terraform.forget()
        return None
    secrets = terraform.secrets()
    with terraform.planned({"name": name, "build_dir": "."}, is_destroying=True):
        confirm(f"Destroy {name} and everything in it", cloud, ask)
        terraform.apply()
    terraform.forget()
    why = f"Secrets Manager keeps it for {_SECRET_DAYS} days, in case it is missed"
    return [Kept(name=f"AWS::SecretsManager::Secret {secret}", why=why) for secret in secrets]


def variable_name(parameter: str) -> str:
    """The Terraform variable of a template's parameter: ``JwksUrl`` is ``jwks_url``."""
    return _WORD.sub("_", parameter).lower()


class _Terraform:
    """The command, in one workspace."""

    def __init__(self, module: Module, cloud: Cloud, name: str, say: Say) -> None:
        program = shutil.which("terraform")
        if program is None:
            raise ConfigError(
                "The command terraform is not on the PATH. Install Terraform 1.11 or newer, or "
                "deploy with CloudFormation: leave IAC=terraform out."
            )
        self._program = program
        self._folder = module.folder
        self._say = say
        self._workspace = f"{name}-{cloud.account_id}-{cloud.region}"
        self._work = module.output.resolve() / "terraform"
        self._work.mkdir(parents=True, exist_ok=True)
        self._plan = self._work / f"{self._workspace}.tfplan"
        told = environment()
        self._plugins = told.get("TF_PLUGIN_DIR", "")
        self._environment = {
            **told,
            "AWS_REGION": cloud.region,
            "TF_IN_AUTOMATION": "1",
            "TF_INPUT": "0",
            "CHECKPOINT_DISABLE": "1",
        }

    def init(self) -> None:
        """Install the provider and choose the workspace."""
        plugins = [f"-plugin-dir={self._plugins}"] if self._plugins else []
        self._quietly("init", *plugins)
        self._quietly("workspace", "select", "-or-create", self._workspace)

    def has_resources(self) -> bool:
        """Whether the workspace's state knows anything."""
        return bool(self._resources())

    def secrets(self) -> list[str]:
        """Names of the secrets of the state."""
        shown = json.loads(self._quietly("show", "-json"))
        resources = shown.get("values", {}).get("root_module", {}).get("resources", [])
        return [
            one["values"]["name"]
            for one in resources
            if one["type"] == "aws_secretsmanager_secret" and one["mode"] == "managed"
        ]

    @contextmanager
    def planned(
        self, variables: Mapping[str, str], *, is_destroying: bool = False
    ) -> Iterator[bool]:
        """Show a plan, and keep it while the context is open; gives whether it changes anything."""
        options = [f"-var={name}={value}" for name, value in variables.items()]
        # Refreshing evaluates the module, which reads packages; who destroys need not have built.
        options += ["-destroy", "-refresh=false"] if is_destroying else []
        code = self._aloud("plan", "-detailed-exitcode", f"-out={self._plan}", *options)
        if code not in {_NO_CHANGES, _CHANGES}:
            raise DeploymentFailed("Terraform could not plan; what it said is above.")
        try:
            yield code == _CHANGES
        finally:
            self._plan.unlink(missing_ok=True)

    def apply(self) -> None:
        """Carry out the plan that was shown, and no other."""
        if self._aloud("apply", str(self._plan)):
            raise DeploymentFailed(
                "Terraform failed; the resource and the reason are above. What was made before "
                "stays, and the state knows it: correct the cause and run the same command again, "
                "or destroy."
            )

    def outputs(self) -> dict[str, str]:
        """The outputs, by the names of the template's: ``websocket_url`` is ``WebSocketUrl``."""
        told = json.loads(self._quietly("output", "-json"))
        return {
            _output_name(name): str(output["value"])
            for name, output in told.items()
            if output["value"] not in {None, ""}
        }

    def forget(self) -> None:
        """Remove the empty workspace."""
        self._quietly("workspace", "select", "default")
        self._quietly("workspace", "delete", self._workspace)

    def _resources(self) -> list[str]:
        return self._quietly("state", "list").split()

    def _quietly(self, *arguments: str) -> str:
        done = subprocess.run(  # noqa: S603 - found on the user's PATH, no shell
            [self._program, *arguments],
            cwd=self._folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode == 0:
            return done.stdout
        if arguments[:2] == ("state", "list") and "No state file was found" in done.stderr:
            return ""
        told = "\n".join(done.stderr.strip().splitlines()[-_SHOWN_LINES:])
        raise ConfigError(f"terraform {arguments[0]} failed in {self._folder}:\n{told}")

    def _aloud(self, command: str, *arguments: str) -> int:
        with subprocess.Popen(  # noqa: S603 - found on the user's PATH, no shell
            [self._program, command, "-no-color", *arguments],
            cwd=self._folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as running:
            assert running.stdout is not None
            for line in running.stdout:
                self._say(line.rstrip())
        return running.returncode


def _output_name(name: str) -> str:
    words = "".join(word.capitalize() for word in name.split("_"))
    return words.replace("Websocket", "WebSocket")
