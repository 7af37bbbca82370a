"""The load generator: a process of its own that sends messages and counts the replies.

It speaks just enough of RFC 6455 to be cheap: the frame is built once, masked with zeros, and a
reply is recognised by its length. It reports its own CPU time, so that a reader can see that
it was not the bottleneck.

    python -m benchmarks.load URL CLIENTS SECONDS PAYLOAD_BYTES
"""

import asyncio
import base64
import json
import os
import struct
import sys
import time
from urllib.parse import urlsplit

_SMALL, _MEDIUM = 126, 65_536
_FINAL_TEXT = 0x81


def text_frame(payload: bytes) -> bytes:
    """One masked text frame; the mask is zero, so the payload stays readable."""
    if len(payload) < _SMALL:
        head = struct.pack("!BB", _FINAL_TEXT, 0x80 | len(payload))
    elif len(payload) < _MEDIUM:
        head = struct.pack("!BBH", _FINAL_TEXT, 0x80 | _SMALL, len(payload))
    else:
        message = "the load generator sends less than 64 KB"
        raise ValueError(message)
    return head + b"\0\0\0\0" + payload


class EchoClient(asyncio.Protocol):
    """One socket that sends the next message when the reply to the last has arrived."""

    def __init__(self, host: str, target: str, frame: bytes, reply_bytes: int) -> None:
        self._frame, self._reply_bytes = frame, reply_bytes
        key = base64.b64encode(os.urandom(16)).decode()
        self._handshake = (
            f"GET {target} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n"
        ).encode()
        loop = asyncio.get_running_loop()
        self.opened: asyncio.Future[None] = loop.create_future()
        self.latencies: list[float] = []
        self._received = bytearray()
        self._is_running = False
        self._sent_at = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the upgrade."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.write(self._handshake)

    def start(self) -> None:
        """Send the first message."""
        self._is_running = True
        self._send()

    def stop(self) -> None:
        """Send nothing more."""
        self._is_running = False

    def data_received(self, data: bytes) -> None:
        """Count whole replies."""
        self._received += data
        if not self.opened.done():
            self._upgraded()
        while len(self._received) >= self._reply_bytes:
            if self._received[0] != _FINAL_TEXT:
                self.transport.abort()
                return
            del self._received[: self._reply_bytes]
            self.latencies.append(time.perf_counter() - self._sent_at)
            if self._is_running:
                self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        """A lost socket ends its run."""
        if not self.opened.done():
            self.opened.set_exception(exc or ConnectionError("closed during the handshake"))

    def _upgraded(self) -> None:
        end = self._received.find(b"\r\n\r\n")
        if end < 0:
            return
        status = bytes(self._received).split(b"\r\n", 1)[0]
        del self._received[: end + 4]
        if b" 101 " in status:
            self.opened.set_result(None)
        else:
            self.opened.set_exception(ConnectionError(status.decode()))

    def _send(self) -> None:
        self._sent_at = time.perf_counter()
        self.transport.write(self._frame)


async def run(url: str, clients: int, seconds: float, payload_bytes: int) -> dict[str, float]:
    """Echo for some seconds; rates and latencies of all clients together."""
    parts = urlsplit(url)
    target = parts.path + (f"?{parts.query}" if parts.query else "")
    payload = (b'{"action":"echo","fill":"' + b"x" * payload_bytes)[: payload_bytes - 2] + b'"}'
    frame = text_frame(payload)
    reply_bytes = len(frame) - 4
    loop = asyncio.get_running_loop()
    sockets = []
    for _ in range(clients):
        _transport, client = await loop.create_connection(
            lambda: EchoClient(parts.netloc, target, frame, reply_bytes),
            parts.hostname or "localhost",
            parts.port or 80,
        )
        await client.opened
        sockets.append(client)
    for client in sockets:  # the first replies start the function processes: not measured
        client.start()
    await asyncio.sleep(min(1.0, seconds / 2))
    for client in sockets:
        client.latencies.clear()
    began, cpu = time.perf_counter(), time.process_time()
    await asyncio.sleep(seconds)
    took, used = time.perf_counter() - began, time.process_time() - cpu
    for client in sockets:
        client.stop()
    latencies = sorted(latency for client in sockets for latency in client.latencies)
    for client in sockets:
        client.transport.abort()
    return {
        "per_second": len(latencies) / took,
        "p50_ms": latencies[len(latencies) // 2] * 1000 if latencies else 0.0,
        "p99_ms": latencies[len(latencies) * 99 // 100] * 1000 if latencies else 0.0,
        "generator_cpu": used / took,
    }


if __name__ == "__main__":
    URL, CLIENTS, SECONDS, PAYLOAD = sys.argv[1:5]
    print(json.dumps(asyncio.run(run(URL, int(CLIENTS), float(SECONDS), int(PAYLOAD)))))  # noqa: T201
