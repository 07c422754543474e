"""What tests of the local stack ask about processes."""

import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PATIENCE_SECONDS = 20.0


def eventually(question: Callable[[], bool], *, patience_seconds: float = PATIENCE_SECONDS) -> None:
    """Wait for something that must come true."""
    give_up_at = time.monotonic() + patience_seconds
    while not question():
        assert time.monotonic() < give_up_at, "it never came true"
        time.sleep(0.05)


def living(words: str) -> list[int]:
    """The living processes with these words in their command line or environment; a zombie is not alive."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            known = (folder / "cmdline").read_bytes() + (folder / "environ").read_bytes()
        except OSError:
            continue
        if words.encode() in known:
            found.append(int(folder.name))
    return found
