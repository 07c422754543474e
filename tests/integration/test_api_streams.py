"""Watching jobs over SSE and Socket.IO, on a real Postgres and a real Valkey."""

import json
from collections.abc import Iterator
from typing import Any, Self
from uuid import UUID, uuid4

import pytest
from flask_socketio import SocketIO

from pipeline.database import outbox
from pipeline.database.engine import transaction
from pipeline.domain.events import Event, EventType
from pipeline.progress import room
from tests.web import Web, settings, submitted, web


@pytest.fixture
def api(database_url: str, valkey_url: str) -> Iterator[Web]:
    with web(settings(database_url=database_url, redis_url=valkey_url)) as running:
        yield running


@pytest.fixture
def ada(api: Web) -> str:
    return api.key("ada")


def job_id(address: str) -> UUID:
    return UUID(address.rpartition("/")[2])


def happens(api: Web, job: str, *, told: bool = True, stored: bool = True) -> list[int | None]:
    """A clip moves on: the event is written, and told unless the teller died first."""
    owner_id = owner(api, job)
    payload = {"job_id": str(job_id(job)), "index": 0, "progress": 40, "status": "rendering"}
    event = Event(type=EventType.VIDEO_PROGRESS, job_id=str(job_id(job)), payload=payload, stored=stored)
    with transaction(api.services.store.engine) as connection:
        written = outbox.append(connection, job_id(job), owner_id, [event])
    if told:
        api.services.tell(written)
    return [each.seq for each in written]


def owner(api: Web, job: str) -> UUID:
    row = api.services.store.jobs.read(job_id(job))
    assert row is not None
    return row.owner_id


class Stream:
    """An open event stream, read event by event."""

    def __init__(self, api: Web, key: str, job: str, last_event_id: str | None = None) -> None:
        headers = {"Last-Event-ID": last_event_id} if last_event_id is not None else {}
        self.response = api.client(key).get(f"{job}/events", headers=headers)
        self._lines = (line.decode() for line in self.response.iter_encoded())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.response.close()

    def next(self) -> tuple[str | None, str, Any]:
        """The next event: (id, type, data)."""
        for text in self._lines:
            parts = dict(line.split(": ", 1) for line in text.strip().split("\n") if not line.startswith(":"))
            if "event" in parts:
                return parts.get("id"), parts["event"], json.loads(parts["data"])
        raise AssertionError("the stream ended")

    def listening(self) -> None:
        """Read on until the server listens for live events."""
        assert any(text.startswith(":") for text in self._lines)


@pytest.mark.requirement("R34")
def test_a_stream_begins_with_a_snapshot_and_goes_on_live(api: Web, ada: str) -> None:
    job = submitted(api, ada)
    happens(api, job)
    with Stream(api, ada, job) as stream:
        assert stream.response.mimetype == "text/event-stream"
        assert stream.response.headers["Cache-Control"] == "no-store"
        number, kind, document = stream.next()
        assert (number, kind, document["seq"]) == ("1", "snapshot", 1)
        assert document["links"]["self"] == job
        stream.listening()

        happens(api, job, stored=False)
        happens(api, job)
        assert [stream.next()[:2] for _ in range(2)] == [(None, "video_progress"), ("2", "video_progress")]


@pytest.mark.requirement("R34")
def test_a_watcher_who_was_away_gets_what_was_missed_after_a_snapshot(api: Web, ada: str) -> None:
    job = submitted(api, ada)
    for _ in range(4):
        happens(api, job)
    with Stream(api, ada, job, last_event_id="2") as stream:
        number, kind, document = stream.next()
        assert (number, kind, document["seq"]) == (None, "snapshot", 4)
        assert [stream.next()[0] for _ in range(2)] == ["3", "4"]


@pytest.mark.requirement("R34")
def test_what_was_written_but_never_told_comes_with_the_next_event(api: Web, ada: str) -> None:
    job = submitted(api, ada)
    with Stream(api, ada, job) as stream:
        stream.next()
        stream.listening()
        happens(api, job, told=False)
        happens(api, job)
        assert [stream.next()[0] for _ in range(2)] == ["1", "2"]


def test_a_number_from_the_future_or_from_nowhere_begins_anew(api: Web, ada: str) -> None:
    job = submitted(api, ada)
    happens(api, job)
    for nonsense in ("77", "-3", "x", "9" * 30):
        with Stream(api, ada, job, last_event_id=nonsense) as stream:
            assert stream.next()[:2] == ("1", "snapshot")


def server(api: Web) -> SocketIO:
    return api.app.extensions["socketio"]


@pytest.fixture
def sockets(api: Web) -> Iterator[Any]:
    """Opens sockets, and closes them."""
    opened: list[Any] = []

    def socket(key: str) -> Any:
        opened.append(server(api).test_client(api.app, namespace="/jobs", auth={"token": key}))
        return opened[-1]

    yield socket
    for each in opened:
        each.disconnect("/jobs")


def subscribe(socket: Any, job: str, **more: Any) -> Any:
    asked = {"job_id": job.rpartition("/")[2], **more}
    return socket.emit("subscribe", asked, namespace="/jobs", callback=True)


@pytest.mark.requirement("R34")
def test_a_subscription_is_answered_with_a_snapshot_and_what_was_missed(api: Web, ada: str, sockets: Any) -> None:
    job = submitted(api, ada)
    for _ in range(3):
        happens(api, job)
    told = subscribe(sockets(ada), job, after=1)

    assert told["snapshot"] == api.client(ada).get(job).get_json()
    assert told["seq"] == 3
    assert [event["seq"] for event in told["events"]] == [2, 3]
    assert told["events"][0]["payload"]["seq"] == 2
    assert told["events"][0]["type"] == "video_progress"


@pytest.mark.parametrize("after", [None, -1, "1", True, 10**30, [1]])
def test_without_a_number_nothing_was_missed(api: Web, ada: str, sockets: Any, after: object) -> None:
    job = submitted(api, ada)
    happens(api, job)
    told = subscribe(sockets(ada), job, after=after)
    assert (told["seq"], told["events"]) == (1, [])


@pytest.mark.requirement("R06", "R32")
def test_news_of_a_job_reach_its_owner_and_nobody_else(api: Web, ada: str, sockets: Any) -> None:
    job, bob = submitted(api, ada), api.key("bob")
    mine, theirs = sockets(ada), sockets(bob)
    subscribe(mine, job)
    assert subscribe(theirs, job, after=0) == subscribe(theirs, f"/{uuid4()}", after=0) == {"error": "not_found"}
    for each in (mine, theirs):
        each.get_received("/jobs")

    to = room(owner(api, job), job_id(job))
    server(api).emit("video_progress", {"progress": 5}, namespace="/jobs", to=to)
    assert [event["name"] for event in mine.get_received("/jobs")] == ["video_progress"]
    assert theirs.get_received("/jobs") == []
