"""Deploying to AWS, with an engine in its place: the same code, reached by AWS_ENDPOINT_URL.

What AWS answers on a bad day comes from a proxy before that engine.
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from faulty_aws import Fault, FaultyAws, faulty_aws
from kit_world import HttpServer, settings_in, write_project

from socketstack.errors import ConfigError, DeploymentFailed
from socketstack.kit.cloud import Cloud, aws_cloud, local_cloud
from socketstack.kit.deploy import deploy_to_aws, destroy_on_aws
from socketstack.kit.engine import EngineProcess
from socketstack.kit.stack import Stack
from socketstack.settings import Settings

_EXPIRED = Fault(403, "ExpiredToken", "The security token included in the request is expired")
_THROTTLED = Fault(400, "Throttling", "Rate exceeded")


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """An engine in the background, which plays AWS."""
    settings = settings_in(tmp_path_factory.mktemp("engine"))
    process = EngineProcess(settings)
    process.start()
    try:
        process.wait()
        yield settings
    finally:
        process.stop()


@pytest.fixture
def cloud(engine: Settings) -> Cloud:
    """The same engine, seen directly."""
    return local_cloud(engine)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a template and a function, to build in; returns the template."""
    monkeypatch.chdir(tmp_path)
    return write_project(tmp_path)


@pytest.fixture
def no_credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that has never heard of AWS."""
    for name in tuple(os.environ):
        if name.startswith("AWS_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture
def aws(
    no_credentials: None, engine: Settings, monkeypatch: pytest.MonkeyPatch
) -> Iterator[FaultyAws]:
    """AWS, with credentials that it takes."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    with faulty_aws(engine.port) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
        yield proxy


class _Person:
    """Somebody at the terminal: answers in turn, then yes; remembers what was asked and said."""

    def __init__(self, *answers: str) -> None:
        self._answers = list(answers)
        self.asked: list[str] = []
        self.said: list[str] = []

    def ask(self, question: str) -> bool:
        self.asked.append(question)
        return not self._answers or self._answers.pop(0) == "yes"

    def deploy(self, template: Path, stack_name: str, **options: object) -> None:
        deploy_to_aws(
            template,
            stack_name=stack_name,
            ask=self.ask,
            say=self.said.append,
            **options,  # type: ignore[arg-type]
        )


# Credentials and regions


def test_aws_without_credentials_is_refused(no_credentials: None) -> None:
    """The refusal says how to sign in."""
    with pytest.raises(ConfigError, match=r"There are no AWS credentials.*aws sso login"):
        aws_cloud("eu-west-1")


def test_aws_without_a_region_is_refused(no_credentials: None) -> None:
    """The refusal names variable and option."""
    with pytest.raises(ConfigError, match=r"No AWS region is set.*AWS_REGION.*--region"):
        aws_cloud()


def test_slip_in_a_region_is_refused_with_what_was_meant(aws: FaultyAws) -> None:
    """A region that does not exist is no network problem; AWS is not even called."""
    with pytest.raises(ConfigError, match=r"no AWS region 'eu-wset-1'\. Did you mean eu-west-1\?"):
        aws_cloud("eu-wset-1")

    assert aws.calls == []


def test_expired_credentials_are_refused(
    no_credentials: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Credentials that AWS no longer takes are told from missing ones."""
    answer = (
        b"<ErrorResponse><Error><Code>ExpiredToken</Code>"
        b"<Message>The security token included in the request is expired</Message>"
        b"</Error></ErrorResponse>"
    )
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "old")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "old")
    with HttpServer(403, answer) as port:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", f"http://127.0.0.1:{port}")

        with pytest.raises(ConfigError, match=r"not valid any more \(ExpiredToken\)"):
            aws_cloud("eu-west-1")


# Before anything is made


def test_account_and_region_are_agreed_to_before_anything_is_built(
    project: Path, cloud: Cloud, aws: FaultyAws
) -> None:
    """Account and region are in the question; without a yes, nothing is built or made."""
    person = _Person("no")

    with pytest.raises(ConfigError, match="Nothing was done"):
        person.deploy(project, "unwanted")

    assert person.asked == [
        f"Deploy the stack unwanted in AWS account {cloud.account_id}, region us-east-1?"
    ]
    assert person.said[0].startswith(f"Account {cloud.account_id} as arn:aws:")
    assert Stack(cloud, "unwanted").describe() is None
    assert not (project.parent / ".build").exists()
    assert not [call for call in aws.calls if call.startswith(("Create", "Put", "Delete"))]


def test_template_that_the_linter_refuses_is_not_built(
    project: Path, cloud: Cloud, aws: FaultyAws
) -> None:
    """Rule and line are named before a question is asked."""
    project.write_text(project.read_text().replace("RetentionInDays: !Ref Retention", "Days: 1"))
    person = _Person()

    with pytest.raises(ConfigError, match=r"nothing was built.*\n  E3002 .*Days.* \(line \d+\)"):
        person.deploy(project, "linted")

    assert person.asked == []
    assert not (project.parent / ".build").exists()
    assert Stack(cloud, "linted").describe() is None


def test_names_that_are_taken_are_found_before_anything_is_built(
    project: Path, cloud: Cloud, aws: FaultyAws
) -> None:
    """A log group that an earlier stack left is named with the command that removes it."""
    logs = cloud.session.client("logs", endpoint_url=cloud.endpoint_url, config=cloud.config)
    logs.create_log_group(logGroupName="/kept/again")
    person = _Person()

    with pytest.raises(ConfigError) as refused:
        person.deploy(project, "again")

    assert (
        "log group /kept/again    (aws logs delete-log-group --log-group-name /kept/again)"
        in str(refused.value)
    )
    assert "function" not in str(refused.value)
    assert person.asked == []
    assert Stack(cloud, "again").describe() is None


# API Gateway's role for logs

_LOGGING = """
      AccessLogSettings: !If
        - Logs
        - {DestinationArn: !GetAtt Logs.Arn, Format: $context.requestId}
        - !Ref AWS::NoValue
"""


@pytest.fixture
def logging_project(project: Path) -> Path:
    """The project whose stage has an access log where the parameter AccessLogs says so."""
    text = project.read_text().replace(
        "    Properties: {ApiId: !Ref Api, StageName: dev, AutoDeploy: true}",
        "    Properties:\n      ApiId: !Ref Api\n      StageName: dev\n      AutoDeploy: true"
        + _LOGGING.rstrip(),
    )
    parameter = '  AccessLogs: {Type: String, Default: "false"}\n'
    condition = 'Conditions:\n  Logs: !Equals [!Ref AccessLogs, "true"]\nResources:'
    text = text.replace("Parameters:\n", f"Parameters:\n{parameter}")
    project.write_text(text.replace("Resources:", condition))
    return project


def _set_role(cloud: Cloud, role: str) -> None:
    gateway = cloud.session.client(
        "apigateway", endpoint_url=cloud.endpoint_url, config=cloud.config
    )
    gateway.update_account(
        patchOperations=[{"op": "replace", "path": "/cloudwatchRoleArn", "value": role}]
    )
    gateway.close()


@pytest.fixture
def log_role(cloud: Cloud) -> Iterator[None]:
    """The account lets API Gateway write logs, while the test runs."""
    _set_role(cloud, f"arn:aws:iam::{cloud.account_id}:role/api-gateway-logs")
    yield
    _set_role(cloud, "")


def test_access_log_without_a_role_is_refused_before_anything_is_built(
    logging_project: Path, cloud: Cloud, aws: FaultyAws
) -> None:
    """The commands that set the role are told, and nothing is asked, built or changed."""
    person = _Person()

    with pytest.raises(ConfigError) as refused:
        person.deploy(logging_project, "logged", parameters={"AccessLogs": "true"})

    assert "no role to write it with in account 000000000000, region us-east-1" in str(
        refused.value
    )
    assert "or leave AccessLogs=true out" in str(refused.value)
    assert (
        "aws apigateway update-account --region us-east-1 --patch-operations op=replace,"
        "path=/cloudwatchRoleArn,value=arn:aws:iam::000000000000:role/api-gateway-logs"
    ) in str(refused.value)
    assert person.asked == []
    assert "CreateChangeSet" not in aws.calls
    assert not (logging_project.parent / ".build").exists()
    assert Stack(cloud, "logged").describe() is None


def test_access_log_that_stays_on_is_looked_at_too(
    logging_project: Path, cloud: Cloud, aws: FaultyAws, log_role: None
) -> None:
    """With the role it is deployed; without the role a later deployment is refused, not broken."""
    person = _Person()
    person.deploy(logging_project, "stays-on", parameters={"AccessLogs": "true"})
    _set_role(cloud, "")
    made = aws.calls.count("CreateChangeSet")

    with pytest.raises(ConfigError, match="no role to write it with"):
        person.deploy(logging_project, "stays-on")

    assert not [line for line in person.said if "access log" in line]
    assert aws.calls.count("CreateChangeSet") == made


def test_access_log_that_could_be_on_is_recommended(
    logging_project: Path, aws: FaultyAws, log_role: None
) -> None:
    """Where the role is there, the parameter that switches the log on is named."""
    person = _Person("no")

    with pytest.raises(ConfigError, match="Nothing was done"):
        person.deploy(logging_project, "could-log")

    (hint,) = [line for line in person.said if "access log" in line]
    assert hint.startswith("Note: API Gateway may write logs in this account and region")
    assert 'PARAMETERS="AccessLogs=true"' in hint


@pytest.mark.parametrize("given", [{}, {"AccessLogs": "true"}], ids=["off", "on"])
def test_caller_who_may_not_look_at_the_role_is_not_stopped(
    logging_project: Path, aws: FaultyAws, given: dict[str, str]
) -> None:
    """Whether there is a role is then for API Gateway to say."""
    aws.fail("GET /account", Fault(403, "AccessDeniedException", "User: x may not"))
    person = _Person("no")

    with pytest.raises(ConfigError, match="Nothing was done"):
        person.deploy(logging_project, "unseen", parameters=given)

    assert "GET /account" in aws.calls
    assert not [line for line in person.said if "access log" in line]


# The change set


def test_changes_are_shown_and_agreed_to(project: Path, cloud: Cloud, aws: FaultyAws) -> None:
    """A first deployment lists what it adds; the second asks nothing when nothing changes."""
    first, second = _Person(), _Person()

    first.deploy(project, "shown", tags={"team": "chat"})
    second.deploy(project, "shown")

    shown = "\n".join(first.said)
    assert re.search(r"^  \+ Api +AWS::ApiGatewayV2::Api$", shown, re.MULTILINE)
    assert re.search(r"^8 to add$", shown, re.MULTILINE)
    assert re.search(r"^\d\d:\d\d:\d\d  CREATE_COMPLETE +Api$", shown, re.MULTILINE)
    assert first.asked[1] == "Make these changes to shown?"
    assert second.asked[1:] == []
    stack = Stack(cloud, "shown").describe()
    assert stack is not None
    assert stack["Tags"] == [{"Key": "team", "Value": "chat"}]


def test_changes_that_nobody_agrees_to_leave_nothing(
    project: Path, cloud: Cloud, aws: FaultyAws
) -> None:
    """A no after the list: no resource, no change set and no empty stack is left."""
    with pytest.raises(ConfigError, match="Nothing was changed"):
        _Person("yes", "no").deploy(project, "declined")

    assert Stack(cloud, "declined").describe() is None
    assert "ExecuteChangeSet" not in aws.calls


def test_update_that_nobody_agrees_to_changes_nothing(
    project: Path, cloud: Cloud, aws: FaultyAws
) -> None:
    """The stack stays as it is, also its status; the change that was shown is named."""
    _Person().deploy(project, "stays")
    person = _Person("yes", "no")

    with pytest.raises(ConfigError, match="Nothing was changed"):
        person.deploy(project, "stays", parameters={"Retention": "30"})

    stack = Stack(cloud, "stays").describe()
    assert stack is not None
    assert stack["StackStatus"] == "CREATE_COMPLETE"
    assert "  ~ Logs  AWS::Logs::LogGroup  (RetentionInDays)" in person.said
    assert not cloud.cloudformation().list_change_sets(StackName="stays")["Summaries"][1:]


def test_failed_update_names_the_cause_and_goes_back(
    project: Path, cloud: Cloud, aws: FaultyAws
) -> None:
    """The resource, its reason and what is left are in the error; the old stack stands."""
    _Person().deploy(project, "back")
    good = project.read_text()
    project.write_text(good.replace("RouteKey: $connect", 'RouteKey: "$nonsense"'))

    with pytest.raises(DeploymentFailed) as failed:
        _Person().deploy(project, "back", parameters={"Retention": "30"})

    assert "ended as UPDATE_ROLLBACK_COMPLETE" in str(failed.value)
    assert re.search(r"\n  Route \(AWS::ApiGatewayV2::Route\): .*nonsense", str(failed.value))
    assert "What was deployed before is in place again." in str(failed.value)
    logs = cloud.session.client("logs", endpoint_url=cloud.endpoint_url, config=cloud.config)
    (group,) = logs.describe_log_groups(logGroupNamePrefix="/kept/back")["logGroups"]
    assert group["retentionInDays"] == 7


# AWS on a bad day


@pytest.mark.parametrize(
    "bad_day",
    [
        pytest.param(
            (
                "HeadBucket",
                Fault(403, "403"),
                r"bucket socketstack-artifacts-\d+-eu-west-3 cannot be used.*another account",
            ),
            id="bucket-of-others",
        ),
        pytest.param(
            (
                "CreateBucket",
                Fault(409, "BucketAlreadyExists"),
                r"is taken \(BucketAlreadyExists\).*SOCKETSTACK_ARTIFACT_BUCKET",
            ),
            id="bucket-name-taken",
        ),
        pytest.param(
            (
                "CreateChangeSet",
                Fault(403, "AccessDenied", "User: x is not authorized to perform: y"),
                r"does not allow CreateChangeSet: User: x is not authorized.*docs/aws\.md",
            ),
            id="denied",
        ),
        pytest.param(
            ("CreateChangeSet", _EXPIRED, r"not valid any more \(ExpiredToken\)"), id="expired"
        ),
    ],
)
def test_refusals_of_aws_say_what_to_do(
    project: Path, cloud: Cloud, aws: FaultyAws, bad_day: tuple[str, Fault, str]
) -> None:
    """Each is the user's to mend, and no stack is left behind."""
    operation, fault, told = bad_day
    aws.fail(operation, fault)
    region = "eu-west-3"  # where no other test has made a bucket yet
    name = f"bad-{fault.code.lower()}"

    with pytest.raises(ConfigError, match=told):
        _Person().deploy(project, name, region=region)

    assert "ExecuteChangeSet" not in aws.calls
    clients = cloud.session.client(
        "cloudformation", region_name=region, endpoint_url=cloud.endpoint_url, config=cloud.config
    )
    assert name not in {stack["StackName"] for stack in clients.describe_stacks()["Stacks"]}
    if "Bucket" in operation:
        assert "PutObject" not in aws.calls


def test_throttling_while_waiting_does_not_end_the_deployment(
    project: Path, cloud: Cloud, aws: FaultyAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    """AWS that wants less questions is asked again; the deployment itself goes on anyway."""
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")  # botocore gives up at once
    aws.fail("DescribeStackEvents", _THROTTLED, after=1, times=3)

    _Person().deploy(project, "patient")

    stack = Stack(cloud, "patient").describe()
    assert stack is not None
    assert stack["StackStatus"] == "CREATE_COMPLETE"
    assert aws.calls.count("DescribeStackEvents") > 4


def test_credentials_that_expire_meanwhile_say_that_the_stack_goes_on(
    project: Path, cloud: Cloud, aws: FaultyAws
) -> None:
    """The work is CloudFormation's: the error says so instead of calling it failed."""
    aws.fail("DescribeStackEvents", _EXPIRED, after=1)

    with pytest.raises(ConfigError, match=r"expired meanwhile\. CloudFormation goes on with"):
        _Person().deploy(project, "orphan")

    assert "ExecuteChangeSet" in aws.calls
    assert Stack(cloud, "orphan").describe() is not None


# Buckets, and destroying


def test_bucket_is_private_encrypted_and_without_leftovers(
    project: Path, cloud: Cloud, aws: FaultyAws
) -> None:
    """A deployment in another region makes its bucket there, closed to the public."""
    _Person().deploy(project, "wanted", region="eu-west-1")

    s3 = cloud.s3()
    bucket = f"socketstack-artifacts-{cloud.account_id}-eu-west-1"
    assert set(
        s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"].values()
    ) == {True}
    (rule,) = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
    assert rule["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256"
    (cleaning,) = s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]
    assert cleaning["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 1}
    assert (project.parent / ".build" / "aws" / "template.yaml").is_file()


def test_bucket_that_was_left_half_made_is_closed_before_it_is_used(
    project: Path, cloud: Cloud, aws: FaultyAws
) -> None:
    """A deployment that may not close its bucket uploads nothing; the next one closes it."""
    aws.fail("CreateBucket:publicAccessBlock", Fault(403, "AccessDenied"), times=1)
    with pytest.raises(ConfigError, match="does not allow PutPublicAccessBlock"):
        _Person().deploy(project, "half", region="ap-south-1")
    uploaded = "PutObject" in aws.calls

    _Person().deploy(project, "half", region="ap-south-1")

    s3 = cloud.s3()
    bucket = f"socketstack-artifacts-{cloud.account_id}-ap-south-1"
    blocked = s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"]
    assert not uploaded
    assert set(blocked.values()) == {True}


def test_own_bucket_is_used_as_it_is_and_never_removed(
    project: Path, cloud: Cloud, aws: FaultyAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SOCKETSTACK_ARTIFACT_BUCKET names it; its settings stay, and it outlives the stack."""
    cloud.s3().create_bucket(Bucket="company-artifacts")
    monkeypatch.setenv("SOCKETSTACK_ARTIFACT_BUCKET", "company-artifacts")

    _Person().deploy(project, "guest")
    during = cloud.s3().list_objects_v2(Bucket="company-artifacts")["KeyCount"]
    kept = destroy_on_aws(stack_name="guest", ask=lambda _question: True)

    assert kept is not None
    assert ("AWS::S3::Bucket company-artifacts", "it is your own") in [
        (one.name, one.why.partition(";")[0]) for one in kept
    ]
    assert during == 1
    assert cloud.s3().list_objects_v2(Bucket="company-artifacts")["KeyCount"] == 0
    assert not [call for call in aws.calls if call.startswith("CreateBucket")]


def test_own_bucket_that_is_not_there_is_refused(
    project: Path, cloud: Cloud, aws: FaultyAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A slip in its name does not make a bucket."""
    monkeypatch.setenv("SOCKETSTACK_ARTIFACT_BUCKET", "compnay-artifacts")

    with pytest.raises(ConfigError, match="compnay-artifacts of SOCKETSTACK_ARTIFACT_BUCKET does"):
        _Person().deploy(project, "misspelt")

    names = {bucket["Name"] for bucket in cloud.s3().list_buckets()["Buckets"]}
    assert "compnay-artifacts" not in names


def test_destroying_the_last_stack_of_a_region_takes_the_bucket_too(
    project: Path, cloud: Cloud, aws: FaultyAws
) -> None:
    """Nothing is left but what the template retains, and that is told with the reason."""
    _Person().deploy(project, "last", region="ca-central-1")
    person = _Person()

    kept = destroy_on_aws(
        stack_name="last", region="ca-central-1", ask=person.ask, say=person.said.append
    )

    assert kept is not None
    assert [(one.name, one.why) for one in kept] == [
        ("AWS::Logs::LogGroup /kept/last", "its DeletionPolicy is Retain")
    ]
    assert person.asked[0].startswith("Delete the stack last and everything in it in AWS account")
    names = {bucket["Name"] for bucket in cloud.s3().list_buckets()["Buckets"]}
    assert f"socketstack-artifacts-{cloud.account_id}-ca-central-1" not in names


def test_destroying_takes_no_for_no(project: Path, cloud: Cloud, aws: FaultyAws) -> None:
    """Without a yes the stack and its packages stay."""
    _Person().deploy(project, "precious")

    with pytest.raises(ConfigError, match="Nothing was done"):
        destroy_on_aws(stack_name="precious", ask=lambda _question: False)

    assert Stack(cloud, "precious").describe() is not None
    assert "DeleteStack" not in aws.calls


def test_commands_agree_in_advance_and_refuse_without_a_terminal(
    project: Path, cloud: Cloud, aws: FaultyAws
) -> None:
    """In CI, YES=1 deploys and destroys; without it nothing happens and the exit code is 2."""

    def run(command: str, *arguments: str, **environ: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "socketstack", command, "--stack-name=ci", *arguments],
            env={**os.environ, **environ},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    template = f"--template={project}"
    refused = run("deploy", template)
    nothing = Stack(cloud, "ci").describe()
    deployed = run("deploy", template, YES="1")
    destroyed = run("destroy", YES="1")

    assert (refused.returncode, nothing) == (2, None)
    assert "Nothing was done" in refused.stderr
    assert deployed.returncode == 0, deployed.stderr
    assert re.search(r"^FunctionName +ci-answer$", deployed.stdout, re.MULTILINE)
    assert destroyed.returncode == 0, destroyed.stderr
    assert "kept: AWS::Logs::LogGroup /kept/ci (its DeletionPolicy is Retain)" in destroyed.stdout
    assert Stack(cloud, "ci").describe() is None
