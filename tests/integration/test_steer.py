"""What a customer does to a job that is under way or over."""

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import pytest

from pipeline import show, steer
from pipeline.domain.asset import State
from pipeline.domain.errors import NotInThatState, OverBudget, Refusal, UnknownModel, ValidationFailed
from pipeline.domain.events import EventType
from pipeline.domain.job import JobState
from pipeline.finish import finish, make_film
from pipeline.services import Services
from pipeline.start import start
from tests import servers
from tests.builders import World, world

DONE, FAILED, CANCELLED = State.DONE, State.FAILED, State.CANCELLED


@pytest.fixture
def here(database_url: str, valkey_url: str, s3: servers.ObjectStore, running: servers.Simulator) -> Iterator[World]:
    with world(database_url, valkey_url=valkey_url, s3=s3, simulator=running) as built:
        yield built


def ended(here: World, *states: State, close: bool = True, **more: Any) -> UUID:
    """A job whose clips have ended so, without files; closed unless said otherwise."""
    job_id = here.job(len(states), **more)
    start(here.services, job_id)
    for asset_id, state in zip(here.ids(job_id), states, strict=True):
        here.end(asset_id, state)
    if close:
        finish(here.services, job_id)
        make_film(here.services, job_id)
    here.step_aside(here.ids(job_id))
    return job_id


def failed_for_real(here: World, prompt: str) -> UUID:
    """A job of one clip that was bought and failed."""
    job_id = here.job(prompt=f"{prompt} [[sim: fail=moderated]]")
    [clip] = here.render(job_id)
    assert clip.state is FAILED
    return job_id


@pytest.mark.requirement("R13", "R17", "R36")
def test_a_job_of_seventeen_with_seven_clips_renders_the_other_ten_and_nothing_else(here: World) -> None:
    job_id = ended(here, *[DONE if n % 5 in {0, 3} else FAILED for n in range(17)])
    before = {clip.id: clip for clip in here.clips(job_id) if clip.state is DONE}
    assert len(before) == 7
    document = steer.resume(here.services, here.owner_id, job_id)
    assert (document["state"], document["clips"]) == (JobState.RUNNING, {"total": 17, "complete": 7, "failed": 0})
    assert start(here.services, job_id)
    assert here.carrier.opened[-1] == (job_id, 2, 10)
    after = here.render(job_id)
    assert [(clip.index, clip.state) for clip in after] == [(n, DONE) for n in range(17)]
    assert len(here.sold()) == 10
    assert {clip.id: clip for clip in after if clip.id in before} == before


@pytest.mark.requirement("R36", "R50")
def test_one_clip_is_retried_alone_with_other_words_and_keeps_its_history(here: World) -> None:
    job_id = failed_for_real(here, "a storm")
    paid = here.read(job_id).actual_cents
    steer.retry(here.services, here.owner_id, job_id, 0, {"prompt": "a calm sea", "seed": 7})
    [clip] = here.render(job_id)
    first, second = here.takes(clip.id)
    assert (clip.state, clip.attempts, clip.description) == (DONE, 2, "a calm sea")
    assert ("a storm" in first.prompt, second.prompt, second.seed) == (True, "SCENE: a calm sea", 7)
    assert here.read(job_id).actual_cents == 2 * paid
    assert here.ledger(clip.id) == [(1, "reserve"), (1, "commit"), (2, "reserve"), (2, "commit")]


@pytest.mark.requirement("R36")
def test_a_retry_keeps_what_an_earlier_one_changed(here: World) -> None:
    job_id = ended(here, FAILED, consistency_context="CHARACTER: Ada")
    [clip_id] = here.ids(job_id)
    steer.retry(here.services, here.owner_id, job_id, 0, {"prompt": "a calm sea"})
    here.end(clip_id, FAILED)
    steer.retry(here.services, here.owner_id, job_id, 0, {"seed": 7})
    here.end(clip_id, FAILED)
    steer.retry(here.services, here.owner_id, job_id, 0)
    shot = here.row(clip_id)["shot"]
    assert (shot["prompt"], shot["seed"]) == ("CHARACTER: Ada\n\nSCENE: a calm sea", 7)


@pytest.mark.requirement("R36")
def test_a_clip_is_retried_with_another_model_at_its_price_and_length(here: World) -> None:
    job_id = ended(here, DONE, FAILED)
    before = here.row(here.ids(job_id)[1])
    steer.retry(here.services, here.owner_id, job_id, 1, {"model": "replicate/kling-v2.5-turbo-pro"})
    after = here.row(before["id"])
    assert after["model"] == after["shot"]["model"] == "replicate/kling-v2.5-turbo-pro"
    assert (before["shot"]["asked_seconds"], after["shot"]["asked_seconds"]) != (5, 5)
    assert after["shot"]["asked_seconds"] == 5
    assert after["shot"]["index"] == 1


@pytest.mark.parametrize(
    ("changes", "refusal", "field"),
    [
        ({"model": "replicate/no-such-model"}, UnknownModel, "model"),
        ({"model": "\ud800"}, ValidationFailed, "model"),
        ({"model": "replicate/hailuo-2.3", "seed": 7}, ValidationFailed, "seed"),
        ({"prompt": ""}, ValidationFailed, "prompt"),
        ({"prompt": "\ud800"}, ValidationFailed, "prompt"),
        ({"seed": -1}, ValidationFailed, "seed"),
        ({"seed": 10**30}, ValidationFailed, "seed"),
        ({"seed": "7"}, ValidationFailed, "seed"),
        ({"duration": 9}, ValidationFailed, "duration"),
        ([], ValidationFailed, "body"),
    ],
    ids=ascii,
)
def test_a_retry_that_cannot_be_made_is_refused_by_field_and_changes_nothing(
    here: World, changes: Any, refusal: type[Refusal], field: str
) -> None:
    job_id = ended(here, FAILED)
    [clip_id] = here.ids(job_id)
    before, started = (here.row(clip_id), here.read(job_id)), list(here.carrier.started)
    with pytest.raises(refusal) as refused:
        steer.retry(here.services, here.owner_id, job_id, 0, changes)
    assert [error.field for error in refused.value.errors] == [field]
    assert "scenes" not in refused.value.detail
    assert ((here.row(clip_id), here.read(job_id)), here.carrier.started) == (before, started)


@pytest.mark.requirement("R36")
@pytest.mark.parametrize("state", [State.WAITING, State.RENDERING, State.UNCERTAIN, State.FETCHING])
def test_only_a_clip_that_has_ended_is_retried(here: World, state: State) -> None:
    job_id = here.job(2)
    here.query("update assets set state = :state", state=state)
    with pytest.raises(NotInThatState, match=str(state)):
        steer.retry(here.services, here.owner_id, job_id, 0)


@pytest.mark.requirement("R36")
def test_a_clip_is_retried_while_others_still_render(here: World) -> None:
    job_id = here.job(2)
    failed, other = here.ids(job_id)
    start(here.services, job_id)
    here.end(failed, FAILED)
    here.query("update assets set state = 'rendering' where id = :id", id=other)
    here.step_aside([failed, other])
    before = here.row(other)
    steer.retry(here.services, here.owner_id, job_id, 0)
    assert start(here.services, job_id)
    assert here.carrier.opened[-1] == (job_id, 2, 1)
    assert (here.state(failed), here.row(other)) == (State.WAITING, before)


@pytest.mark.requirement("R36", "R65")
def test_retrying_all_that_failed_leaves_the_cancelled_and_the_done_alone(here: World) -> None:
    job_id = ended(here, DONE, FAILED, CANCELLED, FAILED)
    steer.retry_failed(here.services, here.owner_id, job_id)
    assert [clip.state for clip in here.clips(job_id)] == [DONE, State.WAITING, CANCELLED, State.WAITING]
    with pytest.raises(NotInThatState):
        steer.retry_failed(here.services, here.owner_id, ended(here, DONE, CANCELLED))


@pytest.mark.requirement("R68", "R65")
@pytest.mark.parametrize("again", [steer.retry_failed, steer.resume], ids=["retry_failed", "resume"])
def test_what_was_flagged_is_not_asked_for_again_in_bulk_but_by_itself(
    here: World, again: Callable[[Services, UUID, UUID], Any]
) -> None:
    job_id = ended(here, DONE, FAILED, FAILED)
    _, flagged, broken = here.ids(job_id)
    verdict = {"code": "moderated", "message": "the prompt was flagged", "retryable": False}
    here.query("update assets set failure = cast(:why as jsonb) where id = :id", why=json.dumps(verdict), id=flagged)
    again(here.services, here.owner_id, job_id)
    assert [here.state(each) for each in (flagged, broken)] == [FAILED, State.WAITING]
    here.end(broken, DONE)
    with pytest.raises(NotInThatState, match="was flagged: retry it with another prompt"):
        again(here.services, here.owner_id, job_id)
    steer.retry(here.services, here.owner_id, job_id, 1, {"prompt": "a calm sea"})
    assert here.state(flagged) == State.WAITING


@pytest.mark.requirement("R46", "R68")
def test_a_narration_that_was_flagged_is_not_bought_again_in_bulk(here: World) -> None:
    scene = {"description": "a tower", "duration": 2, "narration": "It was night."}
    job_id = here.order([scene], speech_model="replicate/speech-2.8-hd")
    [clip] = here.ids(job_id)
    here.query("update assets set state = 'failed', finished_at = now() where kind = 'audio'")
    here.end(clip, DONE)
    verdict = json.dumps({"code": "moderated", "message": "the text was flagged", "retryable": False})
    here.query("update assets set failure = cast(:why as jsonb) where kind = 'audio'", why=verdict)
    for again in (steer.retry_failed, steer.resume):
        with pytest.raises(NotInThatState, match="was flagged"):
            again(here.services, here.owner_id, job_id)
    steer.retry(here.services, here.owner_id, job_id, 0)
    assert here.query("select state from assets where kind = 'audio'") == [{"state": "waiting"}]


@pytest.mark.requirement("R50")
def test_of_eight_who_retry_the_same_clip_at_once_one_opens_a_round(here: World) -> None:
    job_id = ended(here, FAILED)

    def retry(_: int) -> bool:
        try:
            steer.retry(here.services, here.owner_id, job_id, 0)
        except NotInThatState:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(retry, range(8))) == 1
    assert here.query("select round, version from assets") == [{"round": 2, "version": 1}]
    assert here.query("select round from jobs") == [{"round": 2}]


def money(here: World, job_id: UUID) -> tuple[Any, ...]:
    """All that a refused retry must leave as it was."""
    return here.read(job_id), here.clips(job_id), here.events(job_id), list(here.carrier.started)


DEARER = {"model": "replicate/veo-3"}


def test_a_retry_that_would_cost_more_than_the_budget_is_refused_and_changes_nothing(here: World) -> None:
    job_id = ended(here, DONE, FAILED, budget_cents=60)
    before = money(here, job_id)
    with pytest.raises(OverBudget, match=r"0 cents are spent and \d+ more would be.* budget of 60") as refused:
        steer.retry(here.services, here.owner_id, job_id, 1, DEARER)
    assert [error.field for error in refused.value.errors] == ["budget_cents"]
    assert money(here, job_id) == before
    steer.retry(here.services, here.owner_id, job_id, 1)


STEERS: dict[str, Callable[[Services, UUID, UUID], Any]] = {
    "retry": lambda services, owner_id, job_id: steer.retry(services, owner_id, job_id, 0),
    "retry_failed": steer.retry_failed,
    "resume": steer.resume,
}


@pytest.mark.parametrize("again", STEERS.values(), ids=STEERS.keys())
def test_what_was_spent_and_what_is_still_to_be_bought_count_against_the_budget(
    here: World, again: Callable[[Services, UUID, UUID], Any]
) -> None:
    body = {"description": "a storm [[sim: fail=moderated]]", "duration": 2}
    job_id = here.order([body, {**body, "description": "a calm sea"}])
    failed, waiting = here.ids(job_id)
    here.until(failed)
    price = here.read(job_id).actual_cents
    assert price > 0
    here.query("update assets set failure = jsonb_set(failure, '{code}', '\"timed_out\"') where id = :id", id=failed)
    here.query("update jobs set budget_cents = :budget", budget=3 * price - 1)
    before = money(here, job_id)
    with pytest.raises(OverBudget, match=f"{price} cents are spent and {2 * price} more"):
        again(here.services, here.owner_id, job_id)
    assert money(here, job_id) == before
    here.query("update jobs set budget_cents = :budget", budget=3 * price)
    again(here.services, here.owner_id, job_id)
    assert (here.state(failed), here.state(waiting)) == (State.WAITING, State.WAITING)


@pytest.mark.requirement("R56")
def test_a_retry_that_meets_a_cancel_does_not_undo_it(here: World) -> None:
    job_id = ended(here, FAILED, CANCELLED, close=False)
    here.services.store.jobs.cancel(job_id)
    before = (here.read(job_id), here.clips(job_id))
    with pytest.raises(NotInThatState, match="being cancelled"):
        here.services.store.jobs.reopen(job_id, here.ids(job_id))
    assert (here.read(job_id), here.clips(job_id)) == before
    assert before[0].cancel_requested_at


@pytest.mark.requirement("R36", "R48")
def test_a_job_that_was_closed_is_closed_anew_after_a_retry(here: World) -> None:
    job_id = ended(here, DONE, FAILED)
    assert here.read(job_id).state is JobState.FAILED
    steer.retry(here.services, here.owner_id, job_id, 1)
    reopened = here.read(job_id)
    assert (reopened.state, reopened.finished_at) == (JobState.RUNNING, None)
    here.end(here.ids(job_id)[1], DONE)
    assert finish(here.services, job_id)
    make_film(here.services, job_id)
    assert here.read(job_id).state is JobState.COMPLETE
    told = [event.payload["state"] for event in here.events(job_id) if event.type is EventType.JOB_COMPLETE]
    assert told == [JobState.FAILED, JobState.COMPLETE]


@pytest.mark.requirement("R32", "R36")
def test_watchers_are_told_that_a_clip_begins_anew(here: World) -> None:
    job_id = ended(here, DONE, FAILED, CANCELLED)
    _, seq = show.snapshot(here.services, here.owner_id, job_id)
    document = steer.resume(here.services, here.owner_id, job_id)
    told = show.events_since(here.services, here.owner_id, job_id, seq)
    assert [(event["type"], event["seq"]) for event in told] == [
        ("video_progress", seq + 1),
        ("video_progress", seq + 2),
    ]
    shown = [
        {
            "seq": seq + clip["index"],
            "job_id": str(job_id),
            "clip_id": clip["clip_id"],
            "index": clip["index"],
            "progress": 0,
            "status": "queued",
        }
        for clip in document["video_clips"][1:]
    ]
    assert [event["payload"] for event in told] == shown
    assert here.query("select seq from events where published_at is null and seq > :seq", seq=seq) == []


@pytest.mark.requirement("R13")
def test_resuming_what_is_under_way_is_a_nudge_and_what_is_complete_a_refusal(here: World) -> None:
    job_id = here.job(3)
    here.end(here.ids(job_id)[0], DONE)
    steer.resume(here.services, here.owner_id, job_id)
    assert sorted(here.carrier.published) == sorted(here.ids(job_id)[1:])
    assert here.query("select distinct round from assets") == [{"round": 1}]
    with pytest.raises(NotInThatState, match="nothing is left"):
        steer.resume(here.services, here.owner_id, ended(here, DONE, DONE))


@pytest.mark.requirement("R56")
def test_a_cancel_wakes_what_is_open_and_a_resume_brings_it_back_later(here: World) -> None:
    job_id = here.job(3)
    first, second, third = here.ids(job_id)
    here.end(first, DONE)
    steer.cancel(here.services, here.owner_id, job_id)
    assert sorted(here.carrier.published) == sorted([second, third])
    with pytest.raises(NotInThatState, match="being cancelled"):
        steer.resume(here.services, here.owner_id, job_id)
    here.render(job_id)
    finish(here.services, job_id)
    make_film(here.services, job_id)
    assert here.read(job_id).state is JobState.CANCELLED
    with pytest.raises(NotInThatState, match="already"):
        steer.cancel(here.services, here.owner_id, job_id)
    steer.resume(here.services, here.owner_id, job_id)
    assert [clip.state for clip in here.render(job_id)] == [DONE, DONE, DONE]
    assert len(here.sold()) == 2
