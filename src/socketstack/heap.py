"""Giving memory back to the system, after work that took much of it.

Python and the C library keep what was freed for what comes next. After a deployment, or when
thousands of sockets have closed, nothing like it comes soon.
"""

import ctypes
import gc
from collections.abc import Callable
from functools import cache


def give_back(*, with_garbage: bool = False) -> None:
    """Give free memory back; some milliseconds.

    ``with_garbage`` also looks for objects that only refer to each other, which asyncio's
    transports do: another ten milliseconds for each hundred thousand objects that are alive.
    """
    if with_garbage:
        gc.collect()
    _trim()(0)


@cache
def _trim() -> Callable[[int], object]:
    try:
        trim = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):
        return lambda _kept: None  # no glibc: macOS, Alpine
    trim.argtypes = [ctypes.c_size_t]
    trim.restype = ctypes.c_int
    return trim
