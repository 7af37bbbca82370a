"""A crowd: many connections, opened so many at once, held, and closed all together."""

import asyncio
import itertools
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from benchmarks.load.report import Stopwatch, latencies_ms, say
from benchmarks.load.socket import ClientSocket, open_socket
from benchmarks.wire import close_frame

_CLOSE_SECONDS = 120
_PART = 1000


@dataclass
class Crowd:
    """Connections to one address."""

    url: str
    wanted: int
    open: list[ClientSocket] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    latencies: list[float] = field(default_factory=list)
    opened_at: list[float] = field(default_factory=list)

    async def connect(self, at_once: int) -> None:
        """Open all, never more at a time than ``at_once``."""
        numbers = iter(range(self.wanted))
        await asyncio.gather(*(self._connect_each(numbers) for _ in range(at_once)))

    async def _connect_each(self, numbers: Iterator[int]) -> None:
        for _ in numbers:
            began = time.perf_counter()
            try:
                self.open.append(await open_socket(lambda: ClientSocket(self.url), self.url))
            except (OSError, TimeoutError) as error:
                self.failures.append(repr(error))
                continue
            self.opened_at.append(time.perf_counter())
            self.latencies.append(self.opened_at[-1] - began)

    async def close(self) -> int:
        """Say goodbye on all at once; how many were closed by the other side in time."""
        for client in self.open:
            client.transport.write(close_frame())
        waiting = [client.closed for client in self.open]
        done, _ = await asyncio.wait(waiting, timeout=_CLOSE_SECONDS) if waiting else ((), ())
        return len(done)


def rates_of_parts(opened_at: list[float], began: float, part: int = _PART) -> list[float]:
    """Connections a second of the first thousand, of the second, and so on."""
    ends = [began, *opened_at[part - 1 :: part]]
    return [part / (end - start) for start, end in itertools.pairwise(ends)]


async def run(url: str, connections: str, at_once: str) -> None:
    """URL CONNECTIONS AT_ONCE: opens them and tells; ``close`` on stdin closes, its end ends."""
    crowd = Crowd(url, int(connections))
    began, watch = time.perf_counter(), Stopwatch()
    await crowd.connect(int(at_once))
    took, cpu = watch.read()
    say(
        {
            "open": len(crowd.open),
            "failures": len(crowd.failures),
            "reason": crowd.failures[0] if crowd.failures else "",
            "per_second": len(crowd.open) / took,
            "rates": rates_of_parts(crowd.opened_at, began),
            **latencies_ms(crowd.latencies),
            "generator_cpu": cpu,
        }
    )
    loop = asyncio.get_running_loop()
    while (line := await loop.run_in_executor(None, sys.stdin.readline)) == "held?\n":
        say({"held": sum(not client.closed.done() for client in crowd.open)})
    if line == "close\n":
        watch = Stopwatch()
        closed = await crowd.close()
        say({"closed": closed, "seconds": watch.read()[0]})
        await loop.run_in_executor(None, sys.stdin.readline)
    for client in crowd.open:
        client.transport.abort()
