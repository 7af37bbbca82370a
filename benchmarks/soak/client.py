"""One client of the soak: knows what it waits for, so nothing comes twice and nothing unasked."""

import asyncio
import itertools
import json
from typing import Any

from benchmarks.load.socket import ClientSocket
from benchmarks.soak.ledger import Kind, Ledger, Outcome
from benchmarks.wire import FINAL_CLOSE, close_frame

PATIENCE_SECONDS = 60
_numbers = itertools.count(1)


class SoakClient(ClientSocket):
    """Asks one thing at a time, and is pushed at meanwhile."""

    def __init__(self, url: str, ledger: Ledger) -> None:
        super().__init__(url)
        self._ledger = ledger
        self._asked: asyncio.Future[dict[str, Any]] | None = None
        self._fragments = b""
        self.pushes: set[int] = set()
        """What was posted to it and has not arrived."""
        self.connection_id = ""
        self.pid = 0
        """The function process that answered when it asked who it is."""

    def received(self, first: int, payload: bytes) -> None:
        """Put pieces of a message together; the last one has the first bit."""
        if first == FINAL_CLOSE:
            return
        self._fragments += payload
        if first & 0x80:
            whole, self._fragments = self._fragments, b""
            self._take(json.loads(whole))

    async def ask(self, do: str, **members: object) -> dict[str, Any] | None:
        """Send a message and take its answer; None when it was refused or the socket closed."""
        number = next(_numbers)
        self._asked = asyncio.get_running_loop().create_future()
        self._ledger.note(Kind.MESSAGE, Outcome.SENT)
        self.send(json.dumps({"action": "soak", "do": do, "number": number, **members}).encode())
        ends: set[asyncio.Future[Any]] = {self._asked, self.closed}
        await asyncio.wait(ends, timeout=PATIENCE_SECONDS, return_when="FIRST_COMPLETED")
        if not self._asked.done():
            if self.closed.done():
                self._surprise(f"the socket closed while {do} was asked")
            else:
                self._surprise(f"{do} had no answer in {PATIENCE_SECONDS} s")
            return None
        answer = self._asked.result()
        if "requestId" in answer:  # an error frame
            self._ledger.note(Kind.MESSAGE, Outcome.REFUSED)
            return None
        self._ledger.note(Kind.MESSAGE, Outcome.RECEIVED)
        if do == "echo" and answer.get("number") != number:
            self._surprise(f"the echo of message {number} was {answer}")
        return answer

    def expect_push(self) -> int:
        """The number of a push that is about to be posted."""
        number = next(_numbers)
        self.pushes.add(number)
        self._ledger.note(Kind.PUSH, Outcome.SENT)
        return number

    def push_refused(self, number: int) -> None:
        """The post was not taken, so it must not arrive."""
        if number in self.pushes:
            self.pushes.remove(number)
            self._ledger.note(Kind.PUSH, Outcome.REFUSED)
        else:
            self._surprise(f"push {number} was refused and arrived")

    async def pushes_arrived(self) -> None:
        """Wait until everything that was taken has come."""
        end = asyncio.get_running_loop().time() + PATIENCE_SECONDS
        while self.pushes and not self.closed.done():
            if asyncio.get_running_loop().time() > end:
                self._surprise(f"{len(self.pushes)} pushes were taken and never came")
                return
            await asyncio.sleep(0.01)

    async def leave(self, *, is_polite: bool) -> None:
        """Say goodbye and wait for the answer, or just be gone. What was on its way is lost."""
        if is_polite:
            self.transport.write(close_frame())
            await asyncio.wait({self.closed}, timeout=PATIENCE_SECONDS)
            if not self.closed.done():
                self._surprise(f"no goodbye came in {PATIENCE_SECONDS} s")
        self.transport.abort()
        self._ledger.note(Kind.PUSH, Outcome.ABANDONED, len(self.pushes))
        self.pushes.clear()

    def _take(self, message: dict[str, Any]) -> None:
        number = message.get("push")
        if number is not None:
            if number in self.pushes:
                self.pushes.remove(number)
                self._ledger.note(Kind.PUSH, Outcome.RECEIVED)
            else:
                self._surprise(f"push {number} came twice or unasked")
        elif self._asked is None or self._asked.done():
            self._surprise(f"unasked: {message}")
        else:
            self._asked.set_result(message)

    def _surprise(self, text: str) -> None:
        self._ledger.surprises.append(text)
