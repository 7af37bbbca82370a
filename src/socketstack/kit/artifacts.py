"""The artefact bucket: made when it is missing, filled by content."""

from pathlib import Path
from typing import TYPE_CHECKING, Final

from botocore.exceptions import ClientError

from socketstack.errors import ConfigError
from socketstack.kit.cloud import Cloud
from socketstack.kit.packages import Say

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.literals import BucketLocationConstraintType

_FIRST_REGION: Final = "us-east-1"
"""The one region that S3 does not take as a location constraint."""
_MISSING: Final = frozenset({"404", "NoSuchBucket", "NotFound", "NoSuchKey"})


class ArtifactStore:
    """One bucket of an account and region. Objects are named by their contents."""

    def __init__(self, cloud: Cloud, *, say: Say = lambda _line: None) -> None:
        self.bucket = f"socketstack-artifacts-{cloud.account_id}-{cloud.region}"
        self._cloud = cloud
        self._say = say
        self._s3: S3Client = cloud.s3()

    def ensure(self) -> None:
        """Make the bucket if it is missing: private and encrypted.

        Raises ``ConfigError`` when somebody else owns a bucket of that name.
        """
        try:
            self._s3.head_bucket(Bucket=self.bucket, ExpectedBucketOwner=self._cloud.account_id)
        except ClientError as error:
            if _code(error) not in _MISSING:
                message = (
                    f"The bucket {self.bucket} cannot be used ({_code(error)}): it belongs to "
                    "another account, or your credentials may not read it."
                )
                raise ConfigError(message) from error
            self._create()

    def put(self, path: Path, *, digest: str) -> str:
        """Upload a file unless it is there; returns its key, which is its SHA-256."""
        key = f"{digest}{path.suffix}"
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

    def _has(self, key: str) -> bool:
        owner = self._cloud.account_id
        try:
            self._s3.head_object(Bucket=self.bucket, Key=key, ExpectedBucketOwner=owner)
        except ClientError as error:
            if _code(error) in _MISSING:
                return False
            raise
        return True

    def _create(self) -> None:
        region = self._cloud.region
        if region == _FIRST_REGION:
            self._s3.create_bucket(Bucket=self.bucket)
        else:
            place: BucketLocationConstraintType = region  # type: ignore[assignment]
            self._s3.create_bucket(
                Bucket=self.bucket, CreateBucketConfiguration={"LocationConstraint": place}
            )
        self._s3.put_public_access_block(
            Bucket=self.bucket,
            PublicAccessBlockConfiguration={
                "BlockPublicAcls": True,
                "IgnorePublicAcls": True,
                "BlockPublicPolicy": True,
                "RestrictPublicBuckets": True,
            },
        )
        self._s3.put_bucket_encryption(
            Bucket=self.bucket,
            ServerSideEncryptionConfiguration={
                "Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]
            },
        )


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))
