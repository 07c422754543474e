"""Gate, claim and fence on a real PostgreSQL: who gets a row, and whose writing counts."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy.exc import IntegrityError

from pipeline.database.steps import Steps
from pipeline.domain.answers import Finished, Working
from pipeline.domain.asset import Decision, State
from pipeline.domain.attempt import AttemptChange, NewAttempt, attempt_id
from pipeline.domain.errors import StaleClaim
from pipeline.domain.events import Event, EventType
from pipeline.domain.hold import Change, Hold, NotClaimed
from pipeline.domain.job import JobState
from tests.builders import World, world

LEASE = timedelta(seconds=30)
GONE = timedelta(seconds=-1)
LATER = timedelta(seconds=600)
NOW = timedelta(0)
FINISHED = Finished(outputs=("https://files.example/a.mp4",), prediction_id="p1")


@pytest.fixture
def here(database_url: str) -> Iterator[World]:
    with world(database_url) as built:
        yield built


@pytest.fixture
def steps(here: World) -> Steps:
    return here.services.store.steps


def held(steps: Steps, asset_id: UUID, lease: timedelta = LEASE) -> Hold:
    hold = steps.claim(asset_id, lease)
    assert isinstance(hold, Hold)
    return hold


def change(hold: Hold, state: State, wait: timedelta | None = LATER, **more: Any) -> Change:
    """The asset becomes this, and is looked at again after ``wait``."""
    return Change(decision=Decision(asset=replace(hold.asset, state=state), wait=wait), **more)


def intent(hold: Hold, number: int = 1) -> NewAttempt:
    return NewAttempt(
        id=attempt_id(hold.asset_id, number),
        number=number,
        owner_id=hold.owner_id,
        job_id=hold.member.job_id,
        provider=hold.provider,
        account=hold.account,
        endpoint="bytedance/seedance-1-pro",
        model=hold.model,
        prompt="a lighthouse",
        seed=7,
        input={"prompt": "a lighthouse", "seed": 7},
        estimate_cents=20,
    )


def event(hold: Hold, *, stored: bool = True) -> Event:
    about = {"index": hold.index}
    return Event(type=EventType.VIDEO_PROGRESS, job_id=str(hold.member.job_id), payload=about, stored=stored)


def submitting(steps: Steps, asset_id: UUID) -> Hold:
    """A row whose intent is written, and that is still held."""
    hold = held(steps, asset_id)
    begun = change(hold, State.SUBMITTING, NOW, begin=intent(hold))
    return steps.apply(hold, begun, keep=LEASE)[0]


def test_a_row_is_claimed_when_it_is_due_and_not_before(here: World, steps: Steps) -> None:
    asset_id = here.clip()
    here.query("update assets set due_at = clock_timestamp() + interval '5 s'")
    assert steps.claim(asset_id, LEASE) == NotClaimed(over=False)
    here.query("update assets set due_at = clock_timestamp() + interval '0.4 s'")
    assert held(steps, asset_id).asset_id == asset_id


def test_a_claimed_row_is_nobody_elses_until_the_claim_lapses(here: World, steps: Steps) -> None:
    asset_id = here.clip()
    held(steps, asset_id)
    assert steps.claim(asset_id, LEASE) == NotClaimed(over=False)
    here.query("update assets set claimed_until = clock_timestamp() - interval '1 ms'")
    assert held(steps, asset_id).asset.state is State.WAITING


@pytest.mark.parametrize("state", [State.DONE, State.FAILED, State.CANCELLED])
def test_a_row_that_is_over_says_so(here: World, steps: Steps, state: State) -> None:
    asset_id = here.clip()
    here.query("update assets set state = :state", state=state)
    assert steps.claim(asset_id, LEASE) == NotClaimed(over=True)


def test_a_row_that_is_gone_is_over(steps: Steps) -> None:
    assert steps.claim(uuid4(), LEASE) == NotClaimed(over=True)


@pytest.mark.requirement("R50", "R55")
def test_of_all_who_claim_a_row_at_the_same_moment_one_gets_it(here: World, steps: Steps) -> None:
    asset_id = here.clip()
    barrier = threading.Barrier(4)

    def race() -> Hold | NotClaimed:
        barrier.wait(timeout=20)
        return steps.claim(asset_id, LEASE)

    with ThreadPoolExecutor(4) as pool:
        for _ in range(200):
            told = [racer.result() for racer in [pool.submit(race) for _ in range(4)]]
            [winner] = [each for each in told if isinstance(each, Hold)]
            steps.let_go(winner, NOW)


def test_a_wake_while_the_row_is_held_makes_it_due_at_once(here: World, steps: Steps) -> None:
    asset_id = here.clip()
    hold = held(steps, asset_id)
    assert [member.asset_id for member in steps.wake([asset_id])] == [asset_id]
    _, _, woken = steps.apply(hold, change(hold, State.WAITING))
    assert woken
    assert held(steps, asset_id).asset.state is State.WAITING


def test_a_wake_before_the_claim_is_not_mistaken_for_one_during_it(here: World, steps: Steps) -> None:
    asset_id = here.clip()
    steps.wake([asset_id])
    hold = held(steps, asset_id)
    _, _, woken = steps.apply(hold, change(hold, State.WAITING))
    assert not woken
    assert steps.claim(asset_id, LEASE) == NotClaimed(over=False)


def test_a_wake_does_not_break_a_claim(here: World, steps: Steps) -> None:
    asset_id = here.clip()
    held(steps, asset_id)
    steps.wake([asset_id])
    assert steps.claim(asset_id, LEASE) == NotClaimed(over=False)


def test_a_wake_while_a_step_fails_is_not_lost_to_its_pause(here: World, steps: Steps) -> None:
    asset_id = here.clip()
    hold = held(steps, asset_id)
    steps.wake([asset_id])
    steps.let_go(hold, LATER)
    assert isinstance(steps.claim(asset_id, LEASE), Hold)


def test_a_row_that_is_over_is_not_waked(here: World, steps: Steps) -> None:
    asset_id = here.clip()
    here.query("update assets set state = 'done'")
    assert steps.wake([asset_id]) == []
    assert here.row(asset_id)["wakes"] == 0


@pytest.mark.requirement("R50", "R55")
def test_a_write_after_the_claim_was_lost_changes_nothing_at_all(here: World, steps: Steps) -> None:
    asset_id = here.clip()
    late = held(steps, asset_id, GONE)
    held(steps, asset_id)
    before = here.row(asset_id)
    begun = change(late, State.SUBMITTING, NOW, begin=intent(late), events=[event(late)])
    with pytest.raises(StaleClaim):
        steps.apply(late, begun, keep=LEASE)
    steps.extend(late, LATER)
    steps.let_go(late, LATER)
    assert here.row(asset_id) == before
    assert here.takes(asset_id) == []
    assert here.ledger(asset_id) == []
    job = here.read(late.member.job_id)
    assert (job.state, job.event_seq, here.events(job.id)) == (JobState.QUEUED, 0, [])


def test_a_late_write_leaves_webhooks_unread_for_the_one_who_holds_the_row(here: World, steps: Steps) -> None:
    asset_id = here.clip()
    submitting(steps, asset_id)
    taken = steps.receive(
        attempt_id(asset_id, 1), provider="replicate", webhook_id="w1", prediction_id="p1", answer=FINISHED
    )
    assert [member.asset_id for member in taken] == [asset_id]
    here.hurry(asset_id)
    late = held(steps, asset_id, GONE)
    owner = held(steps, asset_id)
    with pytest.raises(StaleClaim):
        steps.apply(late, change(late, State.FETCHING, read=late.news))
    assert owner.news
    assert owner.news.answer == FINISHED
    steps.apply(owner, change(owner, State.FETCHING, NOW, read=owner.news))
    assert held(steps, asset_id).news is None


@pytest.mark.requirement("R50")
def test_an_asset_has_at_most_one_attempt_that_can_cost_money(here: World, steps: Steps) -> None:
    hold = submitting(steps, here.clip())
    with pytest.raises(IntegrityError, match="uq_attempts_live"):
        steps.apply(hold, change(hold, State.SUBMITTING, begin=intent(hold, 2), events=[event(hold)]))
    assert [take.number for take in here.takes(hold.asset_id)] == [1]
    assert here.ledger(hold.asset_id) == [(1, "reserve")]
    assert here.events(hold.member.job_id) == []


@pytest.mark.requirement("R50")
def test_a_prediction_belongs_to_one_attempt(here: World, steps: Steps) -> None:
    first, second = (submitting(steps, each) for each in here.ids(here.job(2)))
    steps.adopt(attempt_id(first.asset_id, 1), "p1")
    with pytest.raises(IntegrityError, match="prediction_id"):
        steps.adopt(attempt_id(second.asset_id, 1), "p1")
    assert steps.owned("replicate", ["p1", "p2"]) == {"p1"}
    assert steps.owned("another account", ["p1"]) == set()


@pytest.mark.requirement("R50")
def test_what_is_known_of_a_prediction_is_never_overwritten(here: World, steps: Steps) -> None:
    hold = submitting(steps, here.clip())
    steps.adopt(attempt_id(hold.asset_id, 1), "p1")
    steps.adopt(attempt_id(hold.asset_id, 1), "p2")
    assert [take.prediction_id for take in here.takes(hold.asset_id)] == ["p1"]


@pytest.mark.requirement("R34")
def test_event_numbers_have_no_gap_for_anyone_who_reads_while_sixteen_write(here: World, steps: Steps) -> None:
    job_id = here.job(16)
    written = threading.Event()

    def write(asset_id: UUID) -> None:
        for _ in range(6):
            hold = held(steps, asset_id)
            told = [event(hold), event(hold, stored=False), event(hold)]
            _, events, _ = steps.apply(hold, change(hold, State.WAITING, NOW, events=told))
            first, live, second = (each.seq for each in events)
            assert live is None
            assert first is not None
            assert second == first + 1

    def read() -> list[int | None]:
        seen: list[int | None] = []
        while not (written.is_set() and len(seen) >= 16 * 6 * 2):
            seen += [each.seq for each in here.services.store.outbox.since(job_id, len(seen))]
        return seen

    with ThreadPoolExecutor(17) as pool:
        reader = pool.submit(read)
        for writer in [pool.submit(write, asset_id) for asset_id in here.ids(job_id)]:
            writer.result()
        written.set()
        assert reader.result() == list(range(1, 16 * 6 * 2 + 1))


def test_a_step_with_more_to_do_keeps_its_claim(here: World, steps: Steps) -> None:
    hold = submitting(steps, here.clip())
    assert steps.claim(hold.asset_id, LEASE) == NotClaimed(over=False)
    after, _, _ = steps.apply(hold, change(hold, State.UNCERTAIN, NOW))
    assert after.version == hold.version + 1
    assert held(steps, hold.asset_id).asset.state is State.UNCERTAIN


def test_what_is_over_is_given_up_for_good_with_the_time_of_its_end(here: World, steps: Steps) -> None:
    hold = submitting(steps, here.clip())
    ending = AttemptChange(state=State.DONE, live=False, spend="commit")
    steps.apply(hold, change(hold, State.DONE, None, attempt=ending))
    row = here.row(hold.asset_id)
    assert (row["claimed_until"], row["finished_at"]) == (None, row["updated_at"])
    assert here.ledger(hold.asset_id) == [(1, "reserve"), (1, "commit")]
    assert here.takes(hold.asset_id)[0].cost_cents == 20
    assert steps.claim(hold.asset_id, LEASE) == NotClaimed(over=True)


@pytest.mark.requirement("R30")
def test_the_first_intent_of_a_job_is_its_start(here: World, steps: Steps) -> None:
    first, second = here.ids(here.job(2))
    job_id = submitting(steps, first).member.job_id
    started = here.read(job_id)
    submitting(steps, second)
    assert started.state is JobState.RUNNING
    assert started.started_at
    assert here.read(job_id).started_at == started.started_at


@pytest.mark.requirement("R53")
def test_a_webhook_is_taken_once_and_only_about_an_attempt_of_ours(here: World, steps: Steps) -> None:
    asset_id = here.clip()
    submitting(steps, asset_id)

    def receive(attempt: UUID) -> list[UUID]:
        told = steps.receive(attempt, provider="replicate", webhook_id="w1", prediction_id="p1", answer=FINISHED)
        return [member.asset_id for member in told]

    assert receive(uuid4()) == []
    assert receive(attempt_id(asset_id, 1)) == [asset_id]
    assert receive(attempt_id(asset_id, 1)) == []
    assert here.query("select count(*) as n from inbox") == [{"n": 1}]


@pytest.mark.requirement("R53")
def test_the_webhook_that_ends_a_prediction_is_read_first_in_whatever_order_they_came(
    here: World, steps: Steps
) -> None:
    asset_id = here.clip()
    submitting(steps, asset_id)
    started = Working(prediction_id="p1", progress=3)
    for webhook_id, answer in (("w1", FINISHED), ("w2", started), ("w3", started)):
        steps.receive(
            attempt_id(asset_id, 1), provider="replicate", webhook_id=webhook_id, prediction_id="p1", answer=answer
        )
    here.hurry(asset_id)
    news = held(steps, asset_id).news
    assert news
    assert (news.answer, news.prediction_id) == (FINISHED, "p1")


@pytest.mark.requirement("R53", "R50")
def test_a_webhook_about_another_prediction_says_nothing_about_this_attempt(here: World, steps: Steps) -> None:
    asset_id = here.clip()
    submitting(steps, asset_id)
    steps.adopt(attempt_id(asset_id, 1), "p1")
    stranger = replace(FINISHED, prediction_id="p2")
    steps.receive(attempt_id(asset_id, 1), provider="replicate", webhook_id="w1", prediction_id="p2", answer=stranger)
    here.hurry(asset_id)
    assert held(steps, asset_id).news is None


@pytest.mark.requirement("R56")
def test_a_claim_says_whether_the_job_is_still_wanted(here: World, steps: Steps) -> None:
    job_id = here.job(1)
    [asset_id] = here.ids(job_id)
    assert here.services.store.jobs.cancel(job_id) == [asset_id]
    assert held(steps, asset_id).cancelled
