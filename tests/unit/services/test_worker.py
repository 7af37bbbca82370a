import threading
from collections.abc import Iterator

import pytest

from socketstack.services.worker import Worker

PATIENCE_SECONDS = 20.0


@pytest.fixture
def worker() -> Iterator[Worker]:
    """A worker that is stopped at the end."""
    worker = Worker()
    yield worker
    assert worker.stop(PATIENCE_SECONDS)


def test_calls_run_in_order_in_one_thread(worker: Worker) -> None:
    """Calls share one thread and keep their order."""
    names: list[tuple[int, int]] = []

    futures = [
        worker.submit(lambda n=number: names.append((n, threading.get_ident())))  # type: ignore[misc]
        for number in range(50)
    ]
    for future in futures:
        future.result(PATIENCE_SECONDS)

    assert [number for number, _ in names] == list(range(50))
    assert len({ident for _, ident in names}) == 1
    assert threading.get_ident() not in {ident for _, ident in names}


def test_what_a_call_raises_reaches_whoever_waits(worker: Worker) -> None:
    """An exception goes to the caller, and the next call runs."""

    def fail() -> None:
        raise KeyError("a")

    with pytest.raises(KeyError):
        worker.submit(fail).result(PATIENCE_SECONDS)

    assert worker.submit(lambda: 1).result(PATIENCE_SECONDS) == 1


def test_cancelled_calls_do_not_run(worker: Worker) -> None:
    """A call that nobody wants any more is left out."""
    gate = threading.Event()
    ran: list[str] = []
    worker.submit(lambda: gate.wait(PATIENCE_SECONDS))
    unwanted = worker.submit(lambda: ran.append("unwanted"))

    unwanted.cancel()
    gate.set()
    worker.submit(lambda: ran.append("last")).result(PATIENCE_SECONDS)

    assert ran == ["last"]


def test_a_call_can_wait_for_a_later_one(worker: Worker) -> None:
    """While a call has released the thread, later calls run; then it goes on alone."""
    inside = 0
    most = 0

    def step() -> None:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        inside -= 1

    def outer(depth: int) -> int:
        nonlocal inside, most
        step()
        if depth:
            with worker.released():
                later = worker.submit(lambda: outer(depth - 1)).result(PATIENCE_SECONDS)
        else:
            later = 0
        step()
        return later + 1

    result = worker.submit(lambda: outer(4)).result(PATIENCE_SECONDS)

    assert (result, most) == (5, 1)


def test_two_calls_are_never_inside_at_once(worker: Worker) -> None:
    """A call that comes back from waiting lets the running one finish first."""
    resume = threading.Event()
    overlap: list[str] = []
    running = threading.Event()

    def waits() -> None:
        with worker.released():
            resume.wait(PATIENCE_SECONDS)
        overlap.append("back while running" if running.is_set() else "back alone")

    def runs() -> None:
        running.set()
        resume.set()
        # Long enough a piece of work for the other thread to come back, if it could.
        sum(range(2_000_000))
        running.clear()

    first = worker.submit(waits)
    second = worker.submit(runs)
    first.result(PATIENCE_SECONDS)
    second.result(PATIENCE_SECONDS)

    assert overlap == ["back alone"]


def test_threads_go_when_they_are_not_needed(worker: Worker) -> None:
    """After waits are over one thread is left."""

    def waits() -> int:
        with worker.released():
            return worker.submit(lambda: 1).result(PATIENCE_SECONDS)

    for _ in range(5):
        assert worker.submit(waits).result(PATIENCE_SECONDS) == 1

    worker.submit(lambda: None).result(PATIENCE_SECONDS)
    assert len(worker._threads) <= 2


def test_released_outside_a_call_does_nothing(worker: Worker) -> None:
    """Whoever is not inside has nothing to release."""
    with worker.released():
        result = worker.submit(lambda: 1).result(PATIENCE_SECONDS)

    assert result == 1


def test_stop_finishes_what_is_queued_and_takes_no_more() -> None:
    """Calls taken are run; later ones are refused."""
    worker = Worker()
    ran: list[int] = []
    for number in range(3):
        worker.submit(lambda n=number: ran.append(n))  # type: ignore[misc]

    ended = worker.stop(PATIENCE_SECONDS)

    with pytest.raises(RuntimeError):
        worker.submit(lambda: ran.append(99))
    assert ended
    assert ran == [0, 1, 2]
