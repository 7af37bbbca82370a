"""aiohttp, imported without reading the system's certificate authorities.

aiohttp makes the two TLS contexts of its client when it is imported, and each of them reads some
150 certificates: a tenth of the engine's start, and memory, for a client that most engines never
use. Here such a context reads them when it is used for the first time; nothing else differs.

Import this module before aiohttp. Where aiohttp is there already, nothing happens.
"""

import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any


class LateContext(ssl.SSLContext):
    """A client's context whose authorities are read by its first connection."""

    _postponed: list[Callable[[], None]]

    def wrap_bio(self, *args: Any, **kwargs: Any) -> ssl.SSLObject:
        """As ``ssl`` has it, with the authorities there; this is what asyncio calls."""
        self._read()
        return super().wrap_bio(*args, **kwargs)

    def wrap_socket(self, *args: Any, **kwargs: Any) -> ssl.SSLSocket:
        """As ``ssl`` has it, with the authorities there."""
        self._read()
        return super().wrap_socket(*args, **kwargs)

    def _read(self) -> None:
        while self._postponed:
            self._postponed[0]()
            del self._postponed[0]  # only now: what could not be read is asked for again


@contextmanager
def late_authorities() -> Iterator[None]:
    """Contexts that are made meanwhile read the authorities with their first connection."""
    load, set_paths = ssl.SSLContext.load_default_certs, ssl.SSLContext.set_default_verify_paths

    def postpone(context: ssl.SSLContext, read: Callable[[], None]) -> None:
        context.__class__ = LateContext
        vars(context).setdefault("_postponed", []).append(read)

    def load_later(self: ssl.SSLContext, purpose: ssl.Purpose = ssl.Purpose.SERVER_AUTH) -> None:
        postpone(self, partial(load, self, purpose))

    def set_paths_later(self: ssl.SSLContext) -> None:
        postpone(self, partial(set_paths, self))

    ssl.SSLContext.load_default_certs = load_later  # type: ignore[method-assign]
    ssl.SSLContext.set_default_verify_paths = set_paths_later  # type: ignore[method-assign]
    try:
        yield
    finally:
        ssl.SSLContext.load_default_certs = load  # type: ignore[method-assign]
        del ssl.SSLContext.set_default_verify_paths  # it is inherited


with late_authorities():
    import aiohttp  # noqa: F401
