"""The thread that all of moto runs in, and how it is lent out.

moto is one heap of unguarded state, and more threads make it slower; so its calls run one after
another, in the order they came. There is one catch: moto itself may call a function and wait for
it (Secrets Manager rotation, for example), and that function may call AWS again, which needs the
thread that waits for it. ``released`` solves this: for the time of the wait a second thread takes
the calls. When the wait is over, the first goes on as soon as the call then under way is done, so
that at no moment two threads are inside moto.
"""

import queue
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Final, TypeVar

T = TypeVar("T")
_Work = Callable[[], None]

_NAME: Final = "moto"


class Worker:
    """Runs calls one after another, in one thread that starts with the first."""

    def __init__(self) -> None:
        self._work: queue.SimpleQueue[_Work | None] = queue.SimpleQueue()
        self._turn = threading.Lock()
        """Held by the thread that is inside a call."""
        self._threads: set[threading.Thread] = set()
        self._guard = threading.Lock()
        self._is_stopped = False

    def submit(self, call: Callable[[], T]) -> "Future[T]":
        """Queue a call. Raises ``RuntimeError`` after ``stop``."""
        future: Future[T] = Future()

        def work() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                result = call()
            except BaseException as error:  # noqa: BLE001 - it belongs to whoever waits
                future.set_exception(error)
            else:
                future.set_result(result)

        with self._guard:
            if self._is_stopped:
                raise RuntimeError("The engine stops: no more AWS calls are taken.")
            if not self._threads:
                self._start_thread()
            self._work.put(work)
        return future

    def is_inside(self) -> bool:
        """Whether the calling thread is one of ours, that is inside a call."""
        return threading.current_thread() in self._threads

    @contextmanager
    def released(self) -> Iterator[None]:
        """Let another thread take calls meanwhile; for waiting inside a call.

        Outside a call this does nothing.
        """
        if not self.is_inside():
            yield
            return
        with self._guard:
            self._start_thread()
        self._turn.release()
        try:
            yield
        finally:
            # One thread more than needed leaves: whichever next finds this note.
            self._work.put(None)
            self._turn.acquire()

    def stop(self, timeout_seconds: float) -> bool:
        """Take no more calls, finish those queued; whether all threads ended in time."""
        with self._guard:
            self._is_stopped = True
            threads = tuple(self._threads)
            for _ in threads:
                self._work.put(None)
        for thread in threads:
            thread.join(timeout_seconds)
        return not any(thread.is_alive() for thread in threads)

    def _start_thread(self) -> None:
        # A daemon: a function that never answers must not keep the process from ending.
        thread = threading.Thread(target=self._run, name=_NAME, daemon=True)
        self._threads.add(thread)
        thread.start()

    def _run(self) -> None:
        try:
            while True:
                work = self._work.get()
                if work is None:
                    return
                with self._turn:
                    work()
                # While this thread waits for the next call, the last one's body may go.
                del work
        finally:
            with self._guard:
                self._threads.discard(threading.current_thread())
