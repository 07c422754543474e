"""Keep a claim alive while a slow call is under way; a worker that is dead or frozen does not, and so loses it."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta

from pipeline.domain.errors import Unavailable


@contextmanager
def kept(extend: Callable[[], object], lease: timedelta) -> Iterator[None]:
    """Call ``extend`` three times per lease until the block ends."""
    over = threading.Event()

    def keep() -> None:
        while not over.wait(lease.total_seconds() / 3):
            with suppress(Unavailable):
                extend()

    threading.Thread(target=keep, daemon=True).start()
    try:
        yield
    finally:
        over.set()
