"""An API for tests: the real app around real services, with a carrier that only remembers."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, cast
from uuid import UUID, uuid4

from flask.testing import FlaskClient
from flask_openapi3.openapi import OpenAPI
from sqlalchemy import func, select, update

from api.app import create_app
from pipeline.database.engine import transaction
from pipeline.database.keys import Caller, Keys
from pipeline.database.tables import assets, events, idempotency_keys, jobs, scenes
from pipeline.domain.asset import State
from pipeline.domain.job import JobState
from pipeline.domain.member import Member
from pipeline.services import Services, build
from pipeline.settings import Settings
from tests.told import settings_told

SECRET_KEY = "a secret of thirty-two characters or more"
FILES_URL = "http://127.0.0.1:1"
NOWHERE = "127.0.0.1:1"  # where nobody listens: a question to it fails at once


@dataclass(frozen=True)
class RecordingCarrier:
    """Remembers what would have been published."""

    started: list[UUID] = field(default_factory=list)
    delays: list[timedelta] = field(default_factory=list)
    woken: list[UUID] = field(default_factory=list)

    def start(self, job_id: UUID, *, delay: timedelta = timedelta(0)) -> None:
        self.started.append(job_id)
        self.delays.append(delay)

    def turn(self, provider: str, wait_seconds: float) -> None:
        raise NotImplementedError((provider, wait_seconds))

    def open(self, job_id: UUID, round_: int, size: int) -> bool:
        raise NotImplementedError((job_id, round_, size))

    def members(self, members: Sequence[Member], *, delay: timedelta = timedelta(0)) -> None:  # noqa: ARG002
        self.woken.extend(member.asset_id for member in members)

    def finish(self, job_id: UUID) -> None:
        raise NotImplementedError(job_id)

    def film(self, job_id: UUID) -> None:
        raise NotImplementedError(job_id)

    def thumbnail(self, clip_id: UUID) -> None:
        raise NotImplementedError(clip_id)


def settings(**more: Any) -> Settings:
    """Settings of an API whose servers are away, unless ``more`` says where they are."""
    away = {
        "database_url": f"postgresql+psycopg2://nobody:secret-of-postgres@{NOWHERE}/nothing",
        "redis_url": f"redis://:secret-of-redis@{NOWHERE}/0",
        "s3_endpoint_url": FILES_URL,
        "s3_access_key_id": "access",
        "s3_secret_access_key": "secret-of-s3",
        "secret_key": SECRET_KEY,
        "replicate_api_token": "r8_token",
    }
    return settings_told({**away, **more})


@dataclass(frozen=True)
class Web:
    """A running app and how to speak to it."""

    app: OpenAPI
    services: Services
    carrier: RecordingCarrier

    def client(self, key: str | None = None) -> FlaskClient:
        """A program with this key, or a stranger."""
        client = self.app.test_client()
        if key is not None:
            client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {key}"
        return client

    def key(self, owner: str) -> str:
        """A new key for an owner; needs Postgres."""
        return self.services.store.keys.create(owner=owner, name="test")[1]


@contextmanager
def web(told: Settings, *, change: Callable[[Services], Services] = lambda services: services) -> Iterator[Web]:
    """The app with these settings; ``change`` replaces parts of its services."""
    carrier = RecordingCarrier()
    services = change(build(told, carrier))
    try:
        yield Web(create_app(services), services, carrier)
    finally:
        services.close()


class KnownKeys:
    """Keys kept in memory, for an API without Postgres; revoke by removing."""

    def __init__(self, owners: Mapping[str, str]) -> None:
        self.callers = {
            key: Caller(key_id=uuid4(), owner_id=uuid4(), owner=owner, name="test") for key, owner in owners.items()
        }
        self.asked = 0

    def caller(self, key: str) -> Caller | None:
        self.asked += 1
        return self.callers.get(key)

    def caller_by_id(self, key_id: UUID) -> Caller | None:
        self.asked += 1
        return next((caller for caller in self.callers.values() if caller.key_id == key_id), None)

    def know(self, services: Services) -> Services:
        """The services with these keys instead of the stored ones."""
        return replace(services, store=replace(services.store, keys=cast("Keys", self)))


def storyboard(count: int = 2, **more: Any) -> dict[str, Any]:
    """A job body that can be made."""
    shots = [{"description": f"Shot {number}: the lighthouse at dusk", "duration": 5} for number in range(count)]
    return {"title": "The lighthouse", "model": "replicate/seedance-1-pro", "scenes": shots, **more}


NOTHING = {"jobs": 0, "scenes": 0, "assets": 0, "events": 0, "idempotency_keys": 0}


def stored(api: Web) -> dict[str, int]:
    """How many rows each table has."""
    with transaction(api.services.store.engine) as connection:
        return {
            table.name: connection.execute(select(func.count()).select_from(table)).scalar_one()
            for table in (jobs, scenes, assets, events, idempotency_keys)
        }


def submitted(api: Web, key: str, body: dict[str, Any] | None = None) -> str:
    """The address of a new job."""
    told = api.client(key).post("/v1/jobs", json=body or storyboard())
    assert told.status_code == 202, told.text
    return told.headers["Location"]


def put(api: Web, job: str, job_state: JobState, *clip_states: State) -> None:
    """Bring a job and its clips into these states, as workers would."""
    job_id = UUID(job.rpartition("/")[2])
    with transaction(api.services.store.engine) as connection:
        connection.execute(update(jobs).where(jobs.c.id == job_id).values(state=job_state))
        for index, state in enumerate(clip_states):
            one = (assets.c.job_id == job_id) & (assets.c.index == index)
            failure = {"code": "moderated", "message": "the prompt was flagged", "retryable": False}
            values = {"state": state, "failure": failure if state is State.FAILED else None}
            connection.execute(update(assets).where(one).values(values))
