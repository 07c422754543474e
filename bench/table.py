"""The figures as one table: a row for each measure of a case, a column for each contender."""

from collections.abc import Iterable, Sequence
from typing import Literal

from rich.console import Console
from rich.table import Table

from bench.results import AT_LEAST, Figure

CONTENDERS = ("tight-polling", "sdk", "plain-celery", "countdown-only", "ours-polling", "ours-webhooks")
# Where nobody tells how wide the terminal is.
WIDTH = 140


def show(figures: Sequence[Figure], notes: Iterable[str], console: Console | None = None) -> None:
    """Print the table and what has to be known to read it. A goal that was missed is marked with ``!``."""
    console = console or Console(highlight=False)
    console.width = max(console.width, WIDTH)
    contenders = tuple(dict.fromkeys((*CONTENDERS, *(each.contender for each in figures))))
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("figure", "case", *contenders, "goal", "n"):
        justify: Literal["left", "right"] = "left" if name in {"figure", "case"} else "right"
        table.add_column(name.replace("-", "\n"), justify=justify, no_wrap=True)
    previous = ""
    rows = dict.fromkeys((each.name, each.case) for each in figures)
    cases = list(dict.fromkeys(case for _, case in rows))
    for name, case in sorted(rows, key=lambda row: cases.index(row[1])):
        if previous not in {"", case}:
            table.add_row()
        previous = case
        row = [each for each in figures if (each.name, each.case) == (name, case)]
        table.add_row(name, case, *_cells(row, contenders))
    console.print(table)
    for note in notes:
        console.print(f"  {note}", style="dim")
    for each in figures:
        if not each.reached:
            console.print(f"NOT REACHED: {each.name} {each.case} {each.contender}: {_short(each.value)}", style="red")


def _cells(row: Sequence[Figure], contenders: Sequence[str]) -> list[str]:
    found = {each.contender: each for each in row}
    values = [_value(found[name]) if name in found else "" for name in contenders]
    goals = dict.fromkeys(_goal(each) for each in row if each.goal is not None)
    sizes = sorted({each.n for each in row})
    return [*values, " · ".join(goals), "-".join(map(str, dict.fromkeys((sizes[0], sizes[-1]))))]


def _value(figure: Figure) -> str:
    return _short(figure.value) if figure.reached else f"[bold red]{_short(figure.value)} ![/]"


def _goal(figure: Figure) -> str:
    sign = "≥" if figure.name in AT_LEAST else "≤"
    return f"{sign} {_short(figure.goal or 0.0)}"


def _short(value: float) -> str:
    """Three digits that matter, and no more than two behind the point, or three below a tenth."""
    if value == int(value):
        return str(int(value))
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.2f}" if abs(value) >= 0.1 else f"{value:.3f}"  # noqa: PLR2004 - the shape of a number
