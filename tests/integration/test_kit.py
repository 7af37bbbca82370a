"""The kit against a real engine: up and down, deployments, refusals."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import pytest
from kit_world import HANDLER, HttpServer, settings_in, write_project
from rich.console import Console

from socketstack.errors import ConfigError, DeploymentFailed
from socketstack.kit.build import Build, BuildTarget, build
from socketstack.kit.cloud import Cloud, local_cloud
from socketstack.kit.deploy import Kept, deploy, deploy_to_aws, destroy
from socketstack.kit.engine import EngineProcess
from socketstack.kit.logs import follow_logs
from socketstack.kit.outputs import outputs_file
from socketstack.kit.stack import Stack
from socketstack.kit.up import down, status, up
from socketstack.settings import Settings


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """An engine in the background, shared by the tests that only deploy to it."""
    settings = settings_in(tmp_path_factory.mktemp("engine"))
    process = EngineProcess(settings)
    process.start()
    try:
        process.wait()
        yield settings
    finally:
        process.stop()


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Settings]:
    """Settings of an engine that belongs to one test and is stopped after it."""
    settings = settings_in(tmp_path)
    yield settings
    down(settings)


@pytest.fixture
def cloud(engine: Settings) -> Cloud:
    """The shared engine as a place for stacks."""
    return local_cloud(engine)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with a template and a function; returns the template."""
    return write_project(tmp_path)


@pytest.fixture
def built(project: Path) -> Build:
    """The project, built for this machine."""
    return _build(project)


def _build(template: Path) -> Build:
    return build(template, target=BuildTarget.LOCAL, output=template.parent / ".build")


def _up(template: Path, settings: Settings, **parameters: str) -> list[str]:
    """``up`` beside the template; returns what was said."""
    said: list[str] = []
    before = Path.cwd()
    os.chdir(template.parent)
    try:
        up(template, stack_name="system", settings=settings, parameters=parameters, say=said.append)
    finally:
        os.chdir(before)
    return said


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


# Up, down, status


def test_up_brings_a_template_to_an_answering_socket(project: Path, own: Settings) -> None:
    """One call starts the engine, builds, deploys, and leaves a stage that answers."""
    said = _up(project, own)

    told = json.loads(outputs_file(own).read_text())
    (url,) = told["webSocketUrls"]
    assert said[0] == f"Starting the engine on port {own.port}"
    assert url.startswith(f"ws://localhost:{own.port}/_aws/execute-api/")
    assert url.endswith("/dev")
    assert told["endpoint"] == f"http://localhost:{own.port}"
    assert told["outputs"]["FunctionName"] == "system-answer"
    assert _handshake(own, url) == 101


def test_second_up_changes_nothing_and_starts_nothing(project: Path, own: Settings) -> None:
    """A second ``up`` finds engine and stack as they are."""
    _up(project, own)
    before = status(own)

    said = _up(project, own)

    assert said == ["Deploying system"]
    assert status(own) == before


def test_up_after_the_engine_was_lost_deploys_anew(project: Path, own: Settings) -> None:
    """State is in memory: after a crash, ``up`` starts another engine and deploys again."""
    _up(project, own)
    lost = status(own).health
    assert lost is not None
    os.kill(lost.pid, signal.SIGKILL)
    os.waitpid(lost.pid, 0)

    _up(project, own)

    found = status(own).health
    assert found is not None
    assert found.pid != lost.pid
    (url,) = json.loads(outputs_file(own).read_text())["webSocketUrls"]
    assert _handshake(own, url) == 101


def test_down_stops_the_engine_and_can_be_repeated(project: Path, own: Settings) -> None:
    """``down`` ends the process it started and forgets the outputs; again, it does nothing."""
    _up(project, own)
    health = status(own).health
    assert health is not None

    stopped = down(own)
    again = down(own)

    assert stopped == health.pid
    assert again is None
    assert not _is_running(health.pid)
    assert not outputs_file(own).exists()
    assert status(own).health is None


def test_secret_parameters_are_not_written_down(project: Path, own: Settings) -> None:
    """An output that would give a NoEcho parameter away is left out of the file."""
    _up(project, own, Key="very-secret-value")

    written = outputs_file(own).read_text()
    assert "very-secret-value" not in written
    assert "FunctionName" in json.loads(written)["outputs"]
    assert "Shown" not in json.loads(written)["outputs"]


def test_port_of_another_program_is_left_alone(project: Path, tmp_path: Path) -> None:
    """``up`` names the port and the variable to change, and starts nothing."""
    with HttpServer(404, b"not an engine") as port:
        settings = Settings(port=port, state_dir=tmp_path / "state")

        with pytest.raises(ConfigError, match=rf"Port {port} is taken.*SOCKETSTACK_PORT"):
            _up(project, settings)

        assert not (settings.state_dir / "engine.log").exists()
        assert not (settings.state_dir / "engine.json").exists()


def test_engine_that_ends_at_once_shows_its_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The end of the engine's log stands in the error."""
    monkeypatch.setenv("SOCKETSTACK_HOST", "203.0.113.1")  # an address no machine has
    process = EngineProcess(settings_in(tmp_path))
    process.start()

    with pytest.raises(ConfigError) as caught:
        process.wait()

    assert "The engine ended at once." in str(caught.value)
    assert "203.0.113.1" in str(caught.value)
    assert process.stop() is None


def test_down_does_not_kill_what_it_does_not_know(tmp_path: Path) -> None:
    """A process that merely has the noted number lives on."""
    settings = settings_in(tmp_path)
    settings.state_dir.mkdir()
    bystander = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        (settings.state_dir / "engine.json").write_text(json.dumps({"pid": bystander.pid}))

        stopped = down(settings)

        assert stopped is None
        assert bystander.poll() is None
    finally:
        bystander.communicate(b"\n")


def test_engine_that_does_not_answer_is_still_stopped(own: Settings) -> None:
    """An engine that hangs is known by its command line, and killed when it must be."""
    process = EngineProcess(own, answer_seconds=1, grace_seconds=0.5)
    process.start()
    pid = process.wait().pid
    os.kill(pid, signal.SIGSTOP)

    stopped = process.stop()

    assert stopped == pid
    assert not _is_running(pid)


def test_background_engine_needs_a_port(tmp_path: Path) -> None:
    """Port 0 cannot be found again by the next command."""
    with pytest.raises(ConfigError, match="SOCKETSTACK_PORT is 0"):
        EngineProcess(Settings(port=0, state_dir=tmp_path))


def test_logs_show_what_happened(built: Build, engine: Settings, cloud: Cloud) -> None:
    """The kept events are printed, one line each."""
    deploy(built, cloud, stack_name="logged")
    written = StringIO()

    follow_logs(engine, Console(file=written, markup=False), is_following=False)

    assert "control" in written.getvalue()


def test_logs_without_an_engine_say_how_to_start_one(tmp_path: Path) -> None:
    """There is nothing to follow when nothing runs."""
    with pytest.raises(ConfigError, match=r"No engine runs on port \d+.*make local-up"):
        follow_logs(settings_in(tmp_path))


# Deployments


def test_same_build_again_is_no_change(built: Build, cloud: Cloud) -> None:
    """Deploying the same thing twice succeeds and uploads nothing twice."""
    first = deploy(built, cloud, stack_name="same")
    objects = _objects(cloud)

    second = deploy(built, cloud, stack_name="same")

    assert (first.is_changed, second.is_changed) == (True, False)
    assert second.outputs == first.outputs
    assert _objects(cloud) == objects


def test_changed_code_is_what_the_function_has(project: Path, cloud: Cloud) -> None:
    """A saved change arrives with the next deployment."""
    deploy(_build(project), cloud, stack_name="changing")
    before = _code_digest(cloud, "changing-answer")
    (project.parent / "source" / "handler.py").write_text(HANDLER + "x = 1\n")

    deployment = deploy(_build(project), cloud, stack_name="changing")

    assert deployment.is_changed
    assert _code_digest(cloud, "changing-answer") != before


def test_parameters_keep_their_value_until_they_are_given_again(built: Build, cloud: Cloud) -> None:
    """A parameter that is not given has the value of the last deployment."""
    deploy(built, cloud, stack_name="kept", parameters={"Retention": "14"})

    again = deploy(built, cloud, stack_name="kept")
    other = deploy(built, cloud, stack_name="kept", parameters={"Retention": "30"})

    assert not again.is_changed
    assert other.is_changed
    groups = cloud.session.client(
        "logs", endpoint_url=cloud.endpoint_url, config=cloud.config
    ).describe_log_groups(logGroupNamePrefix="/kept/kept")["logGroups"]
    assert [group["retentionInDays"] for group in groups] == [30]


def test_unknown_parameter_is_refused_before_anything_is_made(built: Build, cloud: Cloud) -> None:
    """The refusal lists the parameters that there are; no stack comes of it."""
    with pytest.raises(ConfigError, match=r"no parameter Nope\. It has: Key, Retention"):
        deploy(built, cloud, stack_name="never", parameters={"Nope": "1"})

    assert Stack(cloud, "never").describe() is None


def test_slip_in_a_parameter_starts_and_builds_nothing(project: Path, own: Settings) -> None:
    """``up`` looks at the names first: no engine, no build, no question about AWS."""
    asked: list[str] = []

    def yes(question: str) -> bool:
        asked.append(question)
        return True

    with pytest.raises(ConfigError, match="no parameter Nope"):
        _up(project, own, Nope="1")
    with pytest.raises(ConfigError, match="no parameter Nope"):
        deploy_to_aws(project, stack_name="never", parameters={"Nope": "1"}, ask=yes)

    assert status(own).health is None
    assert not (project.parent / ".build").exists()
    assert asked == []


def test_failing_resource_is_named_with_its_reason(project: Path, cloud: Cloud) -> None:
    """A stack that fails says which resource and why, and does not stay in the way."""
    good = project.read_text().replace("DeletionPolicy: Retain", "DeletionPolicy: Delete")
    project.write_text(good.replace("StageName: dev", 'StageName: "not a name"'))

    with pytest.raises(DeploymentFailed, match=r"Stage \(AWS::ApiGatewayV2::Stage\): .+"):
        deploy(_build(project), cloud, stack_name="failing")

    project.write_text(good)
    assert deploy(_build(project), cloud, stack_name="failing").is_changed


def test_large_template_goes_through_the_bucket(project: Path, cloud: Cloud) -> None:
    """A template over 51,200 bytes is uploaded instead of sent."""
    padding = "".join(f"  Note{n}: {'x' * 100}\n" for n in range(600))
    project.write_text(f"{project.read_text()}Metadata:\n{padding}")

    deployment = deploy(_build(project), cloud, stack_name="large")

    assert deployment.outputs["FunctionName"] == "large-answer"


def test_destroy_names_what_it_keeps_and_why(built: Build, cloud: Cloud) -> None:
    """A retained resource stays, and so does the bucket while another stack has packages in it."""
    deploy(built, cloud, stack_name="other")
    deploy(built, cloud, stack_name="gone")

    kept = destroy(cloud, stack_name="gone")
    again = destroy(cloud, stack_name="gone")

    assert kept is not None
    assert kept[0] == Kept(name="AWS::Logs::LogGroup /kept/gone", why=kept[0].why)
    assert "Retain" in kept[0].why
    assert kept[1].name == f"AWS::S3::Bucket socketstack-artifacts-{cloud.account_id}-us-east-1"
    assert "other" in kept[1].why
    assert "gone" not in kept[1].why
    assert again is None
    assert Stack(cloud, "gone").describe() is None
    assert not [key for key in _objects(cloud) if key.startswith("gone/")]
    assert [key for key in _objects(cloud) if key.startswith("other/")]


def test_packages_of_before_are_removed_after_a_success(project: Path, cloud: Cloud) -> None:
    """The bucket holds what the stack has now; what a rollback could ask for stays until then."""
    deploy(_build(project), cloud, stack_name="pruned")
    (before,) = [key for key in _objects(cloud) if key.startswith("pruned/")]
    (project.parent / "source" / "handler.py").write_text(HANDLER + "x = 2\n")
    good = project.read_text()
    project.write_text(good.replace("StageName: dev", 'StageName: "not a name"'))
    with pytest.raises(DeploymentFailed):
        deploy(_build(project), cloud, stack_name="pruned")
    during = [key for key in _objects(cloud) if key.startswith("pruned/")]

    project.write_text(good)
    deploy(_build(project), cloud, stack_name="pruned")

    (after,) = [key for key in _objects(cloud) if key.startswith("pruned/")]
    assert before in during
    assert after in during
    assert after != before


def test_aws_set_up_of_the_user_does_not_reach_the_engine(
    built: Build, engine: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Profiles, CA bundles, proxies and endpoints in the environment change nothing locally."""
    for name, value in {
        "AWS_PROFILE": "missing",
        "AWS_CONFIG_FILE": "/nonexistent",
        "AWS_CA_BUNDLE": "/nonexistent",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
        "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9",
        "AWS_USE_FIPS_ENDPOINT": "true",
        "HTTP_PROXY": "http://127.0.0.1:9",
        "http_proxy": "http://127.0.0.1:9",
    }.items():
        monkeypatch.setenv(name, value)

    deployment = deploy(built, local_cloud(engine), stack_name="undisturbed")

    assert deployment.outputs["FunctionName"] == "undisturbed-answer"


# Tools


def _handshake(settings: Settings, url: str) -> int:
    headers = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "c29ja2V0c3RhY2sgcHJvYg==",
    }
    path = "/" + url.split("/", 3)[3]
    return EngineProcess(settings).request("GET", path, headers=headers)[0]


def _objects(cloud: Cloud) -> list[str]:
    bucket = f"socketstack-artifacts-{cloud.account_id}-{cloud.region}"
    return [entry["Key"] for entry in cloud.s3().list_objects_v2(Bucket=bucket)["Contents"]]


def _code_digest(cloud: Cloud, function: str) -> str:
    client = cloud.session.client("lambda", endpoint_url=cloud.endpoint_url, config=cloud.config)
    return client.get_function(FunctionName=function)["Configuration"]["CodeSha256"]
