"""The engine's own authority: made once, and not before somebody needs it."""

import subprocess
import sys
from pathlib import Path

from socketstack.tls import LocalAuthority


def test_engine_is_built_without_what_makes_certificates() -> None:
    """Loading that is a tenth of its start, and most engines answer before they need it."""
    look = (
        "import sys, socketstack.app; print(sorted({'cryptography', 'trustme'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True)

    assert done.stdout == "[]\n"


def test_files_are_there_once_they_are_asked_for(tmp_path: Path) -> None:
    """Not before; the bundle holds the outside's authorities and the engine's own, which stays."""
    outside = tmp_path / "outside.pem"
    outside.write_bytes(b"those of the outside")
    folder = tmp_path / "work"
    folder.mkdir()
    authority = LocalAuthority(folder, outside_bundle=str(outside))
    before = list(folder.iterdir())

    bundle, own = authority.bundle().read_bytes(), authority.certificate().read_bytes()

    assert before == []
    assert own.startswith(b"-----BEGIN CERTIFICATE-----")
    assert bundle == b"those of the outside\n" + own
    assert authority.bundle().read_bytes() == bundle
