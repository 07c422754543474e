import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast
from uuid import UUID, uuid4

import pytest

from api import stream
from api.auth import Callers
from api.stream import Following, frame
from pipeline.domain.errors import RateLimited, Unavailable
from pipeline.domain.events import Event, EventType
from pipeline.services import Services, build
from tests.web import KnownKeys, RecordingCarrier, settings

JOB = uuid4()


def stored(seq: int) -> dict[str, Any]:
    return {"type": "video_progress", "payload": {"seq": seq, "job_id": str(JOB), "status": "rendering"}}


LIVE = {"type": "video_progress", "payload": {"job_id": str(JOB), "progress": 40}}


@dataclass
class Story:
    """What a watcher of one job hears, and what the outbox holds when it looks there."""

    heard: Sequence[dict[str, Any] | None]
    written: int = 0
    later: int = 0  # what is written once the watcher listens
    away: bool = False

    def listen(self, job_id: UUID) -> Iterator[dict[str, Any] | None]:
        assert job_id == JOB
        for each in self.heard:
            yield each
            self.written = max(self.written, self.later)

    def read(self, job_id: UUID, owner_id: UUID) -> object:
        del job_id, owner_id
        if self.away:
            raise Unavailable("away")
        return object()

    def since(self, job_id: UUID, seq: int) -> list[Event]:
        payload = {"job_id": str(job_id), "status": "rendering"}
        numbers = range(seq + 1, min(self.written, seq + 2) + 1)  # two at a time
        return [
            Event(type=EventType.VIDEO_PROGRESS, job_id=str(job_id), seq=number, payload=payload) for number in numbers
        ]

    def services(self) -> Services:
        real = build(settings(), RecordingCarrier())
        story = cast("Any", self)
        return replace(real, progress=story, store=replace(real.store, jobs=story, outbox=story))


def following(story: Story, *, seq: int = 0, revoked: bool = False) -> Following:
    keys = KnownKeys({"a key": "ada"})
    caller = keys.callers.pop("a key") if revoked else keys.callers["a key"]
    callers = Callers(cast("Any", keys))
    return Following(services=story.services(), callers=callers, caller=caller, job_id=JOB, seq=seq)


def told(story: Story, *, seq: int = 0) -> list[tuple[str | None, str]]:
    """What reaches the watcher: (id, type) of each event."""
    return [parsed for line in following(story, seq=seq).told() if (parsed := read(line))]


def read(line: str) -> tuple[str | None, str] | None:
    parts = dict(part.split(": ", 1) for part in line.strip().split("\n") if not part.startswith(":"))
    return (parts.get("id"), parts["event"]) if parts else None


def test_an_event_on_the_wire_has_its_number_type_and_one_line_of_data() -> None:
    assert frame("video_failed", {"error": "two\nlines"}, 7) == (
        'id: 7\nevent: video_failed\ndata: {"error": "two\\nlines"}\n\n'
    )
    assert frame("snapshot", {}, None) == "event: snapshot\ndata: {}\n\n"


@pytest.mark.requirement("R34")
def test_what_was_written_before_the_watcher_listened_is_told_first() -> None:
    assert told(Story([None, stored(6)], written=6), seq=1) == [(str(n), "video_progress") for n in range(2, 7)]


@pytest.mark.requirement("R34")
def test_a_gap_is_filled_from_the_outbox_in_order() -> None:
    story = Story([None, stored(1), stored(4)], later=4)
    assert [number for number, _ in told(story)] == ["1", "2", "3", "4"]


def test_a_copy_of_an_event_is_told_once() -> None:
    assert told(Story([None, stored(1), stored(1), stored(2), stored(1)], written=1)) == [
        ("1", "video_progress"),
        ("2", "video_progress"),
    ]


def test_a_live_event_has_no_number_so_that_nobody_resumes_from_it() -> None:
    assert told(Story([None, LIVE])) == [(None, "video_progress")]


def test_what_redis_lost_is_found_after_a_while_of_silence() -> None:
    story = Story([None] * 20, later=3)
    assert [number for number, _ in told(story)] == ["1", "2", "3"]


def test_a_stream_outlives_a_database_that_is_away() -> None:
    assert told(Story([None, LIVE], away=True)) == [(None, "video_progress")]


def test_a_stream_ends_with_its_key() -> None:
    assert list(following(Story([None, LIVE]), revoked=True).told()) == []


@pytest.mark.parametrize(
    ("header", "seq"),
    [(None, None), ("0", 0), ("17", 17), ("-1", None), ("x", None), ("", None), ("²", None), ("9" * 40, None)],
)
def test_a_number_to_resume_from_is_one_of_ours_or_none(header: str | None, seq: int | None) -> None:
    assert stream.ResumeHeader.model_validate({"Last-Event-ID": header}).seq == seq


def test_an_owner_has_only_so_many_streams_at_once() -> None:
    streams, owner = stream._Open(), uuid4()
    for _ in range(stream.MAX_STREAMS_PER_OWNER):
        streams.enter(owner)
    with pytest.raises(RateLimited):
        streams.enter(owner)
    streams.enter(uuid4())
    streams.leave(owner)
    streams.enter(owner)


def test_the_data_of_an_event_is_its_payload() -> None:
    line = frame("video_progress", stored(3)["payload"], 3)
    data = next(part for part in line.split("\n") if part.startswith("data: "))
    assert json.loads(data.removeprefix("data: ")) == stored(3)["payload"]
