"""``python -m benchmarks.load MODE ARGUMENT…``: what each mode takes, its function says."""

import asyncio
import sys
from collections.abc import Callable, Coroutine

from benchmarks.load import crowd, echo, posts

_MODES: dict[str, Callable[..., Coroutine[None, None, None]]] = {
    "echo": echo.run,
    "crowd": crowd.run,
    "posts": posts.run,
    "boto3": posts.run_boto3,
    "slow": posts.run_slow,
    "call": echo.run_calls,
}

if __name__ == "__main__":
    asyncio.run(_MODES[sys.argv[1]](*sys.argv[2:]))
