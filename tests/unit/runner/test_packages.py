import io
import stat
import warnings
import zipfile
from pathlib import Path

import pytest

from socketstack.errors import FunctionUnavailable
from socketstack.runner.base import Package
from socketstack.runner.packages import Packages, unpack


def archive(*entries: tuple[str, bytes, int]) -> bytes:
    """A zip with entries of a name, a content and a Unix mode."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as written, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a name may be there twice
        for name, content, mode in entries:
            entry = zipfile.ZipInfo(name)
            written.writestr(entry, content)
            entry.external_attr = mode << 16
    return buffer.getvalue()


FILE, PROGRAM, LINK = stat.S_IFREG | 0o644, stat.S_IFREG | 0o755, stat.S_IFLNK | 0o777


def test_files_folders_and_modes_come_out(tmp_path: Path) -> None:
    """Files lie where the zip has them, and programs can be run."""
    size = unpack(
        archive(
            ("lib/", b"", stat.S_IFDIR | 0o755),
            ("lib/a.py", b"a = 1", FILE),
            ("bin/tool", b"#!/bin/sh", PROGRAM),
            ("plain", b"", 0),
        ),
        tmp_path,
    )

    assert size == 14
    assert (tmp_path / "lib/a.py").read_bytes() == b"a = 1"
    assert stat.S_IMODE((tmp_path / "bin/tool").stat().st_mode) == 0o755
    assert stat.S_IMODE((tmp_path / "plain").stat().st_mode) == 0o644


def test_link_inside_the_package_is_kept(tmp_path: Path) -> None:
    """A link to another file of the package works."""
    unpack(archive(("lib/real.so", b"code", FILE), ("lib/link.so", b"real.so", LINK)), tmp_path)

    assert (tmp_path / "lib/link.so").is_symlink()
    assert (tmp_path / "lib/link.so").read_bytes() == b"code"


@pytest.mark.parametrize(
    "entries",
    [
        pytest.param([("../evil", b"x", FILE)], id="parent"),
        pytest.param([("a/../../evil", b"x", FILE)], id="inner-parent"),
        pytest.param([("/evil", b"x", FILE)], id="absolute"),
        pytest.param([("link", b"../evil", LINK)], id="link-out"),
        pytest.param([("link", b"/etc", LINK)], id="absolute-link"),
        pytest.param([("link", b"..", LINK), ("link/evil", b"x", FILE)], id="through-link"),
        pytest.param([("a", b".", LINK), ("a/b", b"..", LINK)], id="link-by-link"),
        pytest.param(
            [
                ("deep/", b"", stat.S_IFDIR | 0o755),
                ("deep/s", b".", LINK),
                ("out", b"deep/s/../..", LINK),
            ],
            id="destination-by-link",
        ),
        pytest.param(
            [
                ("deep/", b"", stat.S_IFDIR | 0o755),
                ("out", b"deep/s/../..", LINK),
                ("deep/s", b".", LINK),
                ("out/evil", b"x", FILE),
            ],
            id="link-turned-later",
        ),
        pytest.param([("../evil/", b"", stat.S_IFDIR | 0o755)], id="folder"),
    ],
)
def test_name_that_leads_out_is_refused(
    tmp_path: Path, entries: list[tuple[str, bytes, int]]
) -> None:
    """A package that would write outside its folder is refused and writes nothing there."""
    folder = tmp_path / "inner"
    folder.mkdir()

    with pytest.raises(FunctionUnavailable, match="leads out of it"):
        unpack(archive(*entries), folder)

    assert [path.name for path in tmp_path.iterdir()] == ["inner"]


def test_link_is_replaced_and_not_written_through(tmp_path: Path) -> None:
    """A later file of the same name replaces a link; the link's target stays."""
    unpack(
        archive(("real", b"kept", FILE), ("name", b"real", LINK), ("name", b"new", FILE)), tmp_path
    )

    assert (tmp_path / "real").read_bytes() == b"kept"
    assert (tmp_path / "name").read_bytes() == b"new"


def test_package_above_the_limit_is_refused(tmp_path: Path) -> None:
    """What is too large unpacked is refused before anything is written."""
    with pytest.raises(FunctionUnavailable, match="262144000"):
        unpack(archive(("a", b"12345", FILE)), tmp_path, at_most_bytes=4)

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("data", [b"", b"no zip", archive(("a", b"12345", FILE))[:-30]])
def test_what_is_no_zip_is_refused(tmp_path: Path, data: bytes) -> None:
    """A damaged package is refused by name."""
    with pytest.raises(FunctionUnavailable, match="cannot be unpacked"):
        unpack(data, tmp_path)


async def test_refused_package_leaves_nothing_behind(tmp_path: Path) -> None:
    """After a refusal the folder of packages is empty, and the next try refuses again."""
    packages = Packages(tmp_path)
    bad = Package(digest="bad", read=lambda: archive(("good", b"", FILE), ("../evil", b"x", FILE)))

    for _ in range(2):
        with pytest.raises(FunctionUnavailable):
            await packages.code(bad)

    assert list((tmp_path / "code").iterdir()) == []


async def test_layers_are_merged_later_over_earlier(tmp_path: Path) -> None:
    """Layers share one folder, in which the later layer's file stays."""
    packages = Packages(tmp_path)
    first = Package(digest="1", read=lambda: archive(("a", b"first", FILE), ("b", b"first", FILE)))
    second = Package(digest="2", read=lambda: archive(("b", b"second", FILE)))

    merged = await packages.layers([first, second])
    reverse = await packages.layers([second, first])

    assert ((merged / "a").read_bytes(), (merged / "b").read_bytes()) == (b"first", b"second")
    assert (reverse / "b").read_bytes() == b"first"


async def test_no_layers_are_an_empty_folder(tmp_path: Path) -> None:
    """A function without layers has an empty folder in their place."""
    folder = await Packages(tmp_path).layers([])

    assert list(folder.iterdir()) == []
