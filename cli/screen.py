"""The only way out to the terminal: lines, JSON, tables and refusals, on standard output and standard error."""

import json
import os
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from cli import words
from cli.client import Refused

LEFT = 130  #: the exit code of who was interrupted, or whose reader left


class Screen(Console):
    """A console whose reader may leave at any time."""

    def on_broken_pipe(self) -> None:
        """Leave quietly; what is still in a buffer goes nowhere."""
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(LEFT)


def out() -> Screen:
    """Standard output, as it is now."""
    return Screen(highlight=False, soft_wrap=True)


def complain(text: str) -> None:
    """A sentence on standard error."""
    Screen(stderr=True, highlight=False, soft_wrap=True).print(Text(text))


def line(text: str) -> None:
    """One line of plain text."""
    out().print(Text(text))


def document(value: Any) -> None:
    """JSON for people and machines."""
    out().print(Text(json.dumps(value, indent=2, ensure_ascii=False, default=str)))


def record(value: Any) -> None:
    """JSON in one line."""
    out().print(Text(json.dumps(value, ensure_ascii=True, default=str)))


def table(titles: Sequence[str], rows: Iterable[Sequence[Any]], *, numbers: frozenset[str] = frozenset()) -> None:
    """Rows under their titles; ``numbers`` names the columns that stand to the right. Piped, no cell is cut."""
    shown = Table(box=None, pad_edge=False, header_style="dim")
    for title in titles:
        shown.add_column(title, justify="right" if title in numbers else "left", overflow="fold")
    for row in rows:
        shown.add_row(*(Text(words.one_line("" if cell is None else cell)) for cell in row))
    console = out()
    if not console.is_terminal:
        console.width = 10_000
    console.print(shown, soft_wrap=False)


def refused(refusal: Refused) -> None:
    """Why the server said no: the sentence, each field, and the number that its log knows."""
    lines = [f"Refused ({refusal.code}): {words.one_line(refusal.detail)}"]
    for each in refusal.errors:
        parts = [f"{words.one_line(each.get('field'))}: {words.one_line(each.get('message'))}"]
        parts += [f"given: {_shown(each['value'])}"] if each.get("value") is not None else []
        parts += [f"allowed: {_shown(each['allowed'])}"] if each.get("allowed") is not None else []
        lines.append("  " + "\n      ".join(parts))
    lines += [f"request {words.one_line(refusal.request_id)}"] if refusal.request_id else []
    complain("\n".join(lines))


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{words.one_line(name)} {_shown(each)}" for name, each in value.items())
    if isinstance(value, list):
        return ", ".join(_shown(each) for each in value)
    return words.one_line(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
