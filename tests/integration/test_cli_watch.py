"""Watching a job tells everything once, in order and to its end, whatever becomes of the connection."""

import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from cli import follow
from cli.client import Client, Refused, Unreachable
from cli.watch import watch, watch_as_json
from tests.cli_server import JOB, KEY, CliServer, running
from tests.processes import eventually


@pytest.fixture
def server() -> Iterator[CliServer]:
    with running() as one:
        yield one


@pytest.fixture
def client(server: CliServer) -> Client:
    return Client(server.url, KEY)


def records(printed: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in printed.splitlines()]


def stored(printed: str) -> list[int]:
    return [record["seq"] for record in records(printed) if "seq" in record]


@pytest.mark.requirement("R32", "R33")
def test_each_change_of_state_is_a_line_and_the_last_document_comes_back(
    server: CliServer, client: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    waiting = {"reason": "slot", "place": 3, "about_seconds": 38.2, "account": "replicate"}
    server.story = [
        lambda: server.tell("video_progress", index=0, progress=0, status="rendering"),
        lambda: server.emit("video_progress", {"index": 0, "progress": 40, "status": "rendering"}),
        lambda: server.emit("clip_waiting", {"index": 1, "waiting": waiting}),
        lambda: server.finish_clip(0),
        lambda: server.fail_clip(1, "the prompt was \x1b[31mflagged"),
        lambda: server.end("failed"),
    ]
    document = watch(client, JOB, plain=True)
    assert document["state"] == "failed"
    assert capsys.readouterr().out.splitlines() == [
        f"The lighthouse · 2 clips · job {JOB}",
        "job       running · 0 of 2 clips",
        "clip 1    rendering",
        "clip 2    third in line at replicate · about 40 s",
        "clip 1    saved · 5.0 s",
        "clip 2    failed: the prompt was [31mflagged",
        "job       failed · 1 of 2 clips · 0:42 · $1.24",
    ]


@pytest.mark.requirement("R34")
def test_an_event_that_got_lost_is_told_in_its_place(
    server: CliServer, client: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    server.story = [
        lambda: server.tell("video_progress", index=0, progress=0, status="rendering"),
        lambda: server.finish_clip(0, lost=True),
        lambda: server.finish_clip(1),
        lambda: server.end("complete"),
    ]
    watch_as_json(client, JOB)
    printed = capsys.readouterr().out
    assert stored(printed) == [1, 2, 3, 4, 5, 6]
    assert (records(printed)[0]["type"], records(printed)[-1]["snapshot"]["state"]) == ("snapshot", "complete")


@pytest.mark.requirement("R34")
def test_a_watcher_that_was_cut_off_comes_back_and_misses_nothing(
    server: CliServer, client: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    server.story = [
        lambda: server.tell("video_progress", index=0, progress=0, status="rendering"),
        server.stop,
        lambda: server.finish_clip(0),
        lambda: server.finish_clip(1),
        server.start,
        lambda: server.end("complete"),
    ]
    document = watch_as_json(client, JOB)
    assert document["state"] == "complete"
    seen = stored(capsys.readouterr().out)
    assert seen == list(range(1, len(seen) + 1))


@pytest.mark.requirement("R34")
def test_without_sockets_the_documents_alone_tell_the_story(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follow, "_LOOK_SECONDS", 0.05)
    with running(sockets=False) as server:

        def finish() -> None:
            eventually(lambda: sum(path == f"/v1/jobs/{JOB}" for _, path, _, _ in server.asked) > 2)
            server.finish_clip(0)
            server.finish_clip(1)
            server.end("complete")

        teller = threading.Thread(target=finish)
        teller.start()
        document = watch(Client(server.url, KEY), JOB, plain=True)
        teller.join()
    assert document["state"] == "complete"
    assert "clip 2    saved · 5.0 s · $0.62" in capsys.readouterr().out
    assert server.subscribed == 0


def test_a_job_that_is_over_is_told_at_once(
    server: CliServer, client: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    server.end("cancelled")
    assert watch(client, JOB, plain=True)["state"] == "cancelled"
    assert capsys.readouterr().out.splitlines()[-1] == "job       cancelled · 0 of 2 clips · 0:42 · $1.24"
    assert server.subscribed == 0


def test_somebody_elses_job_is_refused_and_a_dead_server_is_unreachable(server: CliServer, client: Client) -> None:
    with pytest.raises(Refused, match="there is no such job"):
        watch(client, "another", plain=True)
    with pytest.raises(Refused, match="send a key"):
        watch(Client(server.url, "wrong"), JOB, plain=True)
    server.stop()
    with pytest.raises(Unreachable, match="nothing listens there"):
        watch(client, JOB, plain=True)


def test_a_key_that_is_revoked_meanwhile_ends_the_watch(server: CliServer, client: Client) -> None:
    server.story = [
        lambda: setattr(server, "key", "another key"),
        lambda: server.tell("job_complete", state="complete"),
    ]
    with pytest.raises(Refused, match="send a key"):
        watch(client, JOB, plain=True)
