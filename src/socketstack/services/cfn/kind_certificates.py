"""Certificates of custom domain names: ``AWS::CertificateManager::Certificate``.

Nobody validates a domain here, so nothing is waited for, and the engine serves custom domain names
with certificates of its own; what counts is the ARN.
Rules: 1.104, 1.110.
"""

from typing import Any, Final

from socketstack.services.cfn.kinds import Change, Kind, Properties, Work, gone_is_fine, only


async def _create(work: Work, properties: Properties) -> str:
    made = await work.services.call(
        "acm",
        "RequestCertificate",
        DomainName=properties["DomainName"],
        SubjectAlternativeNames=properties.get("SubjectAlternativeNames"),
        ValidationMethod=properties.get("ValidationMethod"),
        Tags=work.tag_list(properties),
    )
    arn = str(made["CertificateArn"])
    work.note(arn)
    return arn


async def _update(work: Work, change: Change) -> None:
    arn, call = change.physical_id, work.services.call
    if change.gone_tags:
        gone = [{"Key": key} for key in change.gone_tags]
        await call("acm", "RemoveTagsFromCertificate", CertificateArn=arn, Tags=gone)
    if change.set_tags:
        tags = [{"Key": key, "Value": value} for key, value in change.set_tags.items()]
        await call("acm", "AddTagsToCertificate", CertificateArn=arn, Tags=tags)


async def _delete(work: Work, arn: str, _: Properties) -> None:
    await gone_is_fine(work.services.call("acm", "DeleteCertificate", CertificateArn=arn))


async def _read(work: Work, arn: str, _: Properties) -> dict[str, Any]:
    del work
    return {"CertificateArn": arn, "Id": arn}


KINDS: Final = (
    Kind(
        type_name="AWS::CertificateManager::Certificate",
        properties=only(
            "DomainName",
            # Where AWS would write the record that proves the domain; there is nothing to prove.
            "DomainValidationOptions",
            "SubjectAlternativeNames",
            "Tags",
            "ValidationMethod",
        ),
        create=_create,
        update=_update,
        delete=_delete,
        read=_read,
        replaces=only("ValidationMethod"),
    ),
)
