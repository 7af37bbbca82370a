"""What AWS adds to a function: an interpreter without site packages, and the runtime folder.

Two folders are made once per runner. ``python`` is an empty virtual environment over the base
interpreter, so that neither the function nor a Python it starts sees what the engine has
installed. ``runtime`` holds links to exactly the distributions that Lambda's Python runtimes
bring (awslambdaric and boto3 with what they need, resolved from their metadata) and a copy of
``runner.bootstrap``.
"""

import re
import shutil
import sys
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from typing import Final

from socketstack.errors import FunctionUnavailable

BOOTSTRAP: Final = "bootstrap.py"
_WARM: Final = "warm.py"
_BROUGHT: Final = ("awslambdaric", "boto3")
_NAME: Final = re.compile(r"[A-Za-z0-9._-]+")


def make_runtime_folder(folder: Path) -> None:
    """Link the runtime's distributions into a new folder. Raises ``FunctionUnavailable``."""
    folder.mkdir(parents=True)
    link_distributions(folder, _BROUGHT)
    shutil.copyfile(Path(__file__).with_name(BOOTSTRAP), folder / BOOTSTRAP)


def make_nursery_folder(folder: Path) -> None:
    """Copy what the warm parent runs into a new folder, from which no function can import it."""
    folder.mkdir()
    shutil.copyfile(Path(__file__).with_name(_WARM), folder / _WARM)


def make_python_folder(folder: Path) -> None:
    """Make an environment with the base interpreter and nothing installed."""
    base = Path(sys.base_exec_prefix) / "bin"
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    interpreter = next(
        (path for path in (base / f"python{version}", base / "python3") if path.exists()),
        Path(sys.executable).resolve(),
    )
    (folder / "bin").mkdir(parents=True)
    (folder / "lib" / f"python{version}" / "site-packages").mkdir(parents=True)
    for name in ("python", "python3", f"python{version}"):
        (folder / "bin" / name).symlink_to(interpreter)
    (folder / "pyvenv.cfg").write_text(
        f"home = {interpreter.parent}\ninclude-system-site-packages = false\n"
        f"version = {version}.{sys.version_info.micro}\n"
    )


def link_distributions(folder: Path, names: Iterable[str]) -> None:
    """Link distributions with all that they require into a folder.

    Raises ``FunctionUnavailable`` when one of them is not installed.
    """
    for distribution in _closure(names):
        for top in sorted({file.parts[0] for file in distribution.files or ()}):
            # ".." leads to scripts; compiled files of single modules lie in "__pycache__".
            if top not in {"..", "__pycache__"}:
                (folder / top).symlink_to(Path(str(distribution.locate_file(top))).resolve())


def _closure(names: Iterable[str]) -> list[metadata.Distribution]:
    found: dict[str, metadata.Distribution] = {}
    waiting = [(name, True) for name in names]
    while waiting:
        name, is_needed = waiting.pop()
        key = name.lower().replace("_", "-")
        if key in found:
            continue
        try:
            found[key] = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            if not is_needed:
                continue
            raise FunctionUnavailable(
                f"Functions cannot run: {name} is not installed. Install socketstack anew."
            ) from None
        waiting += [_required(line) for line in found[key].requires or () if "extra ==" not in line]
    return list(found.values())


def _required(requirement: str) -> tuple[str, bool]:
    """The name that a requirement starts with, and whether it holds everywhere."""
    match = _NAME.match(requirement)
    name = match.group() if match else requirement
    return name, ";" not in requirement
