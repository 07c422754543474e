"""The job of seventeen that its users know: resumed after seven clips, on an account that takes one job at a time.

Everything runs as in production - two workers, the clock of Celery - but forty times as fast: every time of Hypereal's
row, and its rendering, is divided by the same factor, and the rate that is counted is compared with the scaled figure.
Without any delay of ours it would be one order and twelve looks in 96 s, 0.135 a second; what our own machinery takes
does not shrink, and can only make requests rarer.
"""

import os
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import fields, replace
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
import requests
from celery import Celery

from cli.stack.processes import Process, Program, Watchdog
from pipeline import steer
from pipeline.domain.asset import State
from pipeline.finish import finish, make_film
from pipeline.settings import Settings
from pipeline.start import start
from simulator.limits import account_of
from tests import servers
from tests.builders import World, world
from tests.integration.simulator_process import eventually
from tests.processes import ROOT
from worker.dispatch import CeleryCarrier

FASTER = 40
RENDER_SECONDS = 90
PAUSE_SECONDS = 15
MOST_REQUESTS_A_SECOND = 0.15
SCENES, KEPT = 17, 7
QUIET = ("--without-mingle", "--without-gossip", "--loglevel", "WARNING")


@pytest.fixture(scope="module")
def simulator() -> Iterator[servers.Simulator]:
    with servers.simulator(
        SIMULATOR_RENDER_SECONDS=str(RENDER_SECONDS / FASTER), SIMULATOR_FRAME_HEIGHT="90", SIMULATOR_RENDER="shared"
    ) as running:
        yield running


@pytest.fixture
def here(
    database_url: str, valkey_url: str, s3: servers.ObjectStore, simulator: servers.Simulator, tmp_path: Path
) -> Iterator[World]:
    for file in (ROOT / "pipeline" / "catalogue").glob("*.toml"):
        words = file.read_text()
        (tmp_path / file.name).write_text(hastened(words) if file.stem == "hypereal" else words)
    own: dict[str, Any] = {
        name.lower(): value for name, value in simulator.environment.items() if name.startswith("HYPEREAL_")
    }
    own |= {"catalogue_dir": str(tmp_path), "sweep_seconds": 1.0}
    with world(database_url, valkey_url=valkey_url, s3=s3, simulator=simulator, **own) as built:
        # The provider itself would take five: that there is never more than one is our doing.
        account = account_of(simulator.environment["HYPEREAL_API_KEY"], "hypereal")
        control(simulator, "limits", account=account, max_in_flight=5)
        yield built


def hastened(words: str) -> str:
    """A catalogue file whose times are all shorter by the same factor."""

    def shorter(found: re.Match[str]) -> str:
        return f"{found[1]}{float(found[2]) / FASTER:g}"

    return re.sub(r"(\b\w*seconds = )(\d+(?:\.\d+)?)", shorter, words)


def control(simulator: servers.Simulator, path: str, **body: Any) -> Any:
    answer = requests.post(f"{simulator.url}/_sim/{path}", json=body, timeout=10)
    answer.raise_for_status()
    return answer.json()


def refusals(simulator: servers.Simulator) -> list[datetime]:
    """When the provider said 429."""
    told = requests.get(f"{simulator.url}/_sim/refusals", timeout=10).json()
    return [datetime.fromisoformat(each["at"]) for each in told]


def environment(settings: Settings) -> dict[str, str]:
    """The variables that make these settings."""
    told = {each.name.upper(): getattr(settings, each.name) for each in fields(settings)}
    ours = {name: str(value) for name, value in told.items() if value and not isinstance(value, Mapping)}
    return {**settings.environment, **ours}


@pytest.fixture
def app(here: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[Celery]:
    """Celery as the workers have it."""
    import runpy

    for name, value in environment(here.services.settings).items():
        monkeypatch.setenv(name, value)
    config = runpy.run_path(str(ROOT / "celeryconfig.py"))
    with Celery("dailies", set_as_current=False) as built:
        built.config_from_object(SimpleNamespace(**config))
        yield built


@pytest.fixture
def workers(here: World, tmp_path: Path) -> Iterator[None]:
    """Two workers for everything but films, and the clock that sweeps."""
    watchdog = Watchdog()
    known = {**os.environ, **environment(here.services.settings), "PYTHONPATH": str(ROOT)}
    celery = [sys.executable, "-m", "celery", "--app", "worker.app"]
    worker = [*celery, "worker", "--pool", "threads", "--concurrency", "4", "-X", "media", *QUIET]
    wanted = {name: [*worker, "--hostname", f"{name}@test"] for name in ("one", "two")}
    wanted["beat"] = [*celery, "beat", "--schedule", str(tmp_path / "beat"), "--loglevel", "WARNING"]
    started = []
    for name, words in wanted.items():
        program = Program(name=name, command=tuple(words), environment=known, folder=ROOT)
        started.append(Process(program, watchdog, tmp_path))
        started[-1].start()
    yield
    for process in started:
        process.kill()
    watchdog.close()


def broken_off(here: World) -> UUID:
    """A job of seventeen scenes that ended with seven clips."""
    scenes = [{"description": f"a lighthouse {n}", "duration": 3} for n in range(SCENES)]
    job_id = here.order(scenes, model="hypereal/kling-3-std", min_clips=SCENES)
    start(here.services, job_id)
    for n, asset_id in enumerate(here.ids(job_id)):
        here.end(asset_id, State.DONE if n < KEPT else State.FAILED)
    finish(here.services, job_id)
    make_film(here.services, job_id)
    pool = here.services.pool("hypereal")
    here.services.limiter.turn(pool, leave=here.ids(job_id))
    return job_id


@pytest.mark.requirement("R10", "R11", "R12", "R13")
@pytest.mark.timeout(180)
@pytest.mark.usefixtures("workers")
def test_the_other_ten_of_seventeen_are_made_one_by_one_with_a_request_every_eight_seconds(
    here: World, app: Celery, simulator: servers.Simulator
) -> None:
    job_id = broken_off(here)
    before = {clip.id for clip in here.clips(job_id) if clip.state is State.DONE}
    here = replace(here, services=replace(here.services, carrier=CeleryCarrier(app)))
    steer.resume(here.services, here.owner_id, job_id)
    hostile(simulator, "create=429", until=3)
    eventually(lambda: len(here.sold()) == 4, patience_seconds=90)
    hostile(simulator, "poll=429", until=6)
    eventually(lambda: {clip.state for clip in here.clips(job_id)} == {State.DONE}, patience_seconds=120)

    sold, stats, told = here.sold(), here.stats(), refusals(simulator)
    paid = {clip.id: [take for take in here.takes(clip.id) if take.prediction_id] for clip in here.clips(job_id)}
    assert len(sold) == len({line["id"] for line in sold}) == SCENES - len(before) == 10
    assert {asset_id: len(takes) for asset_id, takes in paid.items()} == {each: each not in before for each in paid}
    assert (stats["max_in_flight_seen"], stats["refused_in_flight"]) == (1, 0)

    took = datetime.fromisoformat(sold[-1]["completed_at"]) - told[0]
    asked = sum(stats[each] for each in ("creates", "gets", "lists", "cancels", "other"))
    gaps = [after - since for since, after in pairwise(told)]
    assert asked / took.total_seconds() <= MOST_REQUESTS_A_SECOND * FASTER
    assert min(gaps) >= timedelta(seconds=PAUSE_SECONDS / FASTER), "one 429 costs one request"


def hostile(simulator: servers.Simulator, fault: str, *, until: int) -> None:
    """Let the provider refuse everything of a kind, until it has said 429 so often."""
    control(simulator, "faults", fault=fault)
    eventually(lambda: len(refusals(simulator)) >= until, patience_seconds=60)
    requests.delete(f"{simulator.url}/_sim/faults", timeout=10).raise_for_status()
