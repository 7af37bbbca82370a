"""What the rest of the engine knows of function execution: protocols and plain values."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol

from socketstack.core.model import InvokeResult


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """A zip with code: of a function, or of a layer."""

    digest: str
    """Names the content: the same digest is unpacked once."""
    read: Callable[[], bytes]
    """The zip's bytes; called only when the digest has not been unpacked yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """One version of one function, ready to run.

    ``arn`` is unqualified, ``invoked_arn`` as it was asked for. ``timeout_ms`` is the
    function's own limit. ``environment`` is the function's configuration, not a process
    environment. ``policy`` is its resource policy as JSON text, None when nobody was granted
    anything.
    """

    name: str
    arn: str
    invoked_arn: str
    version: str
    handler: str
    runtime: str
    role: str
    region: str
    account_id: str
    code: Package
    layers: tuple[Package, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    timeout_ms: int = 3_000
    memory_mb: int = 128
    log_group: str = ""
    log_format: str = "Text"
    """``Text`` or ``JSON``, as in the function's logging configuration."""
    log_level: str = ""
    """Lowest level the function's loggers write, for example ``INFO``; empty: not set."""
    policy: str | None = None
    reserved_concurrency: int | None = None
    """How many calls of all its versions may run at once; None when nothing is reserved."""
    configuration_digest: str = ""
    """Changes whenever what a process depends on does, so not with ``invoked_arn``, ``policy``
    and ``reserved_concurrency``: processes of another digest are stale and are not called
    again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveFolder:
    """Sources that a saved change makes live: ``source`` is watched, copied over the package.

    ``prefix`` is where the source lies inside the package, for example ``python`` in a layer.
    A prefix that the function's own package lacks and its layers have lies in the layers.
    """

    source: Path
    prefix: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """What AWS's SDKs sign with: the keys of a session."""

    access_key_id: str
    secret_access_key: str = field(repr=False)
    session_token: str = field(repr=False)


UNKNOWN_CREDENTIALS: Final = Credentials(
    access_key_id="ASIALOCALSOCKETSTACK",
    secret_access_key="local-secret-access-key",  # noqa: S106 - nobody knows it: it opens nothing
    session_token="local-session-token",  # noqa: S106
)
"""For processes of functions whose roles nobody keeps: whatever checks signatures refuses them."""


class RoleCredentials(Protocol):
    """Where the credentials of execution roles come from."""

    def for_function(self, function: Function) -> Credentials:
        """The session of a function's execution role, as one process of it shall have."""
        ...


class FunctionCatalog(Protocol):
    """Where functions are looked up: moto's records here, something else elsewhere."""

    def find(self, name_or_arn: str) -> Function:
        """The function that a name, ARN, or ARN with version or alias means.

        Called for every invocation, so it must be quick. Raises ``FunctionNotFound``.
        """
        ...


@dataclass(slots=True, kw_only=True)  # not frozen: every call makes three, and that is slower
class LogLine:
    """One line of a function's log, without its line end. Nobody changes one."""

    time_ms: int
    text: str


class LogSink(Protocol):
    """Where a function's log lines go; must not block."""

    def write(self, function: Function, stream: str, lines: Sequence[LogLine]) -> None:
        """Take lines of one log stream, in order."""
        ...


Done = Callable[[InvokeResult | Exception], None]
"""Told once what a call gave, or which of ``Runner.invoke``'s errors it met. Raises nothing."""


class Runner(Protocol):
    """Runs functions."""

    def submit(
        self, function: str, payload: bytes, *, deadline_ms: int | None = None, done: Done
    ) -> None:
        """Call a function once, as ``invoke`` does, and tell ``done`` what came of it.

        For the event loop's thread. ``done`` may be called before this returns. What costs no
        task and no turn of the loop is quick: this is the way of every message.
        """
        ...

    async def invoke(
        self, function: str, payload: bytes, *, deadline_ms: int | None = None
    ) -> InvokeResult:
        """Call a function once and wait for what it gives.

        Args:
            function: Name or ARN, with or without version or alias.
            payload: The event, as JSON text.
            deadline_ms: How long the caller waits at most, None for as long as the function's
                own timeout allows. Passing it raises ``TimeoutError`` for the caller while
                the call itself runs on, as on AWS.

        Raises:
            FunctionNotFound, FunctionUnavailable: it could not be started at all.
            FunctionThrottled: as many calls run as are reserved for it; it was not called.
            TimeoutError: ``deadline_ms`` passed.
        """
        ...


def answer_later(
    running: "set[asyncio.Task[None]]", call: Coroutine[Any, Any, InvokeResult], done: Done
) -> None:
    """``Runner.submit`` for runners that only know ``invoke``; ``running`` keeps the tasks."""

    async def answer() -> None:
        try:
            told: InvokeResult | Exception = await call
        except Exception as error:  # noqa: BLE001 - whoever is told decides about it
            told = error
        done(told)

    task = asyncio.get_running_loop().create_task(answer())
    running.add(task)
    task.add_done_callback(running.discard)
