"""Batches of log lines that wait, in little memory.

Lines live long beside objects that do not: each would keep a piece of memory in use that the
system could have back. So all but the newest are packed into blocks, in which a line costs its
text and some bytes.
"""

import marshal
from collections import deque
from collections.abc import Iterator
from typing import Final, NamedTuple

from socketstack.runner.base import LogLine

BLOCK_LINES: Final = 384


class Batch(NamedTuple):
    """Lines of one log stream, in order.

    A group that is missing is made, unless ``needs_group``: then the lines are dropped.
    """

    account_id: str
    region: str
    log_group: str
    stream: str
    lines: tuple[LogLine, ...]
    needs_group: bool = False


class WaitingLines:
    """Batches in the order they came, at most ``max_lines`` lines; the oldest go first.

    They go by the block, which has at most ``BLOCK_LINES`` lines or one batch, so a queue that was
    full holds somewhat less than that.
    """

    def __init__(self, max_lines: int) -> None:
        self._max_lines = max_lines
        self._blocks: deque[tuple[int, bytes]] = deque()
        """Each with its number of lines."""
        self._newest: list[Batch] = []
        self._newest_lines = 0
        self._lines = 0

    def put(self, batch: Batch) -> int:
        """Take a batch; how many lines found no room for its sake."""
        added = len(batch.lines)
        if self._newest and self._newest_lines + added > BLOCK_LINES:
            self._blocks.append((self._newest_lines, _packed(self._newest)))
            self._newest = []
            self._newest_lines = 0
        self._newest.append(batch)
        self._newest_lines += added
        self._lines += added
        return self._make_room() if self._lines > self._max_lines else 0

    def __bool__(self) -> bool:
        return bool(self._blocks or self._newest)

    def __iter__(self) -> Iterator[Batch]:
        for _lines, block in self._blocks:
            yield from _unpacked(block)
        yield from self._newest

    def _make_room(self) -> int:
        before = self._lines
        while self._lines > self._max_lines:
            if self._blocks:
                self._lines -= self._blocks.popleft()[0]
            else:
                lines = len(self._newest.pop(0).lines)
                self._newest_lines -= lines
                self._lines -= lines
        return before - self._lines


def _packed(batches: list[Batch]) -> bytes:
    return marshal.dumps(
        [
            (
                (each.account_id, each.region, each.log_group, each.stream),
                each.needs_group,
                [(line.time_ms, line.text) for line in each.lines],
            )
            for each in batches
        ]
    )


def _unpacked(block: bytes) -> Iterator[Batch]:
    for (account_id, region, log_group, stream), needs_group, lines in marshal.loads(block):  # noqa: S302 - written here
        yield Batch(
            account_id=account_id,
            region=region,
            log_group=log_group,
            stream=stream,
            lines=tuple(LogLine(time_ms=time_ms, text=text) for time_ms, text in lines),
            needs_group=needs_group,
        )
