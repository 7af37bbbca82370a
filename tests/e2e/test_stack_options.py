"""Options of the example's template, switched on in a deployed stack."""

import asyncio
import json
import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from socket import create_connection

import pytest
from example_system import ROOT, System
from websockets.asyncio.client import connect
from websockets.sync.client import connect as socket_of

_FUNCTIONS = ("authorizer", "connections", "messages")
_SECONDS = 20


async def echoed(system: System, token: str) -> bool:
    """Whether a message comes back."""
    async with connect(f"{system.websocket_url}?token={token}", proxy=system.proxy) as socket:
        sent = {"action": "echo", "message": "with options"}
        await socket.send(json.dumps(sent))
        answer: object = json.loads(await asyncio.wait_for(socket.recv(), _SECONDS))
        return answer == sent


def tracing(system: System) -> dict[str, tuple[str, bool]]:
    """Each function's tracing mode, and whether its role may write traces."""
    functions, roles = system.client("lambda"), system.client("iam")
    found = {}
    for name in _FUNCTIONS:
        function = functions.get_function_configuration(FunctionName=f"{system.stack_name}-{name}")
        role = function["Role"].rpartition("/")[2]
        policies = roles.list_role_policies(RoleName=role)["PolicyNames"]
        found[name] = (function["TracingConfig"]["Mode"], "traces" in policies)
    return found


@pytest.fixture
def traced(system: System) -> Iterator[System]:
    """The example with tracing on; it is off again afterwards."""
    with system.changed(Tracing="true"):
        yield system


async def test_traced_functions_answer_and_may_write_traces(traced: System) -> None:
    """With Tracing every function is traced and may write traces, and the system works."""
    token = await asyncio.to_thread(traced.token)

    answered = await echoed(traced, token)
    found = await asyncio.to_thread(tracing, traced)

    assert answered
    assert found == dict.fromkeys(_FUNCTIONS, ("Active", True))


def test_untraced_functions_may_write_no_traces(system: System) -> None:
    """Without Tracing no function is traced, and no role has the permission."""
    if system.parameters["Tracing"] != "false":
        pytest.skip("the stack was deployed with Tracing=true")
    assert tracing(system) == dict.fromkeys(_FUNCTIONS, ("PassThrough", False))


_DOMAIN = "chat.example.localhost"


@contextmanager
def certified(system: System) -> Iterator[str]:
    """The ARN of a certificate for the name."""
    acm = system.client("acm")
    certificate = acm.request_certificate(DomainName=_DOMAIN)["CertificateArn"]
    try:
        yield certificate
    finally:
        acm.delete_certificate(CertificateArn=certificate)


@pytest.fixture
def named(system: System) -> Iterator[System]:
    """The example with a custom domain name; it has none again afterwards."""
    with (
        certified(system) as certificate,
        system.changed(DomainName=_DOMAIN, CertificateArn=certificate),
    ):
        yield system


@pytest.mark.local("a domain name on AWS wants one that is yours, with its certificate")
async def test_custom_domain_name_leads_to_the_system(named: System) -> None:
    """Clients connect without a stage in the address, and a push through the name reaches them."""
    port = int(named.environ["SOCKETSTACK_PORT"])
    token = await asyncio.to_thread(named.token, "named")
    url = f"ws://{_DOMAIN}:{port}/?token={token}"

    async with connect(url, host="127.0.0.1", port=port, proxy=None) as socket:
        await socket.send('{"action": "send", "to": "user:named", "message": "to myself"}')
        received = [await asyncio.wait_for(socket.recv(), _SECONDS) for _ in range(2)]
    functions = named.client("lambda")
    posts_to = functions.get_function_configuration(FunctionName="socketstack-messages")

    assert posts_to["Environment"]["Variables"]["CALLBACK_URL"] == f"https://{_DOMAIN}"
    assert {"from": "named", "message": "to myself"} in [json.loads(one) for one in received]
    assert named.outputs["DomainUrl"] == f"wss://{_DOMAIN}"
    assert named.outputs["DomainTarget"]


@pytest.mark.local("names of an account on AWS belong to others too")
def test_name_is_gone_with_the_parameter(system: System) -> None:
    """Without DomainName the API has its own address only."""
    names = system.client("apigatewayv2").get_domain_names()["Items"]

    assert names == []
    assert "DomainUrl" not in system.outputs


@dataclass(frozen=True)
class _Zone:
    """A hosted zone of Route 53."""

    system: System
    zone_id: str

    def records(self) -> list[tuple[str, str, str]]:
        """Name, type and target of the zone's alias records."""
        client = self.system.client("route53")
        found = client.list_resource_record_sets(HostedZoneId=self.zone_id)["ResourceRecordSets"]
        client.close()
        return [
            (one["Name"].rstrip("."), one["Type"], one["AliasTarget"]["DNSName"].rstrip("."))
            for one in found
            if "AliasTarget" in one
        ]


@pytest.fixture
def zone(system: System) -> Iterator[_Zone]:
    """An empty zone for the name's domain."""
    client = system.client("route53")
    made = client.create_hosted_zone(Name="example.localhost", CallerReference=uuid.uuid4().hex)
    zone_id = made["HostedZone"]["Id"].rpartition("/")[2]
    try:
        yield _Zone(system, zone_id)
    finally:
        client.delete_hosted_zone(Id=zone_id)
        client.close()


def ticket_tables(system: System) -> list[str]:
    """The tables for tickets that there are."""
    names: list[str] = system.client("dynamodb").list_tables()["TableNames"]
    return [name for name in names if "TicketTable" in name]


@pytest.mark.local("a domain name on AWS wants one that is yours, with its certificate")
@pytest.mark.timeout(300)
async def test_options_go_together_come_again_and_leave_nothing(
    system: System, zone: _Zone
) -> None:
    """Tickets, tracing and a name in a zone at once: made, removed, made anew, and they work."""
    port = int(system.environ["SOCKETSTACK_PORT"])
    with certified(system) as certificate:
        wanted = {
            "ConnectTickets": "true",
            "Tracing": "true",
            "DomainName": _DOMAIN,
            "CertificateArn": certificate,
            "HostedZoneId": zone.zone_id,
        }
        with system.changed(**wanted):
            first = ticket_tables(system), zone.records()
        between = ticket_tables(system), zone.records()
        with system.changed(**wanted):
            second = ticket_tables(system), zone.records()
            target = system.outputs["DomainTarget"]
            ticket = system.run("webclient", "ticket", "--user=all-of-it").stdout.strip()
            url = f"ws://{_DOMAIN}:{port}/?token={ticket}"
            async with connect(url, host="127.0.0.1", port=port, proxy=None) as socket:
                await socket.send('{"action": "send", "to": "user:all-of-it", "message": "hello"}')
                received = [await asyncio.wait_for(socket.recv(), _SECONDS) for _ in range(2)]
            traced = tracing(system)
    after = ticket_tables(system), zone.records()

    assert (len(first[0]), len(second[0])) == (1, 1)
    assert [one[:2] for one in first[1]] == [(_DOMAIN, "A")]
    assert second[1] == [(_DOMAIN, "A", target)]
    assert {"from": "all-of-it", "message": "hello"} in [json.loads(one) for one in received]
    assert traced == dict.fromkeys(_FUNCTIONS, ("Active", True))
    assert between == after == ([], [])
    assert tracing(system) == dict.fromkeys(_FUNCTIONS, ("PassThrough", False))


@pytest.mark.local("it makes a name in the account by hand")
def test_readme_s_custom_domain_name_is_true(system: System) -> None:
    """The commands of README make a name under which the API answers."""
    page = (ROOT / "README.md").read_text().partition("### A custom domain name, locally")[2]
    block = page.partition("```sh\n")[2].partition("```")[0]
    commands = block.replace(".venv/bin/python -m websockets", "echo DIAL")
    gateway = system.client("apigatewayv2")
    environ = {
        **system.environ,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "API": system.outputs["ApiId"],
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    try:
        done = subprocess.run(
            ["bash", "-euc", commands], env=environ, capture_output=True, text=True, check=False
        )
        port = int(system.environ["SOCKETSTACK_PORT"])
        url = f"ws://{_DOMAIN}:{port}/v1?token={system.token()}"
        with socket_of(url, sock=create_connection(("127.0.0.1", port)), proxy=None) as socket:
            socket.send('{"action": "echo"}')
            answer = socket.recv(_SECONDS)
    finally:
        gateway.delete_domain_name(DomainName=_DOMAIN)

    assert (done.returncode, done.stderr) == (0, "")
    assert f"DIAL ws://{_DOMAIN}:4566/v1" in done.stdout
    assert json.loads(answer) == {"action": "echo"}
