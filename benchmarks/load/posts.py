"""Posts to a connection: over plain HTTP, with boto3, and at a reader who does not read."""

import asyncio
import time
from collections import Counter
from http import HTTPStatus
from urllib.parse import quote, unquote, urlsplit

from benchmarks.load.report import Stopwatch, dialled, latencies_ms, say
from benchmarks.load.socket import AskingSocket, open_socket

_WHO = b'{"action":"who"}'
_SMALL_BUFFER = 65_536
_SLOW_PART = 100_000


class Poster:
    """One HTTP connection that is kept; posts one body again and again."""

    def __init__(self, url: str, body: bytes) -> None:
        parts = urlsplit(url)
        self._address = dialled(url)
        self._request = (
            f"POST {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\n"
            f"Content-Type: application/octet-stream\r\nContent-Length: {len(body)}\r\n\r\n"
        ).encode() + body

    async def open(self) -> None:
        """Connect."""
        self._reader, self._writer = await asyncio.open_connection(*self._address)

    async def post(self) -> int:
        """The status of one post."""
        self._writer.write(self._request)
        head = await self._reader.readuntil(b"\r\n\r\n")
        await self._skip_body(head.lower())
        return int(head.split(b" ", 2)[1])

    def close(self) -> None:
        """End the connection."""
        self._writer.close()

    async def _skip_body(self, head: bytes) -> None:
        if b"transfer-encoding: chunked" in head:
            while await self._reader.readuntil(b"\r\n") != b"0\r\n":
                await self._reader.readuntil(b"\r\n")
            await self._reader.readuntil(b"\r\n")
            return
        _, found, rest = head.partition(b"content-length:")
        if found:
            await self._reader.readexactly(int(rest.split(b"\r\n", 1)[0]))


class Receiver(AskingSocket):
    """Learns its id and counts what comes after."""

    count = 0

    def received(self, first: int, payload: bytes) -> None:
        """Count."""
        super().received(first, payload)
        self.count += 1


async def _receiver(url: str, base: str, receive_bytes: int = 0) -> tuple[Receiver, str]:
    receiver = await open_socket(lambda: Receiver(url), url, receive_bytes)
    connection_id = (await receiver.ask(_WHO)).decode()
    receiver.count = 0
    return receiver, f"{base}/@connections/{quote(connection_id, safe='')}"


async def run(url: str, base: str, at_once: str, seconds: str) -> None:
    """URL CALLBACK_URL AT_ONCE SECONDS: posts of 1 KB to one connection over plain HTTP."""
    receiver, address = await _receiver(url, base)
    posters = [Poster(address, b"x" * 1024) for _ in range(int(at_once))]
    for poster in posters:
        await poster.open()
    statuses: Counter[int] = Counter()
    latencies: list[float] = []
    end = time.perf_counter() + float(seconds)

    async def post(poster: Poster) -> None:
        while (began := time.perf_counter()) < end:
            statuses[await poster.post()] += 1
            latencies.append(time.perf_counter() - began)

    watch = Stopwatch()
    await asyncio.gather(*(post(poster) for poster in posters))
    took, cpu = watch.read()
    await _say_posts(receiver, statuses, took, {**latencies_ms(latencies), "generator_cpu": cpu})


async def run_boto3(url: str, base: str, seconds: str) -> None:
    """URL CALLBACK_URL SECONDS: ``post_to_connection`` of 1 KB from one thread."""
    receiver, address = await _receiver(url, base)
    connection_id = address.rsplit("/", 1)[1]
    count, took, cpu = await asyncio.to_thread(_post_boto3, base, connection_id, float(seconds))
    await _say_posts(receiver, Counter({HTTPStatus.OK: count}), took, {"generator_cpu": cpu})


def _post_boto3(base: str, connection_id: str, seconds: float) -> tuple[int, float, float]:
    import boto3  # noqa: PLC0415  # costs the other modes a quarter of a second

    client = boto3.client(
        "apigatewaymanagementapi",
        endpoint_url=base,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",  # noqa: S106
    )
    name, body, count = unquote(connection_id), b"x" * 1024, 0
    client.post_to_connection(ConnectionId=name, Data=body)  # loads the model: not measured
    watch, end = Stopwatch(), time.perf_counter() + seconds
    while time.perf_counter() < end:
        client.post_to_connection(ConnectionId=name, Data=body)
        count += 1
    return count, *watch.read()


async def _say_posts(
    receiver: Receiver, statuses: "Counter[int]", took: float, more: dict[str, float]
) -> None:
    taken = sum(count for status, count in statuses.items() if status < HTTPStatus.MULTIPLE_CHOICES)
    end = time.perf_counter() + 5
    while receiver.count < taken and time.perf_counter() < end:  # noqa: ASYNC110
        await asyncio.sleep(0.05)
    say(
        {
            "per_second": taken / took,
            "taken": taken,
            "received": receiver.count,
            "statuses": {str(status): count for status, count in statuses.items()},
            **more,
        }
    )
    receiver.transport.abort()


async def run_slow(url: str, base: str, megabytes: str, seconds: str) -> None:
    """URL CALLBACK_URL MEGABYTES SECONDS: pushes them at a client that reads nothing.

    They are spread over the seconds: a poster who goes as fast as it can would take a processor,
    and others would notice that.
    """
    receiver, address = await _receiver(url, base, _SMALL_BUFFER)
    receiver.transport.pause_reading()
    poster = Poster(address, b"x" * _SLOW_PART)
    await poster.open()
    statuses: Counter[int] = Counter()
    taken_first = 0
    watch = Stopwatch()
    parts = int(float(megabytes) * 1_000_000 / _SLOW_PART)
    for number in range(parts):
        await asyncio.sleep(max(0, number / parts * float(seconds) - watch.read()[0]))
        status = await poster.post()
        statuses[status] += 1
        if len(statuses) == 1 and status < HTTPStatus.MULTIPLE_CHOICES:
            taken_first += _SLOW_PART
    took, _cpu = watch.read()
    poster.close()
    receiver.transport.abort()
    say(
        {
            "seconds": took,
            "taken_before_refusal_mb": taken_first / 1_000_000,
            "statuses": {str(status): count for status, count in statuses.items()},
        }
    )
