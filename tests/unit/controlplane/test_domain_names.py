from typing import Any

import pytest
from controlplane_bench import Bench

from socketstack.controlplane.plane import Caller
from socketstack.core.model import CustomDomain, Record
from socketstack.errors import BadRequest, Conflict, NotFound, NotImplementedYet, ServiceError

NAME = "api.example.com"
CERTIFICATE = "arn:aws:acm:us-east-1:000000000000:certificate/11111111-1111-1111-1111-111111111111"


def domain(bench: Bench, name: str = NAME, **configuration: Any) -> Record:
    """A new domain name."""
    configurations = [{"CertificateArn": CERTIFICATE, **configuration}]
    return bench.call("CreateDomainName", DomainName=name, DomainNameConfigurations=configurations)


def staged(bench: Bench, name: str = "dev") -> str:
    """An API with a stage; returns its id."""
    api = bench.api()
    bench.stage(api, name)
    return api


def mapping(bench: Bench, api: str, **members: object) -> Record:
    """A new mapping of the API's stage."""
    sent: Record = {"DomainName": NAME, "ApiId": api, "Stage": "dev", **members}
    return bench.plane.call("CreateApiMapping", sent, bench.caller)


def leads_to(bench: Bench, name: str = NAME) -> CustomDomain | None:
    """What the data plane knows of a domain."""
    return bench.store.domain(name)


def test_domain_reads_back_complete(bench: Bench) -> None:
    """A new domain is Regional, TLS 1.2, IPv4 and mapped by base path. 1.104, 1.109."""
    made = domain(bench)

    read = bench.call("GetDomainName", DomainName=NAME)
    assert read == made == bench.items("GetDomainNames")[0]
    [configuration] = made["DomainNameConfigurations"]  # type: ignore[misc]
    regional = configuration["ApiGatewayDomainName"]  # type: ignore[has-type]
    assert made == {
        "ApiMappingSelectionExpression": "$request.basepath",
        "DomainName": NAME,
        "DomainNameArn": f"arn:aws:apigateway:us-east-1::/domainnames/{NAME}",
        "DomainNameConfigurations": [
            {
                "ApiGatewayDomainName": regional,
                "CertificateArn": CERTIFICATE,
                "DomainNameStatus": "AVAILABLE",
                "EndpointType": "REGIONAL",
                "HostedZoneId": "Z1UJRXOUMOOFQ8",
                "IpAddressType": "ipv4",
                "SecurityPolicy": "TLS_1_2",
            }
        ],
        "RoutingMode": "API_MAPPING_ONLY",
        "Tags": {},
    }
    assert regional.startswith("d-")
    assert regional.endswith(".execute-api.us-east-1.amazonaws.com")


def test_update_keeps_the_regional_name(bench: Bench) -> None:
    """A new certificate leaves the name that DNS points to as it was."""
    before = domain(bench)
    other = CERTIFICATE.replace("1111-1111", "2222-2222")

    after = bench.call(
        "UpdateDomainName",
        DomainName=NAME,
        DomainNameConfigurations=[{"CertificateArn": other, "IpAddressType": "dualstack"}],
    )

    old, new = (r["DomainNameConfigurations"][0] for r in (before, after))  # type: ignore[index]
    assert new == {**old, "CertificateArn": other, "IpAddressType": "dualstack"}


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("localhost", id="one-label"),
        pytest.param("API.example.com", id="upper-case"),
        pytest.param("my_api.example.com", id="underscore"),
        pytest.param("-a.example.com", id="hyphen-first"),
        pytest.param("127.0.0.1", id="an-address"),
        pytest.param("*.localhost", id="wildcard-too-wide"),
        pytest.param("a.*.example.com", id="wildcard-inside"),
        pytest.param("api.example.com:4566", id="port"),
        pytest.param("abc.execute-api.localhost", id="default-endpoint"),
        pytest.param("*.execute-api.localhost", id="all-default-endpoints"),
        pytest.param("x.execute-api.us-east-1.amazonaws.com", id="aws"),
        pytest.param("s3.amazonaws.com", id="aws-service"),
        pytest.param("host.docker.internal", id="the-engine-itself"),
        pytest.param("localhost.localstack.cloud", id="the-engines-other-name"),
    ],
)
def test_bad_name_is_refused(bench: Bench, name: str) -> None:
    """What is no full name, or leads to AWS or the engine already, becomes no domain."""
    with pytest.raises(BadRequest, match="Invalid domain name"):
        domain(bench, name)

    assert bench.items("GetDomainNames") == []
    assert leads_to(bench, name) is None


@pytest.mark.parametrize(
    ("configuration", "error", "said"),
    [
        pytest.param({"EndpointType": "EDGE"}, BadRequest, "REGIONAL", id="edge"),
        pytest.param({"SecurityPolicy": "TLS_1_0"}, BadRequest, "TLS_1_2", id="old-tls"),
        pytest.param({"CertificateArn": ""}, BadRequest, "certificate ARN", id="no-certificate"),
        pytest.param({"CertificateArn": "x"}, BadRequest, "certificate ARN: x", id="no-arn"),
        pytest.param(
            {"CertificateArn": CERTIFICATE.replace("us-east-1", "eu-west-1")},
            BadRequest,
            "Certificate must be in 'us-east-1'.",
            id="other-region",
        ),
        pytest.param(
            {"CertificateArn": CERTIFICATE.replace(":000000000000:", ":111111111111:")},
            BadRequest,
            "Cross-account certificate references are not allowed.",
            id="other-account",
        ),
        pytest.param(
            {"CertificateArn": CERTIFICATE[:-1] + "0"},
            BadRequest,
            "The provided certificate does not exist.",
            id="no-such-certificate",
        ),
        pytest.param({"IpAddressType": "ipv6"}, BadRequest, "IpAddressType", id="address-type"),
    ],
)
def test_bad_configuration_is_refused(
    bench: Bench, configuration: dict[str, Any], error: type[ServiceError], said: str
) -> None:
    """Edge domains, old TLS and wrong certificates are refused. 1.104, 1.109, 1.110."""
    bench.certificates = {CERTIFICATE}

    with pytest.raises(error) as caught:
        domain(bench, **configuration)

    assert said in caught.value.message
    assert bench.items("GetDomainNames") == []


@pytest.mark.parametrize("count", [0, 2])
def test_domain_has_exactly_one_configuration(bench: Bench, count: int) -> None:
    """None and several are refused."""
    with pytest.raises(BadRequest, match="exactly one"):
        bench.call(
            "CreateDomainName",
            DomainName=NAME,
            DomainNameConfigurations=[{"CertificateArn": CERTIFICATE}] * count,
        )

    assert leads_to(bench) is None


@pytest.mark.parametrize(
    "members",
    [
        pytest.param({"RoutingMode": "ROUTING_RULE_ONLY"}, id="routing-rules"),
        pytest.param(
            {"MutualTlsAuthentication": {"TruststoreUri": "s3://b/k"}}, id="client-certificates"
        ),
    ],
)
def test_what_cannot_be_honoured_is_refused_by_name(bench: Bench, members: Record) -> None:
    """A domain whose protection or routing nobody enforces is not made."""
    with pytest.raises(NotImplementedYet, match=next(iter(members))):
        bench.call(
            "CreateDomainName",
            DomainName=NAME,
            DomainNameConfigurations=[{"CertificateArn": CERTIFICATE}],
            **members,
        )

    assert leads_to(bench) is None


def test_name_exists_once_in_all_regions(bench: Bench) -> None:
    """The second one is a conflict, also elsewhere, and the first stays as it is."""
    first = domain(bench)
    elsewhere = Caller("000000000000", "eu-west-1")
    sent: Record = {
        "DomainName": NAME,
        "DomainNameConfigurations": [
            {"CertificateArn": CERTIFICATE.replace("us-east-1", "eu-west-1")}
        ],
    }

    with pytest.raises(Conflict, match="The domain name you provided already exists"):
        domain(bench)
    with pytest.raises(Conflict, match="The domain name you provided already exists"):
        bench.plane.call("CreateDomainName", sent, elsewhere)
    with pytest.raises(NotFound, match="Invalid domain name identifier specified"):
        bench.plane.call("GetDomainName", {"DomainName": NAME}, elsewhere)

    assert bench.call("GetDomainName", DomainName=NAME) == first
    assert bench.plane.call("GetDomainNames", {}, elsewhere)["Items"] == []


def test_mapping_acts_at_once_and_as_it_is_now(bench: Bench) -> None:
    """Made, changed and deleted mappings are what the data plane follows."""
    domain(bench)
    api = staged(bench)
    bench.stage(api, "prod")
    bare = leads_to(bench)

    made = mapping(bench, api)
    root = leads_to(bench)
    bench.call(
        "UpdateApiMapping",
        DomainName=NAME,
        ApiMappingId=made["ApiMappingId"],
        ApiId=api,
        ApiMappingKey="chat",
        Stage="prod",
    )
    moved = leads_to(bench)
    read = bench.call("GetApiMapping", DomainName=NAME, ApiMappingId=made["ApiMappingId"])
    bench.call("DeleteApiMapping", DomainName=NAME, ApiMappingId=made["ApiMappingId"])

    assert [found and found.mappings for found in (bare, root, moved, leads_to(bench))] == [
        {},
        {"": (api, "dev")},
        {"chat": (api, "prod")},
        {},
    ]
    assert read == {**made, "ApiMappingKey": "chat", "Stage": "prod"}
    assert len(str(made["ApiMappingId"])) == 6
    assert bench.items("GetApiMappings", DomainName=NAME) == []


@pytest.mark.parametrize(
    "key",
    [pytest.param("", id="empty"), "chat", "a$-_.+!*'()Z9", pytest.param("k" * 300, id="300")],
)
def test_mapping_key_has_its_alphabet(bench: Bench, key: str) -> None:
    """Empty, or letters, digits and some signs, at most 300. 1.106."""
    domain(bench)

    made = mapping(bench, staged(bench), ApiMappingKey=key)

    assert made["ApiMappingKey"] == key


@pytest.mark.parametrize(
    ("members", "error", "said"),
    [
        pytest.param({"DomainName": "b.example.com"}, NotFound, "domain name", id="domain"),
        pytest.param({"ApiId": "nosuchapi0"}, BadRequest, "Invalid API identifier", id="api"),
        pytest.param({"Stage": "nosuch"}, BadRequest, "Invalid stage identifier", id="stage"),
        pytest.param(
            {"ApiMappingKey": "a/b"},
            BadRequest,
            "An ApiMapping key may contain only letters, numbers and one of $-_.+!*'()",
            id="slash",
        ),
        pytest.param({"ApiMappingKey": "k" * 301}, BadRequest, "301 characters", id="too-long"),
        pytest.param(
            {"ApiMappingKey": "taken"},
            Conflict,
            "ApiMapping key already exists for this domain name",
            id="taken",
        ),
    ],
)
def test_bad_mapping_is_refused(
    bench: Bench, members: Record, error: type[ServiceError], said: str
) -> None:
    """Unknown targets, bad keys and keys in use leave the domain as it was. 1.106, 1.107."""
    domain(bench)
    api = staged(bench)
    mapping(bench, api, ApiMappingKey="taken")

    with pytest.raises(error) as caught:
        mapping(bench, api, **members)

    assert said in caught.value.message
    found = leads_to(bench)
    assert found is not None
    assert found.mappings == {"taken": (api, "dev")}


def test_api_that_is_no_websocket_api_cannot_be_mapped(bench: Bench) -> None:
    """A REST or HTTP API does not exist here, so a domain serves WebSocket APIs only. 1.105."""
    domain(bench)

    with pytest.raises(BadRequest, match="Invalid API identifier"):
        mapping(bench, "restapi123")

    assert bench.items("GetApiMappings", DomainName=NAME) == []


def test_api_of_another_region_cannot_be_mapped(bench: Bench) -> None:
    """A Regional domain maps APIs of its Region. 1.107."""
    domain(bench)
    home, bench.caller = bench.caller, Caller("000000000000", "eu-west-1")
    api = staged(bench)
    bench.caller = home

    with pytest.raises(BadRequest, match="Invalid API identifier"):
        mapping(bench, api)

    assert bench.items("GetApiMappings", DomainName=NAME) == []


def test_mapping_of_one_key_may_be_kept_by_an_update(bench: Bench) -> None:
    """A mapping is not in its own way."""
    domain(bench)
    api = staged(bench)
    bench.stage(api, "prod")
    made = mapping(bench, api, ApiMappingKey="chat")

    changed = bench.call(
        "UpdateApiMapping",
        DomainName=NAME,
        ApiMappingId=made["ApiMappingId"],
        ApiId=api,
        Stage="prod",
    )

    assert changed == {**made, "Stage": "prod"}


def test_deleted_domain_takes_its_mappings_along(bench: Bench) -> None:
    """Nothing of it is left, and its API can be deleted again. 1.108."""
    domain(bench)
    api = staged(bench)
    mapping(bench, api)

    bench.call("DeleteDomainName", DomainName=NAME)

    assert leads_to(bench) is None
    with pytest.raises(NotFound):
        bench.call("GetApiMappings", DomainName=NAME)
    bench.call("DeleteApi", ApiId=api)
    assert bench.items("GetApis") == []


@pytest.mark.parametrize(
    ("operation", "members"),
    [("DeleteStage", {"StageName": "dev"}), ("DeleteApi", {})],
)
def test_mapped_api_and_stage_are_not_deleted(
    bench: Bench, operation: str, members: Record
) -> None:
    """The mapping must go first; other stages may go."""
    domain(bench)
    api = staged(bench)
    bench.stage(api, "prod")
    mapping(bench, api)

    with pytest.raises(BadRequest, match=f"in your domains: {NAME}"):
        bench.call(operation, ApiId=api, **members)
    bench.call("DeleteStage", ApiId=api, StageName="prod")

    assert [stage["StageName"] for stage in bench.items("GetStages", ApiId=api)] == ["dev"]


def test_mapping_makes_no_automatic_deployment(bench: Bench) -> None:
    """Mapping an API with an automatic stage deploys nothing. 1.93."""
    domain(bench)
    api = bench.api()
    bench.route(api)
    bench.stage(api, AutoDeploy=True)
    before = bench.items("GetDeployments", ApiId=api)

    mapping(bench, api)

    assert bench.items("GetDeployments", ApiId=api) == before


def test_domain_can_be_tagged(bench: Bench) -> None:
    """Tags go by the domain's ARN. 1.24."""
    arn = domain(bench)["DomainNameArn"]

    bench.call("TagResource", ResourceArn=arn, Tags={"a": "1", "b": "2"})
    bench.call("UntagResource", ResourceArn=arn, TagKeys=["a"])

    assert bench.call("GetTags", ResourceArn=arn)["Tags"] == {"b": "2"}
    assert bench.call("GetDomainName", DomainName=NAME)["Tags"] == {"b": "2"}
