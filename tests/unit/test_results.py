"""What a demo leaves on the disk: readable names, and a folder that two demos never share."""

from pathlib import Path
from typing import Any

import pytest

from cli.results import results_folder, save_clip


def clip(**more: Any) -> dict[str, Any]:
    return {
        "index": 0,
        "state": "failed",
        "attempts": 3,
        "duration": None,
        "url": None,
        "error_message": "NSFW content detected",
        **more,
    }


def test_two_demos_of_one_checkout_write_to_different_folders(tmp_path: Path) -> None:
    with results_folder(tmp_path) as first, results_folder(tmp_path) as second:
        assert (first.name, second.name) == ("demo", "demo-2")
    with results_folder(tmp_path) as third:
        assert third.name == "demo"


def test_a_new_demo_starts_with_an_empty_folder(tmp_path: Path) -> None:
    with results_folder(tmp_path) as folder:
        (folder / "old.mp4").touch()
    with results_folder(tmp_path) as folder:
        assert list(folder.iterdir()) == []


def test_an_error_inside_the_folder_is_not_swallowed(tmp_path: Path) -> None:
    with pytest.raises(BlockingIOError, match="from inside"), results_folder(tmp_path):
        raise BlockingIOError("from inside")


def test_a_failed_clip_has_no_file_and_says_why(tmp_path: Path) -> None:
    saved = save_clip(clip(index=4), "Maren's lamp — 35 mm, at dusk, wide", tmp_path)
    assert (saved.number, saved.title) == (5, "maren s lamp 35")
    assert saved.file is None
    assert saved.error == "NSFW content detected"
