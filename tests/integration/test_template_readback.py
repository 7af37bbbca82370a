"""Whole templates, deployed with the unmodified CLI and read back from every service."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from integration.cloudformation_server import Cloud
from integration.template_readback import differences

HERE = Path(__file__).parent
INFRA = HERE.parents[1] / "infra" / "template.yaml"
CAPABILITIES = ("CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND")


@pytest.fixture
def cloud() -> Iterator[Cloud]:
    """A running server with a bucket for packages."""
    with Cloud() as running:
        running.client("s3").create_bucket(Bucket="packages")
        yield running


def deploy(cloud: Cloud, source: Path, workdir: Path) -> None:
    """Package and deploy a template, as people do."""
    packaged = workdir / "packaged.yaml"
    package = cloud.command_line(
        *("cloudformation", "package", "--template-file", str(source)),
        *("--s3-bucket", "packages", "--output-template-file", str(packaged)),
    )
    assert package.returncode == 0, package.stderr
    deployed = cloud.command_line(
        *("cloudformation", "deploy", "--template-file", str(packaged)),
        *("--stack-name", "chat", "--capabilities", *CAPABILITIES),
    )
    assert deployed.returncode == 0, deployed.stdout + deployed.stderr


@pytest.mark.parametrize(
    ("name", "properties"),
    [pytest.param("example", 100, id="example"), pytest.param("everything", 150, id="everything")],
)
def test_every_property_is_read_back(
    cloud: Cloud, tmp_path: Path, name: str, properties: int
) -> None:
    """Each resource of a deployed template has each property in its own service."""
    source = INFRA if name == "example" else write_template(tmp_path)

    deploy(cloud, source, tmp_path)

    missing, compared = differences(cloud.client, "chat")
    assert not missing, "\n".join(missing)
    assert compared > properties


def test_nothing_is_left_after_deletion(cloud: Cloud, tmp_path: Path) -> None:
    """Deleting the stack takes everything with it that is not retained."""
    deploy(cloud, write_template(tmp_path), tmp_path)

    cloud.client("cloudformation").delete_stack(StackName="chat")

    assert cloud.client("apigatewayv2").get_apis()["Items"] == []
    assert cloud.client("lambda").list_functions()["Functions"] == []
    assert cloud.client("lambda").list_layers()["Layers"] == []
    assert cloud.client("iam").list_roles()["Roles"] == []
    assert cloud.client("dynamodb").list_tables()["TableNames"] == []
    assert cloud.client("secretsmanager").list_secrets()["SecretList"] == []
    assert cloud.client("logs").describe_log_groups()["logGroups"] == []
    assert cloud.client("cloudwatch").describe_alarms()["MetricAlarms"] == []
    assert "QueueUrls" not in cloud.client("sqs").list_queues()
    assert cloud.client("sns").list_topics()["Topics"] == []


def write_template(workdir: Path) -> Path:
    """The big template, with a folder of code beside it."""
    (workdir / "code").mkdir()
    (workdir / "code" / "handler.py").write_text("def handler(event, context):\n    return {}\n")
    target = workdir / "template.yaml"
    target.write_text((HERE / "readback_template.yaml").read_text())
    return target
