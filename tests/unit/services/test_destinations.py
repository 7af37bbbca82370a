from fakes import FakeClock, FakeIds

from socketstack.core.model import FailureKind, InvokeResult
from socketstack.core.policy import PolicyDecision
from socketstack.services.deliveries import Deliveries
from socketstack.services.destinations import Destinations
from socketstack.services.event_records import Condition, EventOutcome
from socketstack.services.event_settings import EventSettings
from socketstack.services.http import AwsRequest, AwsResponse

FUNCTION = "arn:aws:lambda:eu-west-1:000000000000:function:f"
OTHER = "arn:aws:lambda:eu-west-1:000000000000:function:g"
ROLE = "arn:aws:iam::000000000000:role/r"
GIVEN_UP = EventOutcome(
    function_arn=FUNCTION,
    payload=b"{}",
    condition=Condition.RETRIES_EXHAUSTED,
    calls=3,
    result=InvokeResult(payload=b"no JSON", failure=FailureKind.HANDLED),
    problem="it failed",
)


class _World:
    """Destinations that can call functions and nothing else; roles are asked when told so."""

    def __init__(self, *, may: bool | None = None, is_full: bool = False) -> None:
        self.told: list[str] = []
        self.asked: list[tuple[str, str, str]] = []
        self.events: list[tuple[str, bytes]] = []

        def role_may(role: str, action: str, resource: str) -> PolicyDecision:
            self.asked.append((role, action, resource))
            return PolicyDecision(is_allowed=bool(may), reason="no statement allows it")

        def put_event(function: str, payload: bytes) -> bool:
            self.events.append((function, payload))
            return not is_full

        self.destinations = Destinations(
            Deliveries(_nobody, put_event),
            clock=FakeClock(),
            ids=FakeIds(),
            tell=self.told.append,
            may=None if may is None else role_may,
        )


async def _nobody(request: AwsRequest) -> AwsResponse:
    raise AssertionError(request)


async def test_a_function_without_destination_tells_nobody() -> None:
    """Neither success nor failure leaves anything but a line in the log."""
    world = _World()

    await world.destinations.take(GIVEN_UP, EventSettings(on_success=OTHER))

    assert (world.events, world.told) == ([], [])


async def test_the_role_of_the_function_decides_where_roles_are_asked() -> None:
    """Lambda sends the record as the function's role: what that may not is not sent, and told."""
    settings = EventSettings(on_failure=OTHER, role_arn=ROLE)
    refused, allowed = _World(may=False), _World(may=True)

    await refused.destinations.take(GIVEN_UP, settings)
    await allowed.destinations.take(GIVEN_UP, settings)

    assert refused.asked == allowed.asked == [(ROLE, "lambda:InvokeFunction", OTHER)]
    assert refused.events == []
    told = f"No record of an event for {FUNCTION} is sent: the function's role may not: "
    assert refused.told == [f"{told}no statement allows it"]
    assert [function for function, _ in allowed.events] == [OTHER]
    assert allowed.told == []


async def test_an_answer_that_is_no_json_is_a_text_in_the_record() -> None:
    """A record is always JSON."""
    world = _World()

    await world.destinations.take(GIVEN_UP, EventSettings(on_failure=OTHER))

    ((_, record),) = world.events
    assert b'"responsePayload": "no JSON"' in record
    assert b'"approximateInvokeCount": 3' in record


async def test_a_destination_that_takes_nothing_is_told() -> None:
    """A record that finds no room is lost, but not in silence."""
    world = _World(is_full=True)

    await world.destinations.take(GIVEN_UP, EventSettings(on_failure=OTHER))

    assert world.told == [f"No record of an event for {FUNCTION} is sent: too many events wait"]
