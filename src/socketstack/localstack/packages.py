"""The zips of functions and layers, fetched from LocalStack when it prepares a version.

LocalStack keeps code in an S3 bucket of its own and reads it over HTTP. The event loop must not
wait for that, so the zips are fetched in LocalStack's thread and lie in files from then on. They
stay as long as the engine: published versions share them.
"""

from functools import partial
from pathlib import Path
from typing import Any, Final

from socketstack.errors import FunctionUnavailable
from socketstack.runner.base import Package

_SUFFIX: Final = ".zip"


class FetchedPackages:
    """Zips by LocalStack's id of them, in a folder. Can be used from any thread."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def fetch(self, code: Any) -> None:
        """Bring the zip of one code record (``S3Code``); what is here is not fetched again.

        Raises ``FunctionUnavailable`` for code that is no zip, such as a mounted folder.
        """
        if not hasattr(code, "s3_key"):
            raise FunctionUnavailable(
                "The process executor runs zips, not mounted folders. Deploy the code as a zip; "
                "`socketstack up` makes saved changes live."
            )
        path = self._path(code)
        if path.is_file():
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        with part.open("wb") as file:
            code._download_archive_to_file(file)  # noqa: SLF001 - the way LocalStack reads it
        part.rename(path)

    def package(self, code: Any) -> Package:
        """One code record as the runner sees it.

        Who may call a function is asked whether its code is here or not, so only reading it
        raises ``FunctionUnavailable``.
        """
        return Package(digest=str(getattr(code, "code_sha256", "")), read=partial(self._read, code))

    def _read(self, code: Any) -> bytes:
        path = self._path(code) if hasattr(code, "s3_key") else None
        if path is None or not path.is_file():
            raise FunctionUnavailable(
                "The function's code is not here: its state is not Active yet, or its preparation "
                "failed. `aws lambda get-function` says which."
            )
        return path.read_bytes()

    def _path(self, code: Any) -> Path:
        return self._folder / f"{code.id}{_SUFFIX}"
