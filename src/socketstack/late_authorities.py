"""aiohttp, imported without reading the system's certificate authorities.

aiohttp makes the TLS contexts of its client when it is imported, and one of them reads some 150
certificates: a tenth of the engine's start, and memory, for a client that most engines never use.
Here such a context reads them when it is used for the first time; nothing else about it differs.

Import this module before aiohttp. Where aiohttp is there already, nothing happens.
"""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class LateContext(ssl.SSLContext):
    """A client's context whose authorities are read by its first connection."""

    _purposes: list[ssl.Purpose]

    def wrap_bio(self, *args: Any, **kwargs: Any) -> ssl.SSLObject:
        """As ``ssl`` has it, with the authorities there; this is what asyncio calls."""
        self._read()
        return super().wrap_bio(*args, **kwargs)

    def wrap_socket(self, *args: Any, **kwargs: Any) -> ssl.SSLSocket:
        """As ``ssl`` has it, with the authorities there."""
        self._read()
        return super().wrap_socket(*args, **kwargs)

    def _read(self) -> None:
        while self._purposes:
            super().load_default_certs(self._purposes[-1])
            self._purposes.pop()  # only now: one that could not read them is asked again


@contextmanager
def late_authorities() -> Iterator[None]:
    """Contexts that are made meanwhile read the authorities with their first connection."""
    load = ssl.SSLContext.load_default_certs

    def postpone(self: ssl.SSLContext, purpose: ssl.Purpose = ssl.Purpose.SERVER_AUTH) -> None:
        if type(self) is not ssl.SSLContext:
            load(self, purpose)
            return
        self.__class__ = LateContext
        vars(self)["_purposes"] = [purpose]

    ssl.SSLContext.load_default_certs = postpone  # type: ignore[method-assign]
    try:
        yield
    finally:
        ssl.SSLContext.load_default_certs = load  # type: ignore[method-assign]


with late_authorities():
    import aiohttp  # noqa: F401
