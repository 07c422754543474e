"""What a bench says and keeps: which way a goal lies, what is replaced, what the table shows."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from bench import catalogue, figures
from bench.results import Figure, write
from bench.table import show
from pipeline.domain.catalogue import load
from tests.unit.test_bench_measures import PERFECT, made, run


def figure(**more: Any) -> Figure:
    values: dict[str, Any] = {"name": "makespan_ratio", "case": "20/4", "contender": "sdk", "value": 1.5, "n": 1}
    return Figure(**values | more)


@pytest.mark.parametrize(
    ("name", "value", "goal", "reached"),
    [
        ("makespan_ratio", 1.03, 1.03, True),
        ("makespan_ratio", 1.04, 1.03, False),
        ("makespan_ratio", 9.0, None, True),
        ("jain_index", 0.95, 0.95, True),
        ("jain_index", 0.94, 0.95, False),
        ("hidden_limit_used", 0.89, 0.9, False),
    ],
)
def test_a_goal_is_a_most_or_a_least_by_the_name_of_the_figure(
    name: str, value: float, goal: float | None, *, reached: bool
) -> None:
    assert figure(name=name, value=value, goal=goal).reached is reached


def test_new_figures_take_the_place_of_old_ones_and_leave_the_others(tmp_path: Path) -> None:
    file = tmp_path / "results" / "latest.json"
    write([figure(value=1.9), figure(contender="ours-webhooks", value=1.123456, goal=1.03)], file)
    write([figure(value=1.8, n=2)], file)
    kept = json.loads(file.read_text())
    assert set(kept) == {"machine", "commit", "results"}
    assert kept["results"] == [
        {"name": "makespan_ratio", "case": "20/4", "contender": "ours-webhooks", "value": 1.1235, "n": 1, "goal": 1.03},
        {"name": "makespan_ratio", "case": "20/4", "contender": "sdk", "value": 1.8, "n": 2, "goal": None},
    ]


def printed(*rows: Figure) -> str:
    paper = io.StringIO()
    show(rows, ["on an idle machine"], Console(file=paper))
    return paper.getvalue()


def test_the_table_has_a_row_for_a_measure_and_a_column_for_each_contender() -> None:
    lines = printed(figure(), figure(contender="fixed 8 s", value=250.0, n=3)).splitlines()
    [row] = [line for line in lines if line.startswith("makespan_ratio")]
    assert row.split() == ["makespan_ratio", "20/4", "1.50", "250", "1-3"]
    assert any("on an idle machine" in line for line in lines)


def test_a_missed_goal_is_marked_in_the_table_and_named_below_it() -> None:
    shown = printed(figure(goal=1.03))
    assert "1.50 !" in shown
    assert "≤ 1.03" in shown
    assert "NOT REACHED: makespan_ratio 20/4 sdk: 1.50" in shown


def test_every_measure_of_a_run_has_its_name_and_its_n() -> None:
    rows = figures.of_run(PERFECT, case="4/2", contender="ours", goals={"lost": 0})
    assert {row.name: (row.value, row.n, row.goal) for row in rows} == {
        "makespan_ratio": (1, 1, None),
        "slot_utilisation": (1, 1, None),
        "freed_to_submit_p50_ms": (0, 2, None),
        "freed_to_submit_p95_ms": (0, 2, None),
        "knowing_lateness_p50_s": (0, 4, None),
        "knowing_lateness_p95_s": (0, 4, None),
        "refusals_per_clip": (0, 4, None),
        "rate_429_per_submit": (0, 4, None),
        "requests_per_clip": (0, 4, None),
        "rendered_twice": (0, 4, None),
        "lost": (0, 4, 0),
    }


def test_a_run_that_lost_clips_has_no_makespan_to_be_proud_of() -> None:
    rows = {row.name: row.value for row in figures.of_run(run(made(0, 0, 3)), case="4/2", contender="sdk")}
    assert "makespan_ratio" not in rows
    assert rows["lost"] == 3


def test_the_catalogue_of_a_bench_is_the_shipped_one_with_a_fast_model_and_wide_windows(tmp_path: Path) -> None:
    folder = catalogue.write(tmp_path / "catalogue", usual_seconds=3)
    found = load({path.name: path.read_text() for path in folder.iterdir()})
    assert found.model("replicate/seedance-1-pro").usual_seconds == 3
    assert found.accounts["replicate"].windows["create"].requests > 10_000
