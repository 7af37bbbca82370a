"""Doubles of our own protocols, and of nothing else."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from socketstack.core.model import InvokeResult, LogDestination
from socketstack.core.service_calls import ServiceAnswer, ServiceCall, ServiceRefusal
from socketstack.errors import FunctionNotFound, Gone
from socketstack.runner.base import Done, LogLine, answer_later


class FakeClock:
    """A clock that tests move by hand."""

    def __init__(self, now_ms: int = 1_700_000_000_000) -> None:
        self._now_ms = now_ms
        self._sleepers: list[tuple[int, asyncio.Future[None]]] = []

    def now_ms(self) -> int:
        """Wall time in milliseconds since the epoch."""
        return self._now_ms

    def monotonic_seconds(self) -> float:
        """Seconds on this clock."""
        return self._now_ms / 1000

    async def sleep(self, seconds: float) -> None:
        """Wait until ``advance`` has gone that far."""
        if seconds <= 0:
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._sleepers.append((self._now_ms + round(seconds * 1000), future))
        await future

    def advance(self, seconds: float) -> None:
        """Move time and wake whoever waited for it."""
        self._now_ms += round(seconds * 1000)
        due = [sleeper for sleeper in self._sleepers if sleeper[0] <= self._now_ms]
        self._sleepers = [sleeper for sleeper in self._sleepers if sleeper not in due]
        for _at, future in sorted(due, key=lambda sleeper: sleeper[0]):
            if not future.done():
                future.set_result(None)


class FakeIds:
    """Identifiers that count up, in the right shapes."""

    def __init__(self) -> None:
        self._count = 0

    def _next(self) -> int:
        self._count += 1
        return self._count

    def resource_id(self, length: int) -> str:
        """Zero-padded digits."""
        return str(self._next()).zfill(length)

    def socket_id(self) -> str:
        """Fifteen digits and one equals sign, as rule 2.42 has it."""
        return str(self._next()).zfill(15) + "="

    def uuid(self) -> str:
        """A UUID that counts."""
        return f"00000000-0000-4000-8000-{self._next():012d}"


Answer = InvokeResult | Callable[[bytes], InvokeResult | Awaitable[InvokeResult]]


class FakeRunner:
    """Answers calls from a table and remembers them; for tests about something else."""

    def __init__(self, answers: dict[str, Answer] | None = None) -> None:
        self.answers: dict[str, Answer] = dict(answers or {})
        self.calls: list[tuple[str, bytes]] = []
        self.deadlines_ms: list[int | None] = []
        """How long the caller of each of ``calls`` would wait."""
        self._later: set[asyncio.Task[None]] = set()

    def submit(
        self, function: str, payload: bytes, *, deadline_ms: int | None = None, done: Done
    ) -> None:
        """Answer later."""
        answer_later(self._later, self.invoke(function, payload, deadline_ms=deadline_ms), done)

    def stop(self) -> None:
        """Answer nothing more."""
        for task in self._later:
            task.cancel()

    async def invoke(
        self, function: str, payload: bytes, *, deadline_ms: int | None = None
    ) -> InvokeResult:
        """Answer by the function's name, which may be the last part of an ARN."""
        self.calls.append((function, payload))
        self.deadlines_ms.append(deadline_ms)
        name = function.rsplit(":function:", maxsplit=1)[-1]
        if name not in self.answers:
            message = f"Function not found: {function}"
            raise FunctionNotFound(message)
        answer = self.answers[name]
        if isinstance(answer, InvokeResult):
            return answer
        result = answer(payload)
        return result if isinstance(result, InvokeResult) else await result


class FakePeer:
    """A socket that keeps what was sent."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.closed: tuple[int, str] | None = None

    def send(self, data: bytes) -> None:
        """Keep the message; Gone after close."""
        if self.closed is not None:
            raise Gone
        self.sent.append(data)

    def close(self, code: int, reason: str) -> None:
        """Keep code and reason."""
        self.closed = (code, reason)

    def describe(self) -> str:
        """A name for logs."""
        return "fake peer"


class FakeStageLogs:
    """Keeps the lines that stages log; ``problem`` is why they are dropped, when they are."""

    def __init__(self) -> None:
        self.access: list[str] = []
        self.execution: list[str] = []
        self.destinations: list[LogDestination] = []
        self.problem = ""

    def write(self, destination: LogDestination, lines: Sequence[LogLine]) -> str:
        """Keep lines."""
        if not self.problem:
            self.destinations.append(destination)
            kept = self.access if destination.access_arn else self.execution
            kept += [line.text for line in lines]
        return self.problem


class FakeServices:
    """Answers AWS calls of integrations with ``answer`` and remembers them."""

    def __init__(self) -> None:
        self.answer: ServiceAnswer | ServiceRefusal = ServiceAnswer(status=200, body=b"{}")
        self.calls: list[ServiceCall] = []
        self.later: list[tuple[str, bytes]] = []
        """Functions that nobody waits for, with their payloads."""

    async def call(self, call: ServiceCall) -> ServiceAnswer | ServiceRefusal:
        """Keep the call and answer."""
        self.calls.append(call)
        return self.answer

    async def invoke_later(self, function: str, payload: bytes) -> ServiceAnswer | ServiceRefusal:
        """Keep the call and answer as Lambda does."""
        self.later.append((function, payload))
        return ServiceAnswer(status=202)
