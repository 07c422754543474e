"""Ours: the whole stack of docker-compose.yml against the simulator, ordered from as a customer does."""

import re
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import requests
from sqlalchemy import Engine, create_engine, text

from bench import catalogue
from bench.arena import Before, Case, Provider, gathered
from bench.measures import Run
from cli.client import Client
from cli.stack import compose
from cli.stack.stack import Stack
from pipeline.domain.spec import MAX_SCENES

# Nobody watches tasks here, and a monitor that reads every task's events has a price of its own. Simulator and render
# worker are started by the bench, in its own way.
WORKER, APP, WORKER_NICENESS = "worker-io", "worker.app", 5
SERVICES = frozenset(compose.read()) - {"flower", "simulator", WORKER}
MODEL = "replicate/seedance-1-pro"
# Nothing that is measured is ordered from this one.
OTHER_MODEL = "replicate/seedance-1-pro-fast"
# A model that takes long by itself, so that nobody looks at its predictions early.
SLOW_MODEL = "replicate/cogvideox-5b"
ASPECT_RATIO = {SLOW_MODEL: "3:2"}
# An empty variable would count as unset, and be filled in.
NO_ADDRESS = " "
LOOK_EVERY_SECONDS = 0.2
# Enough for every process to have done everything once, and to know how long the model takes.
WARM_UP_CLIPS = 8
_OVER = frozenset({"complete", "partial", "failed", "cancelled"})
_REFUSED = re.compile(r'^dailies_steps_total\{answer="Busy",state="(?:waiting|submitting)"\} (\S+)$', re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class Ours:
    """A running stack, and the ways in that a bench needs."""

    stack: Stack
    client: Client
    provider: Provider
    database: Engine
    metrics_port: int
    webhooks: bool = True

    @property
    def name(self) -> str:
        """As a contender."""
        return "ours-webhooks" if self.webhooks else "ours-polling"

    def run(self, case: Case, *, watch: Callable[[Sequence[str]], object] = len) -> Run:
        """Order the clips, and wait until all are known to be rendered; ``watch`` sees the jobs first."""
        before, refusals = Before.of(self.provider), self.refusals()
        jobs = self.order(case.clips)
        watch(jobs)
        self.wait_for_rendered(jobs, case.clips, case.patience_seconds)
        known, told = self.rendered(jobs), self.refusals() - refusals
        return gathered(self.provider, case, known, before=before, refusals=told)

    def order(
        self, clips: int, *, words: Callable[[int], str] = lambda _number: "", key: str = "", model: str = MODEL
    ) -> list[str]:
        """Order so many clips, in as many jobs as it takes; ``words`` says more about each of them. The jobs' ids."""
        client = Client(self.client.base_url, key) if key else self.client
        parts = [range(at, min(at + MAX_SCENES, clips)) for at in range(0, clips, MAX_SCENES)]
        return [str(client.submit(body(part, words=words, model=model))["id"]) for part in parts]

    def warm_up(self, *, learns: bool) -> None:
        """Let every process do everything once, with quick clips of another model where nothing is to learn."""
        quick = "[[sim: seconds=1]]"
        jobs = (
            self.order(WARM_UP_CLIPS) if learns else self.order(WARM_UP_CLIPS, words=lambda _: quick, model=OTHER_MODEL)
        )
        stored = "select 1 from assets where job_id = any(:jobs) and state = 'done'"
        if not self.wait(lambda: len(self.ask(stored, jobs=jobs)) == WARM_UP_CLIPS, 60):
            raise SystemExit("the stack did not come to work")

    def wait_for_rendered(self, jobs: Sequence[str], clips: int, seconds: float) -> None:
        """Wait until so many clips of the jobs are known to be rendered, or the time is over."""
        self.wait(lambda: len(self.rendered(jobs)) >= clips, seconds)

    def wait(self, come_true: Callable[[], bool], seconds: float) -> bool:
        """Wait until something is true; whether it is."""
        give_up_at = time.monotonic() + seconds
        while not (true := come_true()) and time.monotonic() < give_up_at:
            time.sleep(LOOK_EVERY_SECONDS)
        return true

    def rendered(self, jobs: Sequence[str]) -> dict[str, datetime]:
        """When we knew of each prediction of the jobs that it was rendered."""
        query = "select prediction_id, rendered_at from attempts where job_id = any(:jobs) and rendered_at is not null"
        return {str(row.prediction_id): row.rendered_at for row in self.ask(query, jobs=jobs)}

    def ask(self, query: str, *, jobs: Sequence[str] = (), **more: Any) -> Sequence[Any]:
        """The rows of a question to the database."""
        given = {"jobs": [*jobs], **more} if jobs else more
        with self.database.connect() as connection:
            return connection.execute(text(query.replace(":jobs", "cast(:jobs as uuid[])")), given).all()

    def finished(self, jobs: Sequence[str], seconds: float = 120) -> None:
        """Wait until jobs are over, films included. Raises SystemExit when one is not complete then."""
        self.wait(lambda: all(self.client.job(job)["state"] in _OVER for job in jobs), seconds)
        states = {self.client.job(job)["state"] for job in jobs}
        if states != {"complete"}:
            raise SystemExit(f"a bench job ended as {', '.join(sorted(states))}")

    def start_worker(self, name: str = WORKER, *, port: int = 0, app: str = APP) -> None:
        """Start the render worker, or one more of them with its own port for metrics."""
        environment = {"WORKER_METRICS_PORT": str(port or self.metrics_port)}
        # Who submits a prediction says whether it is to be reported.
        environment |= {} if self.webhooks else {"PUBLIC_URL": NO_ADDRESS}
        words = {APP: app, "io@%h": f"{name}@%h"}
        command = [words.get(word, word) for word in self.stack.command(WORKER)]
        given = [f"{variable}={value}" for variable, value in environment.items()]
        self.stack.add(name, ["env", *given, *command], niceness=WORKER_NICENESS)

    def without_webhooks(self) -> "Ours":
        """The same stack, with a render worker that asks for no webhooks."""
        self.stack.stop(WORKER)
        polling = replace(self, webhooks=False)
        polling.start_worker()
        polling.warm_up(learns=False)
        return polling

    def refusals(self) -> int:
        """How often a clip was told to wait, by the limiter or by the provider."""
        page = requests.get(f"http://127.0.0.1:{self.metrics_port}/metrics", timeout=5).text
        return sum(int(float(each)) for each in _REFUSED.findall(page))


def body(
    numbers: Sequence[int], *, words: Callable[[int], str] = lambda _number: "", model: str = MODEL
) -> dict[str, Any]:
    """A job of short shots that are known by their numbers."""
    shots = [{"description": f"shot {number} {words(number)}".strip(), "duration": 2} for number in numbers]
    return {"title": "bench", "model": model, "aspect_ratio": ASPECT_RATIO.get(model, "16:9"), "scenes": shots}


@contextmanager
def ours(
    case: Case, *, webhooks: bool = True, knows_model: bool | None = None, app: str = APP, **more: str
) -> Iterator[Ours]:
    """Our stack with the account's limit set to what the provider takes, warmed up by a first small job.

    ``knows_model``: that job also taught it how long the model takes, which serves who has to ask.
    """
    with (
        TemporaryDirectory() as folder,
        Stack(services=SERVICES, more={**settings(case, Path(folder)), **more}) as stack,
    ):
        database = create_engine(stack.environment["DATABASE_URL"], pool_size=2)
        running = Ours(
            stack=stack,
            client=Client(stack.addresses.api_url, stack.create_key()),
            provider=Provider.start(stack),
            database=database,
            metrics_port=free_port(),
            webhooks=webhooks,
        )
        try:
            running.start_worker(app=app)
            learns = not webhooks if knows_model is None else knows_model
            running.warm_up(learns=learns)
            yield running
        finally:
            database.dispose()
            # What is still under way is not wanted any more, and to end in good order takes time.
            for name in set(stack.names) - set(stack.servers):
                stack.kill(name)


def settings(case: Case, folder: Path) -> dict[str, str]:
    """The environment of our stack for a case."""
    return {
        **case.simulator,
        "REPLICATE_MAX_IN_FLIGHT": str(case.slots),
        "CATALOGUE_DIR": str(catalogue.write(folder, usual_seconds=case.seconds)),
    }


def free_port() -> int:
    """A loopback port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
