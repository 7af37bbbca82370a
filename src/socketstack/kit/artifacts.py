"""The artefact bucket: made when it is missing, one folder for each stack, filled by content.

The bucket belongs to the account and region; what a stack needs lies under its name, so that
destroying one stack takes away its own packages and nobody else's.
"""

import json
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from botocore.exceptions import ClientError

from socketstack.errors import ConfigError
from socketstack.kit.cloud import Cloud, code_of
from socketstack.kit.packages import Say

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.literals import BucketLocationConstraintType
    from mypy_boto3_s3.type_defs import ObjectIdentifierTypeDef

_FIRST_REGION: Final = "us-east-1"
"""The one region that S3 does not take as a location constraint."""
_MISSING: Final = frozenset({"404", "NoSuchBucket", "NotFound", "NoSuchKey"})
_TAKEN: Final = frozenset({"BucketAlreadyExists", "OperationAborted"})
_UNFINISHED_DAYS: Final = 1
_BATCH: Final = 1000
"""What one DeleteObjects call takes."""


class ArtifactStore:
    """The packages of one stack. Objects are named by their contents.

    The bucket is ours unless the user named one; a bucket of the user's own is used as it is.
    """

    def __init__(self, cloud: Cloud, stack_name: str, *, say: Say = lambda _line: None) -> None:
        self.is_ours = not cloud.artifact_bucket
        self.bucket = (
            cloud.artifact_bucket or f"socketstack-artifacts-{cloud.account_id}-{cloud.region}"
        )
        self._folder = f"{stack_name}/"
        self._cloud = cloud
        self._say = say
        self._s3: S3Client = cloud.s3()

    def ensure(self) -> None:
        """Make the bucket if it is missing: private, encrypted, without leftovers of uploads.

        On AWS the settings of a bucket of ours are made anew each time: one whose making stopped
        half-way must not stay open.

        Raises:
            ConfigError: somebody else owns a bucket of that name, it may not be used, or the
                bucket that the user named is not there.
        """
        try:
            self._s3.head_bucket(Bucket=self.bucket, ExpectedBucketOwner=self._cloud.account_id)
        except ClientError as error:
            if code_of(error) not in _MISSING:
                message = (
                    f"The bucket {self.bucket} cannot be used ({code_of(error)}): it belongs to "
                    "another account, or your credentials may not read it. Nothing was uploaded. "
                    "Name a bucket of yours in SOCKETSTACK_ARTIFACT_BUCKET."
                )
                raise ConfigError(message) from error
            if not self.is_ours:
                message = (
                    f"The bucket {self.bucket} of SOCKETSTACK_ARTIFACT_BUCKET does not exist. "
                    "Make it, or leave the variable out: then a bucket is made."
                )
                raise ConfigError(message) from error
            self._create()
            self._secure()
        else:
            if self.is_ours and not self._cloud.is_local:
                self._secure()

    def put(self, path: Path, *, digest: str) -> str:
        """Upload a file unless it is there; returns its key: the stack's folder and its SHA-256."""
        key = f"{self._folder}{digest}{path.suffix}"
        if not self._has(key):
            self._say(f"Uploading {path.name}")
            self._s3.upload_file(
                str(path),
                self.bucket,
                key,
                ExtraArgs={"ExpectedBucketOwner": self._cloud.account_id},
            )
        return key

    def url(self, key: str) -> str:
        """The address under which CloudFormation reads an object."""
        host = self._cloud.endpoint_url
        if host is not None:
            return f"{host}/{self.bucket}/{key}"
        suffix = "amazonaws.com.cn" if self._cloud.region.startswith("cn-") else "amazonaws.com"
        return f"https://{self.bucket}.s3.{self._cloud.region}.{suffix}/{key}"

    def prune(self, keep: Collection[str]) -> None:
        """Remove what the stack does not need any more: everything of its folder but these keys.

        For after a success, when no rollback can ask for the packages of before.
        """
        self._delete([key for key in self._keys(self._folder) if key not in keep])

    def remove(self) -> str | None:
        """Remove the stack's packages, and the bucket when it is ours and nobody else's are left.

        Returns why the bucket is kept; None when it is gone.
        """
        try:
            self._delete(list(self._keys(self._folder)))
            if not self.is_ours:
                return "it is your own; the stack's packages are gone from it"
            others = sorted({key.partition("/")[0] for key in self._keys("")})
            if others:
                return f"it holds packages of other stacks: {', '.join(others)}"
            self._s3.delete_bucket(Bucket=self.bucket, ExpectedBucketOwner=self._cloud.account_id)
        except ClientError as error:
            if code_of(error) in _MISSING:
                return None
            return f"it could not be emptied and deleted ({code_of(error)})"
        return None

    def _keys(self, prefix: str) -> Iterator[str]:
        pages = self._s3.get_paginator("list_objects_v2").paginate(
            Bucket=self.bucket, Prefix=prefix, ExpectedBucketOwner=self._cloud.account_id
        )
        for page in pages:
            for entry in page.get("Contents", ()):
                yield entry["Key"]

    def _delete(self, keys: list[str]) -> None:
        for start in range(0, len(keys), _BATCH):
            batch: list[ObjectIdentifierTypeDef] = [
                {"Key": key} for key in keys[start : start + _BATCH]
            ]
            self._s3.delete_objects(
                Bucket=self.bucket,
                Delete={"Objects": batch, "Quiet": True},
                ExpectedBucketOwner=self._cloud.account_id,
            )

    def _has(self, key: str) -> bool:
        owner = self._cloud.account_id
        try:
            self._s3.head_object(Bucket=self.bucket, Key=key, ExpectedBucketOwner=owner)
        except ClientError as error:
            if code_of(error) in _MISSING:
                return False
            raise
        return True

    def _create(self) -> None:
        region = self._cloud.region
        try:
            if region == _FIRST_REGION:
                self._s3.create_bucket(Bucket=self.bucket)
            else:
                place: BucketLocationConstraintType = region  # type: ignore[assignment]
                self._s3.create_bucket(
                    Bucket=self.bucket, CreateBucketConfiguration={"LocationConstraint": place}
                )
        except ClientError as error:
            if code_of(error) not in _TAKEN:
                raise
            message = (
                f"The bucket name {self.bucket} is taken ({code_of(error)}): names are unique in "
                "all of AWS, and one that was deleted is free only after a while. Name a bucket "
                "of yours in SOCKETSTACK_ARTIFACT_BUCKET."
            )
            raise ConfigError(message) from error

    def _secure(self) -> None:
        owner = self._cloud.account_id
        self._s3.put_public_access_block(
            Bucket=self.bucket,
            PublicAccessBlockConfiguration={
                "BlockPublicAcls": True,
                "IgnorePublicAcls": True,
                "BlockPublicPolicy": True,
                "RestrictPublicBuckets": True,
            },
            ExpectedBucketOwner=owner,
        )
        self._s3.put_bucket_encryption(
            Bucket=self.bucket,
            ServerSideEncryptionConfiguration={
                "Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]
            },
            ExpectedBucketOwner=owner,
        )
        # Packages are not removed by age: a rollback asks for those of the version before, however
        # old. ``prune`` removes them once nothing can ask for them.
        self._s3.put_bucket_lifecycle_configuration(
            Bucket=self.bucket,
            LifecycleConfiguration={
                "Rules": [
                    {
                        "ID": "unfinished-uploads",
                        "Status": "Enabled",
                        "Filter": {"Prefix": ""},
                        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": _UNFINISHED_DAYS},
                    }
                ]
            },
            ExpectedBucketOwner=owner,
        )
        if not self._s3.meta.endpoint_url.startswith("https:"):
            return  # the policy would shut us out of an engine that is reached without TLS
        self._s3.put_bucket_policy(
            Bucket=self.bucket, Policy=self._policy(), ExpectedBucketOwner=owner
        )

    def _policy(self) -> str:
        partition = self._cloud.session.get_partition_for_region(self._cloud.region)
        arn = f"arn:{partition}:s3:::{self.bucket}"
        statement = {
            "Sid": "OnlyOverTls",
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:*",
            "Resource": [arn, f"{arn}/*"],
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        }
        return json.dumps({"Version": "2012-10-17", "Statement": [statement]})
