"""What a job is, told from its clips; and the ids that its chord is counted by."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.domain.asset import TERMINAL, State
from pipeline.domain.job import FINAL, HAS_FILM, JobState, Status, outcome, progress_of, status_of
from pipeline.domain.member import Member, body_id, group_id

DONE, FAILED, CANCELLED = State.DONE, State.FAILED, State.CANCELLED
JOB = UUID("00000000-0000-4000-8000-000000000001")
ASSET = UUID("00000000-0000-4000-8000-000000000002")
CAME = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
ENDED = st.lists(st.sampled_from(sorted(TERMINAL)), min_size=1, max_size=40)


@pytest.mark.requirement("R36", "R37")
@pytest.mark.parametrize(
    ("states", "min_clips", "expected"),
    [
        ([DONE], 1, JobState.COMPLETE),
        ([DONE] * 5, 3, JobState.COMPLETE),
        ([DONE] * 3 + [FAILED] * 2, 3, JobState.PARTIAL),
        ([DONE] * 2 + [FAILED] * 3, 3, JobState.FAILED),
        ([DONE] * 2 + [FAILED] * 3, 2, JobState.PARTIAL),
        ([DONE] * 4 + [FAILED], 5, JobState.FAILED),
        ([DONE, FAILED], 2, JobState.FAILED),
        ([DONE, DONE, CANCELLED], 2, JobState.PARTIAL),
        ([FAILED] * 4, 1, JobState.FAILED),
        # A setting above the number of scenes means all of them.
        ([DONE, DONE], 3, JobState.COMPLETE),
        ([DONE, FAILED], 3, JobState.FAILED),
    ],
)
def test_a_job_needs_enough_clips_to_count_as_partly_done(
    states: list[State], min_clips: int, expected: JobState
) -> None:
    assert outcome(states, min_clips=min_clips, cancelled=False) is expected


@pytest.mark.requirement("R56")
@pytest.mark.parametrize(
    ("states", "expected"),
    [([DONE, DONE], JobState.COMPLETE), ([DONE, CANCELLED], JobState.CANCELLED), ([FAILED], JobState.CANCELLED)],
)
def test_a_cancelled_job_is_cancelled_unless_everything_was_done_already(
    states: list[State], expected: JobState
) -> None:
    assert outcome(states, min_clips=1, cancelled=True) is expected


@given(states=ENDED, min_clips=st.integers(1, 40), cancelled=st.booleans())
def test_every_ended_job_has_a_final_state_that_does_not_depend_on_the_order_of_its_clips(
    states: list[State], min_clips: int, *, cancelled: bool
) -> None:
    ended = outcome(states, min_clips=min_clips, cancelled=cancelled)
    assert ended in FINAL
    assert ended is outcome(sorted(states), min_clips=min_clips, cancelled=cancelled)
    assert ended not in HAS_FILM or State.DONE in states


@pytest.mark.requirement("R32")
def test_every_state_has_a_public_word_and_only_ended_ones_sound_like_it() -> None:
    words = {state: status_of(state) for state in State}
    ending = {Status.COMPLETE, Status.FAILED, Status.CANCELLED}
    assert {state for state, word in words.items() if word in ending} == TERMINAL
    assert words[State.CANCELLING] is Status.RENDERING


@pytest.mark.parametrize(
    ("progresses", "expected"), [([], 0), ([0, 0], 0), ([100, 99], 99), ([100, 100], 100), ([33, 33, 35], 33)]
)
def test_a_jobs_progress_is_the_mean_of_its_clips_and_a_hundred_only_when_all_are(
    progresses: list[int], expected: int
) -> None:
    assert progress_of(progresses) == expected


@pytest.mark.requirement("R02")
def test_everything_a_chord_is_counted_by_is_derived_from_the_rows_and_new_in_each_round() -> None:
    first = Member(asset_id=ASSET, job_id=JOB, round=1, group_index=4, provider="acme")
    second = replace(first, round=2)
    assert (first.task_id, first.group_id) == (f"{ASSET}:1", group_id(JOB, 1))
    derived = [first.task_id, second.task_id, first.group_id, second.group_id, body_id(JOB, 1), body_id(JOB, 2)]
    assert len(set(derived)) == 6


@pytest.mark.requirement("R63")
def test_of_files_to_fetch_those_go_first_whose_links_expire_soonest() -> None:
    lives = [timedelta(seconds=-5), *(timedelta(minutes=each) for each in (14, 59, 300, 1000, 5000))]
    fetches = [
        Member(
            asset_id=ASSET,
            job_id=JOB,
            round=1,
            group_index=0,
            provider="acme",
            fetching=True,
            link_expires_at=CAME + life,
        )
        for life in lives
    ]
    assert [each.rank(CAME) for each in fetches] == [0, 1, 2, 3, 4, 5]
    assert fetches[-1].rank(CAME + timedelta(minutes=4999)) == 0, "a link that has waited is no longer young"


@pytest.mark.requirement("R63")
def test_a_link_of_unknown_life_stands_with_those_of_an_hour() -> None:
    assert Member(asset_id=ASSET, job_id=JOB, round=1, group_index=0, provider="", fetching=True).rank(CAME) == 2
