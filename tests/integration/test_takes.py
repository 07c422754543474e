"""Takes: every one is kept with what it brought, any good one can be chosen, and the film follows."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
import requests

from pipeline import show, steer
from pipeline.domain.asset import State
from pipeline.domain.errors import NotFound, NotInThatState, Unavailable, ValidationFailed
from pipeline.domain.events import EventType
from pipeline.domain.job import JobState
from pipeline.finish import finish, make_film, make_thumbnail
from pipeline.media import Media
from pipeline.start import start
from pipeline.storage import Storage
from tests import servers
from tests.builders import World, world

FLAGGED = "[[sim: fail=moderated]]"
LARGE_SEED = 20_000


@pytest.fixture
def here(database_url: str, valkey_url: str, s3: servers.ObjectStore, painting: servers.Simulator) -> Iterator[World]:
    with world(database_url, valkey_url=valkey_url, s3=s3, simulator=painting) as built:
        yield built


def closed(here: World, job_id: UUID) -> JobState:
    """Make what there is to make, and let the job end as the chord and the media pool do."""
    start(here.services, job_id)
    for row in here.query("select id from assets where job_id = :id order by kind", id=job_id):
        here.until(row["id"])
    assert finish(here.services, job_id)
    make_film(here.services, job_id)
    return here.read(job_id).state


def retaken(here: World, job_id: UUID, index: int = 0, **changes: Any) -> None:
    """Another take of a clip, to its end."""
    steer.retry(here.services, here.owner_id, job_id, index, changes)
    closed(here, job_id)


def of_two_takes(here: World, **changes: Any) -> tuple[UUID, list[dict[str, Any]]]:
    """A job that is over, and the two takes of its only clip."""
    job_id = here.job()
    closed(here, job_id)
    retaken(here, job_id, prompt="a lighthouse at night", **changes)
    return job_id, takes(here, job_id)


def takes(here: World, job_id: UUID, index: int = 0) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = show.clip(here.services, here.owner_id, job_id, index)["takes"]
    return found


def choose(here: World, job_id: UUID, take: dict[str, Any], index: int = 0) -> dict[str, Any]:
    choice = {"attempt_id": take["attempt_id"]}
    return steer.choose(here.services, here.owner_id, job_id, index, choice)


def bare(link: str) -> str:
    return link.split("?", maxsplit=1)[0]


@pytest.mark.requirement("R61")
def test_every_take_is_kept_with_what_was_asked_what_it_cost_and_what_it_brought(here: World) -> None:
    job_id = here.job(prompt="a lighthouse")
    closed(here, job_id)
    retaken(here, job_id, prompt="a lighthouse at night", seed=LARGE_SEED)
    retaken(here, job_id, prompt=f"a wreck {FLAGGED}")
    first, second, third = takes(here, job_id)
    assert ("a lighthouse 0" in first["prompt"], "at night" in second["prompt"]) == (True, True)
    assert second["seed"] == LARGE_SEED
    assert all(take["model"] == "replicate/seedance-1-pro-fast" and take["cost_cents"] > 0 for take in (first, second))
    files = [bare(take["url"]) for take in (first, second)]
    pictures = [bare(take["thumbnail_url"]) for take in (first, second)]
    assert (len(set(files)), len(set(pictures))) == (2, 2)
    assert [take["duration"] for take in (first, second)] == pytest.approx([3, 3], abs=0.1)
    assert (third["url"], third["thumbnail_url"], third["error"]["code"]) == (None, None, "moderated")
    assert [take["chosen"] for take in (first, second, third)] == [False, True, False]


@pytest.mark.requirement("R61")
def test_any_finished_take_can_be_chosen_and_clip_picture_and_film_follow(here: World, tmp_path: Path) -> None:
    job_id, [first, second] = of_two_takes(here, model="replicate/seedance-1-lite")
    before = here.read(job_id)
    document = choose(here, job_id, first)
    [clip] = document["video_clips"]
    assert (first["model"], second["model"]) == (clip["model"], "replicate/seedance-1-lite")
    assert clip["description"] == "a lighthouse 0"
    assert bare(clip["url"]) == bare(first["url"])
    assert bare(clip["thumbnail_url"]) == bare(first["thumbnail_url"])
    assert (document["state"], bare(document["film"]["url"]).endswith(before.film_key or "")) == ("assembling", True)
    assert [take["chosen"] for take in takes(here, job_id)] == [True, False]
    make_film(here.services, job_id)
    after = here.read(job_id)
    assert (after.state, after.finished_at) == (JobState.COMPLETE, before.finished_at)
    assert after.film_key != before.film_key
    [_, _, last] = [event for event in here.events(job_id) if event.type is EventType.JOB_COMPLETE]
    assert last.payload["film_key"] == after.film_key
    make_thumbnail(here.services, UUID(clip["clip_id"]))
    [row] = here.query("select * from clip_thumbnails")
    store, bucket = here.services.storage, here.services.settings.s3_bucket_thumbnails
    store.get_file(bucket, row["key"], tmp_path / "clip.jpg")
    store.get_file(bucket, here.takes(UUID(clip["clip_id"]))[0].thumbnail_key or "", tmp_path / "take.jpg")
    assert (tmp_path / "clip.jpg").read_bytes() == (tmp_path / "take.jpg").read_bytes()
    assert second["chosen"]


def marked(here: World, key: str | None, bucket: str = "s3_bucket_clips") -> bool:
    """Whether the store may drop an object by its operator's rule."""
    client = here.services.storage._client
    tags = client.get_object_tagging(Bucket=getattr(here.services.settings, bucket), Key=key)["TagSet"]
    return {"Key": "dailies", "Value": "superseded"} in tags


@pytest.mark.requirement("R61", "R48")
def test_a_film_that_another_took_the_place_of_is_marked_for_the_store_and_the_one_shown_never_is(here: World) -> None:
    job_id, [first, second] = of_two_takes(here)
    newer = here.read(job_id)
    choose(here, job_id, first)
    make_film(here.services, job_id)
    older = here.read(job_id)
    assert (marked(here, newer.film_key), marked(here, older.film_key)) == (True, False)
    assert marked(here, newer.film_thumbnail_key, "s3_bucket_thumbnails")
    link = show.job(here.services, here.owner_id, job_id)["film"]["url"]
    choose(here, job_id, second)
    make_film(here.services, job_id)
    again = here.read(job_id)
    assert again.film_key != newer.film_key, "a mark that the store keeps would be the end of the film that is shown"
    assert [marked(here, each.film_key) for each in (newer, older, again)] == [True, True, False]
    assert requests.get(link, timeout=10).status_code == 200, "links that were handed out go on to work"


@pytest.mark.requirement("R61", "R55")
def test_a_store_that_takes_no_marks_costs_no_film(here: World, monkeypatch: pytest.MonkeyPatch) -> None:
    job_id, [first, _] = of_two_takes(here)
    before = here.read(job_id).film_key

    def refuse(*_: object) -> None:
        raise Unavailable("storage refused: NotImplemented")

    monkeypatch.setattr(Storage, "supersede", refuse)
    choose(here, job_id, first)
    make_film(here.services, job_id)
    job = here.read(job_id)
    assert (job.state, job.film_key == before) == (JobState.COMPLETE, False)


@pytest.mark.requirement("R61")
def test_watchers_hear_of_a_choice_as_of_a_clip_that_came_home(here: World) -> None:
    job_id, [first, _] = of_two_takes(here)
    _, seq = show.snapshot(here.services, here.owner_id, job_id)
    choose(here, job_id, first)
    told = show.events_since(here.services, here.owner_id, job_id, seq)
    assert [event["type"] for event in told] == ["video_progress", "video_complete", "thumbnail_ready"]
    assert bare(told[1]["payload"]["url"]) == bare(first["url"])
    assert here.query("select seq from events where published_at is null") == []


@pytest.mark.requirement("R61")
def test_the_take_that_is_shown_already_can_be_chosen_again_and_nothing_is_made(here: World) -> None:
    job_id, [_, second] = of_two_takes(here)
    films, before = list(here.carrier.films), here.read(job_id)
    choose(here, job_id, second)
    assert (here.carrier.films, here.read(job_id)) == (films, before)


@pytest.mark.requirement("R61")
def test_what_brought_no_clip_or_belongs_to_another_can_not_be_chosen(here: World) -> None:
    job_id = here.job(2)
    closed(here, job_id)
    retaken(here, job_id, prompt=FLAGGED)
    _, failed = takes(here, job_id)
    [other] = takes(here, job_id, 1)
    with pytest.raises(NotInThatState, match="take 2 brought no clip"):
        choose(here, job_id, failed)
    for stranger in (other, {"attempt_id": str(uuid4())}):
        with pytest.raises(NotFound, match="no such take"):
            choose(here, job_id, stranger)
    nonsenses: list[Any] = [{}, {"attempt_id": "2"}, {"attempt_id": None}, {"take": 1}, []]
    for nonsense in nonsenses:
        with pytest.raises(ValidationFailed):
            steer.choose(here.services, here.owner_id, job_id, 0, nonsense)
    assert here.read(job_id).state is JobState.COMPLETE


@pytest.mark.requirement("R61")
def test_a_clip_that_is_being_rendered_is_not_taken_from_under_its_renderer(here: World) -> None:
    job_id = here.job()
    closed(here, job_id)
    [first] = takes(here, job_id)
    steer.retry(here.services, here.owner_id, job_id, 0, {"prompt": "a storm"})
    with pytest.raises(NotInThatState, match="the clip is being made"):
        choose(here, job_id, first)


@pytest.mark.requirement("R61", "R50")
def test_a_clip_that_is_done_gets_another_take_only_for_a_change(here: World) -> None:
    job_id = here.job()
    closed(here, job_id)
    for same in (None, {}, {"prompt": "a lighthouse 0"}):
        with pytest.raises(NotInThatState, match="change its prompt, seed or model"):
            steer.retry(here.services, here.owner_id, job_id, 0, same)
    retaken(here, job_id, seed=7)
    with pytest.raises(NotInThatState):
        steer.retry(here.services, here.owner_id, job_id, 0, {"seed": 7})
    assert len(here.sold()) == 2


@pytest.mark.requirement("R61", "R37")
def test_a_take_that_failed_leaves_the_clip_the_good_one_that_it_had(here: World) -> None:
    job_id = here.job()
    closed(here, job_id)
    before = here.read(job_id)
    [first] = takes(here, job_id)
    steer.retry(here.services, here.owner_id, job_id, 0, {"prompt": f"a wreck {FLAGGED}"})
    during = show.job(here.services, here.owner_id, job_id)
    assert (during["video_clips"][0]["status"], bool(during["film"])) == ("queued", True)
    assert bare(during["video_clips"][0]["url"]) == bare(first["url"])
    assert closed(here, job_id) is JobState.COMPLETE
    assert here.read(job_id).film_key == before.film_key
    [clip] = show.job(here.services, here.owner_id, job_id)["video_clips"]
    assert (clip["state"], clip["error"], bare(clip["url"])) == (State.DONE, None, bare(first["url"]))
    assert clip["description"] == "a lighthouse 0"
    assert [take["chosen"] for take in takes(here, job_id)] == [True, False]


@pytest.mark.requirement("R61", "R56")
def test_a_take_that_was_cancelled_leaves_it_too(here: World) -> None:
    job_id = here.job(2)
    closed(here, job_id)
    steer.retry(here.services, here.owner_id, job_id, 1, {"prompt": "a storm"})
    steer.cancel(here.services, here.owner_id, job_id)
    assert closed(here, job_id) is JobState.COMPLETE


class Interrupted(Media):
    """Something happens while a film is being made."""

    def __init__(self, media: Media, happens: Any) -> None:
        super().__init__(media._ffmpeg)
        self.happens, self.made = happens, 0

    def film(self, *given: Any, **named: Any) -> Any:
        self.made += 1
        happens, self.happens = self.happens, lambda: None
        happens()
        return super().film(*given, **named)


@pytest.mark.requirement("R61", "R48")
def test_choices_that_come_while_a_film_is_made_are_all_in_the_next_one_and_make_no_others(here: World) -> None:
    job_id, [first, second] = of_two_takes(here)
    carried = len(here.carrier.films)

    def meanwhile() -> None:
        for take in (second, first, second):
            choose(here, job_id, take)
        # What the three asked for finds somebody at work, and leaves it to him.
        for _ in range(3):
            make_film(services, job_id)

    choose(here, job_id, first)
    services = replace(here.services, media=Interrupted(here.services.media, meanwhile))
    make_film(services, job_id)
    assert here.read(job_id).state is JobState.ASSEMBLING
    assert len(here.carrier.films) == carried + 5
    make_film(services, job_id)
    make_film(services, job_id)
    assert isinstance(services.media, Interrupted)
    assert services.media.made == 2
    job = here.read(job_id)
    assert (job.state, [take["chosen"] for take in takes(here, job_id)]) == (JobState.COMPLETE, [False, True])
    assert not marked(here, job.film_key)
    closings = [event for event in here.events(job_id) if event.type is EventType.JOB_COMPLETE]
    assert [event.payload["film_key"] for event in closings][-1] == job.film_key
    assert len(closings) == 3


@pytest.mark.requirement("R61")
def test_of_many_who_choose_at_once_one_is_last_and_the_film_is_his(here: World) -> None:
    job_id, both = of_two_takes(here)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: choose(here, job_id, both[n % 2]), range(9)))
    make_film(here.services, job_id)
    assert here.read(job_id).state is JobState.COMPLETE
    [chosen] = [take for take in takes(here, job_id) if take["chosen"]]
    [clip] = show.job(here.services, here.owner_id, job_id)["video_clips"]
    assert bare(clip["url"]) == bare(chosen["url"])


@pytest.mark.requirement("R61", "R36")
def test_a_take_that_is_chosen_for_a_clip_that_failed_saves_its_job(here: World) -> None:
    job_id, [first, _] = of_two_takes(here)
    here.query("update assets set state = 'failed', file_key = null, progress = 0")
    here.query("update jobs set state = 'failed', film_key = null")
    choose(here, job_id, first)
    make_film(here.services, job_id)
    job = here.read(job_id)
    assert (job.state, bool(job.film_key)) == (JobState.COMPLETE, True)


@pytest.mark.requirement("R48", "R46")
def test_the_words_of_a_scene_are_heard_in_the_film_which_waits_for_them_to_end(here: World, tmp_path: Path) -> None:
    long = "It was night, and nobody saw the ship that came in under the cliffs with her lamps out. " * 2
    scenes = [{"description": "a cliff", "duration": 2, "narration": long}, {"description": "dawn", "duration": 2}]
    job_id = here.order(scenes, speech_model="replicate/speech-2.8-hd")
    assert closed(here, job_id) is JobState.COMPLETE
    [said] = here.query("select duration_seconds from assets where kind = 'audio'")
    job = here.read(job_id)
    assert job.film_duration_seconds == pytest.approx(max(said["duration_seconds"] + 0.25, 2) + 2, abs=0.5)
    here.services.storage.get_file(here.services.settings.s3_bucket_clips, job.film_key or "", tmp_path / "film.mp4")
    assert here.services.media.check_sound(tmp_path / "film.mp4").duration_seconds == pytest.approx(
        job.film_duration_seconds, abs=0.2
    )


@pytest.mark.requirement("R36", "R61", "R66")
def test_after_a_choice_a_take_is_bought_for_a_change_of_what_is_shown_and_for_nothing_else(here: World) -> None:
    job_id, [first, _] = of_two_takes(here)
    choose(here, job_id, first)
    make_film(here.services, job_id)
    with pytest.raises(NotInThatState, match="done as asked"):
        steer.retry(here.services, here.owner_id, job_id, 0)
    retaken(here, job_id, prompt="a lighthouse at night")
    assert [take["chosen"] for take in takes(here, job_id)] == [False, False, True]


@pytest.mark.requirement("R36", "R61")
def test_a_change_that_failed_can_be_asked_for_again(here: World) -> None:
    job_id = here.job()
    closed(here, job_id)
    for _ in range(2):
        retaken(here, job_id, prompt=f"a wreck {FLAGGED}")
    assert len(takes(here, job_id)) == 3
