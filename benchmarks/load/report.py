"""What the modes have in common: where an address leads, and one JSON line for what came out."""

import json
import sys
import time
from collections.abc import Mapping
from urllib.parse import urlsplit

from benchmarks.figures import percentile


def dialled(url: str) -> tuple[str, int]:
    """Host and port to connect to; names below localhost need no DNS here."""
    parts = urlsplit(url)
    host = parts.hostname or "localhost"
    is_local = host == "localhost" or host.endswith(".localhost")
    return ("127.0.0.1" if is_local else host), parts.port or 80


def say(values: Mapping[str, object]) -> None:
    """One line for the process that started this one."""
    sys.stdout.write(json.dumps(values) + "\n")
    sys.stdout.flush()


class Stopwatch:
    """Time and own processor time since it was made."""

    def __init__(self) -> None:
        self._began, self._cpu = time.perf_counter(), time.process_time()

    def read(self) -> tuple[float, float]:
        """Seconds, and this process's share of a core in them."""
        took = time.perf_counter() - self._began
        return took, (time.process_time() - self._cpu) / took


def latencies_ms(seconds: list[float]) -> dict[str, float]:
    """Median and 99th percentile in milliseconds; zero when nothing came back."""
    if not seconds:
        return {"p50_ms": 0.0, "p99_ms": 0.0}
    ordered = sorted(seconds)
    return {
        "p50_ms": percentile(ordered, 50) * 1000,
        "p99_ms": percentile(ordered, 99) * 1000,
    }
