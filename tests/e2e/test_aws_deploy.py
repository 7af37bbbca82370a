"""`make aws-deploy` and `make aws-destroy` whole, with an engine in the place of AWS."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from aws_clone import THIS_MACHINE, Clone, cloned, deployer

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clone]:
    """A fresh clone and a running engine."""
    with cloned(tmp_path_factory.mktemp("clone")) as made:
        yield made


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
def test_deploy_proves_itself_and_destroy_leaves_nothing(clone: Clone) -> None:
    """Deployed for Lambda's platform, tried, deployed again without a change, and removed."""
    before = clone.left_over()

    refused = clone.make("aws-deploy", expect=2)
    untouched = clone.left_over()
    first = clone.make("aws-deploy", YES="1", TAGS="team=chat")
    tags = clone.system.client("cloudformation").describe_stacks(StackName="deployed")["Stacks"][0][
        "Tags"
    ]
    second = clone.make("aws-deploy", YES="1")
    removed = clone.make("aws-destroy", YES="1")

    assert "Nothing was done" in refused
    assert untouched == before
    assert "What changes in the stack deployed:" in first
    assert first.index("+ ConnectionTable") < first.index("CREATE_COMPLETE")
    assert first.rstrip().endswith("ok  a push: arrived")
    assert tags == [{"Key": "team", "Value": "chat"}]
    assert "What changes" not in second
    assert second.rstrip().endswith("ok  a push: arrived")
    assert "ConnectionTable  AWS::DynamoDB::Table" in removed
    assert "kept:" not in removed
    assert clone.left_over() == before
    assert (clone.system.folder / ".build" / "aws" / "AuthorizerFunction.zip").is_file()


@pytest.mark.terraform
@pytest.mark.timeout(600)
@pytest.mark.skipif(shutil.which("terraform") is None, reason="terraform is not installed")
def test_terraform_does_the_same(clone: Clone) -> None:
    """Plan, agreement, apply, smoke test; no change the second time; and everything is removed."""
    before = clone.left_over()
    state = clone.system.folder / "infra" / "terraform" / "terraform.tfstate.d"

    refused = clone.make("aws-deploy", IAC="terraform", expect=2)
    no_role = clone.make(
        "aws-deploy", expect=2, IAC="terraform", YES="1", PARAMETERS="AccessLogs=true"
    )
    untouched = clone.left_over()
    first = clone.make("aws-deploy", IAC="terraform", YES="1", TAGS="team=chat")
    role = clone.system.client("iam").list_role_tags(RoleName="deployed-authorizer")["Tags"]
    second = clone.make("aws-deploy", IAC="terraform", YES="1", TAGS="team=chat")
    shutil.rmtree(clone.system.folder / ".build")  # as on a machine that did not deploy it
    kept = clone.make("aws-destroy", IAC="terraform", expect=2)
    standing = clone.left_over()
    removed = clone.make("aws-destroy", IAC="terraform", YES="1")
    again = clone.make("aws-destroy", IAC="terraform", YES="1")

    assert "Nothing was done" in refused
    assert "API Gateway has no role to write it with in account 000000000000" in no_role
    assert untouched == before
    assert "aws_apigatewayv2_stage.this will be created" in first
    assert first.index("will be created") < first.index("Apply complete!")
    assert first.rstrip().endswith("ok  a push: arrived")
    assert role == [{"Key": "team", "Value": "chat"}]
    assert "No changes." in second
    assert second.rstrip().endswith("ok  a push: arrived")
    assert "Nothing was done" in kept
    assert sorted(standing["functions"]) == [
        "deployed-authorizer",
        "deployed-connections",
        "deployed-messages",
    ]
    assert "kept: AWS::SecretsManager::Secret deployed-token-" in removed
    assert clone.left_over() == before
    assert "There is no stack deployed." in again
    assert not state.is_dir() or not list(state.iterdir())


def test_documented_policy_is_enough_and_its_parts_are_needed(tmp_path: Path) -> None:
    """Where IAM is enforced, a user with it deploys and destroys; without the bucket's part not."""
    with cloned(tmp_path, SOCKETSTACK_IAM="enforce") as clone:
        before = clone.left_over()
        less = deployer(clone, without="Packages")
        enough = deployer(clone)
        less |= {"YES": "1", "STACK_NAME": "socketstack-policy"}
        enough |= {"YES": "1", "STACK_NAME": "socketstack-policy"}

        refused = clone.make("aws-deploy", expect=2, environ=less)
        untouched = clone.left_over()
        # With the sweeper, which is all that the template has.
        enough |= {"PARAMETERS": f"{THIS_MACHINE} EnforceTokenExpiry=true"}
        deployed = clone.make("aws-deploy", environ=enough)
        removed = clone.make("aws-destroy", environ=enough)
        after = clone.left_over()

    assert "cannot be used (403)" in refused
    assert untouched == before
    assert "user/deployer-" in deployed
    assert "+ SweeperFunctionEveryMinute" in deployed
    assert deployed.rstrip().endswith("ok  a push: arrived")
    assert "kept:" not in removed
    assert after == before
