"""Identifiers, in AWS's shapes: the only module that draws random numbers.

Covers rules 1.17, 1.31, 1.48, 1.73, 1.77 (control plane ids) and 2.42 (connection, request
and message ids: 11 bytes in URL-safe base64, 16 characters ending in one ``=``).
"""

import base64
import secrets
import string
import threading
from typing import Protocol

_ALPHABET = string.ascii_lowercase + string.digits
_SOCKET_ID_BYTES = 11
_UUID_BYTES = 16
_DRAWN_BYTES = 4096
_VARIANTS = {digit: "89ab"[int(digit, 16) % 4] for digit in "0123456789abcdef"}
"""A version 4 UUID's 17th digit says which kind of UUID it is, in two of its bits."""


class Ids(Protocol):
    """Where new identifiers come from."""

    def resource_id(self, length: int) -> str:
        """Lower-case letters and digits, ``length`` of them."""
        ...

    def socket_id(self) -> str:
        """A connection, request or message id. Rule 2.42."""
        ...

    def uuid(self) -> str:
        """A UUID, as Lambda uses for its request ids."""
        ...


class RandomIds:
    """Identifiers nobody can guess."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._drawn = b""
        self._used = 0

    def _bytes(self, count: int) -> bytes:
        """Random bytes, none of them twice; drawn in stock, as each draw is a system call."""
        with self._lock:
            start, end = self._used, self._used + count
            if end > len(self._drawn):
                self._drawn = secrets.token_bytes(_DRAWN_BYTES)
                start, end = 0, count
            self._used = end
            return self._drawn[start:end]

    def resource_id(self, length: int) -> str:
        """Lower-case letters and digits, ``length`` of them."""
        return "".join(secrets.choice(_ALPHABET) for _ in range(length))

    def socket_id(self) -> str:
        """A connection, request or message id. Rule 2.42."""
        return base64.urlsafe_b64encode(self._bytes(_SOCKET_ID_BYTES)).decode()

    def uuid(self) -> str:
        """A UUID, as Lambda uses for its request ids."""
        drawn = self._bytes(_UUID_BYTES).hex()
        variant = _VARIANTS[drawn[16]]
        # As `uuid.UUID(bytes=…, version=4)` writes it, in a third of the time.
        return f"{drawn[:8]}-{drawn[8:12]}-4{drawn[13:16]}-{variant}{drawn[17:20]}-{drawn[20:]}"
