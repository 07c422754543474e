"""What comes late, twice or out of order: the last result that was paid for counts, and the last round closes a job."""

from collections.abc import Iterator
from dataclasses import replace
from types import MappingProxyType

import pytest

from pipeline import steer
from pipeline.domain.answers import Finished, Working
from pipeline.domain.asset import State
from pipeline.domain.catalogue import Catalogue
from pipeline.domain.job import JobState
from pipeline.finish import FILM_CLAIM, finish, make_film
from pipeline.start import start
from pipeline.sweep import sweep
from tests import servers
from tests.builders import World, world

RESULT = Finished(outputs=("http://127.0.0.1:9/clip.mp4",), prediction_id="late")


@pytest.fixture
def here(database_url: str, valkey_url: str, s3: servers.ObjectStore) -> Iterator[World]:
    with world(database_url, valkey_url=valkey_url, s3=s3) as built:
        yield built


def doubtful(here: World, asset_id: object, *, state: State) -> None:
    """Let the asset have an attempt whose POST was never answered."""
    here.query(
        "insert into attempts (id, asset_id, job_id, owner_id, number, provider, account, model, prompt, input, state,"
        " live, estimate_cents) select gen_random_uuid(), id, job_id, owner_id, 1, provider, account, model, 'p', '{}',"
        " 'failed', false, 62 from assets where id = :id",
        id=asset_id,
    )
    here.query(
        "update assets set state = :state, takes = 1, tries = 1,"
        " attempt_id = (select id from attempts where asset_id = :id) where id = :id",
        id=asset_id,
        state=state,
    )


@pytest.mark.requirement("R50", "R53")
def test_a_result_that_comes_after_its_order_was_given_up_is_kept_and_nothing_is_bought_again(here: World) -> None:
    asset_id = here.clip()
    doubtful(here, asset_id, state=State.WAITING)
    attempt_id = here.row(asset_id)["attempt_id"]
    here.services.store.steps.receive(
        attempt_id, provider="replicate", webhook_id="w", prediction_id="late", answer=RESULT
    )
    here.step(asset_id)
    assert here.row(asset_id)["state"] == State.FETCHING
    assert [(take.number, take.prediction_id) for take in here.takes(asset_id)] == [(1, "late")]
    assert here.ledger(asset_id) == [(1, "commit")]


@pytest.mark.requirement("R50")
def test_of_two_orders_alike_the_webhook_goes_to_the_one_that_has_its_prediction(here: World) -> None:
    one, other = here.ids(here.job(2))
    for asset_id in (one, other):
        doubtful(here, asset_id, state=State.UNCERTAIN)
    mine, twins = (here.row(asset_id)["attempt_id"] for asset_id in (one, other))
    here.services.store.steps.adopt(mine, "p2")
    waked = here.services.store.steps.receive(
        twins, provider="replicate", webhook_id="w", prediction_id="p2", answer=Working(prediction_id="p2")
    )
    assert [member.asset_id for member in waked] == [one]


@pytest.mark.requirement("R36", "R48")
def test_a_film_that_was_begun_before_a_retry_does_not_close_the_job_after_it(here: World) -> None:
    job_id = here.job(3)
    for asset_id, state in zip(here.ids(job_id), (State.DONE, State.DONE, State.FAILED), strict=True):
        here.end(asset_id, state)
    assert finish(here.services, job_id)
    old = here.services.store.runs.claim_film(job_id, FILM_CLAIM)
    assert old
    assert here.services.store.runs.claim_film(job_id, FILM_CLAIM) is None, "one maker at a time"
    steer.retry(here.services, here.owner_id, job_id, 2)
    here.end(here.ids(job_id)[2], State.FAILED)
    assert finish(here.services, job_id)
    told = here.services.store.runs.close(
        old, here.owner_id, state=JobState.PARTIAL, film=None, video_clips=[], events=[]
    )
    assert (told, here.read(job_id).state) == ([], JobState.ASSEMBLING)
    make_film(here.services, job_id)
    assert here.read(job_id).state is JobState.FAILED


@pytest.mark.requirement("R36")
def test_two_retries_in_quick_succession_are_both_begun(here: World) -> None:
    job_id = here.job(3)
    start(here.services, job_id)
    for asset_id in here.ids(job_id):
        here.end(asset_id, State.FAILED)
    steer.retry(here.services, here.owner_id, job_id, 0)
    steer.retry(here.services, here.owner_id, job_id, 1)
    assert start(here.services, job_id)
    assert here.query("select dispatched_round from jobs") == [{"dispatched_round": 3}]
    assert here.carrier.opened[-2:] == [(job_id, 2, 1), (job_id, 3, 1)]


@pytest.mark.requirement("R55")
def test_a_clip_whose_model_left_the_catalogue_fails_and_lets_the_next_pass(here: World) -> None:
    asset_id = here.clip()
    bare = replace(here.services, catalogue=Catalogue(MappingProxyType({}), here.services.catalogue.accounts))
    replace(here, services=bare).step(asset_id)
    assert here.row(asset_id)["state"] == State.FAILED
    assert here.in_line() == []


@pytest.mark.requirement("R55")
def test_an_account_that_left_the_catalogue_does_not_stop_the_sweep(here: World) -> None:
    job_id = here.job()
    start(here.services, job_id)
    here.query("update assets set due_at = clock_timestamp() - interval '60 s'")
    gone = replace(here.services, catalogue=Catalogue(MappingProxyType({}), MappingProxyType({})))
    assert sweep(gone).waked == 1
