"""Messages and those who take them: each provider has its queue, and any queue can have a worker of its own."""

import base64
import json
import os
import runpy
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import pytest
from celery import Celery

from cli.stack.processes import Process, Program, Watchdog
from pipeline.domain.asset import State
from pipeline.domain.member import Member
from pipeline.settings import Settings
from tests import servers
from tests.builders import World, world
from tests.processes import ROOT, eventually
from worker.dispatch import CeleryCarrier

CLIPS = 5
QUIET = ("--without-mingle", "--without-gossip", "--loglevel", "WARNING")


@pytest.fixture(scope="module")
def simulator() -> Iterator[servers.Simulator]:
    with servers.simulator(SIMULATOR_RENDER_SECONDS="1.5", SIMULATOR_FRAME_HEIGHT="90") as running:
        yield running


@pytest.fixture
def here(
    database_url: str, valkey_url: str, s3: servers.ObjectStore, simulator: servers.Simulator, tmp_path: Path
) -> Iterator[World]:
    """A world whose catalogue looks at predictions at once."""
    shipped = (ROOT / "pipeline" / "catalogue" / "replicate.toml").read_text()
    hasty = shipped.replace("first_seconds = 5,", "first_seconds = 0.5,").replace(
        "usual_seconds = 60", "usual_seconds = 1"
    )
    (tmp_path / "replicate.toml").write_text(hasty)
    more = {"catalogue_dir": str(tmp_path)}
    with world(database_url, valkey_url=valkey_url, s3=s3, simulator=simulator, **more) as built:
        yield built


@pytest.fixture
def app(here: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[Celery]:
    """Celery as the workers have it."""
    for name, value in environment(here.services.settings).items():
        monkeypatch.setenv(name, value)
    config = runpy.run_path(str(ROOT / "celeryconfig.py"))
    with Celery("dailies", set_as_current=False) as built:
        built.config_from_object(SimpleNamespace(**config))
        yield built


def environment(settings: Settings) -> dict[str, str]:
    """The variables that make these settings."""
    told = {each.name.upper(): getattr(settings, each.name) for each in fields(settings)}
    ours = {name: str(value) for name, value in told.items() if value and not isinstance(value, Mapping)}
    return {**settings.environment, **ours}


def messages(here: World, queue: str) -> list[dict[str, Any]]:
    """What waits in a queue, newest first: task, arguments, and when it may be taken."""
    found = [json.loads(each) for each in here.services.redis.lrange(queue, 0, -1)]
    return [
        {
            "task": each["headers"]["task"],
            "argument": json.loads(base64.b64decode(each["body"]))[0][0],
            "eta": each["headers"]["eta"],
        }
        for each in found
    ]


@pytest.mark.requirement("R03")
@pytest.mark.parametrize(("provider", "queue"), [("replicate", "render.replicate"), ("bygone", "control")])
def test_a_member_goes_to_its_providers_queue_and_to_control_when_the_provider_is_gone(
    here: World, app: Celery, provider: str, queue: str
) -> None:
    member = Member(asset_id=uuid4(), job_id=uuid4(), round=1, group_index=0, provider=provider)
    CeleryCarrier(app).members([member])
    [told] = messages(here, queue)
    assert (told["task"], told["argument"], told["eta"]) == ("render_asset", str(member.asset_id), None)


@pytest.mark.requirement("R03")
def test_chores_go_to_control_and_pictures_to_the_media_pool(here: World, app: Celery) -> None:
    carrier, job_id, clip_id = CeleryCarrier(app), uuid4(), uuid4()
    carrier.start(job_id)
    carrier.finish(job_id)
    carrier.film(job_id)
    carrier.thumbnail(clip_id)
    assert {each["task"] for each in messages(here, "control")} == {"start_job", "finish_job"}
    assert {each["task"] for each in messages(here, "media")} == {"make_film", "make_thumbnail"}


@pytest.mark.requirement("R05", "R25")
def test_what_has_to_wait_waits_in_the_broker_and_never_longer_than_its_patience(here: World, app: Celery) -> None:
    before = datetime.now(UTC)
    CeleryCarrier(app).start(uuid4(), delay=timedelta(seconds=2))
    CeleryCarrier(app).turn("replicate", 30.0)
    CeleryCarrier(app).turn("replicate", 3600.0)
    after = datetime.now(UTC)
    due = [datetime.fromisoformat(each["eta"]) for each in reversed(messages(here, "control"))]
    for at, seconds in zip(due, (2, 30, 60), strict=True):
        assert before <= at - timedelta(seconds=seconds) <= after


@pytest.mark.requirement("R03")
def test_a_worker_for_a_queue_that_does_not_exist_is_refused(app: Celery) -> None:
    with pytest.raises(KeyError, match=r"render\.typo"):
        app.amqp.queues.select(["render.typo"])


@pytest.fixture
def employ(here: World, tmp_path: Path) -> Iterator[Callable[..., Process]]:
    """Starts workers of one thread for the queues that are told."""
    watchdog = Watchdog()
    known = {**os.environ, **environment(here.services.settings), "PYTHONPATH": str(ROOT)}
    command = (sys.executable, "-m", "celery", "--app", "worker.app", "worker", "--pool", "threads", *QUIET)
    started: list[Process] = []

    def start(name: str, *chosen: str) -> Process:
        words = (*command, "--concurrency", "1", "--hostname", f"{name}@test", *chosen)
        started.append(Process(Program(name=name, command=words, environment=known, folder=ROOT), watchdog, tmp_path))
        started[-1].start()
        return started[-1]

    yield start
    for process in started:
        process.kill()
    watchdog.close()


@pytest.fixture
def workers(employ: Callable[..., Process]) -> dict[str, Process]:
    """One worker for a provider, one for the rest, none that fetches files or makes media."""
    queues = {"own": ("-Q", "render.replicate"), "rest": ("-X", "media,fetch,render.replicate")}
    return {name: employ(name, *chosen) for name, chosen in queues.items()}


def finished_over_there(here: World, scenes: int) -> list[UUID]:
    """The clips of a job that are all made, and of which no file is here yet."""
    asset_ids = here.ids(here.job(scenes))
    for asset_id in asset_ids:
        here.until(asset_id, State.FETCHING)
    return asset_ids


@pytest.mark.requirement("R63")
def test_of_many_files_those_come_home_first_whose_links_expire_soonest(
    here: World, app: Celery, employ: Callable[..., Process]
) -> None:
    asset_ids, minutes = finished_over_there(here, CLIPS + 1), [10_000, 300, 10, 1_000, 50, 1]
    for asset_id, life in zip(asset_ids, minutes, strict=True):
        late = "update assets set link_expires_at = clock_timestamp() + make_interval(mins => :life) where id = :id"
        here.query(late, life=life, id=asset_id)
    for asset_id in asset_ids:
        CeleryCarrier(app).members(here.services.store.steps.wake([asset_id]))
    employ("fetch", "-Q", "fetch")
    eventually(lambda: {here.state(asset_id) for asset_id in asset_ids} == {State.DONE}, patience_seconds=60)
    came = {asset_id: here.row(asset_id)["finished_at"] for asset_id in asset_ids}
    lives = dict(zip(asset_ids, minutes, strict=True))
    assert [lives[each] for each in sorted(asset_ids, key=lambda each: came[each])] == sorted(minutes)


@pytest.mark.requirement("R03", "R63")
def test_a_late_copy_in_the_providers_queue_brings_no_file_home(
    here: World, app: Celery, employ: Callable[..., Process]
) -> None:
    [asset_id] = finished_over_there(here, 1)
    [member] = here.services.store.steps.wake([asset_id])
    CeleryCarrier(app).members([replace(member, fetching=False)])
    own = employ("own", "-Q", "render.replicate")
    eventually(lambda: not messages(here, "render.replicate"), patience_seconds=60)
    own.stop()
    assert not messages(here, "render.replicate"), "it was taken to its end"
    assert here.state(asset_id) == State.FETCHING
    CeleryCarrier(app).members([member])
    employ("fetch", "-Q", "fetch")
    eventually(lambda: here.state(asset_id) == State.DONE, patience_seconds=60)


@pytest.mark.requirement("R03", "R05", "R30")
def test_one_thread_of_a_providers_own_worker_renders_all_clips_at_once_and_nobody_else_does(
    here: World, app: Celery, workers: dict[str, Process]
) -> None:
    here = replace(here, services=replace(here.services, carrier=CeleryCarrier(app)))
    job_id = here.job(CLIPS, prompt="[[sim: seconds=5]]")
    eventually(lambda: {clip.state for clip in here.clips(job_id)} <= {State.FETCHING, State.DONE}, patience_seconds=60)

    assert here.stats()["max_in_flight_seen"] == CLIPS, "a step that waits would have held the only thread"
    found = app.control.inspect(timeout=10, limit=len(workers)).stats() or {}
    taken = {name.partition("@")[0]: set(found[name]["total"]) for name in found}
    assert set(taken) == set(workers)
    assert taken["own"] == {"render_asset"}
    assert "start_job" in taken["rest"]
    assert "render_asset" not in taken["rest"]
    # What has a link of an hour stands in a list of its own, a moment after its row says so.
    everyone = {str(asset_id) for asset_id in here.ids(job_id)}
    eventually(lambda: {each["argument"] for each in messages(here, "fetch\x06\x162")} == everyone)
