"""What a bench leaves behind: rows of figures, each with its n and its goal, in bench/results/latest.json."""

import json
import os
import platform
import subprocess
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

FILE = Path(__file__).parent / "results" / "latest.json"
# Of these more is better; of all others less.
AT_LEAST = frozenset({"slot_utilisation", "hidden_limit_used", "jain_index", "estimates_within_25_percent"})


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One measured figure. A figure without a goal is there to be compared with."""

    name: str
    case: str
    contender: str
    value: float
    n: int
    goal: float | None = None

    @property
    def reached(self) -> bool:
        if self.goal is None:
            return True
        return self.value >= self.goal if self.name in AT_LEAST else self.value <= self.goal


def write(figures: Iterable[Figure], file: Path = FILE) -> None:
    """Put these figures in the place of earlier ones of the same name, case and contender; other figures stay."""
    figures = list(figures)
    kept = json.loads(file.read_text())["results"] if file.exists() else []
    measured = {(each.name, each.case, each.contender) for each in figures}
    others = [row for row in kept if (row["name"], row["case"], row["contender"]) not in measured]
    rows = [{**asdict(each), "value": round(each.value, 4)} for each in figures]
    document = {"machine": _machine(), "commit": _commit(), "results": [*others, *rows]}
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps(document, indent=1) + "\n")


def _machine() -> str:
    return f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"


def _commit() -> str:
    command = ["git", "rev-parse", "--short", "HEAD"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
