"""Installing a function's requirements, for this machine or for Lambda, once per set.

pip does the work. What it installed is kept under a digest of everything that could change the
result, so the next build copies instead of installing.
"""

import hashlib
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from socketstack.errors import ConfigError
from socketstack.kit.code import Code
from socketstack.settings import environment

_WHEEL_MACHINES: Final = {"x86_64": "x86_64", "arm64": "aarch64"}
_AMAZON_LINUX_2023: Final = (3, 12)
"""The first runtime on Amazon Linux 2023; earlier ones have the C library of Amazon Linux 2."""
_OLDEST_GLIBC: Final = 17
_RUNTIME: Final = re.compile(r"python(\d+)\.(\d+)")
_NESTED: Final = re.compile(r"\s*(?:-r|-c|--requirement|--constraint)[ =]+(\S+)")
_OWN_CODE: Final = re.compile(r"\s*(?:-e|--editable|\.|/|file:)|[^#]*@\s*file:")
_NO_WHEEL: Final = re.compile(r"No matching distribution found for ([^\s(;]+)")
_SHOWN_LINES: Final = 8

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Runtime:
    """A Lambda runtime, as pip sees it: Python version and machine."""

    major: int
    minor: int
    machine: str

    def options(self) -> list[str]:
        """Options of pip for wheels that run there and nothing else."""
        newest = 34 if (self.major, self.minor) >= _AMAZON_LINUX_2023 else 26
        tags = [f"manylinux_2_{n}" for n in range(newest, _OLDEST_GLIBC - 1, -1)]
        platforms = [f"--platform={tag}_{self.machine}" for tag in (*tags, "manylinux2014")]
        version = f"--python-version={self.major}.{self.minor}"
        return [*platforms, version, "--implementation=cp", "--only-binary=:all:"]

    def __str__(self) -> str:
        return f"Python {self.major}.{self.minor} on Linux {self.machine}"


def lambda_runtime(code: Code) -> Runtime:
    """The runtime that a piece of code names. Raises ``ConfigError`` when it names none."""
    match = _RUNTIME.fullmatch(code.runtime or "")
    machine = _WHEEL_MACHINES.get(code.architecture)
    if match is None or machine is None:
        message = (
            f"{code.logical_id} has a requirements.txt, but runtime {code.runtime!r} on "
            f"{code.architecture!r} is not known to this build. Give it a plain Python runtime, "
            "for example python3.13, and x86_64 or arm64; for a layer as BuildMethod."
        )
        raise ConfigError(message)
    return Runtime(int(match[1]), int(match[2]), machine)


@dataclass(frozen=True, slots=True, kw_only=True)
class Installer:
    """Installs requirement files and keeps the results in ``cache``."""

    cache: Path
    constraints: Path | None
    say: Say

    def digest(self, requirements: Path, runtime: Runtime | None) -> str:
        """Names what ``install`` would give; ``runtime`` None stands for this interpreter."""
        digest = hashlib.sha256(repr(_place(runtime)).encode())
        for text in _texts(requirements, set()):
            digest.update(text.encode() + b"\0")
        if self.constraints is not None:
            digest.update(self.constraints.read_bytes())
        return digest.hexdigest()

    def is_lasting(self, requirements: Path) -> bool:
        """Whether the digest says it all: folders named in a file change without its change."""
        lines = (line for text in _texts(requirements, set()) for line in text.splitlines())
        return not any(_OWN_CODE.match(line) for line in lines)

    def install(self, requirements: Path, runtime: Runtime | None, *, owner: str) -> Path:
        """A folder with everything installed; not to be changed. Raises ``ConfigError``."""
        folder = self.cache / self.digest(requirements, runtime)[:32]
        if folder.is_dir() and self.is_lasting(requirements):
            return folder
        self.say(f"Installing requirements of {owner} for {runtime or 'this machine'}")
        unfinished = folder.with_suffix(".unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(parents=True)
        self._run_pip(requirements, runtime, unfinished, owner)
        _drop_scripts(unfinished)
        shutil.rmtree(folder, ignore_errors=True)
        unfinished.rename(folder)
        return folder

    def _run_pip(
        self, requirements: Path, runtime: Runtime | None, folder: Path, owner: str
    ) -> None:
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-input"]
        command += ["--disable-pip-version-check", "--no-compile", "--no-warn-conflicts"]
        command += [f"--target={folder}", f"--requirement={requirements}"]
        command += [f"--constraint={self.constraints}"] if self.constraints else []
        command += runtime.options() if runtime else []
        # A user's pip settings keep their index and proxies; these two contradict --target.
        settings = {**environment(), "PIP_USER": "0", "PIP_REQUIRE_VIRTUALENV": "0"}
        done = subprocess.run(  # noqa: S603 - our own interpreter, no shell
            command,
            env=settings,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise ConfigError(_explain(done.stderr, requirements, runtime, owner))


def _explain(output: str, requirements: Path, runtime: Runtime | None, owner: str) -> str:
    missing = _NO_WHEEL.search(output)
    if missing is not None and runtime is not None:
        return (
            f"{owner}: {missing[1]} has no ready-built wheel for {runtime} (asked for by "
            f"{requirements}). Choose a version that has one, or another architecture or runtime "
            "in the template."
        )
    if "No module named pip" in output:
        return (
            f"{owner}: {sys.executable} has no pip to install {requirements} with. "
            "Run `python -m ensurepip` in this environment."
        )
    lines = output.strip().splitlines()[-_SHOWN_LINES:]
    told = "\n".join(lines) or "pip said nothing"
    return f"{owner}: {requirements} could not be installed. Correct it and try again.\n{told}"


def _place(runtime: Runtime | None) -> tuple[str, ...]:
    if runtime is not None:
        return tuple(runtime.options())
    return (sys.implementation.cache_tag or "", platform.system(), platform.machine())


def _texts(requirements: Path, seen: set[Path]) -> list[str]:
    if requirements in seen or not requirements.is_file():
        return []
    seen.add(requirements)
    text = requirements.read_text(encoding="utf-8")
    nested = [requirements.parent / name for name in _NESTED.findall(text)]
    return [text, *(inner for path in nested for inner in _texts(path, seen))]


def _drop_scripts(folder: Path) -> None:
    # Console scripts start with this interpreter's path: of no use in Lambda, and the only thing
    # that would make packages differ between two machines.
    scripts = folder / "bin"
    if not scripts.is_dir():
        return
    dropped = [p for p in scripts.iterdir() if p.is_file() and p.read_bytes()[:2] == b"#!"]
    for path in dropped:
        path.unlink()
    if not any(scripts.iterdir()):
        scripts.rmdir()
    names = {f"bin/{path.name}" for path in dropped}
    for record in folder.glob("*.dist-info/RECORD"):
        lines = record.read_text(encoding="utf-8").splitlines(keepends=True)
        kept = [line for line in lines if line.split(",")[0].removeprefix("../../") not in names]
        record.write_text("".join(kept), encoding="utf-8")
