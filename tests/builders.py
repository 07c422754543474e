"""What tests of the heart are built from: real parts, a carrier that keeps its messages, a line that can be cut."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, cast
from uuid import UUID

import requests
from sqlalchemy import text

from pipeline import accept
from pipeline.database.engine import transaction
from pipeline.database.store import Store
from pipeline.domain.answers import Busy
from pipeline.domain.asset import TERMINAL, State
from pipeline.domain.document import AttemptRow, ClipRow, JobRow
from pipeline.domain.events import Event
from pipeline.domain.member import Member
from pipeline.providers.protocol import Provider
from pipeline.render import Verdict, step
from pipeline.services import Services, build
from pipeline.settings import Settings
from pipeline.storage import Storage
from tests import servers
from tests.audit import audit
from tests.told import settings_told

NOWHERE = "127.0.0.1:1"  # where nobody listens: a question to it fails at once
MODEL = "replicate/seedance-1-pro-fast"
PATIENCE_SECONDS = 30.0

_STORAGES: dict[str | None, Storage] = {}


class Killed(BaseException):
    """The worker is dead: nothing of it catches this, as nothing would run after a SIGKILL."""


@dataclass
class KeepingCarrier:
    """Keeps what it was asked to carry; with ``away`` the broker takes no chord."""

    away: bool = False
    started: list[UUID] = field(default_factory=list)
    delays: list[timedelta] = field(default_factory=list)
    turns: list[tuple[str, float]] = field(default_factory=list)
    opened: list[tuple[UUID, int, int]] = field(default_factory=list)
    published: list[UUID] = field(default_factory=list)
    finished: list[UUID] = field(default_factory=list)
    films: list[UUID] = field(default_factory=list)
    thumbnails: list[UUID] = field(default_factory=list)

    def start(self, job_id: UUID, *, delay: timedelta = timedelta(0)) -> None:
        self.started.append(job_id)
        self.delays.append(delay)

    def turn(self, provider: str, wait_seconds: float) -> None:
        self.turns.append((provider, wait_seconds))

    def open(self, job_id: UUID, round_: int, size: int) -> bool:
        if not self.away:
            self.opened.append((job_id, round_, size))
        return not self.away

    def members(self, members: Sequence[Member], *, delay: timedelta = timedelta(0)) -> None:  # noqa: ARG002
        self.published += [member.asset_id for member in members]

    def finish(self, job_id: UUID) -> None:
        self.finished.append(job_id)

    def film(self, job_id: UUID) -> None:
        self.films.append(job_id)

    def thumbnail(self, clip_id: UUID) -> None:
        self.thumbnails.append(clip_id)


class Line:
    """A real provider on a line that can be cut: what happens once ``before``, ``after`` or ``instead`` of a call."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider
        self.calls: list[str] = []
        self.before: dict[str, Callable[[], object]] = {}
        self.after: dict[str, Callable[[], object]] = {}
        self.instead: dict[str, Callable[..., object]] = {}

    def __getattr__(self, name: str) -> Callable[..., Any]:
        real = getattr(self._provider, name)

        def call(*given: Any, **named: Any) -> Any:
            self.calls.append(name)
            self.before.pop(name, lambda: None)()
            answer = self.instead.pop(name, real)(*given, **named)
            self.after.pop(name, lambda: None)()
            return answer

        return call


def killed() -> None:
    """What happens to a worker around a call."""
    raise Killed


@dataclass(frozen=True)
class World:
    """Services on real parts, one customer, and an auditor's view of the tables."""

    services: Services
    carrier: KeepingCarrier
    owner_id: UUID
    line: Line
    simulator: servers.Simulator | None = None

    def job(self, scenes: int = 1, prompt: str = "a lighthouse", **more: Any) -> UUID:
        """Order a job of such scenes; its id."""
        return self.order([{"description": f"{prompt} {n}", "duration": 2} for n in range(scenes)], **more)

    def order(self, scenes: list[dict[str, Any]], **more: Any) -> UUID:
        """Order a job of these scenes; its id."""
        body = {"model": MODEL, "scenes": scenes, **more}
        return UUID(accept.accept(self.services, owner_id=self.owner_id, body=body)["id"])

    def clip(self, scenes: int = 1, prompt: str = "a lighthouse", **more: Any) -> UUID:
        """Order a job; its first clip."""
        return self.clips(self.job(scenes, prompt, **more))[0].id

    def read(self, job_id: UUID) -> JobRow:
        row = self.services.store.jobs.read(job_id)
        assert row
        return row

    def clips(self, job_id: UUID) -> list[ClipRow]:
        return self.services.store.jobs.clips(job_id)[job_id]

    def ids(self, job_id: UUID) -> list[UUID]:
        """The job's clips, in scene order."""
        return [clip.id for clip in self.clips(job_id)]

    def row(self, asset_id: UUID) -> dict[str, Any]:
        """The asset's row as the database knows it."""
        return self.query("select * from assets where id = :id", id=asset_id)[0]

    def state(self, asset_id: UUID) -> State:
        return State(self.row(asset_id)["state"])

    def takes(self, asset_id: UUID) -> list[AttemptRow]:
        return self.services.store.jobs.attempts(asset_id)

    def ledger(self, asset_id: UUID) -> list[tuple[int, str]]:
        """Our entries about an asset, as (attempt number, kind), oldest first."""
        told = self.query(
            "select number, kind from spend join attempts on attempts.id = attempt_id"
            " where asset_id = :id order by spend.id",
            id=asset_id,
        )
        return [(row["number"], row["kind"]) for row in told]

    def events(self, job_id: UUID) -> list[Event]:
        return self.services.store.outbox.since(job_id, 0)

    def query(self, sql: str, **values: Any) -> list[dict[str, Any]]:
        """Run SQL past all of our code."""
        with transaction(self.services.store.engine) as connection:
            found = connection.execute(text(sql), values)
            return [dict(row) for row in found.mappings()] if found.returns_rows else []

    def hurry(self, asset_id: UUID) -> None:
        """Let the time pass that the asset, or a dead worker's claim, has to wait."""
        self.query("update assets set due_at = clock_timestamp(), claimed_until = null where id = :id", id=asset_id)

    def step(self, asset_id: UUID) -> Verdict:
        """One step, now."""
        self.hurry(asset_id)
        return step(self.services, asset_id)

    def until(self, asset_id: UUID, *states: State) -> dict[str, Any]:
        """Step until the asset is in one of these states (default: over); its row."""
        give_up_at = time.monotonic() + PATIENCE_SECONDS
        while (row := self.row(asset_id))["state"] not in (states or TERMINAL):
            assert time.monotonic() < give_up_at, f"it never came: {row}"
            self.step(asset_id)
            time.sleep(0.02)
        return row

    def render(self, job_id: UUID) -> list[ClipRow]:
        """Step every clip of a job to its end."""
        for asset_id in self.ids(job_id):
            self.until(asset_id)
        return self.clips(job_id)

    def end(self, asset_id: UUID, state: State, *, file_key: str | None = None) -> None:
        """Let a clip have ended so, past all steps; what its last attempt was is not told."""
        self.query(
            "update assets set state = :state, file_key = :key, progress = :progress, finished_at = clock_timestamp()"
            " where id = :id",
            id=asset_id,
            state=state,
            key=file_key,
            progress=100 if state is State.DONE else 0,
        )

    def at(self, later: Any) -> "World":
        """The same world, whose workers believe that it is so much later."""
        return replace(self, services=replace(self.services, now=lambda: self.services.now() + later))

    def sold(self) -> list[dict[str, Any]]:
        """The simulator's ledger: every prediction that was paid for."""
        return list(self._control("ledger"))

    def stats(self) -> dict[str, Any]:
        """What the simulator was asked."""
        return dict(self._control("stats"))

    def arm(self, fault: str, **meant_for: str) -> None:
        """Let something go wrong at the provider."""
        self._control("faults", fault=fault, **meant_for)

    def unblock(self) -> None:
        """Let the time pass for which the account is paused."""
        self.services.redis.delete("dailies:limit:{replicate}:blocked:replicate")

    def in_line(self) -> list[UUID]:
        """Who waits for a slot and was not waked yet, older jobs first, scene by scene."""
        view = self.services.line("replicate")
        assert view
        return [each.asset_id for each in sorted(view.waiting, key=lambda each: (each.job_came_ms, each.index))]

    def holders(self) -> list[str]:
        """The takes that hold a slot."""
        census = self.services.limiter.census(self.services.pool("replicate"))
        assert census
        return sorted(census.slots["replicate"])

    def step_aside(self, asset_ids: Sequence[UUID]) -> None:
        """Let these have left the line."""
        self.services.limiter.turn(self.services.pool("replicate"), leave=asset_ids)

    def held(self) -> Busy | None:
        """What holds a free request back now."""
        return self.services.limiter.ask(self.services.pool("replicate"), "replicate")

    def _control(self, path: str, **body: Any) -> Any:
        assert self.simulator
        method = "POST" if body else "GET"
        answer = requests.request(method, f"{self.simulator.url}/_sim/{path}", json=body or None, timeout=10)
        answer.raise_for_status()
        return answer.json()


@contextmanager
def world(
    database_url: str,
    *,
    valkey_url: str = f"redis://{NOWHERE}/0",
    s3: servers.ObjectStore | None = None,
    simulator: servers.Simulator | None = None,
    **more: Any,
) -> Iterator[World]:
    """Services on these servers; what is not given is away. ``more`` are settings.

    In the end the simulator's ledger has to be ours.
    """
    carrier = KeepingCarrier()
    services = build(_settings(database_url, valkey_url, s3, simulator, more), carrier)
    lines = {name: Line(adapter) for name, adapter in services.providers.items()}
    # Clients of S3 are slow to make: all worlds of a session share the first.
    storage = _STORAGES.setdefault(services.storage.endpoint_url, services.storage)
    services = replace(services, providers=cast("dict[str, Provider]", lines), storage=storage)
    if simulator:
        requests.post(f"{simulator.url}/_sim/reset", timeout=10).raise_for_status()
    try:
        built = World(services, carrier, owner(services.store, "studio"), lines["replicate"], simulator)
        yield built
        if simulator:
            audit(built)
    finally:
        services.close()


def owner(store: Store, name: str) -> UUID:
    """A customer of this name."""
    _, key = store.keys.create(owner=name, name="test")
    caller = store.keys.caller(key)
    assert caller
    return caller.owner_id


def _settings(
    database_url: str,
    valkey_url: str,
    s3: servers.ObjectStore | None,
    simulator: servers.Simulator | None,
    more: Mapping[str, Any],
) -> Settings:
    known: dict[str, Any] = {
        "database_url": database_url,
        "redis_url": valkey_url,
        "secret_key": "a secret of thirty-two characters or more",
        "s3_endpoint_url": s3.endpoint_url if s3 else f"http://{NOWHERE}",
        "s3_access_key_id": s3.access_key_id if s3 else "access",
        "s3_secret_access_key": s3.secret_access_key if s3 else "secret-of-s3",
        "replicate_base_url": simulator.replicate_base_url if simulator else f"http://{NOWHERE}",
        "replicate_api_token": simulator.token if simulator else "r8_nobody",
        "replicate_webhook_secret": simulator.webhook_secret if simulator else "",
    }
    return settings_told({**known, **more})
