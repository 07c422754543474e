"""What tests of the local stack ask about processes."""

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import psutil

ROOT = Path(__file__).resolve().parents[1]
PATIENCE_SECONDS = 20.0

Answer = TypeVar("Answer")


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


def gone(process: psutil.Process) -> bool:
    """Whether a process is dead; a zombie that nobody buried yet is."""
    try:
        return not process.is_running() or bool(process.status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def of_family(process: psutil.Process, question: Callable[[psutil.Process], Answer]) -> list[Answer]:
    """What a process and its descendants answer; a descendant that ends meanwhile answers nothing."""
    answers = [question(process)]
    for each in process.children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            answers.append(question(each))
    return answers


def listening(process: psutil.Process) -> set[str]:
    """The addresses on which a process and its descendants accept connections."""
    found = of_family(process, lambda each: each.net_connections("inet"))
    return {each.laddr.ip for connections in found for each in connections if each.status == psutil.CONN_LISTEN}
