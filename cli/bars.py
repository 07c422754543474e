"""Draws a job for a terminal: a row for each clip, with a bar while it moves and with words while it doesn't."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from cli import words
from cli.picture import Clip, Picture

_WIDEST = 130
_MARGIN, _GAP, _PERCENT, _CLOCK = 1, 2, 6, 7
_MIN_DESCRIPTION, _MIN_BAR, _MIN_WORDS = 8, 6, 8
_DESCRIPTION_SHARE, _BAR_SHARE = 0.27, 0.16
_LINES_AROUND = 4
_WHOLE = 100
_STYLES = {"complete": "green", "failed": "red", "cancelled": "dim"}
_JOB_STYLES = {"complete": "bold green", "partial": "bold yellow", "failed": "bold red", "cancelled": "dim"}
_NEEDS_YOU = frozenset({"budget", "needs_person", "daily_limit"})


@dataclass(frozen=True, kw_only=True)
class Columns:
    """How wide each part of a row is, in cells."""

    number: int
    description: int
    bar: int
    words: int

    @classmethod
    def within(cls, width: int, clips: int) -> "Columns":
        """Columns that fill this width."""
        number = max(2, len(str(clips)))
        description = max(_MIN_DESCRIPTION, round(width * _DESCRIPTION_SHARE))
        bar = max(_MIN_BAR, round(width * _BAR_SHARE))
        others = _MARGIN + number + _GAP + description + _GAP + bar + _PERCENT + _GAP + _CLOCK
        return cls(number=number, description=description, bar=bar, words=max(_MIN_WORDS, width - others))


@dataclass(frozen=True, kw_only=True)
class Bars:
    """One drawing of a job; rich asks it to draw itself."""

    picture: Picture
    now: datetime

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = min(options.max_width, _WIDEST)
        columns = Columns.within(width, len(self.picture.clips))
        room = max(1, console.height - _LINES_AROUND)
        shown = fitting(self.picture.clips, room) if console.is_terminal else self.picture.clips
        yield _headline(self.picture, self.now, width)
        yield Text("")
        for clip in shown:
            yield row(clip, columns, self.now, ascii_only=options.ascii_only)
        if hidden := [clip for clip in self.picture.clips if clip not in shown]:
            yield Text(" " * (_MARGIN + columns.number + _GAP) + _summary(hidden), style="dim")
        if self.picture.offline:
            yield Text(" The server does not answer just now; trying again.", style="yellow")


def row(clip: Clip, columns: Columns, now: datetime, *, ascii_only: bool = False) -> Text:
    """One clip: number, description, bar and percent, what it does, how long already."""
    line = Text(" " * _MARGIN, no_wrap=True, overflow="crop")
    line.append(f"{clip.index + 1:>{columns.number}}", style="dim")
    line.append(" " * _GAP)
    line.append_text(_cell(words.one_line(clip.description), columns.description, ""))
    line.append(" " * _GAP)
    room = columns.words
    percent = clip.percent(now)
    if clip.status == "complete" or (percent and not clip.is_over) or not (clip.is_over or clip.is_held):
        line.append_text(bar(percent, columns.bar, _STYLES.get(clip.status, "cyan"), ascii_only=ascii_only))
        line.append(f"{f'~{percent}' if percent > clip.progress else percent:>{_PERCENT - 2}} %")
        line.append(" " * _GAP)
    else:
        room += columns.bar + _PERCENT + _GAP
    line.append_text(_cell(clip.sentence(now), room, _style(clip)))
    line.append(f"{words.clock(clip.seconds(now)):>{_CLOCK}}", style="dim")
    return line


def bar(percent: int, width: int, style: str, *, ascii_only: bool = False) -> Text:
    """A bar of so many cells, half a cell fine."""
    full, half, rest = ("#", "", "-") if ascii_only else ("━", "╸", "─")
    halves = min(2 * width, max(0, 2 * width * percent // _WHOLE))
    done = full * (halves // 2) + half * (halves % 2)
    return Text.assemble((done, style), (rest * (width - len(done)), "bright_black"))


def fitting(clips: Sequence[Clip], room: int) -> tuple[Clip, ...]:
    """The clips that are worth a row when not all have one: what moves, what failed, what waits, what is done."""
    if len(clips) <= room:
        return tuple(clips)
    chosen = sorted(clips, key=_importance)[: max(1, room - 1)]
    return tuple(sorted(chosen, key=lambda clip: clip.index))


def _importance(clip: Clip) -> tuple[int, int]:
    if clip.status == "failed":
        return 1, clip.index
    if clip.is_over:
        return 3, -clip.index
    return (2 if clip.is_held else 0), clip.index


def _headline(picture: Picture, now: datetime, width: int) -> Text:
    facts = [words.job(picture.state), f"{picture.complete} of {len(picture.clips)}"]
    facts += [words.clock(picture.seconds(now))]
    facts += [words.money(picture.job["actual_cents"])] if picture.job.get("actual_cents") else []
    right = Text(" · ".join(facts), style=_JOB_STYLES.get(picture.state, "cyan"))
    title = words.one_line(picture.job.get("title") or "") or "Untitled"
    room = max(_MIN_DESCRIPTION, width - right.cell_len - 2 * _MARGIN - _GAP)
    return Text.assemble(" " * _MARGIN, _cell(title, room, "bold"), " " * _GAP, right, no_wrap=True, overflow="crop")


def _summary(clips: Sequence[Clip]) -> str:
    counts = {
        "saved": sum(clip.status == "complete" for clip in clips),
        "failed": sum(clip.status == "failed" for clip in clips),
        "waiting": sum(clip.is_held for clip in clips),
    }
    counts["in the works"] = sum(not clip.is_over for clip in clips) - counts["waiting"]
    told = ", ".join(f"{count} {what}" for what, count in counts.items() if count)
    return f"… and {len(clips)} more: {told}" if told else f"… and {len(clips)} more"


def _cell(text: str, width: int, style: str) -> Text:
    shown = Text(text, style=style)
    shown.truncate(width, overflow="ellipsis", pad=True)
    return shown


def _style(clip: Clip) -> str:
    if clip.waiting and not clip.is_over:
        return "yellow" if clip.waiting.get("reason") in _NEEDS_YOU else "dim"
    return _STYLES.get(clip.status, "dim" if clip.is_held else "")
