"""Random histories of connections on a real data plane, against a model of who is open.

Sockets and the listener are real; functions and the clock are the test's. The seed is fixed.

Rules: 2.35, 6.07 to 6.11, 7.12, 8.01, 8.02, 8.10 to 8.15.
"""

import asyncio
import tempfile
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from dataplane_world import (
    API,
    CLOSE,
    OK,
    STAGE,
    TEXT,
    RawClient,
    closing,
    eventually,
    frame,
    read_http,
    returned,
    running,
)
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from socketstack.core.limits import CONNECTION_MAX_SECONDS, IDLE_TIMEOUT_SECONDS

_T = TypeVar("_T")

_NO_STATUS = (1005, "Client-side close frame status not set")
_GOING_AWAY = (1001, "Going away")
_NORMALLY = (1000, "Connection Closed Normally")
_LOST = (1006, "")


@dataclass
class Open:
    """A connection that should be open."""

    client: RawClient
    stack: AsyncExitStack
    connected_ms: int
    last_ms: int


class Connections(RuleBasedStateMachine):
    """What clients, functions and time do to connections, one step after the other."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.stack = AsyncExitStack()
        self.folder = tempfile.TemporaryDirectory()
        self.world = self.run(self.stack.enter_async_context(running(Path(self.folder.name))))
        self.world.deploy_echo()
        self.open: dict[str, Open] = {}
        self.stacks: list[AsyncExitStack] = []
        self.told: dict[str, tuple[int, str]] = {}
        """What $disconnect must have been told, by connection."""
        self.silent: set[str] = set()
        """Connections that ended without $disconnect, since their stage was gone."""

    def run(self, coroutine: Coroutine[Any, Any, _T]) -> _T:
        """Run something on the machine's event loop."""
        return self.runner.run(coroutine)

    def teardown(self) -> None:
        """Close clients, data plane and loop."""
        for stack in (*self.stacks, self.stack):
            self.run(stack.aclose())
        self.runner.close()
        self.folder.cleanup()

    # Clients

    @rule()
    def connect(self) -> None:
        """A client gets in."""
        before = set(self.world.connection_ids())
        stack = AsyncExitStack()
        self.stacks.append(stack)
        client = self.run(stack.enter_async_context(RawClient.connect(self.world)))
        self.run(eventually(lambda: len(self.world.connection_ids()) > len(before)))
        (connection_id,) = set(self.world.connection_ids()) - before
        now_ms = self.world.clock.now_ms()
        self.open[connection_id] = Open(client, stack, now_ms, now_ms)

    @rule(status=st.sampled_from([400, 403, 500, 301]))
    def be_refused(self, status: int) -> None:
        """A client is refused by its $connect function; nothing opens."""
        self.world.answer("connect", returned({"statusCode": status}))

        answer = self.run(self._handshake())

        self.world.answer("connect", OK)
        assert answer == status

    async def _handshake(self) -> int:
        async with RawClient.dial(self.world) as client:
            client.send(client.handshake(self.world))
            return (await read_http(client.reader)).status

    @precondition(lambda self: self.open)
    @rule(data=st.data())
    def send(self, data: st.DataObject) -> None:
        """A message is answered, and counts as activity."""
        entry = self.open[self._choose(data)]
        text = data.draw(st.text(max_size=20)).encode()
        entry.client.send(frame(TEXT, text))

        reply = self.run(entry.client.receive())

        assert (reply.opcode, reply.payload) == (TEXT, text)
        entry.last_ms = self.world.clock.now_ms()

    @precondition(lambda self: self.open)
    @rule(data=st.data(), sent=st.sampled_from([None, 1000, 1001, 4000]))
    def close(self, data: st.DataObject, sent: int | None) -> None:
        """A client closes."""
        connection_id = self._choose(data)
        self.open[connection_id].client.send(closing(sent))
        self._ended(connection_id, _NO_STATUS if sent is None else (sent, ""))

    @precondition(lambda self: self.open)
    @rule(data=st.data())
    def vanish(self, data: st.DataObject) -> None:
        """A client is cut off."""
        connection_id = self._choose(data)
        entry = self.open.pop(connection_id)
        self.run(entry.stack.aclose())
        self.told[connection_id] = _LOST

    @precondition(lambda self: self.open)
    @rule(
        data=st.data(),
        offence=st.sampled_from(
            [
                (frame(0x2, b"x"), 1003),
                (frame(TEXT, claims=32_769), 1009),
                (frame(TEXT, b"\xff"), 1007),
                (frame(0x3), 1002),
            ]
        ),
    )
    def offend(self, data: st.DataObject, offence: tuple[bytes, int]) -> None:
        """A client sends what is not allowed."""
        sent, code = offence
        connection_id = self._choose(data)
        self.open[connection_id].client.send(sent)
        self._ended(connection_id, (code, ""), is_reason_known=False)

    # Functions and people

    @precondition(lambda self: self.open)
    @rule(data=st.data())
    def post(self, data: st.DataObject) -> None:
        """A post arrives, and counts as activity."""
        connection_id = self._choose(data)

        status = self._manage("POST", connection_id)
        received = self.run(self.open[connection_id].client.receive())

        assert (status, received.payload) == (200, b"posted")
        self.open[connection_id].last_ms = self.world.clock.now_ms()

    @precondition(lambda self: self.told)
    @rule(data=st.data(), method=st.sampled_from(["POST", "GET", "DELETE"]))
    def reach_for_a_closed_one(self, data: st.DataObject, method: str) -> None:
        """A connection that ended is gone for everybody."""
        connection_id = data.draw(st.sampled_from(sorted(self.told)))

        assert self._manage(method, connection_id) == 410

    @precondition(lambda self: self.open)
    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        """A connection is deleted, and is gone at once."""
        connection_id = self._choose(data)

        first = self._manage("DELETE", connection_id)
        second = self._manage("DELETE", connection_id)

        assert (first, second) == (204, 410)
        self._ended(connection_id, _NORMALLY)

    @precondition(lambda self: self.open)
    @rule()
    def remove_the_stage(self) -> None:
        """All are closed, and $disconnect, which is gone too, is not called."""
        self.world.store.remove_stage(API, STAGE)
        self.run(self.world.data_plane.close_api(API, STAGE))
        for connection_id in list(self.open):
            self._ended(connection_id, _GOING_AWAY)
            self.silent.add(connection_id)
            del self.told[connection_id]
        self.run(eventually(lambda: not self.world.data_plane._running))
        self.world.deploy_echo()

    # Time

    @rule(seconds=st.sampled_from([1, 300, IDLE_TIMEOUT_SECONDS - 1, IDLE_TIMEOUT_SECONDS, 7200]))
    def pass_time(self, seconds: int) -> None:
        """Time ends who was silent for ten minutes or is two hours old, and nobody else."""
        self.world.clock.advance(seconds)
        now_ms = self.world.clock.now_ms()
        for connection_id, entry in list(self.open.items()):
            is_idle = now_ms - entry.last_ms >= IDLE_TIMEOUT_SECONDS * 1000
            is_old = now_ms - entry.connected_ms >= CONNECTION_MAX_SECONDS * 1000
            if is_idle or is_old:
                self._ended(connection_id, _GOING_AWAY)

    @precondition(lambda self: self.open)
    @rule(data=st.data(), is_post=st.booleans())
    def pass_time_in_use(self, data: st.DataObject, *, is_post: bool) -> None:
        """Two times 599 s end the silent ones, and not the one that was in use in between."""
        self.pass_time(IDLE_TIMEOUT_SECONDS - 1)
        if self.open:
            (self.post if is_post else self.send)(data)
        self.pass_time(IDLE_TIMEOUT_SECONDS - 1)

    # What holds after every step

    @invariant()
    def exactly_the_open_ones_are_registered_and_every_end_is_told_once(self) -> None:
        """The Store knows who is open; $disconnect ran once for all others, with its own cause."""
        self.run(eventually(lambda: len(self.world.data_plane._sessions) == len(self.open)))
        self.run(eventually(lambda: not self.world.data_plane._running))
        assert set(self.world.connection_ids()) == set(self.open)
        contexts = [event["requestContext"] for event in self.world.calls("disconnect")]
        told = {
            each["connectionId"]: (each["disconnectStatusCode"], each["disconnectReason"])
            for each in contexts
        }
        assert len(told) == len(contexts)
        assert told == self.told
        assert not self.silent & set(told)

    # Helpers

    def _choose(self, data: st.DataObject) -> str:
        return data.draw(st.sampled_from(sorted(self.open)))

    def _manage(self, method: str, connection_id: str) -> int:
        path = f"/_aws/execute-api/{API}/{STAGE}/@connections/{connection_id}"
        body = b"posted" if method == "POST" else b""
        return self.run(self.world.http(method, path, body)).status

    def _ended(
        self, connection_id: str, ending: tuple[int, str], *, is_reason_known: bool = True
    ) -> None:
        """The client gets the close frame, answers it, and $disconnect is told the same."""
        entry = self.open.pop(connection_id)
        received = self.run(entry.client.receive())
        entry.client.send(closing(1000))
        self.run(entry.stack.aclose())
        self.run(eventually(lambda: connection_id not in self.world.data_plane._sessions))
        code, _reason = ending
        assert received.opcode == CLOSE
        assert received.payload[:2] == (b"" if code == 1005 else code.to_bytes(2, "big"))
        self.told[connection_id] = (
            ending if is_reason_known else (code, received.payload[2:].decode())
        )


TestConnections = Connections.TestCase
TestConnections.settings = settings(
    derandomize=True, max_examples=60, stateful_step_count=30, deadline=None, database=None
)
