"""The page in a real Chromium, against the running example system."""

import re
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest
from example_system import System
from playwright.sync_api import Browser, Page, expect, sync_playwright

pytestmark = [
    pytest.mark.browser,
    pytest.mark.local("the page mints tokens and tells refusals in front of a local engine only"),
]

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
_MILLISECONDS = 20_000


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The installed Chromium."""
    if CHROMIUM is None:
        pytest.skip("no Chromium is installed")
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield launched
        launched.close()


@contextmanager
def opened(browser: Browser, system: System) -> Iterator[Page]:
    """The page in a fresh profile; fails on any script error or request to elsewhere."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.set_default_timeout(_MILLISECONDS)
    faults: list[str] = []
    requested: set[str] = set()
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda said: faults.append(said.text) if "Policy" in said.text else None)
    page.on("request", lambda request: requested.add(urlsplit(request.url).netloc))
    try:
        page.goto(system.web_url)
        expect(page.locator("#stack")).to_contain_text(system.websocket_url)
        yield page
    finally:
        context.close()
    assert faults == []
    assert requested - {""} == {urlsplit(system.web_url).netloc}


@pytest.fixture
def page(browser: Browser, system: System) -> Iterator[Page]:
    """The page, not yet connected."""
    with opened(browser, system) as made:
        yield made


def some_user() -> str:
    """A user that no other test has."""
    return f"page-{uuid.uuid4().hex[:8]}"


def connect(page: Page, user: str) -> None:
    """Connect with a minted token."""
    page.get_by_label("User").fill(user)
    page.get_by_role("button", name="Connect", exact=True).click()
    expect(page.locator("#state")).to_have_text("Connected", timeout=_MILLISECONDS)


def connection_ids(system: System, user: str) -> list[str]:
    """The connections of a user, by the table."""
    rows = system.client("dynamodb").scan(TableName=system.outputs["TableName"])["Items"]
    return [row["connectionId"]["S"] for row in rows if row["userId"]["S"] == user]


def test_page_connects_and_shows_the_echo(page: Page) -> None:
    """A minted token connects; what is sent comes back, both with their times."""
    connect(page, some_user())

    page.locator("#message").fill("grüezi")
    page.get_by_role("button", name="Send", exact=True).click()

    expect(page.locator("#frames .in .text")).to_have_text('{"action":"echo","message":"grüezi"}')
    expect(page.locator("#frames .out .text")).to_have_text('{"action":"echo","message":"grüezi"}')
    clock = re.compile(r"^\d\d:\d\d:\d\d\.\d{3}$")
    expect(page.locator("#frames .in time")).to_have_text(clock)


def test_page_sends_raw_text(page: Page) -> None:
    """Text that is not JSON goes as typed and is answered by $default."""
    connect(page, some_user())

    page.get_by_label("Raw text").check()
    page.locator("#message").fill("not json")
    page.get_by_role("button", name="Send", exact=True).click()

    expect(page.locator("#frames .in .text")).to_have_text("not json")


def test_page_receives_a_push(page: Page) -> None:
    """The push form reaches the page through the management API and shows the counts."""
    user = some_user()
    connect(page, user)

    page.locator("#push-to").fill(f"user:{user}")
    page.locator("#push-message").fill("from the server")
    page.get_by_role("button", name="Push", exact=True).click()

    expect(page.locator("#frames .in .text")).to_have_text("from the server")
    expect(page.locator("#push-result")).to_have_text("sent 1, gone 0, failed 0")


def test_push_to_nobody_says_so(page: Page) -> None:
    """The page shows the server's own words."""
    page.locator("#push-to").fill(f"user:{some_user()}")
    page.get_by_role("button", name="Push", exact=True).click()

    expect(page.locator("#push-result")).to_have_text("404: This user is not connected.")


def test_two_pages_write_to_each_other(page: Page, browser: Browser, system: System) -> None:
    """The send route delivers to the other page; the sender sees how many were reached."""
    bob = some_user()
    connect(page, "alice")
    with opened(browser, system) as other:
        connect(other, bob)

        page.get_by_label("To others").check()
        page.locator("#send-to").fill(f"user:{bob}")
        page.locator("#message").fill("hello bob")
        page.get_by_role("button", name="Send", exact=True).click()

        expect(other.locator("#frames .in .text")).to_have_text(
            '{"from": "alice", "message": "hello bob"}'
        )
        expect(page.locator("#frames .in .text")).to_contain_text('"sent": 1')


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        pytest.param(["--expires-in=-30"], re.compile(r"expired 3\d s ago"), id="expired"),
        pytest.param(["--audience=other"], re.compile("another audience"), id="other-audience"),
        pytest.param(["--issuer=other"], re.compile("another issuer"), id="other-issuer"),
        pytest.param(None, re.compile("not a JWT"), id="junk"),
        pytest.param([], re.compile("signature"), id="signature-broken"),
    ],
)
def test_bad_token_is_refused_and_the_page_says_why(
    page: Page, system: System, arguments: list[str] | None, reason: re.Pattern[str]
) -> None:
    """The reason is told as far as a browser can know; nothing opens and nothing is retried."""
    user = some_user()
    token = "junk"
    if arguments is not None:
        token = system.run("webclient", "token", f"--user={user}", *arguments).stdout.strip()
    if arguments == []:
        head, _dot, signature = token.rpartition(".")
        token = f"{head}.{signature[::-1]}"

    page.get_by_label("Use my own").check()
    page.locator("#token").fill(token)
    page.get_by_role("button", name="Connect", exact=True).click()

    expect(page.get_by_role("alert")).to_contain_text("Refused")
    expect(page.locator("#problem-text")).to_have_text(reason)
    expect(page.locator("#problem-why")).to_contain_text("401 SS-202: ")
    expect(page.locator("#problem-log")).to_contain_text("Refused: ")
    expect(page.get_by_role("alert")).to_contain_text("make logs")
    expect(page.locator("#state")).to_have_text("Not connected")
    expect(page.get_by_role("button", name="Send", exact=True)).to_be_disabled()
    assert connection_ids(system, user) == []


def test_own_good_token_connects(page: Page, system: System) -> None:
    """A pasted token is used as it is."""
    user = some_user()
    page.get_by_label("Use my own").check()
    page.locator("#token").fill(system.run("webclient", "token", f"--user={user}").stdout)

    page.get_by_role("button", name="Connect", exact=True).click()

    expect(page.locator("#state")).to_have_text("Connected")
    assert len(connection_ids(system, user)) == 1


def test_page_comes_back_after_the_server_closes(page: Page, system: System) -> None:
    """A closed socket is opened again with a fresh token, and works."""
    user = some_user()
    connect(page, user)
    (first,) = connection_ids(system, user)
    manage = system.client(
        "apigatewaymanagementapi",
        endpoint_url=system.websocket_url.replace("ws", "http", 1),
    )

    manage.delete_connection(ConnectionId=first)

    expect(page.get_by_text("Connected.", exact=True)).to_have_count(2, timeout=_MILLISECONDS)
    expect(page.locator("#frames .note", has_text="closed the connection (code 1")).to_have_count(1)
    page.get_by_role("button", name="Send", exact=True).click()
    expect(page.locator("#frames .in .text")).to_have_text('{"action":"echo","message":"hello"}')
    assert first not in connection_ids(system, user)


def test_disconnect_stays_disconnected(page: Page, system: System) -> None:
    """A socket that the user closed is not opened again."""
    user = some_user()
    connect(page, user)

    page.get_by_role("button", name="Disconnect").click()

    expect(page.locator("#state")).to_have_text("Not connected")
    expect(page.get_by_role("button", name="Try now")).to_be_hidden()
    expect(page.get_by_role("button", name="Connect", exact=True)).to_be_enabled()
    expect(page.get_by_text("Connected.", exact=True)).to_have_count(1)


def test_who_is_connected_can_be_picked_as_target(page: Page) -> None:
    """The list names users and connections; a click makes one the target of a push."""
    user = some_user()
    connect(page, user)

    page.get_by_text("Who is connected").click()
    page.get_by_role("button", name=f"user:{user}").click()

    expect(page.locator("#push-to")).to_have_value(f"user:{user}")
