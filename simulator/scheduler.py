"""One thread and a heap for everything that happens later, so that a waiting prediction costs no thread."""

import heapq
import itertools
import logging
import threading
import time
from collections.abc import Callable

log = logging.getLogger(__name__)

LONGEST_SLEEP_SECONDS = 3600.0


class Scheduler:
    """Runs short callbacks at their time, one after the other, on its own daemon thread."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Callable[[], object]]] = []
        self._order = itertools.count()
        self._changed = threading.Condition()
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name="scheduler", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Forget whatever is still to come and end the thread."""
        with self._changed:
            self._stopped = True
            self._heap.clear()
            self._changed.notify()
        self._thread.join(timeout=5)

    def after(self, seconds: float, callback: Callable[[], object]) -> None:
        """Call ``callback`` once, ``seconds`` from now (at once when negative)."""
        with self._changed:
            entry = (time.monotonic() + seconds, next(self._order), callback)
            heapq.heappush(self._heap, entry)
            if self._heap[0] is entry:
                self._changed.notify()

    def _run(self) -> None:
        while (callback := self._next()) is not None:
            try:
                callback()
            except Exception:
                log.exception("a scheduled step failed")

    def _next(self) -> Callable[[], object] | None:
        with self._changed:
            while not self._stopped:
                wait_seconds = self._heap[0][0] - time.monotonic() if self._heap else LONGEST_SLEEP_SECONDS
                if wait_seconds <= 0:
                    return heapq.heappop(self._heap)[2]
                self._changed.wait(min(wait_seconds, LONGEST_SLEEP_SECONDS))
        return None
