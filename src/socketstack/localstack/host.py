"""The engine's own thread and event loop, and the one engine of this process.

LocalStack's threads talk to the engine through ``Host.run``. They may wait for it; the loop never
waits for them.
"""

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any, Final, TypeVar

from socketstack.errors import ConfigError
from socketstack.localstack.engine import LocalStackEngine
from socketstack.settings import Settings

T = TypeVar("T")

_STOP_SECONDS: Final = 20.0


class Host:
    """Runs one engine in a thread of its own."""

    def __init__(self, settings: Settings) -> None:
        """Take the port. Raises ``ConfigError`` when it is in use."""
        self.engine = LocalStackEngine(settings)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._serve, name="socketstack", daemon=True)

    def start(self) -> None:
        """Open the port; returns when it is open."""
        self._thread.start()
        self.run(self.engine.start())

    def run(self, work: Coroutine[Any, Any, T], *, seconds: float | None = None) -> T:
        """Run something on the engine's loop and wait for it; from any other thread.

        Raises what it raises, ``TimeoutError`` after ``seconds``.
        """
        if threading.current_thread() is self._thread:
            work.close()
            raise RuntimeError("The engine's own thread cannot wait for itself.")
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(seconds)

    def stop(self) -> None:
        """Close sockets, end functions and end the thread; a second call does nothing."""
        if not self._thread.is_alive():
            return
        try:
            self.run(self.engine.stop(), seconds=_STOP_SECONDS)
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(_STOP_SECONDS)

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
        finally:
            self._loop.close()


_hosts: list[Host] = []


def open_host(settings: Settings) -> Host:
    """Make the engine of this process and take its port; ``Host.start`` opens it."""
    if _hosts:
        raise ConfigError("An engine runs in this process already.")
    host = Host(settings)
    _hosts.append(host)
    return host


def current_host() -> Host | None:
    """The engine of this process; None before ``open_host``."""
    return _hosts[0] if _hosts else None


def required_host() -> Host:
    """The engine of this process. Raises ``ConfigError`` when there is none."""
    host = current_host()
    if host is None:
        raise ConfigError(
            "Socketstack does not run in this LocalStack: its start failed, or its hook is "
            "switched off. See the beginning of the log."
        )
    return host
