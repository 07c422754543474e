"""The API as it is deployed: gunicorn with gevent, the command of docker-compose.yml, against real servers."""

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest
import requests
import socketio
from sqlalchemy import text

from api.bodies import MAX_BODY_BYTES
from cli.stack.stack import Stack
from pipeline.database.engine import transaction
from pipeline.domain.events import Event, EventType
from pipeline.services import Services, build
from pipeline.settings import read
from tests import servers
from tests.processes import eventually
from tests.web import RecordingCarrier, storyboard

TIMEOUT_SECONDS = 10
REFUSALS = (socketio.exceptions.ConnectionError,)


@dataclass(frozen=True)
class Served:
    """A running API, and services that stand for a worker's."""

    url: str
    worker: Services

    def key(self, owner: str) -> str:
        return self.worker.store.keys.create(owner=owner, name="test")[1]

    def session(self, key: str) -> requests.Session:
        session = requests.Session()
        session.headers["Authorization"] = f"Bearer {key}"
        return session

    def submitted(self, key: str) -> str:
        with self.session(key) as client:
            told = client.post(f"{self.url}/v1/jobs", json=storyboard(), timeout=TIMEOUT_SECONDS)
        assert told.status_code == 202, told.text
        return str(told.json()["id"])

    def tell(self, job_id: str, progress: int) -> None:
        """What a worker does when a clip moves."""
        row = self.worker.store.jobs.read(UUID(job_id))
        assert row is not None
        payload = {"job_id": job_id, "progress": progress}
        self.worker.tell(
            [
                Event(
                    type=EventType.VIDEO_PROGRESS,
                    job_id=job_id,
                    owner_id=str(row.owner_id),
                    payload=payload,
                    stored=False,
                )
            ]
        )


@pytest.fixture(scope="module")
def served(postgres: servers.Postgres, valkey_server: str, s3: servers.ObjectStore) -> Iterator[Served]:
    with postgres.database("migrated") as url:
        more = {"DATABASE_URL": url, "REDIS_URL": valkey_server, "REPLICATE_API_TOKEN": "r8_token", **s3.settings}
        with Stack(services=("api",), more=more) as stack:
            worker = build(read(stack.environment), RecordingCarrier())
            yield Served(url=stack.addresses.api_url, worker=worker)
            worker.close()


@pytest.fixture
def sockets(served: Served) -> Iterator[Any]:
    """Opens sockets, and closes them."""
    opened: list[socketio.Client] = []

    def socket(key: str, **more: Any) -> socketio.Client:
        opened.append(socketio.Client(reconnection=False))
        opened[-1].connect(served.url, namespaces=["/jobs"], auth={"token": key}, transports=["websocket"], **more)
        return opened[-1]

    yield socket
    for each in opened:
        each.disconnect()


@pytest.mark.requirement("R06", "R32")
def test_a_workers_news_reach_the_sockets_of_the_owner_and_no_other(served: Served, sockets: Any) -> None:
    ada, bob = served.key("ada"), served.key("bob")
    job_id = served.submitted(ada)
    heard: dict[str, list[int]] = {"ada": [], "bob": []}
    for owner, key in (("ada", ada), ("bob", bob)):
        socket = sockets(key)
        socket.on("video_progress", lambda told, owner=owner: heard[owner].append(told["progress"]), namespace="/jobs")
        told = socket.call("subscribe", {"job_id": job_id, "after": 0}, namespace="/jobs", timeout=TIMEOUT_SECONDS)
        assert ("snapshot" in told) is (owner == "ada")

    for progress in (10, 20, 30):
        served.tell(job_id, progress)
    eventually(lambda: heard["ada"] == [10, 20, 30])
    assert heard["bob"] == []


@pytest.mark.requirement("R34")
def test_open_streams_keep_nobody_waiting(served: Served) -> None:
    ada = served.key("ada")
    job_id = served.submitted(ada)
    with served.session(ada) as client:
        address = f"{served.url}/v1/jobs/{job_id}"
        streams = [client.get(f"{address}/events", stream=True, timeout=TIMEOUT_SECONDS) for _ in range(20)]
        assert client.get(address, timeout=TIMEOUT_SECONDS).status_code == 200

        lines = [stream.iter_lines() for stream in streams]
        for each in lines:
            assert next(line for line in each if line.startswith(b":"))
        served.tell(job_id, 40)
        for each in lines:
            told = next(line for line in each if line.startswith(b"data: "))
            assert json.loads(told.removeprefix(b"data: "))["progress"] == 40
        for stream in streams:
            stream.close()


def test_a_question_that_waits_for_postgres_lets_the_others_pass(served: Served) -> None:
    ada = served.key("ada")
    answers: list[int] = []

    def ask() -> None:
        with served.session(ada) as client:
            answers.append(client.get(f"{served.url}/v1/jobs", timeout=TIMEOUT_SECONDS).status_code)

    asking = threading.Thread(target=ask)
    with served.session(ada) as client:
        client.get(f"{served.url}/v1/jobs", timeout=TIMEOUT_SECONDS)  # the key is known from here on
        with transaction(served.worker.store.engine) as connection:
            connection.execute(text("lock table jobs in access exclusive mode"))
            asking.start()
            waiting = text("select count(*) from pg_locks where not granted")
            eventually(lambda: connection.execute(waiting).scalar_one() == 1)
            assert client.get(f"{served.url}/v1/models", timeout=TIMEOUT_SECONDS).status_code == 200
            assert answers == []
    asking.join()
    assert answers == [200]


def test_a_revoked_key_loses_its_socket_within_seconds(served: Served, sockets: Any) -> None:
    row, key = served.worker.store.keys.create(owner="ada", name="laptop")
    socket = sockets(key)
    served.worker.store.keys.revoke(row.id)
    eventually(lambda: not socket.connected)


def test_pages_of_other_sites_and_strangers_open_no_socket(served: Served, sockets: Any) -> None:
    with pytest.raises(REFUSALS):
        sockets(served.key("ada"), headers={"Origin": "https://evil.example"})
    with pytest.raises(REFUSALS):
        sockets("dailies_wrong")


def test_a_body_without_end_is_cut_off(served: Served) -> None:
    def endless() -> Iterator[bytes]:
        for _ in range(2 * MAX_BODY_BYTES // 10_000):
            yield b" " * 10_000

    with served.session(served.key("ada")) as client:
        headers = {"Content-Type": "application/json"}
        told = client.post(f"{served.url}/v1/jobs", data=endless(), headers=headers, timeout=TIMEOUT_SECONDS)
    assert told.status_code == 413
    assert told.json()["code"] == "payload_too_large"
