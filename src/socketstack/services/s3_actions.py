"""What calls of S3 ask permission for: its operations are methods, paths and query parameters.

Parameters that make an operation which is not listed here, and those of several operations at
once, mean no action: only ``s3:*`` allows such a call.
"""

from typing import Final
from urllib.parse import unquote

from socketstack.services import targets
from socketstack.services.call_resources import Place
from socketstack.services.http import AwsRequest

_UNKNOWN: Final = "s3:Unknown"
_OBJECT: Final = {
    # method and the query parameters that make it another operation
    ("GET", "acl"): "s3:GetObjectAcl",
    ("GET", "tagging"): "s3:GetObjectTagging",
    ("GET", "uploadId"): "s3:ListMultipartUploadParts",
    ("GET", "versionId"): "s3:GetObjectVersion",
    ("HEAD", "versionId"): "s3:GetObjectVersion",
    ("PUT", "acl"): "s3:PutObjectAcl",
    ("PUT", "tagging"): "s3:PutObjectTagging",
    ("PUT", "uploadId"): "s3:PutObject",
    ("POST", "uploadId"): "s3:PutObject",
    ("POST", "uploads"): "s3:PutObject",
    ("DELETE", "tagging"): "s3:DeleteObjectTagging",
    ("DELETE", "uploadId"): "s3:AbortMultipartUpload",
    ("DELETE", "versionId"): "s3:DeleteObjectVersion",
    ("GET", ""): "s3:GetObject",
    ("HEAD", ""): "s3:GetObject",
    ("PUT", ""): "s3:PutObject",
    ("DELETE", ""): "s3:DeleteObject",
}
_BUCKET: Final = {
    ("GET", "acl"): "s3:GetBucketAcl",
    ("GET", "cors"): "s3:GetBucketCORS",
    ("GET", "encryption"): "s3:GetEncryptionConfiguration",
    ("GET", "lifecycle"): "s3:GetLifecycleConfiguration",
    ("GET", "location"): "s3:GetBucketLocation",
    ("GET", "notification"): "s3:GetBucketNotification",
    ("GET", "policy"): "s3:GetBucketPolicy",
    ("GET", "publicAccessBlock"): "s3:GetBucketPublicAccessBlock",
    ("GET", "tagging"): "s3:GetBucketTagging",
    ("GET", "uploads"): "s3:ListBucketMultipartUploads",
    ("GET", "versioning"): "s3:GetBucketVersioning",
    ("GET", "versions"): "s3:ListBucketVersions",
    ("PUT", "acl"): "s3:PutBucketAcl",
    ("PUT", "cors"): "s3:PutBucketCORS",
    ("PUT", "encryption"): "s3:PutEncryptionConfiguration",
    ("PUT", "lifecycle"): "s3:PutLifecycleConfiguration",
    ("PUT", "notification"): "s3:PutBucketNotification",
    ("PUT", "policy"): "s3:PutBucketPolicy",
    ("PUT", "publicAccessBlock"): "s3:PutBucketPublicAccessBlock",
    ("PUT", "tagging"): "s3:PutBucketTagging",
    ("PUT", "versioning"): "s3:PutBucketVersioning",
    ("DELETE", "policy"): "s3:DeleteBucketPolicy",
    ("POST", "delete"): "s3:DeleteObject",
    ("GET", ""): "s3:ListBucket",
    ("HEAD", ""): "s3:ListBucket",
    ("PUT", ""): "s3:CreateBucket",
    ("DELETE", ""): "s3:DeleteBucket",
}
_HARMLESS: Final = frozenset(
    {
        *("continuation-token", "delimiter", "encoding-type", "fetch-owner", "key-marker"),
        *("list-type", "marker", "max-keys", "max-uploads", "part-number-marker", "partNumber"),
        *("prefix", "start-after", "upload-id-marker", "version-id-marker", "x-id"),
    }
)
"""Query parameters that do not make another operation; so are those of the prefixes below."""
_HARMLESS_PREFIXES: Final = ("X-Amz-", "x-amz-", "response-")


def s3_actions(request: AwsRequest, place: Place) -> list[tuple[str, str]]:
    """Actions and resources of one call."""
    bucket = targets.bucket_of_host(request.host)
    key = unquote(request.path).lstrip("/")
    if bucket is None:
        bucket, _, key = key.partition("/")
    if not bucket:
        return [("s3:ListAllMyBuckets" if request.method == "GET" else _UNKNOWN, "*")]
    names = {unquote(pair.partition("=")[0]) for pair in request.query_string.split("&") if pair}
    telling = {name for name in names if not name.startswith(_HARMLESS_PREFIXES)} - _HARMLESS
    table = _OBJECT if key else _BUCKET
    action = table.get((request.method.upper(), "&".join(sorted(telling))), _UNKNOWN)
    arn = f"arn:{place.partition}:s3:::{bucket}"
    if key:
        arn = f"{arn}/{key}"
    elif action == "s3:DeleteObject":
        arn = f"{arn}/*"  # many keys at once, in the body: all objects must be allowed
    demands = [(action, arn)]
    if source := request.header("x-amz-copy-source"):
        copied = unquote(source.partition("?")[0]).lstrip("/")
        demands.append(("s3:GetObject", f"arn:{place.partition}:s3:::{copied}"))
    return demands
