"""The artefact bucket as AWS is asked to make it: over TLS, answered by nobody on the network."""

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.awsrequest import AWSResponse, HTTPHeaders
from botocore.config import Config

from socketstack.errors import ConfigError
from socketstack.kit.artifacts import ArtifactStore
from socketstack.kit.cloud import Cloud

_ACCOUNT = "111122223333"


class _Nothing:
    """The body of an answer that has none."""

    def stream(self) -> Iterator[bytes]:
        """No bytes."""
        return iter(())


class _Wire:
    """Takes requests before they are sent, and answers: 404 for a HEAD, else 200."""

    def __init__(self, *, exists: bool) -> None:
        self.requests: list[Any] = []
        self._exists = exists

    def __call__(self, request: Any, **_members: object) -> AWSResponse:
        self.requests.append(request)
        is_missing = request.method == "HEAD" and not self._exists
        status = 404 if is_missing else 200
        return AWSResponse(request.url, status, HTTPHeaders(), _Nothing())

    def settings(self) -> list[str]:
        """Which settings of the bucket were put, by their name in the query."""
        return [r.url.partition("?")[2].rstrip("=") for r in self.requests if r.method == "PUT"]


def _store(wire: _Wire, *, artifact_bucket: str = "", region: str = "eu-west-1") -> ArtifactStore:
    session = boto3.Session(
        aws_access_key_id="test", aws_secret_access_key="test", region_name=region
    )
    events: Any = session.events  # its types do not know that a handler may answer
    events.register("before-send.s3", wire)
    cloud = Cloud(
        session=session,
        account_id=_ACCOUNT,
        region=region,
        endpoint_url=None,
        config=Config(retries={"total_max_attempts": 1}),
        poll_seconds=0.01,
        limit_seconds=1,
        artifact_bucket=artifact_bucket,
    )
    return ArtifactStore(cloud, "chat")


@pytest.fixture(autouse=True)
def _no_ca_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_CA_BUNDLE", "AWS_ENDPOINT_URL", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("exists", [False, True], ids=["new", "found"])
def test_bucket_of_ours_takes_nothing_but_tls(*, exists: bool) -> None:
    """The policy denies every action without TLS, on bucket and objects, whoever made it when."""
    wire = _Wire(exists=exists)

    _store(wire).ensure()

    assert wire.settings()[-4:] == ["publicAccessBlock", "encryption", "lifecycle", "policy"]
    (statement,) = json.loads(wire.requests[-1].body)["Statement"]
    arn = f"arn:aws:s3:::socketstack-artifacts-{_ACCOUNT}-eu-west-1"
    assert statement["Effect"] == "Deny"
    assert statement["Resource"] == [arn, f"{arn}/*"]
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_every_call_says_whose_bucket_it_must_be() -> None:
    """A bucket that somebody made under our name first is never written to."""
    wire = _Wire(exists=True)

    _store(wire).ensure()

    owners = {request.headers["x-amz-expected-bucket-owner"] for request in wire.requests}
    assert owners == {_ACCOUNT.encode()}


def test_bucket_of_the_user_is_only_looked_at() -> None:
    """Its settings are the owner's business."""
    wire = _Wire(exists=True)

    _store(wire, artifact_bucket="company").ensure()

    assert [request.method for request in wire.requests] == ["HEAD"]


def test_missing_bucket_of_the_user_is_not_made() -> None:
    """The refusal names the variable; nothing but the look went out."""
    wire = _Wire(exists=False)

    with pytest.raises(ConfigError, match="SOCKETSTACK_ARTIFACT_BUCKET does not exist"):
        _store(wire, artifact_bucket="company").ensure()

    assert [request.method for request in wire.requests] == ["HEAD"]
