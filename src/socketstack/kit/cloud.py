"""Where a stack goes: the engine, or an AWS account. Sessions, clients and who we are there."""

import difflib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import boto3
import botocore.session
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    NoCredentialsError,
    PartialCredentialsError,
    ProfileNotFound,
)

from socketstack.errors import ConfigError, DeploymentFailed, GatewayError
from socketstack.settings import Settings, named_artifact_bucket, named_region

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_s3 import S3Client

_LOCAL_POLL_SECONDS: Final = 0.05
_AWS_POLL_SECONDS: Final = 3.0
_LOCAL_LIMIT_SECONDS: Final = 120.0
_AWS_LIMIT_SECONDS: Final = 3600.0
_LOCAL_KEY: Final = "test"
_EXPIRED: Final = frozenset(
    {
        "ExpiredToken",
        "ExpiredTokenException",
        "RequestExpired",
        "InvalidClientTokenId",
        "UnrecognizedClientException",
    }
)
_THROTTLED: Final = frozenset(
    {
        "Throttling",
        "ThrottlingException",
        "ThrottledException",
        "RequestThrottled",
        "RequestThrottledException",
        "TooManyRequestsException",
        "RequestLimitExceeded",
        "SlowDown",
    }
)
_DENIED: Final = frozenset(
    {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "AuthorizationError", "403"}
)
_NEEDED: Final = ("cloudformation", "s3", "apigatewayv2", "lambda")
_SIGN_IN: Final = (
    "Sign in (`aws sso login` or `aws configure`), or set AWS_PROFILE to a profile that is, "
    "and try again."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cloud:
    """One place for stacks, with what is needed to talk to it."""

    session: boto3.Session
    account_id: str
    caller_arn: str = ""
    """Who we are there; empty on the engine."""
    region: str
    endpoint_url: str | None
    """The engine's address; None on AWS."""
    config: Config
    poll_seconds: float
    limit_seconds: float
    """How long a stack may take."""
    artifact_bucket: str = ""
    """A bucket that the user named for packages; empty for one that the kit makes."""

    @property
    def is_local(self) -> bool:
        """The engine, not AWS."""
        return self.endpoint_url is not None

    def cloudformation(self) -> "CloudFormationClient":
        """A client for stacks."""
        return self.session.client(
            "cloudformation", endpoint_url=self.endpoint_url, config=self.config
        )

    def s3(self) -> "S3Client":
        """A client for artefacts."""
        return self.session.client("s3", endpoint_url=self.endpoint_url, config=self.config)


def local_cloud(settings: Settings) -> Cloud:
    """The engine. Nothing of the user's AWS set-up is looked at: no profile, no proxy, no CA."""
    session = botocore.session.Session(session_vars=dict(_UNSET_VARIABLES))
    return Cloud(
        session=boto3.Session(
            aws_access_key_id=_LOCAL_KEY,
            aws_secret_access_key=_LOCAL_KEY,
            region_name=settings.region,
            botocore_session=session,
        ),
        account_id=settings.account_id,
        region=settings.region,
        endpoint_url=f"http://localhost:{settings.port}",
        config=Config(
            proxies={},
            s3={"addressing_style": "path"},
            retries={"total_max_attempts": 1},
            read_timeout=_LOCAL_LIMIT_SECONDS,
            use_fips_endpoint=False,
            use_dualstack_endpoint=False,
        ),
        poll_seconds=_LOCAL_POLL_SECONDS,
        limit_seconds=_LOCAL_LIMIT_SECONDS,
    )


def aws_cloud(region: str | None = None) -> Cloud:
    """The AWS account of the user's credentials.

    Raises ``ConfigError`` when there are none, they have expired, or no region is set.
    """
    with aws_errors():
        session = boto3.Session(region_name=region or named_region())
        if not session.region_name:
            message = "No AWS region is set. Set AWS_REGION, or pass --region."
            raise ConfigError(message)
        _refuse_unknown(session)
        sts = session.client("sts")
        identity = sts.get_caller_identity()
        host = urlsplit(sts.meta.endpoint_url).hostname or ""
    return Cloud(
        session=session,
        account_id=identity["Account"],
        caller_arn=identity["Arn"],
        region=session.region_name,
        endpoint_url=None,
        config=Config(),  # retries and proxies are the user's own
        # AWS_ENDPOINT_URL may name something near, which answers at once and has no rate limit.
        poll_seconds=_AWS_POLL_SECONDS if ".amazonaws." in f"{host}." else _LOCAL_POLL_SECONDS,
        limit_seconds=_AWS_LIMIT_SECONDS,
        artifact_bucket=named_artifact_bucket() or "",
    )


def _refuse_unknown(session: boto3.Session) -> None:
    """Refuse a region that does not exist, or that lacks a service that every stack here needs.

    A slip in the name would otherwise show as a host that cannot be found.
    """
    region = session.region_name
    offers = {
        service: {
            name
            for partition in session.get_available_partitions()
            for name in session.get_available_regions(service, partition_name=partition)
        }
        for service in _NEEDED
    }
    lacking = sorted(service for service, regions in offers.items() if region not in regions)
    if not lacking:
        return
    if "cloudformation" in lacking:
        close = difflib.get_close_matches(region, offers["cloudformation"], n=1)
        hint = f" Did you mean {close[0]}?" if close else ""
        message = f"There is no AWS region {region!r}.{hint} Correct AWS_REGION or --region."
    else:
        message = f"The region {region} does not offer {', '.join(lacking)}. Choose another one."
    raise ConfigError(message)


@contextmanager
def aws_errors() -> Iterator[None]:
    """Turn what boto3 raises into errors that say what to do."""
    try:
        yield
    except (NoCredentialsError, PartialCredentialsError, ProfileNotFound) as error:
        message = f"There are no AWS credentials: {error}. {_SIGN_IN}"
        raise ConfigError(message) from error
    except ClientError as error:
        raise _explained(error) from error
    except BotoCoreError as error:
        # Expired SSO sessions, unreachable endpoints and the like.
        message = f"AWS could not be called: {error} {_SIGN_IN}"
        raise ConfigError(message) from error


def code_of(error: ClientError) -> str:
    """The AWS error code, or the HTTP status of an answer without a body (HEAD)."""
    return str(error.response.get("Error", {}).get("Code", ""))


def is_expired(error: ClientError) -> bool:
    """Whether the credentials are none, or are none any more."""
    return code_of(error) in _EXPIRED


def is_throttled(error: ClientError) -> bool:
    """Whether it was asked too often, and the same may succeed later."""
    return code_of(error) in _THROTTLED


def is_denied(error: ClientError) -> bool:
    """Whether the caller's policies do not allow the call."""
    return code_of(error) in _DENIED


def _explained(error: ClientError) -> GatewayError:
    code, text = code_of(error), error.response.get("Error", {}).get("Message", "")
    if is_expired(error):
        return ConfigError(f"The AWS credentials are not valid any more ({code}). {_SIGN_IN}")
    if is_denied(error):
        return ConfigError(
            f"AWS does not allow {error.operation_name}: {text or code}. Ask for the permission; "
            "docs/aws.md has the policy that deploying needs."
        )
    if is_throttled(error):
        return DeploymentFailed(
            f"AWS was asked too often ({error.operation_name}: {code}), also after retries. "
            "Wait a minute and run the same command again; it goes on where it stands."
        )
    return DeploymentFailed(f"AWS refused {error.operation_name}: {code}: {text}")


_UNSET_VARIABLES: Final = {
    "profile": (None, None, None, None),
    "config_file": (None, None, os.devnull, None),
    "credentials_file": (None, None, os.devnull, None),
    "ca_bundle": ("ca_bundle", None, None, None),
    "endpoint_url": (None, None, None, None),
    "ignore_configured_endpoint_urls": (None, None, True, None),
    "defaults_mode": (None, None, "legacy", None),
    "max_attempts": (None, None, None, None),
    "retry_mode": (None, None, None, None),
}
"""botocore's table of variables, for those that could reach us: (in the file, in the
environment, default, conversion)."""
