"""How much memory a function's process holds: read from the system, on Linux only.

Elsewhere the figures are 0, and no function is ended for its memory.
"""

import os
import sys
from pathlib import Path
from typing import Final

_BYTES_PER_MB: Final = 1024 * 1024
_KIB: Final = 1024


def peak_mb(pid: int) -> int:
    """The most that a process has held so far, in MB, rounded up; 0 when it is gone."""
    if sys.platform != "linux":
        return 0
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    _, _, rest = status.partition("VmHWM:")
    kilobytes = rest.split(maxsplit=1)[:1]
    return -(-int(kilobytes[0]) * _KIB // _BYTES_PER_MB) if kilobytes else 0


def resident_mb(pid: int) -> int:
    """What a process holds now, in MB, rounded down; 0 when it is gone. Cheaper than the peak."""
    if sys.platform != "linux":
        return 0
    try:
        pages = Path(f"/proc/{pid}/statm").read_bytes().split()
    except OSError:
        return 0
    return int(pages[1]) * os.sysconf("SC_PAGE_SIZE") // _BYTES_PER_MB if pages else 0
