"""What a bench leaves behind: rows of figures, each with its n and its goal, in bench/results/latest.json."""

import json
import os
import platform
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path

FILE = Path(__file__).parent / "results" / "latest.json"


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One measured figure; ``goal`` is the most it may be."""

    name: str
    case: str
    contender: str
    value: float
    n: int
    goal: float

    @property
    def reached(self) -> bool:
        return self.value <= self.goal


def write(figures: list[Figure]) -> None:
    """Put these figures in the place of earlier ones of the same name and case; other figures stay."""
    kept = json.loads(FILE.read_text())["results"] if FILE.exists() else []
    measured = {(each.name, each.case, each.contender) for each in figures}
    others = [row for row in kept if (row["name"], row["case"], row["contender"]) not in measured]
    document = {"machine": _machine(), "commit": _commit(), "results": [*others, *map(asdict, figures)]}
    FILE.parent.mkdir(exist_ok=True)
    FILE.write_text(json.dumps(document, indent=1) + "\n")


def show(figures: list[Figure]) -> None:
    """Print the figures as a table."""
    print(f"{'figure':<26}{'case':<24}{'value':>9}{'goal':>9}{'n':>6}")
    for each in figures:
        mark = "" if each.reached else "   NOT REACHED"
        print(f"{each.name:<26}{each.case:<24}{each.value:>9.2f}{each.goal:>9.2f}{each.n:>6}{mark}")


def _machine() -> str:
    return f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"


def _commit() -> str:
    command = ["git", "rev-parse", "--short", "HEAD"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
