"""Terraform in the dev container: installed, left out, or refused, over a real HTTP server."""

import hashlib
import io
import platform
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from example_system import free_port

_SCRIPT = Path(__file__).parents[2] / ".devcontainer" / "install-terraform"

pytestmark = pytest.mark.skipif(
    platform.machine() not in {"x86_64", "aarch64"}, reason="no release for this machine is known"
)


@pytest.fixture
def archive() -> bytes:
    """A release as it is packed, with a program that tells what it is."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as files:
        files.writestr("LICENSE.txt", "a licence")
        files.writestr("terraform", "#!/bin/sh\necho I am Terraform\n")
    return packed.getvalue()


@pytest.fixture
def releases(tmp_path: Path, archive: bytes) -> Iterator[str]:
    """The address of a server that has the release."""
    name = {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()]
    folder = tmp_path / "releases" / "terraform" / "1.11.4"
    folder.mkdir(parents=True)
    (folder / f"terraform_1.11.4_linux_{name}.zip").write_bytes(archive)
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path / "releases"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def _install(to: Path, address: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, str(_SCRIPT), f"--to={to}", f"--from={address}", *arguments],
        env={"no_proxy": "*"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_release_is_installed(tmp_path: Path, archive: bytes, releases: str) -> None:
    """What was downloaded is there, runs, and is all that was unpacked."""
    to = tmp_path / "bin"

    done = _install(to, releases, f"--sha256={hashlib.sha256(archive).hexdigest()}")

    assert done.returncode == 0, done.stderr
    said = subprocess.run([to / "terraform"], capture_output=True, text=True, check=True).stdout
    assert said == "I am Terraform\n"
    assert [path.name for path in to.iterdir()] == ["terraform"]


def test_other_archive_than_the_released_is_refused(tmp_path: Path, releases: str) -> None:
    """A download with another digest than the pinned one fails the build; nothing is unpacked."""
    to = tmp_path / "bin"

    done = _install(to, releases)

    assert done.returncode == 1
    assert "is not the release" in done.stderr
    assert not to.exists()


def test_unreachable_release_is_left_out(tmp_path: Path) -> None:
    """Behind a firewall the build goes on, and says why there is no Terraform."""
    to = tmp_path / "bin"

    done = _install(to, f"http://127.0.0.1:{free_port()}")

    assert done.returncode == 0
    assert "Terraform is left out" in done.stdout
    assert "cannot be reached" in done.stdout
    assert not to.exists()
