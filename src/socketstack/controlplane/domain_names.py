"""Custom domain names and their mappings: what API Gateway refuses, adds, and puts into force.

A domain is Regional and speaks TLS 1.2 or newer; mutual TLS and routing rules are not served.
Certificates must exist, and the engine serves the names with certificates of its own.
Rules: 1.104 to 1.110.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Final, cast

from socketstack.controlplane.kinds import API, API_MAPPING, DOMAIN_NAME, STAGE
from socketstack.controlplane.members import mapping, text
from socketstack.controlplane.subject import Subject
from socketstack.core.limits import MAPPING_KEY_MAX_CHARACTERS
from socketstack.core.model import CustomDomain, Record
from socketstack.errors import BadRequest, Conflict, NotImplementedYet
from socketstack.store import Path, Store

_LABEL: Final = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_NAME: Final = re.compile(rf"(?:\*\.)?(?:{_LABEL}\.)+[a-z](?:[a-z0-9-]{{0,61}}[a-z0-9])?")
_RESERVED: Final = re.compile(
    r".*\.amazonaws\.com(\.cn)?|(.*\.)?execute-api\..*|(.*\.)?localhost\.localstack\.cloud"
    r"|host\.docker\.internal"
)
"""Names under which the engine answers for other reasons."""
_CERTIFICATE: Final = re.compile(
    r"arn:aws[a-z-]*:acm:(?P<region>[a-z0-9-]+):(?P<account>\d{12}):certificate/[A-Za-z0-9-]+"
)
_KEY: Final = re.compile(r"[A-Za-z0-9$\-_.+!*'()]*")
_DEFAULTS: Final[Mapping[str, object]] = {
    "DomainNameStatus": "AVAILABLE",
    "EndpointType": "REGIONAL",
    "IpAddressType": "ipv4",  # 1.109
    "SecurityPolicy": "TLS_1_2",  # 1.104
}
_HOSTED_ZONE: Final = "Z1UJRXOUMOOFQ8"
"""That of us-east-1, for every Region: there is no DNS here that could use it."""
_REGIONAL_NAME: Final = "RegionalName"
_MAPPING_ONLY: Final = "API_MAPPING_ONLY"


def created_members(name: str, account_id: str, region: str, unique: str) -> Record:
    """What a new domain has beyond what was sent; ``unique`` is ten characters."""
    return {
        "AccountId": account_id,
        "DomainNameArn": f"arn:aws:apigateway:{region}::/domainnames/{name}",
        "Region": region,
        _REGIONAL_NAME: f"d-{unique}.execute-api.{region}.amazonaws.com",
    }


def completed(record: Record) -> Record:
    """A domain's record with its configurations filled in."""
    filled = [
        {
            **_DEFAULTS,
            **configuration,
            "ApiGatewayDomainName": text(record, _REGIONAL_NAME),
            "HostedZoneId": _HOSTED_ZONE,
        }
        for configuration in _configurations(record)
    ]
    return {**record, "DomainNameConfigurations": filled}


def verify_domain(subject: Subject) -> None:
    """Refuse a domain that API Gateway would refuse, and what is not served."""
    record = subject.record
    name = text(record, "DomainName")
    if not subject.own_id:
        _verify_name(name)
        if subject.is_taken("DomainName"):
            raise Conflict("The domain name you provided already exists.")
    if text(record, "RoutingMode") != _MAPPING_ONLY:
        raise NotImplementedYet(
            f"RoutingMode {record['RoutingMode']} is not served: use {_MAPPING_ONLY}."
        )
    if mapping(record, "MutualTlsAuthentication").get("TruststoreUri"):
        raise NotImplementedYet("MutualTlsAuthentication is not served: leave it out.")
    configurations = _configurations(record)
    if len(configurations) != 1:
        raise BadRequest(
            "Invalid DomainNameConfigurations: a Regional domain name has exactly one, with a "
            "CertificateArn."
        )
    _verify_configuration(configurations[0], subject)


def _verify_name(name: str) -> None:
    if not _NAME.fullmatch(name) or _RESERVED.fullmatch(name):
        raise BadRequest(
            f"Invalid domain name {name!r}: use a full name in lower case, such as "
            "api.example.com or *.example.com, that is no address of AWS or of this engine."
        )


def _verify_configuration(configuration: Record, subject: Subject) -> None:
    endpoint, policy = configuration.get("EndpointType"), configuration.get("SecurityPolicy")
    if endpoint != "REGIONAL":
        raise BadRequest(
            f"Invalid EndpointType {endpoint}: WebSocket APIs support REGIONAL domain names only."
        )
    if policy != "TLS_1_2":
        raise BadRequest(f"Invalid SecurityPolicy {policy}: WebSocket APIs support TLS_1_2 only.")
    arn = text(configuration, "CertificateArn")
    found = _CERTIFICATE.fullmatch(arn)
    if found is None:
        raise BadRequest(
            f"Invalid certificate ARN: {arn}. It has the form "
            "arn:aws:acm:{region}:{account}:certificate/{id}."
        )
    if found["region"] != subject.region:  # 1.110
        raise BadRequest(
            f"Invalid certificate ARN: {arn}. Certificate must be in '{subject.region}'."
        )
    if found["account"] != subject.account_id:
        raise BadRequest("Cross-account certificate references are not allowed.")
    if not subject.has_certificate(arn):
        raise BadRequest(
            "The provided certificate does not exist. Make one with aws acm request-certificate, "
            "or aws acm import-certificate."
        )


def verify_mapping(subject: Subject) -> None:
    """Refuse a mapping that API Gateway would refuse. Rules 1.105 to 1.107."""
    record, store = subject.record, subject.store
    api_id, stage = text(record, "ApiId"), text(record, "Stage")
    api = store.get((API.name, api_id))
    if api is None or api["Region"] != subject.region:
        raise BadRequest(f"Invalid API identifier specified {subject.account_id}:{api_id}")
    if store.get((API.name, api_id, STAGE.name, stage)) is None:
        raise BadRequest("Invalid stage identifier specified")
    key = text(record, "ApiMappingKey")
    if not _KEY.fullmatch(key):
        raise BadRequest(
            "An ApiMapping key may contain only letters, numbers and one of $-_.+!*'()"
        )
    if len(key) > MAPPING_KEY_MAX_CHARACTERS:
        raise BadRequest(
            f"Invalid ApiMappingKey: it has {len(key)} characters, "
            f"{MAPPING_KEY_MAX_CHARACTERS} are allowed."
        )
    if subject.is_taken("ApiMappingKey"):
        raise Conflict("ApiMapping key already exists for this domain name")


def verify_unmapped(subject: Subject) -> None:
    """Refuse to delete an API or a stage that a domain still maps."""
    if subject.kind is not API and subject.kind is not STAGE:
        return
    is_stage = subject.kind is STAGE
    api_id = subject.parent[1] if is_stage else subject.own_id
    domains = [
        name
        for (_kind, name), _domain in subject.store.children((), DOMAIN_NAME.name)
        for _path, mapped in subject.store.children((DOMAIN_NAME.name, name), API_MAPPING.name)
        if mapped["ApiId"] == api_id and (not is_stage or mapped["Stage"] == subject.own_id)
    ]
    if domains:
        what, kind = (f"stage {subject.own_id}", "stage") if is_stage else ("API", "API")
        raise BadRequest(
            f"Deleting {what} failed. Please remove all base path mappings related to the {kind} "
            f"in your domains: {', '.join(dict.fromkeys(domains))}"
        )


class DomainNames:
    """Lets domains and mappings act, at once."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def put_in_force(self, name: str) -> None:
        """Let a domain lead where its mappings say."""
        mapped = self._store.children((DOMAIN_NAME.name, name), API_MAPPING.name)
        self._store.set_domain(
            CustomDomain(
                name=name,
                mappings={
                    text(record, "ApiMappingKey"): (text(record, "ApiId"), text(record, "Stage"))
                    for _path, record in mapped
                },
            )
        )

    def release(self, removed: Iterable[Path]) -> None:
        """Take out of service what was deleted. Rule 1.108."""
        for path in removed:
            if path[0] != DOMAIN_NAME.name:
                continue
            if path[-2] == DOMAIN_NAME.name:
                self._store.remove_domain(path[1])
            elif self._store.get(path[:2]) is not None:
                self.put_in_force(path[1])


def _configurations(record: Record) -> list[Record]:
    return cast("list[Record]", record.get("DomainNameConfigurations") or [])
