"""Makes every polite way to be ended the same: an exception, so that the stack is taken away on its way up."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

POLITE = (signal.SIGTERM, signal.SIGHUP)


@contextmanager
def as_exceptions() -> Iterator[None]:
    """Turn SIGTERM and SIGHUP into ``SystemExit``; Ctrl-C is ``KeyboardInterrupt`` already."""
    before = {number: signal.signal(number, leave) for number in POLITE}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def leave(number: int, _frame: FrameType | None) -> None:
    """End with the exit code that a shell gives for this signal."""
    raise SystemExit(128 + number)
