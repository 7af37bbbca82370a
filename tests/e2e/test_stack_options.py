"""Options of the example's template, switched on in a deployed stack."""

import asyncio
import json
from collections.abc import Iterator

import pytest
from example_system import System
from websockets.asyncio.client import connect

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


@pytest.fixture
def named(system: System) -> Iterator[System]:
    """The example with a custom domain name; it has none again afterwards."""
    acm = system.client("acm")
    certificate = acm.request_certificate(DomainName=_DOMAIN)["CertificateArn"]
    try:
        system.update(DomainName=_DOMAIN, CertificateArn=certificate)
        yield system
    finally:
        system.update(DomainName="", CertificateArn="")
        acm.delete_certificate(CertificateArn=certificate)


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
