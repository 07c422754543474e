"""Brings what a job made to this machine: the film and the clips, under names that people can read."""

import fcntl
import itertools
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO
from urllib.parse import urlsplit

import requests

DOWNLOAD_SECONDS = 60
CHUNK_BYTES = 1 << 20
WORDS_IN_A_NAME = 4


@dataclass(frozen=True, kw_only=True)
class Saved:
    """A clip of the finished job. ``file`` is None when there is nothing to save; ``error`` says why."""

    number: int
    title: str
    state: str
    attempts: int
    seconds: float | None
    file: Path | None
    error: str


@contextmanager
def results_folder(base: Path) -> Iterator[Path]:
    """An empty ``demo`` folder; ``demo-2`` and so on while other demos of this checkout still write to theirs."""
    base.mkdir(exist_ok=True)
    name, lock = claim(base)
    with lock:
        folder = base / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        yield folder


def claim(base: Path) -> tuple[str, TextIO]:
    """The first name that nobody holds, and the locked file that holds it for us."""
    for number in itertools.count(1):
        name = "demo" if number == 1 else f"demo-{number}"
        lock = (base / f".{name}.lock").open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
        else:
            return name, lock
    raise AssertionError("the numbers never end")


def save(document: dict[str, Any], body: dict[str, Any], folder: Path) -> list[Saved]:
    """Download the film and every clip that a job document links to."""
    if document["film"]:
        download(document["film"]["url"], folder / "film.mp4")
    return [save_clip(clip, body["scenes"][clip["index"]]["description"], folder) for clip in document["video_clips"]]


def save_clip(clip: dict[str, Any], description: str, folder: Path) -> Saved:
    """Download one clip, if it has a file."""
    words = re.findall(r"[a-z0-9]+", description.lower())[:WORDS_IN_A_NAME]
    number = clip["index"] + 1
    file = folder / f"{number:02}-{'-'.join(words)}.mp4" if clip["url"] else None
    if file:
        download(clip["url"], file)
    return Saved(
        number=number,
        title=" ".join(words),
        state=clip["state"],
        attempts=clip["attempts"],
        seconds=clip["duration"],
        file=file,
        error=clip["error_message"] or "",
    )


def download(url: str, file: Path) -> None:
    """Save what a link leads to. Raises requests' errors: the link is a fresh one of ours."""
    with requests.Session() as session:
        session.trust_env = urlsplit(url).hostname != "127.0.0.1"  # a proxy knows nothing about our loopback
        with session.get(url, stream=True, timeout=DOWNLOAD_SECONDS) as answer, file.open("wb") as output:
            answer.raise_for_status()
            for chunk in answer.iter_content(CHUNK_BYTES):
                output.write(chunk)
