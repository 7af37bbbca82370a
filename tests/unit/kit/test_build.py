import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from socketstack.errors import ConfigError
from socketstack.kit.archive import write_archive
from socketstack.kit.build import Build, BuildTarget, build
from socketstack.kit.code import Code
from socketstack.kit.packages import lambda_runtime
from socketstack.kit.sources import source_files
from socketstack.kit.template import Template, member, text_of

_TEMPLATE = """\
Globals:
  Function: {Runtime: python3.13, CodeUri: functions/shared}
Resources:
  Echo:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: functions/echo
  Plain:
    Type: AWS::Lambda::Function
    Properties: {Code: functions/shared, Runtime: python3.13}
  Common:
    Type: AWS::Serverless::LayerVersion
    Metadata: {BuildMethod: python3.13}
    Properties: {ContentUri: functions/layer}
  Default:
    Type: AWS::Serverless::Function
  Inline:
    Type: AWS::Serverless::Function
    Properties: {InlineCode: 'x = 1'}
  Machine:
    Type: AWS::Serverless::StateMachine
    Properties: {DefinitionUri: machine.json}
"""

Builder = Callable[..., Build]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with two functions and a layer."""
    for name, source in {
        "functions/echo/handler.py": "import shared",
        "functions/echo/tests/test_handler.py": "",
        "functions/echo/__pycache__/handler.cpython-311.pyc": "",
        "functions/echo/.env": "SECRET=1",
        "functions/echo/inner/tests/data.txt": "kept",
        "functions/shared/handler.py": "x = 1",
        "functions/layer/common.py": "y = 1",
        "machine.json": "{}",
        "template.yaml": _TEMPLATE,
    }.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source)
    return tmp_path


@pytest.fixture
def builder(project: Path) -> Builder:
    """Builds the project, by default for this machine."""

    def run(target: BuildTarget = BuildTarget.LOCAL, say: Callable[[str], None] = print) -> Build:
        return build(project / "template.yaml", target=target, output=project / ".build", say=say)

    return run


def _wheel(folder: Path, name: str, tag: str = "py3-none-any", script: str = "") -> Path:
    """A wheel, made by hand: one module, and a console script when asked for."""
    info = f"{name}-1.0.dist-info"
    files = {
        f"{name}.py": "answer = 42\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n",
    }
    if script:
        files[f"{info}/entry_points.txt"] = f"[console_scripts]\n{script} = {name}:main\n"
    record = "".join(f"{path},,\n" for path in files) + f"{info}/RECORD,,\n"
    folder.mkdir(exist_ok=True)
    wheel = folder / f"{name}-1.0-{tag}.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, text in {**files, f"{info}/RECORD": record}.items():
            archive.writestr(path, text)
    return wheel


def _names(archive: Path) -> list[str]:
    with zipfile.ZipFile(archive) as package:
        return package.namelist()


def _archives(built: Build) -> dict[str, bytes]:
    return {a.code.logical_id: a.archive.read_bytes() for a in built.artifacts}


def test_sources_are_packed_without_what_does_not_belong(builder: Builder) -> None:
    """Dotfiles, caches and the tests beside the handler stay out; other folders go in."""
    built = builder()

    assert _names(built.folder / "Echo.zip") == ["handler.py", "inner/tests/data.txt"]
    assert _names(built.folder / "Common.zip") == ["python/common.py"]


def test_built_template_points_at_the_built_folders(builder: Builder, project: Path) -> None:
    """Every code property names a folder beside the template; the rest is as it was."""
    built = builder()

    template = Template.load(built.template)
    resources = {resource.logical_id: resource.properties for resource in template.resources()}
    assert text_of(member(resources["Echo"], "CodeUri")) == "Echo"
    assert text_of(member(resources["Plain"], "Code")) == "Plain"
    assert text_of(member(resources["Common"], "ContentUri")) == "Common"
    assert member(resources["Inline"], "CodeUri") is None
    assert member(template.global_properties("Function"), "CodeUri") is None
    moved = text_of(member(resources["Machine"], "DefinitionUri")) or ""
    assert (built.folder / moved).resolve() == project / "machine.json"


def test_function_without_properties_gets_its_code_from_globals(builder: Builder) -> None:
    """A function that leaves everything to Globals has its own code property when built."""
    built = builder()

    resources = {r.logical_id: r for r in Template.load(built.template).resources()}
    assert text_of(member(resources["Default"].properties, "CodeUri")) == "Default"


def test_same_sources_give_the_same_bytes(builder: Builder, project: Path) -> None:
    """Times, order and umask of the files do not change a zip."""
    first = _archives(builder())
    handler = project / "functions/echo/handler.py"
    os.utime(handler, (1_000_000_000, 1_000_000_000))
    handler.chmod(0o600)

    second = _archives(builder())

    assert second == first


def test_second_build_does_nothing(builder: Builder) -> None:
    """A build with nothing changed makes no package again."""
    built = builder()
    before = {path: path.stat().st_mtime_ns for path in built.folder.rglob("*")}
    told: list[str] = []

    again = builder(say=told.append)

    assert told == []
    assert {path: path.stat().st_mtime_ns for path in again.folder.rglob("*")} == before
    assert again.artifacts == built.artifacts


def test_saved_change_builds_that_resource_only(builder: Builder, project: Path) -> None:
    """A changed source gives a new package and a new digest, for its own resource."""
    before = {a.code.logical_id: a.digest for a in builder().artifacts}
    (project / "functions/echo/handler.py").write_text("import other")
    (project / "functions/echo/inner/tests/data.txt").unlink()
    told: list[str] = []

    built = builder(say=told.append)

    after = {a.code.logical_id: a.digest for a in built.artifacts}
    assert told == ["Building Echo"]
    assert {name for name in after if after[name] != before[name]} == {"Echo"}
    assert _names(built.folder / "Echo.zip") == ["handler.py"]


def test_resource_that_left_the_template_leaves_the_build(builder: Builder, project: Path) -> None:
    """What the template no longer names is gone from the build folder."""
    builder()
    (project / "template.yaml").write_text(
        "Resources:\n  Echo:\n    Type: AWS::Serverless::Function\n"
        "    Properties: {CodeUri: functions/echo}\n"
    )

    built = builder()

    assert sorted(path.name for path in built.folder.iterdir()) == [
        "Echo",
        "Echo.zip",
        "manifest.json",
        "template.yaml",
    ]


def test_broken_manifest_is_replaced(builder: Builder) -> None:
    """A build goes on when its own notes are unreadable."""
    built = builder()
    (built.folder / "manifest.json").write_text("{")

    again = builder()

    assert json.loads((again.folder / "manifest.json").read_text()).keys() == {
        "Echo",
        "Plain",
        "Common",
        "Default",
    }


def test_ready_made_zip_is_taken_as_it_is(project: Path, builder: Builder) -> None:
    """A zip that somebody else made is not touched."""
    write_archive(project / "functions/shared", project / "ready.zip")
    (project / "template.yaml").write_text(
        "Resources: {F: {Type: AWS::Serverless::Function, Properties: {CodeUri: ready.zip}}}"
    )

    built = builder()

    (resource,) = Template.load(built.template).resources()
    assert text_of(member(resource.properties, "CodeUri")) == "F.zip"
    assert (built.folder / "F.zip").read_bytes() == (project / "ready.zip").read_bytes()


def test_empty_folder_is_refused(project: Path, builder: Builder) -> None:
    """A function without a single file is a mistake, and said so."""
    (project / "functions/shared/handler.py").unlink()

    with pytest.raises(ConfigError, match="holds no code"):
        builder()


def test_programs_keep_their_mode(tmp_path: Path) -> None:
    """A file that can be executed can be executed in Lambda too."""
    (tmp_path / "in").mkdir()
    for name, mode in (("run", 0o700), ("read", 0o600)):
        (tmp_path / "in" / name).write_text("")
        (tmp_path / "in" / name).chmod(mode)

    write_archive(tmp_path / "in", tmp_path / "out.zip")

    with zipfile.ZipFile(tmp_path / "out.zip") as package:
        modes = {entry.filename: entry.external_attr >> 16 & 0o777 for entry in package.infolist()}
    assert modes == {"read": 0o644, "run": 0o755}


def test_dangling_link_is_refused(project: Path, builder: Builder) -> None:
    """A link to nothing is named."""
    (project / "functions/echo/lost.py").symlink_to("nowhere.py")

    with pytest.raises(ConfigError, match=r"lost\.py cannot be read"):
        builder()


def test_requirements_are_installed_once_beside_the_sources(
    project: Path, builder: Builder
) -> None:
    """A requirement is importable from the built folder and comes from the cache afterwards."""
    wheels = project / "wheels"
    _wheel(wheels, "kit_sample", script="sample")
    requirements = project / "functions/echo/requirements.txt"
    requirements.write_text(f"--no-index\n--find-links {wheels}\nkit_sample\n")
    first: list[str] = []
    second: list[str] = []

    built = builder(say=first.append)
    (project / "functions/echo/handler.py").write_text("import kit_sample")
    again = builder(say=second.append)

    assert "Installing requirements of Echo for this machine" in first
    assert second == ["Building Echo"]
    assert not (built.folder / "Echo" / "bin").exists()
    assert "bin/" not in (built.folder / "Echo/kit_sample-1.0.dist-info/RECORD").read_text()
    command = [sys.executable, "-I", "-c", "import sys; sys.path.insert(0, sys.argv[1])"]
    command[-1] += "; import kit_sample; print(kit_sample.answer)"
    done = subprocess.run(
        [*command, str(again.folder / "Echo")], capture_output=True, text=True, check=True
    )
    assert done.stdout == "42\n"


def test_pins_come_from_the_nearest_constraints(project: Path, builder: Builder) -> None:
    """A package that stands in constraints.txt is installed in that version or not at all."""
    wheels = project / "wheels"
    _wheel(wheels, "kit_sample")
    requirements = project / "functions/echo/requirements.txt"
    requirements.write_text(f"--no-index\n--find-links {wheels}\nkit_sample\n")
    (project / "constraints.txt").write_text("kit_sample==2.0\n")

    with pytest.raises(ConfigError, match=r"Echo: .*could not be installed"):
        builder()

    assert not (project / ".build/local/Echo").exists()


def test_requirement_without_a_wheel_for_lambda_is_named(project: Path, builder: Builder) -> None:
    """A package that is there only for another machine is refused by name for AWS."""
    wheels = project / "wheels"
    _wheel(wheels, "kit_sample", tag="cp313-cp313-macosx_11_0_arm64")
    requirements = project / "functions/echo/requirements.txt"
    requirements.write_text(f"--no-index\n--find-links {wheels}\nkit_sample\n")

    with pytest.raises(ConfigError) as caught:
        builder(BuildTarget.AWS)

    assert "Echo: kit_sample has no ready-built wheel for Python 3.13 on Linux x86_64" in str(
        caught.value
    )
    assert not (project / ".build/aws/Echo").exists()


def test_aws_build_takes_the_wheel_of_lambda(project: Path, builder: Builder) -> None:
    """Of two wheels, the one for the template's runtime and machine is packed, not ours."""
    wheels = project / "wheels"
    _wheel(wheels, "kit_sample", tag="cp313-cp313-manylinux_2_28_x86_64")
    requirements = project / "functions/echo/requirements.txt"
    requirements.write_text(f"--no-index\n--find-links {wheels}\nkit_sample\n")

    built = builder(BuildTarget.AWS)

    wheel = (built.folder / "Echo/kit_sample-1.0.dist-info/WHEEL").read_text()
    assert "manylinux_2_28_x86_64" in wheel
    assert built.folder == project / ".build/aws"


def test_local_requirement_is_never_taken_from_the_cache(project: Path, builder: Builder) -> None:
    """A wheel named by its path is installed anew, since it may have changed."""
    wheel = _wheel(project / "wheels", "kit_sample")
    requirements = project / "functions/echo/requirements.txt"
    requirements.write_text(f"--no-index\n{wheel}\n")
    builder()
    wheel.unlink()

    with pytest.raises(ConfigError, match="could not be installed"):
        builder()


@pytest.mark.parametrize(
    ("runtime", "architecture", "newest", "machine"),
    [
        pytest.param("python3.13", "x86_64", 34, "x86_64", id="amazon-linux-2023"),
        pytest.param("python3.11", "arm64", 26, "aarch64", id="amazon-linux-2"),
    ],
)
def test_wheels_fit_the_c_library_of_the_runtime(
    runtime: str, architecture: str, newest: int, machine: str
) -> None:
    """Runtimes before 3.12 have an older C library, and take no wheels for a newer one."""
    options = lambda_runtime(_code(runtime, architecture)).options()

    assert f"--platform=manylinux_2_{newest}_{machine}" in options
    assert f"--platform=manylinux_2_{newest + 1}_{machine}" not in options
    assert f"--platform=manylinux2014_{machine}" in options
    assert "--only-binary=:all:" in options


@pytest.mark.parametrize(
    ("runtime", "architecture"),
    [
        pytest.param(None, "x86_64", id="none"),
        pytest.param("nodejs22.x", "x86_64", id="not-python"),
        pytest.param("python3.13", "riscv64", id="unknown-machine"),
    ],
)
def test_unknown_runtime_is_refused(runtime: str | None, architecture: str) -> None:
    """A runtime that wheels cannot be chosen for is named, with the resource."""
    with pytest.raises(ConfigError, match="Echo has a requirements"):
        lambda_runtime(_code(runtime, architecture))


def test_source_files_are_sorted(project: Path) -> None:
    """The order does not depend on the file system."""
    names = [file.name for file in source_files(project / "functions")]

    assert names == sorted(names)
    assert "echo/tests/test_handler.py" in names


def _code(runtime: str | None, architecture: str) -> Code:
    return Code(
        logical_id="Echo",
        type="AWS::Serverless::Function",
        property_name="CodeUri",
        source=Path("/nowhere"),
        runtime=runtime,
        architecture=architecture,
    )
