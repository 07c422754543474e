"""Looking at predictions on a real simulator: timed by what the model took, and one list for all that are under way."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from pipeline import places
from pipeline.database.engine import connect
from pipeline.database.timings import Lately, Timings
from pipeline.domain.answers import Busy, Finished, Reason, Refused, Silent
from pipeline.domain.asset import State
from pipeline.domain.attempt import Prediction
from pipeline.providers.protocol import Survey
from pipeline.render import Verdict, step
from pipeline.start import start
from pipeline.sweep import sweep
from tests import servers
from tests.builders import MODEL, NOWHERE, World, world
from tests.integration.simulator_process import eventually


@pytest.fixture
def here(database_url: str, valkey_url: str, s3: servers.ObjectStore, running: servers.Simulator) -> Iterator[World]:
    with world(database_url, valkey_url=valkey_url, s3=s3, simulator=running) as built:
        yield built


def under_way(here: World, clips: int, prompt: str = "a lighthouse") -> list[UUID]:
    """Clips that the provider has taken, and by now ended."""
    ids = here.ids(here.job(clips, prompt=prompt))
    for asset_id in ids:
        assert here.until(asset_id, State.RENDERING)
    eventually(lambda: all(sold["status"] == "succeeded" for sold in here.sold()))
    here.line.calls.clear()
    here.carrier.published.clear()
    return ids


def asked(here: World) -> tuple[int, int]:
    """Lists and single predictions that the provider was asked for."""
    stats = here.stats()
    return stats["lists"], stats["gets"]


@pytest.mark.requirement("R53", "R24")
def test_one_list_ends_all_predictions_that_are_under_way(here: World) -> None:
    ids = under_way(here, 3)
    here.step(ids[0])
    assert set(ids[1:]) <= set(here.carrier.published)
    for asset_id in ids:
        here.until(asset_id)
    assert {here.state(asset_id) for asset_id in ids} == {State.DONE}
    assert asked(here) == (1, 0)
    assert len(here.sold()) == 3


@pytest.mark.requirement("R53")
def test_a_list_that_is_a_moment_old_answers_for_whoever_looks_meanwhile(here: World) -> None:
    first, _ = under_way(here, 2)
    here.services.redis.set("dailies:survey:replicate", "1", px=60_000)
    before = here.row(first)
    here.step(first)
    assert (here.row(first)["state"], here.row(first)["polls"]) == (State.RENDERING, before["polls"] + 1)
    assert asked(here) == (0, 0)
    here.services.redis.delete("dailies:survey:replicate")
    assert here.until(first)["state"] == State.DONE


def test_who_is_alone_at_the_provider_asks_for_itself(here: World) -> None:
    [alone] = under_way(here, 1)
    here.until(alone)
    assert asked(here) == (0, 1)


def test_a_provider_that_does_not_list_is_asked_singly(here: World) -> None:
    ids, catalogue = under_way(here, 2), here.services.catalogue
    shy = {name: row.model_copy(update={"lists": False}) for name, row in catalogue.accounts.items()}
    shyly = replace(here, services=replace(here.services, catalogue=replace(catalogue, accounts=shy)))
    for asset_id in ids:
        shyly.until(asset_id)
    assert asked(here) == (0, 2)


@pytest.mark.parametrize(
    "told",
    [lambda *_: Survey(readings={}), lambda *_: Silent(message="HTTP 500")],
    ids=["a list without it", "no list"],
)
def test_what_the_list_does_not_tell_is_asked_singly(here: World, told: Callable[..., object]) -> None:
    first, _ = under_way(here, 2)
    here.line.instead["survey"] = told
    here.until(first)
    assert here.line.calls[:2] == ["survey", "status"]


@pytest.mark.requirement("R10")
def test_a_list_that_is_refused_for_now_pauses_the_account_and_a_long_pause_holds_no_message(here: World) -> None:
    first, second = under_way(here, 2)
    here.line.instead["survey"] = lambda *_: Busy(reason=Reason.BLOCKED, wait_seconds=90.0)
    for asset_id in (first, second):
        assert here.step(asset_id) == Verdict()
        here.services.redis.delete("dailies:survey:replicate")
        assert here.row(asset_id)["state"] == State.RENDERING
    assert asked(here) == (0, 0)


@pytest.mark.requirement("R53")
def test_news_of_a_survey_is_news_once(here: World) -> None:
    ids = under_way(here, 2)
    surveys = here.services.store.surveys
    ended = {
        each: Refused(code="provider_error", message="E1000", retryable=True)
        for each in surveys.in_flight("replicate", limit=10)
    }
    assert sorted(surveys.report("replicate", ended)) == sorted(ids)
    assert surveys.report("replicate", ended) == []
    assert surveys.report("replicate", {}) == []
    assert len(here.query("select * from inbox")) == 2


@pytest.mark.requirement("R53")
def test_a_lost_webhook_is_caught_by_a_look_long_after_the_usual_time_that_holds_no_message(
    database_url: str, valkey_url: str, s3: servers.ObjectStore, running: servers.Simulator
) -> None:
    public: dict[str, Any] = {"public_url": "http://127.0.0.1:9"}
    with world(database_url, valkey_url=valkey_url, s3=s3, simulator=running, **public) as here:
        job_id = here.job(prompt="[[sim: webhook=never]]")
        start(here.services, job_id)
        [asset_id] = here.ids(job_id)
        assert step(here.services, asset_id) == Verdict()
        [wait] = here.query("select extract(epoch from due_at - clock_timestamp()) as seconds from assets")
        net_seconds = 1.5 * here.services.catalogue.model(MODEL).usual_seconds
        assert net_seconds - 10 < wait["seconds"] <= net_seconds
        eventually(lambda: here.sold()[0]["status"] == "succeeded")
        here.query("update assets set due_at = due_at - interval '100 s'")
        here.carrier.published.clear()
        sweep(here.services)
        assert set(here.carrier.published) == {asset_id}
        assert here.until(asset_id)["state"] == State.DONE


def remember(here: World, first: int, last: int, *, ago: str = "0 s", model: str = MODEL) -> None:
    """Let predictions have taken first, first + 1, … last seconds, beside the one that there is."""
    here.query(
        "insert into attempts (id, asset_id, job_id, owner_id, number, provider, account, model, prompt, input, state,"
        " live, estimate_cents, rendered_at, render_seconds)"
        " select gen_random_uuid(), asset_id, job_id, owner_id, random() * 1e9, provider, account, :model, prompt,"
        " input, 'done', false, 1, clock_timestamp() - cast(:ago as interval), seconds"
        " from attempts, generate_series(cast(:first as int), :last) as seconds where number = 1",
        first=first,
        last=last,
        ago=ago,
        model=model,
    )


@pytest.mark.requirement("R24", "R60")
def test_what_a_model_takes_is_learned_from_its_last_two_hundred_predictions(here: World) -> None:
    usual_seconds = here.services.catalogue.model(MODEL).usual_seconds
    assert here.services.policy(MODEL).took_seconds == ()
    assert places.usual_seconds(here.services, MODEL) == usual_seconds
    here.render(here.job())
    [row] = here.query("select render_seconds, answer from attempts")
    assert row["render_seconds"] == pytest.approx(row["answer"]["metrics"]["total_time"])
    here.query("update attempts set render_seconds = 100")
    remember(here, 1, 199)
    remember(here, 1000, 1100, ago="1 h")
    remember(here, 2000, 2100, model="another")
    here.services.store.timings._known.clear()
    assert here.services.policy(MODEL).took_seconds == pytest.approx((10, 50, 100, 150, 190), abs=1)
    assert places.usual_seconds(here.services, MODEL) == pytest.approx(100, abs=1)


@pytest.mark.requirement("R24")
def test_learned_times_are_read_once_in_a_while_and_survive_a_database_that_is_away(here: World) -> None:
    timings = Timings(here.services.store.engine)
    here.render(here.job())
    assert timings.lately(MODEL) == Lately()
    remember(here, 1, 9)
    read_at, nothing = timings._known[MODEL]
    timings._known[MODEL] = (read_at + 60, nothing)  # or the moment may be over
    assert timings.lately(MODEL) == Lately()
    timings._known[MODEL] = (time.monotonic() - 1, Lately())
    learned = timings.lately(MODEL)
    assert len(learned.took_seconds) == 5
    timings._known[MODEL] = (time.monotonic() - 10, replace(learned, reported=False))
    assert not timings.lately(MODEL).reported
    unplugged = Timings(connect(f"postgresql+psycopg2://nobody@{NOWHERE}/nothing"))
    assert unplugged.lately(MODEL) == Lately()
    unplugged._known[MODEL] = (time.monotonic() - 60, learned)
    assert unplugged.lately(MODEL) == learned


@pytest.mark.requirement("R53")
def test_where_webhooks_are_asked_for_and_none_arrives_we_look_again_until_one_does(here: World) -> None:
    public = replace(here.services, settings=replace(here.services.settings, public_url="http://127.0.0.1:9"))

    def reported() -> bool:
        here.services.store.timings._known.clear()
        return public.policy(MODEL).reported

    def told(webhook_id: str) -> None:
        here.services.store.steps.receive(
            take["id"],
            provider="replicate",
            webhook_id=webhook_id,
            prediction_id=take["prediction_id"],
            answer=Finished(outputs=("https://files.example/a.mp4",)),
        )

    here.render(here.job())
    [take] = here.query("select id, prediction_id from attempts")
    assert reported()
    remember(here, 1, 9)
    told("survey:p:finished")
    assert not reported()
    told("msg_1")
    assert reported()
    remember(here, 10, 30)
    assert not reported()


def test_a_provider_that_does_not_tell_how_long_it_took_is_timed_by_us(here: World) -> None:
    asset_id = here.clip()
    here.until(asset_id, State.RENDERING)
    here.query("update attempts set answered_at = answered_at - interval '40 s'")
    eventually(lambda: here.sold()[0]["status"] == "succeeded")
    read = here.services.provider("replicate").status

    def untimed(prediction: Prediction) -> Finished:
        told = read(prediction)
        assert isinstance(told, Finished)
        return replace(told, render_seconds=None)

    here.line.instead["status"] = untimed
    here.until(asset_id)
    [row] = here.query("select render_seconds from attempts")
    assert 40 < row["render_seconds"] < 60
