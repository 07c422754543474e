"""Which change of an asset tells what, and what watchers see of it."""

from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.domain.answers import Reason
from pipeline.domain.asset import Asset, Failure, State, Waiting
from pipeline.domain.events import ClipRef, EventType, changes, present

CLIP = ClipRef(job_id="job", clip_id="clip", index=3)
ABOUT = {"job_id": "job", "clip_id": "clip", "index": 3}
RENDERING = Asset(state=State.RENDERING, takes=1, tries=1, progress=40)
HELD = Waiting(reason=Reason.SLOT, place=2)
FAILURE = Failure(code="moderated", message="flagged", retryable=False)


def told(
    before: Asset, after: Asset, *, key: str | None = None, thumbnail_key: str | None = None
) -> list[tuple[EventType, bool, dict[str, object]]]:
    seconds = 5.1 if key else None
    found = changes(CLIP, before, after, key=key, duration_seconds=seconds, thumbnail_key=thumbnail_key)
    assert all(event.job_id == "job" and event.payload.items() >= ABOUT.items() for event in found)
    return [
        (event.type, event.stored, {name: value for name, value in event.payload.items() if name not in ABOUT})
        for event in found
    ]


@pytest.mark.requirement("R32")
@pytest.mark.parametrize(
    ("before", "after", "status"),
    [
        (State.WAITING, State.SUBMITTING, "processing"),
        (State.SUBMITTING, State.RENDERING, "rendering"),
        (State.UNCERTAIN, State.RENDERING, "rendering"),
        (State.RENDERING, State.FETCHING, "processing"),
        (State.RENDERING, State.WAITING, "queued"),
        (State.WAITING, State.CANCELLED, "cancelled"),
    ],
)
def test_a_change_of_status_is_stored_with_the_progress(before: State, after: State, status: str) -> None:
    was = replace(RENDERING, state=before)
    assert told(was, replace(was, state=after)) == [
        (EventType.VIDEO_PROGRESS, True, {"progress": 40, "status": status})
    ]


@pytest.mark.requirement("R32")
def test_progress_alone_is_told_and_not_stored() -> None:
    assert told(RENDERING, replace(RENDERING, progress=41)) == [
        (EventType.VIDEO_PROGRESS, False, {"progress": 41, "status": "rendering"})
    ]


@pytest.mark.parametrize(
    "after",
    [RENDERING, replace(RENDERING, polls=9, silences=2), replace(RENDERING, timeout_retries=1)],
    ids=["nothing", "counters", "timeout_retries"],
)
def test_what_nobody_can_see_is_not_told(after: Asset) -> None:
    assert told(RENDERING, after) == []


def test_a_state_that_looks_the_same_from_outside_is_not_told_twice() -> None:
    submitting = replace(RENDERING, state=State.SUBMITTING)
    assert told(submitting, replace(submitting, state=State.UNCERTAIN)) == []
    assert told(RENDERING, replace(RENDERING, state=State.CANCELLING)) == []


@pytest.mark.requirement("R33")
def test_a_finished_clip_is_complete_with_its_key_and_never_with_a_link() -> None:
    fetching = replace(RENDERING, state=State.FETCHING)
    done = replace(RENDERING, state=State.DONE, progress=100)
    assert told(fetching, done, key="job/clip.mp4") == [
        (EventType.VIDEO_PROGRESS, True, {"progress": 100, "status": "complete"}),
        (EventType.VIDEO_COMPLETE, True, {"key": "job/clip.mp4", "duration": 5.1}),
    ]


@pytest.mark.requirement("R33", "R47")
def test_a_clip_that_came_home_with_its_thumbnail_is_complete_first() -> None:
    fetching = replace(RENDERING, state=State.FETCHING)
    done = replace(RENDERING, state=State.DONE, progress=100)
    assert told(fetching, done, key="job/clip.mp4", thumbnail_key="job/clip.jpg")[1:] == [
        (EventType.VIDEO_COMPLETE, True, {"key": "job/clip.mp4", "duration": 5.1}),
        (EventType.THUMBNAIL_READY, True, {"thumbnail_key": "job/clip.jpg"}),
    ]


@pytest.mark.requirement("R33", "R36")
def test_a_failed_clip_says_why() -> None:
    assert told(RENDERING, replace(RENDERING, state=State.FAILED, failure=FAILURE)) == [
        (EventType.VIDEO_PROGRESS, True, {"progress": 40, "status": "failed"}),
        (EventType.VIDEO_FAILED, True, {"error": {"code": "moderated", "message": "flagged", "retryable": False}}),
    ]


@pytest.mark.requirement("R32")
def test_why_a_clip_waits_is_told_when_it_changes_and_only_then() -> None:
    waiting = Asset(waiting=HELD)
    next_in_line = replace(waiting, waiting=replace(HELD, place=1))
    assert told(Asset(), waiting) == [
        (EventType.CLIP_WAITING, False, {"waiting": {"reason": "slot", "place": 2, "about_seconds": None}})
    ]
    assert [event for event, *_ in told(waiting, next_in_line)] == [EventType.CLIP_WAITING]
    assert told(waiting, waiting) == []
    assert told(waiting, replace(waiting, waiting=None)) == []


@pytest.mark.parametrize(
    ("payload", "shown"),
    [
        ({"key": "a.mp4", "duration": 5.0}, {"url": "clips/a.mp4", "duration": 5.0}),
        ({"film_key": "f.mp4"}, {"film_url": "clips/f.mp4"}),
        ({"film_key": None}, {"film_url": None}),
        ({"thumbnail_key": "t.jpg"}, {"thumbnail_url": "pictures/t.jpg"}),
        ({"progress": 5}, {"progress": 5}),
    ],
    ids=str,
)
def test_keys_become_links_when_an_event_is_told(payload: dict[str, object], shown: dict[str, object]) -> None:
    before = dict(payload)
    assert present(payload, clip_link="clips/{}".format, picture_link="pictures/{}".format) == shown
    assert payload == before


def test_every_event_has_a_row_in_the_documentation() -> None:
    rows = (Path(__file__).resolve().parents[2] / "docs" / "events.md").read_text().splitlines()
    documented = {row.split("`")[1] for row in rows if row.startswith("| `") and "dailies_" not in row}
    assert documented == {each.value for each in EventType}
