"""Documents of the API as people like to read them."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from cli import screen, words
from cli.picture import Picture

_SHORT = 44
Document = Mapping[str, Any]


def accepted(document: Document) -> None:
    """A job that was just taken in."""
    screen.line(f"Job {document['id']} is ordered, {_estimate(document)}.")
    _warnings(document)


def price(document: Document) -> None:
    """A dry run."""
    rows = (
        (
            each["index"],
            each["model"],
            _seconds(each["target_seconds"]),
            _seconds(each["asked_seconds"]),
            words.money(each["estimate_cents"]),
        )
        for each in document.get("scenes") or ()
    )
    screen.table(
        ("SCENE", "MODEL", "WANTED", "ASKED FOR", "PRICE"),
        rows,
        numbers=frozenset({"SCENE", "WANTED", "ASKED FOR", "PRICE"}),
    )
    screen.line(f"Nothing is ordered. It would be {_estimate(document)}.")
    _warnings(document)


def jobs(page: Document) -> None:
    """A page of jobs."""
    rows = (
        (
            each["id"],
            words.job(each["state"]),
            _progress(each),
            words.money(each.get("actual_cents") or 0),
            _short(each["title"]),
        )
        for each in page["jobs"]
    )
    screen.table(("JOB", "STATE", "CLIPS", "SPENT", "TITLE"), rows, numbers=frozenset({"CLIPS", "SPENT"}))
    if page.get("has_more"):
        screen.complain(f"There are more: --start {page['next_start_index']}")


def job(document: Document) -> None:
    """A job with its clips."""
    now = datetime.now(UTC)
    picture = Picture.read(document, now)
    title = words.one_line(document.get("title") or "") or "Untitled"
    facts = [words.job(picture.state), f"{picture.complete} of {words.plural(len(picture.clips), 'clip')}"]
    facts += [words.clock(picture.seconds(now)), words.money(document.get("actual_cents") or 0)]
    screen.line(f"{title} · " + " · ".join(facts))
    rows = (
        (clip.index, f"{clip.progress} %", clip.sentence(now), clip.attempts or "", _short(clip.description))
        for clip in picture.clips
    )
    screen.table(
        ("INDEX", "DONE", "STATE", "ATTEMPTS", "SCENE"), rows, numbers=frozenset({"INDEX", "DONE", "ATTEMPTS"})
    )
    _leads(document)


def ending(document: Document, base_url: str) -> None:
    """What came of a job that was watched to its end."""
    screen.line("")
    _leads(document)
    if page := (document.get("links") or {}).get("page"):
        screen.line(f"Page  {base_url}{page}")


def models(rows: list[dict[str, Any]]) -> None:
    """Rows of the catalogue."""
    shown = (
        (
            each["model"],
            " ".join(each["modes"]),
            " ".join(each["aspect_ratios"]),
            _durations(each["durations"]),
            _prices(each["price"]),
        )
        for each in rows
    )
    screen.table(("MODEL", "MODES", "RATIOS", "SECONDS", "CENTS"), shown)


def _leads(document: Document) -> None:
    for line in _next_steps(document):
        screen.line(line)


def _next_steps(document: Document) -> Iterator[str]:
    for clip in document.get("video_clips") or ():
        if clip["status"] == "failed":
            yield f"Clip {clip['index'] + 1} {words.failed(clip.get('error'))}"
            yield f"      Try it again: dailies retry {document['id']} {clip['index']}"
    if film := document.get("film"):
        yield f"Film  {film['url']}"


def _warnings(document: Document) -> None:
    for each in document.get("warnings") or ():
        screen.complain(f"Note: {words.one_line(each)}")


def _estimate(document: Document) -> str:
    return f"about {words.money(document.get('estimate_cents') or 0)}"


def _seconds(value: float) -> str:
    return f"{value:g} s"


def _progress(document: Document) -> str:
    counts = document.get("clips") or {}
    return f"{counts.get('complete', 0)}/{counts.get('total', 0)}"


def _durations(allowed: Any) -> str:
    if isinstance(allowed, dict):
        return f"{allowed.get('min'):g} to {allowed.get('max'):g}"
    return " ".join(f"{each:g}" for each in allowed)


def _prices(price: Document) -> str:
    cents = sorted({line["cents"] for line in price["lines"]})
    per = " or ".join(sorted({line["per"] for line in price["lines"]}))
    span = f"{cents[0]:g}" if len(cents) == 1 else f"{cents[0]:g} to {cents[-1]:g}"
    return f"{span} a {per}"


def _short(text: str) -> str:
    line = words.one_line(text)
    return line if len(line) <= _SHORT else line[: _SHORT - 1] + "…"
