"""``AWS::S3::*``: buckets and their policies over S3's own operations."""

import json
from typing import Any, Final

from socketstack.services.cfn.kinds import (
    Change,
    Kind,
    Properties,
    Work,
    gone_is_fine,
    only,
    without,
)


async def _create_bucket(work: Work, properties: Properties) -> str:
    name = work.name(properties.get("BucketName"), limit=63, is_lower=True)
    where = None if work.region == "us-east-1" else {"LocationConstraint": work.region}
    await work.services.call("s3", "CreateBucket", Bucket=name, CreateBucketConfiguration=where)
    work.note(name)
    await _set_bucket(work, name, {}, properties)
    tags = work.tag_list(properties)
    if tags:
        await work.services.call("s3", "PutBucketTagging", Bucket=name, Tagging={"TagSet": tags})
    return name


async def _set_bucket(work: Work, name: str, old: Properties, new: Properties) -> None:
    call = work.services.call
    if "VersioningConfiguration" in new:
        versioning = new["VersioningConfiguration"]
        await call("s3", "PutBucketVersioning", Bucket=name, VersioningConfiguration=versioning)
    if "PublicAccessBlockConfiguration" in new:
        await call(
            "s3",
            "PutPublicAccessBlock",
            Bucket=name,
            PublicAccessBlockConfiguration=new["PublicAccessBlockConfiguration"],
        )
    elif "PublicAccessBlockConfiguration" in old:
        await call("s3", "DeletePublicAccessBlock", Bucket=name)
    if "BucketEncryption" in new:
        rules = [
            {
                **without(rule, "ServerSideEncryptionByDefault"),
                "ApplyServerSideEncryptionByDefault": rule["ServerSideEncryptionByDefault"],
            }
            for rule in new["BucketEncryption"]["ServerSideEncryptionConfiguration"]
        ]
        await call(
            "s3",
            "PutBucketEncryption",
            Bucket=name,
            ServerSideEncryptionConfiguration={"Rules": rules},
        )
    elif "BucketEncryption" in old:
        await call("s3", "DeleteBucketEncryption", Bucket=name)


async def _update_bucket(work: Work, change: Change) -> None:
    await _set_bucket(work, change.physical_id, change.old, change.new)
    if change.old_tags != change.new_tags:
        tags = [{"Key": key, "Value": value} for key, value in change.new_tags.items()]
        await work.services.call(
            "s3", "PutBucketTagging", Bucket=change.physical_id, Tagging={"TagSet": tags}
        )


async def _delete_bucket(work: Work, name: str, _: Properties) -> None:
    await gone_is_fine(work.services.call("s3", "DeleteBucket", Bucket=name))


async def _read_bucket(work: Work, name: str, _: Properties) -> dict[str, Any]:
    return {
        "Arn": f"arn:aws:s3:::{name}",
        "DomainName": f"{name}.s3.amazonaws.com",
        "RegionalDomainName": f"{name}.s3.{work.region}.amazonaws.com",
    }


async def _put_bucket_policy(work: Work, properties: Properties) -> str:
    bucket = str(properties["Bucket"])
    work.note(bucket)
    policy = json.dumps(properties["PolicyDocument"])
    await work.services.call("s3", "PutBucketPolicy", Bucket=bucket, Policy=policy)
    return bucket


async def _update_bucket_policy(work: Work, change: Change) -> None:
    await _put_bucket_policy(work, change.new)


async def _delete_bucket_policy(work: Work, bucket: str, _: Properties) -> None:
    await gone_is_fine(work.services.call("s3", "DeleteBucketPolicy", Bucket=bucket))


KINDS: Final = (
    Kind(
        type_name="AWS::S3::Bucket",
        properties=only(
            *("BucketEncryption", "BucketName", "PublicAccessBlockConfiguration", "Tags"),
            "VersioningConfiguration",
        ),
        create=_create_bucket,
        update=_update_bucket,
        delete=_delete_bucket,
        read=_read_bucket,
    ),
    Kind(
        type_name="AWS::S3::BucketPolicy",
        properties=only("Bucket", "PolicyDocument"),
        create=_put_bucket_policy,
        update=_update_bucket_policy,
        delete=_delete_bucket_policy,
    ),
)
