"""The greatest value of something that changes while something else runs."""

import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

_EVERY_SECONDS = 0.05


class Peak:
    """Looks again and again, in a thread, from entering the block to leaving it."""

    def __init__(self, look: Callable[[], float]) -> None:
        self._look = look
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.value = 0.0

    def __enter__(self) -> Self:
        self.value = self._look()
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        self._thread.join()
        self.value = max(self.value, self._look())

    def _watch(self) -> None:
        while not self._over.wait(_EVERY_SECONDS):
            self.value = max(self.value, self._look())
