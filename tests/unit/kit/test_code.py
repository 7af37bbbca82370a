from collections.abc import Callable
from pathlib import Path

import pytest

from socketstack.errors import ConfigError
from socketstack.kit.code import Code, find_code
from socketstack.kit.template import Template

Find = Callable[[str], list[Code]]


@pytest.fixture
def find(tmp_path: Path) -> Find:
    """Finds the code of a template beside the folders ``one`` and ``two``."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    (tmp_path / "ready.zip").write_bytes(b"PK")

    def finder(text: str) -> list[Code]:
        path = tmp_path / "infra" / "template.yaml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        return find_code(Template.load(path), {})

    return finder


def test_every_kind_of_local_code_is_found(find: Find, tmp_path: Path) -> None:
    """SAM and plain functions and layers are found, with their paths beside the template."""
    found = find("""
Resources:
  SamFunction: {Type: AWS::Serverless::Function, Properties: {CodeUri: ../one, Runtime: python3.13}}
  SamLayer: {Type: AWS::Serverless::LayerVersion, Properties: {ContentUri: ../two}}
  Function: {Type: AWS::Lambda::Function, Properties: {Code: ../one, Runtime: python3.12}}
  Layer: {Type: AWS::Lambda::LayerVersion, Properties: {Content: ../two/}}
  Ready: {Type: AWS::Serverless::Function, Properties: {CodeUri: ../ready.zip}}
  Table: {Type: AWS::DynamoDB::Table}
""")

    one, two = tmp_path / "one", tmp_path / "two"
    assert [(code.logical_id, code.property_name, code.source) for code in found] == [
        ("SamFunction", "CodeUri", one),
        ("SamLayer", "ContentUri", two),
        ("Function", "Code", one),
        ("Layer", "Content", two),
        ("Ready", "CodeUri", tmp_path / "ready.zip"),
    ]
    assert [code.is_archive for code in found] == [False, False, False, False, True]
    assert [code.is_function for code in found] == [True, False, True, False, True]


@pytest.mark.parametrize(
    "properties",
    [
        pytest.param("{InlineCode: 'x = 1'}", id="inline"),
        pytest.param("{CodeUri: s3://bucket/key}", id="s3-address"),
        pytest.param("{CodeUri: {Bucket: b, Key: k}}", id="s3-mapping"),
        pytest.param("{CodeUri: !Sub 's3://${B}/k'}", id="intrinsic"),
        pytest.param("{PackageType: Image, ImageUri: x}", id="image"),
    ],
)
def test_code_that_is_elsewhere_is_left_alone(find: Find, properties: str) -> None:
    """Inline code, images and S3 locations are not local code, even with a global CodeUri."""
    found = find(f"""
Globals: {{Function: {{CodeUri: ../one}}}}
Resources:
  F: {{Type: AWS::Serverless::Function, Properties: {properties}}}
""")

    assert found == []


def test_inline_code_of_a_plain_function_is_left_alone(find: Find) -> None:
    """ZipFile is CloudFormation's own business."""
    found = find(
        "Resources: {F: {Type: AWS::Lambda::Function, Properties: {Code: {ZipFile: 'x = 1'}}}}"
    )

    assert found == []


def test_globals_stand_in_for_what_a_function_does_not_say(find: Find, tmp_path: Path) -> None:
    """CodeUri, runtime, architecture and layers come from Globals; parameters are followed."""
    (code,) = find("""
Parameters: {Runtime: {Type: String, Default: python3.12}}
Globals:
  Function:
    CodeUri: ../one
    Runtime: !Ref Runtime
    Architectures: [arm64]
    Layers: [!Ref Shared]
Resources:
  F: {Type: AWS::Serverless::Function, Properties: {Layers: [!Ref Own, "arn:aws:lambda:x"]}}
""")

    assert (code.source, code.runtime, code.architecture) == (
        tmp_path / "one",
        "python3.12",
        "arm64",
    )
    assert code.layers == ("Shared", "Own")


def test_layer_with_build_method_goes_under_python(find: Find) -> None:
    """A layer that asks to be built has its contents and requirements under python/."""
    built, plain = find("""
Resources:
  Built:
    Type: AWS::Serverless::LayerVersion
    Metadata: {BuildMethod: python3.13}
    Properties: {ContentUri: ../one, CompatibleArchitectures: [arm64]}
  Plain:
    Type: AWS::Serverless::LayerVersion
    Properties: {ContentUri: ../one, CompatibleRuntimes: [python3.13]}
""")

    assert (built.prefix, built.is_installed, built.runtime) == ("python", True, "python3.13")
    assert built.architecture == "arm64"
    assert (plain.prefix, plain.is_installed) == ("", False)


def test_missing_folder_is_refused_with_resource_and_path(find: Find, tmp_path: Path) -> None:
    """The refusal names the resource, the property, the whole path and what to do."""
    with pytest.raises(ConfigError) as caught:
        find("Resources: {F: {Type: AWS::Serverless::Function, Properties: {CodeUri: ../gone}}}")

    message = str(caught.value)
    assert "CodeUri of F is '../gone'" in message
    assert str(tmp_path / "gone") in message
    assert "Create it, or correct CodeUri" in message


@pytest.mark.parametrize(
    ("resource", "told"),
    [
        pytest.param("{Type: AWS::Serverless::Function}", "has no CodeUri", id="no-code"),
        pytest.param(
            "{Type: AWS::Serverless::LayerVersion, Metadata: {BuildMethod: makefile}, "
            "Properties: {ContentUri: ../one}}",
            "BuildMethod 'makefile'",
            id="other-build-method",
        ),
    ],
)
def test_code_that_cannot_be_built_is_refused(find: Find, resource: str, told: str) -> None:
    """What this build does not know is said, not skipped."""
    with pytest.raises(ConfigError, match=told):
        find(f"Resources: {{F: {resource}}}")
