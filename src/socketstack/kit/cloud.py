"""Where a stack goes: the engine, or an AWS account. Sessions, clients and who we are there."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

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

from socketstack.errors import ConfigError, DeploymentFailed
from socketstack.settings import Settings, named_region

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_s3 import S3Client

_LOCAL_POLL_SECONDS: Final = 0.05
_AWS_POLL_SECONDS: Final = 3.0
_LOCAL_LIMIT_SECONDS: Final = 120.0
_AWS_LIMIT_SECONDS: Final = 3600.0
_LOCAL_KEY: Final = "test"
_EXPIRED: Final = frozenset(
    {"ExpiredToken", "ExpiredTokenException", "RequestExpired", "InvalidClientTokenId"}
)
_SIGN_IN: Final = (
    "Sign in (`aws sso login` or `aws configure`), or set AWS_PROFILE to a profile that is, "
    "and try again."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cloud:
    """One place for stacks, with what is needed to talk to it."""

    session: boto3.Session
    account_id: str
    region: str
    endpoint_url: str | None
    """The engine's address; None on AWS."""
    config: Config | None
    poll_seconds: float
    limit_seconds: float
    """How long a stack may take."""

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
        identity = session.client("sts").get_caller_identity()
    return Cloud(
        session=session,
        account_id=identity["Account"],
        region=session.region_name,
        endpoint_url=None,
        config=None,
        poll_seconds=_AWS_POLL_SECONDS,
        limit_seconds=_AWS_LIMIT_SECONDS,
    )


@contextmanager
def aws_errors() -> Iterator[None]:
    """Turn what boto3 raises into errors that say what to do."""
    try:
        yield
    except (NoCredentialsError, PartialCredentialsError, ProfileNotFound) as error:
        message = f"There are no AWS credentials: {error}. {_SIGN_IN}"
        raise ConfigError(message) from error
    except ClientError as error:
        details = error.response.get("Error", {})
        code, text = details.get("Code", ""), details.get("Message", "")
        if code in _EXPIRED:
            message = f"The AWS credentials are not valid any more ({code}). {_SIGN_IN}"
            raise ConfigError(message) from error
        message = f"AWS refused {error.operation_name}: {code}: {text}"
        raise DeploymentFailed(message) from error
    except BotoCoreError as error:
        # Expired SSO sessions, unreachable endpoints and the like.
        message = f"AWS could not be called: {error} {_SIGN_IN}"
        raise ConfigError(message) from error


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
