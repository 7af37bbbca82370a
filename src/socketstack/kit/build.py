"""Building: from a template and its sources to packages that Lambda takes as they are.

``.build/<target>/`` then holds one folder and one zip per resource with code, and a template
whose code properties point at the folders: the plain ``aws cloudformation package`` and
``deploy`` work on it, and Terraform can use the zips. A second build with nothing changed only
looks at the files' times.
"""

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from socketstack.errors import ConfigError
from socketstack.kit.archive import digest_of, write_archive
from socketstack.kit.code import Code, find_code
from socketstack.kit.packages import Installer, Runtime, Say, lambda_runtime
from socketstack.kit.sources import SourceFile, copy_files, fingerprint, source_files
from socketstack.kit.template import (
    Resource,
    Template,
    member,
    remove_member,
    text_of,
)

_FORMAT: Final = "1"
"""Part of every fingerprint: a change of this module's output makes everything anew."""
_OTHER_FILES: Final = {
    "AWS::Serverless::Api": ("DefinitionUri",),
    "AWS::Serverless::HttpApi": ("DefinitionUri",),
    "AWS::Serverless::StateMachine": ("DefinitionUri",),
    "AWS::Serverless::GraphQLApi": ("SchemaUri",),
    "AWS::Serverless::Application": ("Location",),
    "AWS::CloudFormation::Stack": ("TemplateURL",),
    "AWS::ApiGateway::RestApi": ("BodyS3Location",),
    "AWS::ApiGatewayV2::Api": ("BodyS3Location",),
    "AWS::StepFunctions::StateMachine": ("DefinitionS3Location",),
}
"""Local files that a template may name besides code: their paths must follow the template."""


class BuildTarget(StrEnum):
    """What packages are made for; also the folder's name below ``.build``."""

    LOCAL = "local"
    """This machine and this interpreter."""
    AWS = "aws"
    """The template's runtimes and architectures."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """The package of one resource: ``archive`` is its zip, ``digest`` that zip's SHA-256."""

    code: Code
    archive: Path
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Build:
    """What a build gave. ``template`` is the written template, ``folder`` where it lies."""

    folder: Path
    template: Path
    artifacts: tuple[Artifact, ...]


def build(
    template_path: Path,
    *,
    target: BuildTarget,
    output: Path = Path(".build"),
    parameters: Mapping[str, str] | None = None,
    constraints: Path | None = None,
    say: Say = lambda _line: None,
) -> Build:
    """Build everything that a template names.

    Args:
        template_path: SAM or CloudFormation template; code paths are relative to it.
        target: What the packages are to run on.
        output: Folder for builds; the result lies in its sub-folder of the target's name. It is
            below the current folder and not beside the template, as `sam build` has it: sources
            may be read-only (in a container they are), and all that we make is in one place.
        parameters: Values of template parameters, where runtime or architecture refer to one.
        constraints: pip constraints; None for the nearest ``constraints.txt`` above the template.
        say: Told about steps that take time.

    Raises:
        ConfigError: a source is missing, a requirement cannot be installed, or the template has
            no such parameter.
    """
    template = Template.load(template_path)
    template.check_parameters(parameters or {})
    folder = output.resolve() / target
    folder.mkdir(parents=True, exist_ok=True)
    installer = Installer(
        cache=output.resolve() / "packages",
        constraints=constraints or _nearest_constraints(template_path),
        say=say,
    )
    packager = _Packager(folder=folder, target=target, installer=installer, say=say)
    artifacts = tuple(packager.package(code) for code in find_code(template, parameters or {}))
    packager.finish({artifact.code.logical_id for artifact in artifacts})
    return Build(
        folder=folder,
        template=_write_template(template, artifacts, folder),
        artifacts=artifacts,
    )


class _Packager:
    """Makes packages, unless the last build's are still right."""

    def __init__(
        self, *, folder: Path, target: BuildTarget, installer: Installer, say: Say
    ) -> None:
        self._folder = folder
        self._target = target
        self._installer = installer
        self._say = say
        self._manifest = folder / "manifest.json"
        self._known = _read_manifest(self._manifest)

    def package(self, code: Code) -> Artifact:
        """The package of one resource, made or found."""
        archive = self._folder / f"{code.logical_id}.zip"
        files = [] if code.is_archive else source_files(code.source)
        if not files and not code.is_archive:
            message = (
                f"{code.property_name} of {code.logical_id} is the folder {code.source}, which "
                "holds no code. Put the function's files there, or correct the path."
            )
            raise ConfigError(message)
        mark = self._fingerprint(code, files)
        known = self._known.get(code.logical_id, {})
        if known.get("fingerprint") != mark or not self._is_kept(code, archive):
            self._say(f"Building {code.logical_id}")
            known = {"fingerprint": mark, "digest": self._make(code, files, archive)}
            self._known[code.logical_id] = known
        return Artifact(code=code, archive=archive, digest=known["digest"])

    def finish(self, logical_ids: set[str]) -> None:
        """Forget resources that the template has no more and write what is known."""
        for gone in self._known.keys() - logical_ids:
            del self._known[gone]
            shutil.rmtree(self._folder / gone, ignore_errors=True)
            (self._folder / f"{gone}.zip").unlink(missing_ok=True)
        _write_if_changed(self._manifest, json.dumps(self._known, indent=1, sort_keys=True))

    def _fingerprint(self, code: Code, files: list[SourceFile]) -> str:
        requirements = _requirements(code)
        parts = [_FORMAT, str(code.source), code.prefix, fingerprint(files)]
        if code.is_archive:
            parts.append(fingerprint([SourceFile(code.source.name, code.source)]))
        if requirements is not None:
            parts.append(self._installer.digest(requirements, self._runtime(code)))
        return "\n".join(parts)

    def _runtime(self, code: Code) -> Runtime | None:
        return lambda_runtime(code) if self._target is BuildTarget.AWS else None

    def _is_kept(self, code: Code, archive: Path) -> bool:
        requirements = _requirements(code)
        if requirements is not None and not self._installer.is_lasting(requirements):
            return False
        has_folder = code.is_archive or (self._folder / code.logical_id).is_dir()
        return has_folder and archive.is_file()

    def _make(self, code: Code, files: list[SourceFile], archive: Path) -> str:
        if code.is_archive:
            shutil.copy(code.source, archive)
            return digest_of(archive)
        folder = self._folder / code.logical_id
        unfinished = self._folder / f"{code.logical_id}.unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        contents = unfinished / code.prefix
        contents.mkdir(parents=True)
        requirements = _requirements(code)
        if requirements is not None:
            installed = self._installer.install(
                requirements, self._runtime(code), owner=code.logical_id
            )
            shutil.copytree(installed, contents, dirs_exist_ok=True)
        copy_files(files, contents)
        shutil.rmtree(folder, ignore_errors=True)
        unfinished.rename(folder)
        return write_archive(folder, archive)


def _requirements(code: Code) -> Path | None:
    """The requirements to install, None when there are none (comments do not count)."""
    path = code.source / "requirements.txt"
    if not code.is_installed or code.is_archive or not path.is_file():
        return None
    lines = (line.strip() for line in path.read_text(encoding="utf-8").splitlines())
    return path if any(line and not line.startswith("#") for line in lines) else None


def _write_template(template: Template, artifacts: tuple[Artifact, ...], folder: Path) -> Path:
    codes = {artifact.code.logical_id: artifact.code for artifact in artifacts}
    for resource in template.resources():
        code = codes.get(resource.logical_id)
        if code is not None:
            name = f"{code.logical_id}.zip" if code.is_archive else code.logical_id
            resource.set_property(code.property_name, name)
        _move_files(template, resource, folder)
    shared = template.global_properties("Function")
    if shared is not None and text_of(member(shared, "CodeUri")) is not None:
        remove_member(shared, "CodeUri")  # every function has its own by now
    path = folder / "template.yaml"
    _write_if_changed(path, template.text())
    return path


def _move_files(template: Template, resource: Resource, folder: Path) -> None:
    for name in _OTHER_FILES.get(resource.type, ()):
        path = text_of(member(resource.properties, name))
        if path is not None and (template.path.parent / path).exists():
            moved = os.path.relpath((template.path.parent / path).resolve(), folder)
            resource.set_property(name, Path(moved).as_posix())


def _nearest_constraints(template_path: Path) -> Path | None:
    for folder in template_path.resolve().parents:
        if (folder / "constraints.txt").is_file():
            return folder / "constraints.txt"
        if (folder / ".git").exists():
            return None
    return None


def _read_manifest(path: Path) -> dict[str, dict[str, str]]:
    try:
        known: dict[str, dict[str, str]] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return known


def _write_if_changed(path: Path, text: str) -> None:
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")
