"""Echo: clients that send the next message when the reply to the last has arrived."""

import asyncio
import time

from benchmarks.load.report import Stopwatch, latencies_ms, say
from benchmarks.load.socket import AskingSocket, ClientSocket, open_socket
from benchmarks.trees import ProcessTree
from benchmarks.wire import FINAL_TEXT, text_frame

_WARM_SECONDS = 1.0
_WARM_ECHOES = 3
_WARM_MOST_SECONDS = 90


class EchoClient(ClientSocket):
    """Knows a reply by its length, so it looks into none."""

    def __init__(self, url: str, frame: bytes) -> None:
        super().__init__(url)
        self._frame = frame
        self._reply_bytes = len(frame) - 4  # as it was sent, without a mask
        self._received = 0
        self._is_echoing = self._is_running = False
        self._sent_at = 0.0
        self.latencies: list[float] = []
        self.warm = asyncio.Event()

    def start(self) -> None:
        """Send the first message."""
        self._is_echoing = self._is_running = True
        self._send()

    def stop(self) -> None:
        """Send nothing more."""
        self._is_running = False

    def data_received(self, data: bytes) -> None:
        """Count whole replies."""
        if not self._is_echoing:
            super().data_received(data)
            return
        if not self._received and data[0] != FINAL_TEXT:
            self.transport.abort()
            return
        self._received += len(data)
        if self._received >= self._reply_bytes:
            self._received = 0
            self.latencies.append(time.perf_counter() - self._sent_at)
            if len(self.latencies) == _WARM_ECHOES:
                self.warm.set()
            if self._is_running:
                self._send()

    def _send(self) -> None:
        self._sent_at = time.perf_counter()
        self.transport.write(self._frame)


def message(payload_bytes: int) -> bytes:
    """A message for the route ``echo`` of exactly so many bytes."""
    return (b'{"action":"echo","fill":"' + b"x" * payload_bytes)[: payload_bytes - 2] + b'"}'


async def run(
    url: str, clients: str, seconds: str, payload_bytes: str, server_pid: str = ""
) -> None:
    """URL CLIENTS SECONDS PAYLOAD_BYTES [SERVER_PID]: rate and latencies of all clients together.

    With the server's process id also the processor time of its whole tree, while the rate was
    measured and not while clients connected and warmed up.
    """
    server = ProcessTree(int(server_pid)) if server_pid else None
    frame = text_frame(message(int(payload_bytes)))
    sockets = [await open_socket(lambda: EchoClient(url, frame), url) for _ in range(int(clients))]
    for client in sockets:
        client.start()
    await _warm_up(sockets, min(_WARM_SECONDS, float(seconds) / 2))
    for client in sockets:
        client.latencies.clear()
    spent_before = server.cpu_seconds() if server else 0.0
    watch = Stopwatch()
    await asyncio.sleep(float(seconds))
    took, cpu = watch.read()
    for client in sockets:
        client.stop()
    spent = {"server_cpu_seconds": server.cpu_seconds() - spent_before} if server else {}
    latencies = [latency for client in sockets for latency in client.latencies]
    lost = sum(client.closed.done() for client in sockets)
    for client in sockets:
        client.transport.abort()
    say(
        {
            "echoes": len(latencies),
            "per_second": len(latencies) / took,
            **latencies_ms(latencies),
            "lost": lost,
            "generator_cpu": cpu,
            **spent,
        }
    )


async def _warm_up(sockets: list[EchoClient], seconds: float) -> None:
    """Until everybody had a few replies: the first ones start function processes."""
    everybody = asyncio.gather(*(client.warm.wait() for client in sockets))
    try:
        await asyncio.gather(
            asyncio.wait_for(everybody, _WARM_MOST_SECONDS), asyncio.sleep(seconds)
        )
    except TimeoutError:
        cold = sum(not client.warm.is_set() for client in sockets)
        message = (
            f"{cold} of {len(sockets)} clients had no {_WARM_ECHOES} whole replies "
            f"in {_WARM_MOST_SECONDS} s"
        )
        raise TimeoutError(message) from None


async def run_calls(url: str, clients: str, text: str) -> None:
    """URL CLIENTS MESSAGE: one message on each connection at once; when all were answered."""
    sockets = [await open_socket(lambda: AskingSocket(url), url) for _ in range(int(clients))]
    watch = Stopwatch()
    answers = await asyncio.gather(*(each.ask(text.encode()) for each in sockets))
    took, _cpu = watch.read()
    for each in sockets:
        each.transport.abort()
    say({"seconds": took, "answers": [answer.decode() for answer in answers]})
