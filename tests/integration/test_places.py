"""Whoever waits in line is told their place and their time, live, in documents and events."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID

import pytest

from pipeline import places, show
from pipeline.domain.answers import Granted
from pipeline.progress import Progress, Told
from pipeline.start import start
from pipeline.sweep import sweep
from tests.builders import MODEL, World, owner, world

USUAL_SECONDS = 30.0  # of the model that worlds order, by the catalogue


@dataclass
class Ears:
    """Hears what watchers are told."""

    told: list[Told] = field(default_factory=list)

    def tell(self, news: Sequence[Told]) -> bool:
        self.told += news
        return True

    def of(self, type_: str) -> list[Told]:
        return [each for each in self.told if each.type == type_]


@pytest.fixture
def ears() -> Ears:
    return Ears()


@pytest.fixture
def here(database_url: str, valkey_url: str, ears: Ears) -> Iterator[World]:
    with world(database_url, valkey_url=valkey_url, replicate_max_in_flight=2) as built:
        yield replace(built, services=replace(built.services, progress=cast("Progress", ears)))


def lined_up(here: World, scenes: int = 5) -> UUID:
    """A job that has begun; those whose turn it was hold their slots."""
    job_id = here.job(scenes)
    start(here.services, job_id)
    pool = here.services.pool("replicate")
    [waiters] = here.services.store.lines.park(job_id, 1).values()
    called = [each for each in waiters if each.asset_id not in here.in_line()]
    for each in called:
        told = here.services.limiter.acquire(pool, each, holder=f"{each.asset_id}:1")
        assert isinstance(told.answer, Granted)
        here.query("update assets set state = 'rendering', waiting = null where id = :id", id=each.asset_id)
    return job_id


def waiting(here: World, job_id: UUID) -> list[dict[str, Any] | None]:
    """Why each clip of a job waits, read just now."""
    here.services.lines_read.clear()
    return [clip["waiting"] for clip in show.job(here.services, here.owner_id, job_id)["video_clips"]]


def hush(here: World) -> None:
    """Let the two seconds pass for which watchers are not told again."""
    here.services.redis.delete("dailies:told:replicate")


@pytest.mark.requirement("R60")
def test_a_document_tells_place_and_time_as_they_are_now(here: World) -> None:
    job_id = lined_up(here)
    first, second, *rest = waiting(here, job_id)
    assert (first, second) == (None, None)
    assert [each and (each["reason"], each["place"], each["account"]) for each in rest] == [
        ("slot", 1, "replicate"),
        ("slot", 2, "replicate"),
        ("slot", 3, "replicate"),
    ]
    assert [each and round(each["about_seconds"] / USUAL_SECONDS) for each in rest] == [1, 1, 2]
    here.services.limiter.turn(here.services.pool("replicate"), leave=[here.ids(job_id)[2]])
    assert [each and each["place"] for each in waiting(here, job_id)[3:]] == [1, 2]


@pytest.mark.requirement("R10", "R60")
def test_a_pause_is_the_reason_of_whom_it_holds_and_only_of_them(here: World) -> None:
    job_id = lined_up(here)
    here.services.limiter.block("replicate", "replicate", 75)
    told = waiting(here, job_id)[2:]
    assert [each and each["reason"] for each in told] == ["blocked", "blocked", "slot"]
    assert [each and 5 * round(each["about_seconds"] / 5) for each in told] == [75, 75, 105]


@pytest.mark.requirement("R60")
def test_who_was_called_up_waits_for_nothing_any_more(here: World) -> None:
    job_id = here.job(1)
    start(here.services, job_id)
    [only] = waiting(here, job_id)
    assert only
    assert (only["place"], only["about_seconds"]) == (None, 0.0)


@pytest.mark.requirement("R60")
def test_without_redis_it_is_redis_that_everybody_in_line_waits_for(database_url: str) -> None:
    with world(database_url) as here:
        job_id = here.job(2)
        start(here.services, job_id)
        told = waiting(here, job_id)
    assert [each and (each["reason"], each["place"]) for each in told] == [("redis_down", None)] * 2


@pytest.mark.requirement("R60")
def test_the_times_are_those_that_the_model_took_lately(here: World) -> None:
    job_id = lined_up(here, 3)
    assert places.usual_seconds(here.services, MODEL) == USUAL_SECONDS
    attempt = (
        "insert into attempts (id, asset_id, job_id, owner_id, number, provider, account, model, prompt, input,"
        " state, live, estimate_cents, render_seconds, rendered_at) select gen_random_uuid(), id, job_id, owner_id,"
        " :number, provider, account, model, '', '{}', 'done', false, 0, 700.0, now() from assets where index = 0"
    )
    for number in range(9):
        here.query(attempt, number=number)
    here.services.store.timings._known.clear()
    last = waiting(here, job_id)[2]
    assert last
    assert 690 < last["about_seconds"] <= 700


@pytest.mark.requirement("R60")
def test_watchers_are_told_when_the_line_moves_each_of_their_own_job(here: World, ears: Ears) -> None:
    mine = lined_up(here, 4)
    stranger = owner(here.services.store, "stranger")
    theirs = lined_up(replace(here, owner_id=stranger), 1)
    ears.told.clear()
    hush(here)
    sweep(here.services)
    told = {each.job_id: each for each in ears.of("line_moved")}
    assert set(told) == {str(mine), str(theirs)}
    assert told[str(theirs)].owner_id == str(stranger)
    [only] = told[str(theirs)].payload["waiting"]
    assert {name: only[name] for name in ("clip_id", "index", "reason", "account")} == {
        "clip_id": str(here.ids(theirs)[0]),
        "index": 0,
        "reason": "slot",
        "account": "replicate",
    }
    assert [each["index"] for each in told[str(mine)].payload["waiting"]] == [2, 3]
    assert {each["place"] for line in told.values() for each in line.payload["waiting"]} == {1, 2, 3}


def test_watchers_are_not_told_twice_within_two_seconds(here: World, ears: Ears) -> None:
    lined_up(here)
    assert len(ears.of("line_moved")) == 1, "told when the job began"
    assert here.services.redis.pexpire("dailies:told:replicate", 60_000), "the two seconds last"
    for _ in range(3):
        places.tell_places(here.services, "replicate")
    assert len(ears.of("line_moved")) == 1
    hush(here)
    places.tell_places(here.services, "replicate")
    assert len(ears.of("line_moved")) == 2


def test_of_a_long_job_the_nearest_fifty_are_told(here: World, ears: Ears) -> None:
    lined_up(here, 70)
    [told] = ears.of("line_moved")
    assert [each["place"] for each in told.payload["waiting"]] == list(range(1, places.MOST_TOLD + 1))


@pytest.mark.requirement("R32", "R60")
def test_a_clip_that_enters_the_wait_says_its_place_and_time(here: World, ears: Ears) -> None:
    job_id = lined_up(here)
    here.services.limiter.block("replicate", "replicate", 75)
    here.services.lines_read.clear()
    here.step(here.ids(job_id)[2])
    [told] = ears.of("clip_waiting")
    shown = told.payload["waiting"]
    assert (shown["reason"], shown["place"], shown["account"]) == ("blocked", 1, "replicate")
    assert 70 < shown["about_seconds"] <= 75


@pytest.mark.parametrize(("took", "good_for"), [(0.001, 0.5), (0.125, 2.5), (20.0, 5.0)])
def test_a_line_that_took_long_to_read_is_read_less_often(
    here: World, monkeypatch: pytest.MonkeyPatch, took: float, good_for: float
) -> None:
    clock = iter([1000.0, 1000.0 + took, 1000.0 + took + good_for - 0.01])
    monkeypatch.setattr(places, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    known = places.line(here.services, "replicate")
    assert known.good_until == 1000.0 + took + good_for
    assert places.line(here.services, "replicate") is known
