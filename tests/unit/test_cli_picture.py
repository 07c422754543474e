"""A watcher's picture of a job goes on with documents and events, and a clip's progress never goes down."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.picture import OVER, Picture
from tests.cli_server import new_job

NOW = datetime(2026, 1, 2, 3, 5, tzinfo=UTC)

PERCENTS = st.integers(0, 100)
NEWS = st.one_of(
    st.tuples(st.just("video_progress"), st.fixed_dictionaries({"progress": PERCENTS, "status": st.just("rendering")})),
    st.tuples(
        st.just("video_progress"), st.fixed_dictionaries({"progress": PERCENTS, "status": st.just("processing")})
    ),
    st.tuples(st.just("clip_waiting"), st.just({"waiting": {"reason": "blocked", "about_seconds": 3}})),
    st.tuples(st.just("video_complete"), st.just({"seq": 1, "duration": 5.0})),
    st.tuples(st.just("document"), st.fixed_dictionaries({"progress": PERCENTS, "status": st.just("rendering")})),
)


def picture(usual: dict[str, float] | None = None) -> Picture:
    return Picture.read(new_job(2), NOW, usual)


def heard(before: Picture, type_: str, **payload: Any) -> Picture:
    return before.heard(type_, {"index": 0, **payload}, NOW)


def document(**clip: Any) -> dict[str, Any]:
    job = new_job(2)
    job["video_clips"][0] |= clip
    return job


@pytest.mark.requirement("R32")
@given(st.lists(st.tuples(NEWS, st.integers(0, 100))))
def test_what_is_shown_never_goes_down_while_a_clip_is_made(news: list[tuple[tuple[str, Any], int]]) -> None:
    now, seen = NOW, picture()
    for (type_, payload), seconds in news:
        now, before = now + timedelta(seconds=seconds), seen
        if type_ == "document":
            seen = before.renewed(document(**payload), now)
        else:
            seen = before.heard(type_, {"index": 0, **payload}, now)
        begins_anew = before.clips[0].is_over and not seen.clips[0].is_over
        assert begins_anew or seen.clips[0].percent(now) >= before.clips[0].percent(now)


def test_a_bar_glides_at_the_models_usual_pace_and_only_a_report_says_nearly_done() -> None:
    quick = heard(picture({"replicate/seedance-1-pro": 10.0}), "video_progress", status="rendering").clips[0]
    slow = heard(picture(), "video_progress", status="rendering").clips[0]
    later = NOW + timedelta(seconds=10)
    assert 0 < slow.percent(later) < quick.percent(later) < 95
    assert quick.percent(NOW + timedelta(hours=1)) == 95
    told = heard(picture(), "video_progress", progress=99, status="rendering").clips[0]
    assert told.percent(later) == 99


def test_a_clip_that_waits_stands_still_and_says_why() -> None:
    waiting = {"reason": "slot", "place": 2, "about_seconds": 30}
    clip = heard(picture(), "clip_waiting", waiting=waiting).clips[0]
    later = NOW + timedelta(seconds=20)
    assert clip.percent(later) == 0
    assert clip.sentence(later) == "second in line at replicate · about 10 s"


@pytest.mark.requirement("R60")
def test_a_line_that_moves_tells_everybody_in_it_their_place() -> None:
    told = [{"index": 1, "reason": "slot", "place": 3, "about_seconds": 40.0, "account": "replicate"}]
    first, second = heard(picture(), "line_moved", waiting=told).clips
    assert (first.sentence(NOW), second.sentence(NOW)) == (
        "waiting for its turn",
        "third in line at replicate · about 40 s",
    )
    went_on = picture().heard("video_progress", {"index": 1, "progress": 0, "status": "processing"}, NOW)
    assert heard(went_on, "line_moved", waiting=told) == went_on


def test_a_finished_clip_waits_for_the_event_that_says_what_came_out() -> None:
    ended = heard(picture(), "video_progress", progress=100, status="complete", seq=1)
    assert not ended.clips[0].is_over
    told = heard(ended, "video_complete", duration=5.0, seq=2).clips[0]
    assert (told.status, told.progress, told.sentence(NOW)) == ("complete", 100, "saved · 5.0 s")


def test_late_news_about_a_clip_that_is_over_changes_nothing() -> None:
    over = heard(picture(), "video_complete", duration=5.0, seq=2)
    assert heard(over, "video_progress", progress=40, status="rendering") == over
    assert heard(over, "clip_waiting", waiting={"reason": "slot"}) == over


@pytest.mark.requirement("R36")
def test_a_failed_clip_that_is_retried_begins_at_nothing() -> None:
    rendered = heard(picture(), "video_progress", progress=60, status="rendering", seq=1)
    failed = heard(rendered, "video_failed", error={"message": "flagged"}, seq=2)
    assert failed.clips[0].sentence(NOW) == "failed: flagged"
    by_event = heard(failed, "video_progress", progress=0, status="queued", seq=3).clips[0]
    by_document = failed.renewed(new_job(2), NOW).clips[0]
    assert [(clip.percent(NOW), clip.sentence(NOW)) for clip in (by_event, by_document)] == [
        (0, "waiting for its turn"),
        (0, "waiting for its turn"),
    ]


@pytest.mark.parametrize(
    ("type_", "payload"),
    [
        ("video_progress", {"index": 9, "progress": 1, "status": "rendering"}),
        ("video_progress", {"index": -1, "progress": 1, "status": "rendering"}),
        ("video_progress", {"index": "0"}),
        ("thumbnail_ready", {"index": 0}),
        ("an_event_of_tomorrow", {"index": 0}),
    ],
)
def test_news_that_means_nothing_here_changes_nothing(type_: str, payload: dict[str, Any]) -> None:
    assert picture().heard(type_, payload, NOW) == picture()


def test_every_status_that_ends_a_clip_stops_its_clock() -> None:
    for status in OVER:
        clip = picture().renewed(document(status=status, finished_at="2026-01-02T03:04:15Z"), NOW).clips[0]
        assert clip.seconds(NOW + timedelta(hours=1)) == 10
