from pathlib import Path

from socketstack.kit.build import Artifact, Build
from socketstack.kit.code import Code
from socketstack.kit.live import live_folders


def test_function_is_live_with_its_layers(tmp_path: Path) -> None:
    """A function's own folder comes first, then each layer of the template, where it lies."""
    ready_layout = tmp_path / "ready"
    (ready_layout / "python").mkdir(parents=True)
    built = _build(
        _code("Echo", tmp_path / "echo", layers=("Built", "Ready", "Elsewhere")),
        _layer("Built", tmp_path / "built", prefix="python"),
        _layer("Ready", ready_layout),
    )
    resources = {"Echo": ("AWS::Lambda::Function", "stack-echo")}

    folders = live_folders(built, resources)

    assert folders == {
        "stack-echo": [
            {"source": str(tmp_path / "echo"), "prefix": ""},
            {"source": str(tmp_path / "built"), "prefix": "python"},
            {"source": str(ready_layout / "python"), "prefix": "python"},
        ]
    }


def test_ready_made_zip_is_not_live(tmp_path: Path) -> None:
    """There is no folder to watch behind a zip."""
    archive = tmp_path / "ready.zip"
    archive.write_bytes(b"")
    built = _build(_code("Echo", archive))

    assert live_folders(built, {"Echo": ("AWS::Lambda::Function", "echo")}) == {"echo": []}


def test_function_that_was_not_deployed_is_left_out(tmp_path: Path) -> None:
    """A function whose condition was false has no name and no live folder."""
    built = _build(_code("Echo", tmp_path))

    assert live_folders(built, {}) == {}


def _build(*codes: Code) -> Build:
    artifacts = tuple(Artifact(code=code, archive=Path("x.zip"), digest="0") for code in codes)
    return Build(folder=Path(), template=Path("template.yaml"), artifacts=artifacts)


def _code(logical_id: str, source: Path, *, layers: tuple[str, ...] = ()) -> Code:
    return Code(
        logical_id=logical_id,
        type="AWS::Serverless::Function",
        property_name="CodeUri",
        source=source,
        runtime="python3.13",
        architecture="x86_64",
        layers=layers,
    )


def _layer(logical_id: str, source: Path, *, prefix: str = "") -> Code:
    return Code(
        logical_id=logical_id,
        type="AWS::Serverless::LayerVersion",
        property_name="ContentUri",
        source=source,
        runtime=None,
        architecture="x86_64",
        prefix=prefix,
    )
