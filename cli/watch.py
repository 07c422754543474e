"""Watches a job until it ends: live bars in a terminal, a line for each change elsewhere, or events as JSON lines."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from rich.live import Live

from cli import screen, words
from cli.bars import Bars
from cli.client import Client, Refused, Unreachable
from cli.follow import Follower, News, Offline, Told
from cli.glide import Glide
from cli.picture import Clip, Picture

_FRAME_SECONDS = 0.1
_LAST_WORDS_SECONDS = 1.0

# What was known, what is known now, and the news between them; None when only time has passed.
Show = Callable[[Picture | None, Picture, News | None], None]


def watch(client: Client, job_id: str, *, plain: bool | None = None) -> dict[str, Any]:
    """Show a job until it is over; its last document. Raises Refused and Unreachable.

    ``plain``: a line for each change instead of bars; by default where standard output is no terminal.
    """
    in_lines = plain if plain is not None else not screen.out().is_terminal
    return _watch(client, job_id, _lines()) if in_lines else _watch(client, job_id, _bars(), _usual(client))


def watch_as_json(client: Client, job_id: str) -> dict[str, Any]:
    """As ``watch``, one event as JSON in each line; the last is a snapshot with the last document."""
    document = _watch(client, job_id, _records())
    screen.record(_snapshot(document))
    return document


def changes(before: Picture | None, after: Picture, now: datetime) -> Iterator[str]:
    """A line for each change of state that somebody who can't see bars wants to read."""
    if before is None:
        title = words.one_line(after.job.get("title") or "") or "Untitled"
        yield f"{title} · {words.plural(len(after.clips), 'clip')} · job {after.job.get('id')}"
    known = [None] * len(after.clips) if before is None else [_essence(clip) for clip in before.clips]
    for clip, old in zip(after.clips, known, strict=True):
        if _essence(clip) != (old or ("queued", 1, None)):
            yield f"clip {clip.index + 1:<4} {clip.sentence(now)}"
    if before is not None and after.offline and not before.offline:
        yield "the server does not answer just now; trying again"
    if before is None or before.state != after.state:
        facts = [words.job(after.state), f"{after.complete} of {words.plural(len(after.clips), 'clip')}"]
        facts += [words.clock(after.seconds(now))] if after.is_final else []
        facts += [words.money(after.job["actual_cents"])] if after.is_final and after.job.get("actual_cents") else []
        yield "job       " + " · ".join(facts)


def _essence(clip: Clip) -> tuple[str, int, str | None]:
    return clip.status, max(1, clip.attempts), None if clip.is_over or not clip.waiting else clip.waiting.get("reason")


def _usual(client: Client) -> dict[str, float]:
    """How many seconds each model usually takes; bars do without when nobody tells."""
    try:
        return {row["model"]: row["usual_seconds"] for row in client.models()}
    except (Refused, Unreachable):
        return {}


def _watch(
    client: Client, job_id: str, shown: AbstractContextManager[Show], usual: Mapping[str, float] | None = None
) -> dict[str, Any]:
    picture = Picture.read(client.job(job_id), _now(), usual)
    with shown as show:
        show(None, picture, None)
        if not picture.is_final:
            with Follower(client, job_id) as follower:
                picture = _until_final(follower, picture, show)
    return dict(picture.job)


def _until_final(follower: Follower, picture: Picture, show: Show) -> Picture:
    was_told, ended_at = False, None
    while ended_at is None or not (was_told or time.monotonic() > ended_at + _LAST_WORDS_SECONDS):
        for news in follower.news(_FRAME_SECONDS):
            before, picture = picture, _after(picture, news)
            show(before, picture, news)
            if isinstance(news, Told) and news.type == "job_complete":
                was_told = True
                follower.look_again()
        show(picture, picture, None)
        ended_at = ended_at or (time.monotonic() if picture.is_final else None)
    return picture


def _after(picture: Picture, news: News) -> Picture:
    if isinstance(news, Offline):
        return replace(picture, offline=True)
    if news.type == "snapshot":
        return picture.renewed(news.payload["snapshot"], _now())
    return replace(picture.heard(news.type, news.payload, _now()), offline=False)


@contextmanager
def _bars() -> Iterator[Show]:
    with Live(console=screen.out(), auto_refresh=False, vertical_overflow="crop") as live:

        def show(_before: Picture | None, after: Picture, news: News | None) -> None:
            if news is None:
                live.update(Bars(picture=after, now=_now()), refresh=True)

        yield show


@contextmanager
def _lines() -> Iterator[Show]:
    def show(before: Picture | None, after: Picture, _news: News | None) -> None:
        for sentence in changes(before, after, _now()):
            screen.line(sentence)

    yield show


@contextmanager
def _records() -> Iterator[Show]:
    def show(before: Picture | None, after: Picture, news: News | None) -> None:
        if isinstance(news, Told) and news.type != "snapshot":
            screen.record({"type": news.type, **news.payload})
        elif not after.is_final and (before is None or _substance(before) != _substance(after)):
            screen.record(_snapshot(after.job))

    yield show


def _substance(picture: Picture) -> tuple[str, list[Clip]]:
    return picture.state, [replace(clip, waits_until=None, glide=Glide()) for clip in picture.clips]


def _snapshot(document: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "snapshot", "job_id": document.get("id"), "snapshot": document}


def _now() -> datetime:
    return datetime.now(UTC)
