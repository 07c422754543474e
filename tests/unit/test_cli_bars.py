"""Bars fit the terminal they are drawn in, and say the same without colour."""

import io
from datetime import UTC, datetime
from typing import Any

import pytest
from rich.console import Console

from cli.bars import Bars, bar, fitting
from cli.picture import Picture
from tests.cli_server import new_job

NOW = datetime(2026, 1, 2, 3, 4, 47, tzinfo=UTC)

CLIPS: list[dict[str, Any]] = [
    {"status": "complete", "progress": 100, "duration": 5.0, "cost_cents": 62, "finished_at": "2026-01-02T03:04:36Z"},
    {"status": "rendering", "state": "rendering", "progress": 62, "attempts": 2},
    {"waiting": {"reason": "slot", "place": 3, "about_seconds": 40, "account": "replicate"}},
    {"status": "failed", "error": {"message": "the prompt was flagged"}, "finished_at": "2026-01-02T03:04:15Z"},
    {"description": "夜の海、灯台の光が霧の中をゆっくりと回る、遠くに小さな漁船、波が静かに寄せる"},
]


def job(clips: list[dict[str, Any]]) -> dict[str, Any]:
    made = new_job(len(clips))
    for clip, changes in zip(made["video_clips"], clips, strict=True):
        clip.update(changes)
    return {**made, "actual_cents": 186}


def drawn(document: dict[str, Any], width: int, height: int = 24) -> list[str]:
    file = io.StringIO()
    console = Console(file=file, width=width, height=height, force_terminal=True, color_system=None)
    console.print(Bars(picture=Picture.read(document, NOW), now=NOW))
    return [line.rstrip() for line in file.getvalue().splitlines()]


@pytest.mark.requirement("R32")
def test_eighty_columns_show_everything_of_five_clips() -> None:
    assert drawn(job(CLIPS), 80) == [
        " The lighthouse                                 running · 1 of 5 · 0:42 · $1.86",
        "",
        "  1  Shot 1: waves against…  ━━━━━━━━━━━━━ 100 %  saved · 5.0 s · $0.62     0:31",
        "  2  Shot 2: waves against…  ━━━━━━━━─────  62 %  rendering · attempt 2     0:42",
        "  3  Shot 3: waves against…  third in line at replicate · about 40 s        0:42",
        "  4  Shot 4: waves against…  failed: the prompt was flagged                 0:10",
        "  5  夜の海、灯台の光が霧 …  waiting for its turn                           0:42",
    ]


@pytest.mark.parametrize("width", [20, 40, 60, 79, 80, 100, 132, 250])
def test_no_row_is_wider_than_the_terminal(width: int) -> None:
    console = Console(width=width, file=io.StringIO())
    assert all(console.measure(line).maximum <= width for line in drawn(job(CLIPS), width))
    assert len(drawn(job(CLIPS), width)) == 7


def test_of_two_hundred_clips_the_moving_and_the_failed_are_shown_and_the_rest_is_counted() -> None:
    clips: list[dict[str, Any]] = [{"status": "complete", "progress": 100} for _ in range(200)]
    clips[7] = {"status": "rendering", "progress": 5}
    clips[150] = {"status": "failed"}
    clips[180:] = [{} for _ in range(20)]
    shown = drawn(job(clips), 80, height=14)
    assert len(shown) <= 14
    assert [int(line.split()[0]) for line in shown[2:-1]] == [8, 151, 181, 182, 183, 184, 185, 186, 187]
    assert shown[-1].strip() == "… and 191 more: 178 saved, 13 waiting"


def test_a_clip_on_hold_in_the_middle_keeps_its_bar() -> None:
    held = {"status": "rendering", "progress": 50, "waiting": {"reason": "blocked", "account": "replicate"}}
    assert "━━━━━━╸──────  50 %  replicate asks us" in drawn(job([held]), 80)[2]


def test_bars_without_unicode_are_plain() -> None:
    assert bar(50, 10, "", ascii_only=True).plain == "#####-----"


def test_all_clips_have_a_row_where_there_is_room() -> None:
    clips = Picture.read(new_job(3), NOW).clips
    assert fitting(clips, 3) == clips


def test_an_estimate_is_marked() -> None:
    moving = job([{"status": "rendering", "progress": 0}])
    picture = Picture.read(moving, datetime(2026, 1, 2, 3, 4, 17, tzinfo=UTC))
    file = io.StringIO()
    Console(file=file, width=80).print(Bars(picture=picture, now=NOW))
    assert "~43 %" in file.getvalue()
