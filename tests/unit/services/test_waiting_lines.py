"""Batches of log lines that wait for somebody to read them."""

import sys

from socketstack.runner.base import LogLine
from socketstack.services.waiting_lines import BLOCK_LINES, Batch, WaitingLines


def _batch(number: int, lines: int = 3) -> Batch:
    return Batch(
        account_id="123456789012",
        region="eu-west-1",
        log_group=f"/aws/lambda/f{number % 3}",
        stream="2026/01/31/[$LATEST]0",
        lines=tuple(LogLine(time_ms=number, text=f"{number}.{n} \ud800\0ü") for n in range(lines)),
        needs_group=number % 2 == 0,
    )


def test_batches_come_back_as_they_were_and_in_order() -> None:
    """Packed or not."""
    waiting = WaitingLines(10_000)
    assert not waiting
    batches = [_batch(number) for number in range(300)]

    assert [waiting.put(batch) for batch in batches] == [0] * 300

    assert waiting
    assert list(waiting) == batches


def test_the_oldest_batches_go_when_there_are_too_many_lines() -> None:
    """A block at a time, as many as it takes, and counted; at every length of the queue."""
    for max_lines in (1, 5, 600, 1000):
        waiting = WaitingLines(max_lines)
        batches = [_batch(number, lines=1 + number % 4) for number in range(900)]
        dropped = sum(waiting.put(batch) for batch in batches)

        kept = list(waiting)
        assert kept == batches[len(batches) - len(kept) :]
        lines = sum(len(batch.lines) for batch in kept)
        assert lines <= max_lines
        assert dropped + lines == sum(len(batch.lines) for batch in batches)
        assert lines > max_lines - BLOCK_LINES


def test_waiting_lines_are_few_objects() -> None:
    """Hundreds of lines are a handful of blocks."""
    waiting = WaitingLines(100_000)
    before = sys.getallocatedblocks()
    for number in range(12_801):
        waiting.put(_batch(number))

    assert sys.getallocatedblocks() - before < 1000
