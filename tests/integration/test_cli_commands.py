"""The commands as they are typed: what they print, what they ask of the server, and how they end."""

import codecs
import contextlib
import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cli.main import main
from tests.cli_server import JOB, KEY, CliServer, running
from tests.processes import ROOT, eventually

LIGHTHOUSE = ROOT / "examples" / "lighthouse.json"

Type = Callable[..., int]


@pytest.fixture
def server() -> Iterator[CliServer]:
    with running() as one:
        yield one


@pytest.fixture
def type_in(server: CliServer, monkeypatch: pytest.MonkeyPatch) -> Type:
    """Type a command; its exit code comes back."""
    monkeypatch.setenv("DAILIES_URL", server.url + "/")
    monkeypatch.setenv("DAILIES_API_KEY", KEY)
    monkeypatch.setenv("COLUMNS", "100")

    def run(*words: str) -> int:
        monkeypatch.setattr(sys, "argv", ["dailies", *words])
        with pytest.raises(SystemExit) as ended:
            main()
        return ended.value.code if isinstance(ended.value.code, int) else 0

    return run


def asked(server: CliServer) -> list[tuple[str, str, Any]]:
    return [(method, path, body) for method, path, _, body in server.asked]


def test_a_submitted_storyboard_is_ordered_under_an_idempotency_key(
    server: CliServer, type_in: Type, capsys: pytest.CaptureFixture[str]
) -> None:
    assert type_in("submit", str(LIGHTHOUSE)) == 0
    method, path, headers, body = server.asked[0]
    assert (method, path, body) == ("POST", "/v1/jobs", json.loads(LIGHTHOUSE.read_text()))
    assert len(headers["Idempotency-Key"]) == 36
    assert capsys.readouterr().out.splitlines() == [
        f"Job {JOB} is ordered, about $1.24.",
        f"Watch it with: dailies watch {JOB}",
    ]
    assert type_in("submit", str(LIGHTHOUSE), "--idempotency-key", "mine") == 0
    assert server.asked[1][2]["Idempotency-Key"] == "mine"


def test_submit_and_watch_ends_with_the_job_and_says_what_to_retry(
    server: CliServer, type_in: Type, capsys: pytest.CaptureFixture[str]
) -> None:
    server.job["film"] = {"url": "http://files.example/film.mp4"}
    server.story = [
        lambda: server.finish_clip(0),
        lambda: server.fail_clip(1, "the prompt was flagged"),
        lambda: server.end("partial"),
    ]
    assert type_in("submit", str(LIGHTHOUSE), "--watch") == 0
    assert capsys.readouterr().out.splitlines()[-5:] == [
        "",
        "Clip 2 failed: the prompt was flagged",
        f"      Try it again: dailies retry {JOB} 1",
        "Film  http://files.example/film.mp4",
        f"Page  {server.url}/jobs/{JOB}",
    ]


@pytest.mark.parametrize("state", ["failed", "cancelled"])
def test_a_job_that_came_to_nothing_ends_with_1(server: CliServer, type_in: Type, state: str) -> None:
    server.end(state)
    assert type_in("watch", JOB) == 1


def test_watching_with_json_is_an_event_a_line(
    server: CliServer, type_in: Type, capsys: pytest.CaptureFixture[str]
) -> None:
    server.story = [lambda: server.finish_clip(0), lambda: server.finish_clip(1), lambda: server.end("complete")]
    assert type_in("submit", str(LIGHTHOUSE), "--watch", "--json") == 0
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [each["type"] for each in told if "seq" in each] == [
        "video_progress",
        "video_complete",
        "video_progress",
        "video_complete",
        "job_complete",
    ]
    assert (told[0]["type"], told[0]["id"]) == ("accepted", JOB)
    assert (told[-1]["type"], told[-1]["snapshot"]["state"]) == ("snapshot", "complete")


def test_a_dry_run_orders_nothing(server: CliServer, type_in: Type, capsys: pytest.CaptureFixture[str]) -> None:
    assert type_in("submit", str(LIGHTHOUSE), "--dry-run") == 0
    printed = capsys.readouterr()
    assert "Nothing is ordered. It would be about $0.75." in printed.out
    assert printed.err == "Note: an estimate\n"
    assert [path for _, path, _ in asked(server)] == ["/v1/jobs?dry_run=true"]


def test_a_refusal_names_each_field_and_ends_with_3(
    type_in: Type, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    empty = tmp_path / "empty.json"
    empty.write_text('{"scenes": []}')
    assert type_in("submit", str(empty)) == 3
    assert capsys.readouterr().err.splitlines() == [
        "Refused (validation_failed): scenes: this can't be empty",
        "  scenes: this can't be empty",
        "      given: 0",
        "      allowed: max 200, min 1",
        "request r-1",
    ]


def test_a_wrong_key_and_somebody_elses_job_are_refusals(
    type_in: Type, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert type_in("job", "another job") == 3
    assert "there is no such job" in capsys.readouterr().err
    monkeypatch.setenv("DAILIES_API_KEY", "wrong")
    assert type_in("jobs") == 3
    assert "Refused (unauthorized): send a key" in capsys.readouterr().err


def test_a_server_that_is_away_ends_with_4_and_says_how_to_order_only_once(
    server: CliServer, type_in: Type, capsys: pytest.CaptureFixture[str]
) -> None:
    server.stop()
    assert type_in("submit", str(LIGHTHOUSE), "--idempotency-key", "mine") == 4
    complaint = capsys.readouterr().err
    assert "nothing listens there" in complaint
    assert "--idempotency-key mine" in complaint


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b'{"scenes": [', "is not JSON"),
        (b'{"a": NaN}', "NaN is no number"),
        (b"\xff\xfe", "is not JSON"),
        (None, "can't be read"),
    ],
)
def test_a_file_that_holds_no_json_is_a_usage_error(
    server: CliServer,
    type_in: Type,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    content: bytes | None,
    complaint: str,
) -> None:
    file = tmp_path / "storyboard.json"
    if content is not None:
        file.write_bytes(content)
    assert type_in("submit", str(file)) == 2
    assert asked(server) == []
    assert complaint in " ".join(capsys.readouterr().err.replace("│", " ").split())


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("DAILIES_URL", "not an address"),
        ("DAILIES_URL", "http://[::1"),
        ("DAILIES_API_KEY", ""),
        ("DAILIES_API_KEY", "ä"),
    ],
)
def test_an_environment_that_makes_no_sense_is_a_usage_error(
    type_in: Type, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    assert type_in("jobs") == 2
    assert variable in capsys.readouterr().err


def test_an_unknown_command_or_a_bad_index_is_a_usage_error(server: CliServer, type_in: Type) -> None:
    assert type_in("render") == 2
    assert type_in("retry", JOB, "-1") == 2
    assert asked(server) == []


def test_retry_sends_only_what_is_changed(server: CliServer, type_in: Type) -> None:
    assert type_in("retry", JOB, "1") == 0
    assert type_in("retry", JOB, "1", "--prompt", "calmer", "--seed", "7") == 0
    assert asked(server) == [
        ("POST", f"/v1/jobs/{JOB}/clips/1/retry", {}),
        ("POST", f"/v1/jobs/{JOB}/clips/1/retry", {"prompt": "calmer", "seed": 7}),
    ]


def test_resume_and_cancel_show_the_job_or_the_refusal(
    server: CliServer, type_in: Type, capsys: pytest.CaptureFixture[str]
) -> None:
    assert type_in("resume", JOB) == 0
    assert type_in("cancel", JOB, "--json") == 0
    assert '"title": "The lighthouse"' in capsys.readouterr().out
    server.end("complete")
    assert type_in("cancel", JOB) == 3


def test_a_job_is_shown_with_each_clip_under_its_index(
    server: CliServer, type_in: Type, capsys: pytest.CaptureFixture[str]
) -> None:
    server.finish_clip(0)
    server.clip(1, waiting={"reason": "blocked", "account": "replicate", "about_seconds": 12, "place": None})
    server.end("partial")
    assert type_in("job", JOB) == 0
    shown = capsys.readouterr().out.splitlines()
    assert shown[0] == "The lighthouse · partly done · 1 of 2 clips · 0:42 · $1.24"
    assert " ".join(shown[2].split()) == "0 100 % saved · 5.0 s · $0.62 1 Shot 1: waves against a black rock, a small…"
    assert "replicate asks us to wait · 12 s" in shown[3]


def test_models_and_jobs_are_tables_or_json(type_in: Type, capsys: pytest.CaptureFixture[str]) -> None:
    assert type_in("models", "--duration", "5") == 0
    assert capsys.readouterr().out.splitlines()[1].split() == [
        "replicate/seedance-1-pro", "text", "16:9", "2", "to", "12", "12.4", "a", "second",
    ]  # fmt: skip
    assert type_in("jobs", "--json") == 0
    assert json.loads(capsys.readouterr().out)["jobs"][0]["id"] == JOB


@pytest.mark.requirement("R51")
def test_accounts_are_a_row_each_and_one_is_told_in_full(
    server: CliServer, type_in: Type, capsys: pytest.CaptureFixture[str]
) -> None:
    assert type_in("accounts") == 0
    row = " ".join(capsys.readouterr().out.splitlines()[1].split())
    assert row == "replicate 3 of 5 in use, 1 yours 9, 4 yours $1.24 ready"
    assert type_in("accounts", "replicate") == 0
    told = capsys.readouterr().out
    for words in (
        "replicate · ready",
        "Limit    4 to begin with, at least 1, at most 8",
        "Requests 7 of 600 in 60 s (create)",
        "Spent    $1.24 today, $30.10 in all",
        "the provider took more",
        "replicate/x",
    ):
        assert words in told
    assert type_in("accounts", "replicate", "--json") == 0
    assert json.loads(capsys.readouterr().out) == server.account
    assert type_in("accounts", "nobody") == 3


def test_an_account_that_is_held_back_says_by_what(
    server: CliServer, type_in: Type, capsys: pytest.CaptureFixture[str]
) -> None:
    breaker = {"model": "replicate/x", "open_seconds": 20.0, "openings": 1, "failures": 5}
    server.account |= {"blocked_seconds": 11.4, "breakers": [breaker]}
    assert type_in("accounts") == 0
    assert "replicate asks us to wait · 12 s, replicate/x is failing" in capsys.readouterr().out
    server.account |= {"slots": None, "line": None}
    assert type_in("accounts") == 0
    assert "not known" in capsys.readouterr().out


def test_the_doctor_names_the_part_that_is_away(type_in: Type, capsys: pytest.CaptureFixture[str]) -> None:
    assert type_in("doctor", "--json") == 1
    findings = {each["part"]: each for each in json.loads(capsys.readouterr().out)["findings"]}
    assert (findings["server"]["verdict"], findings["key"]["verdict"]) == ("bad", "good")
    assert "but not its redis" in findings["server"]["words"]


def spawned(server: CliServer, *words: str) -> "subprocess.Popen[str]":
    environment = {**os.environ, "DAILIES_URL": server.url, "DAILIES_API_KEY": KEY, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "cli", *words]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_ctrl_c_leaves_quietly(server: CliServer) -> None:
    with spawned(server, "watch", JOB) as command:
        eventually(lambda: server.subscribed > 0)
        command.send_signal(signal.SIGINT)
        _, complaint = command.communicate()
    assert (command.returncode, complaint) == (130, "")


def test_a_reader_that_leaves_is_left_quietly(server: CliServer) -> None:
    with spawned(server, "watch", JOB, "--json") as command:
        eventually(lambda: server.subscribed > 0)
        assert command.stdout is not None
        assert command.stderr is not None
        command.stdout.close()
        server.finish_clip(0)
        complaint = command.stderr.read()
    assert (command.returncode, complaint) == (130, "")


@pytest.mark.requirement("R32")
def test_a_terminal_shows_bars_that_are_drawn_anew_in_place(server: CliServer) -> None:
    server.story = [
        lambda: server.tell("video_progress", index=0, progress=40, status="rendering"),
        lambda: server.finish_clip(0),
        lambda: server.fail_clip(1, "the prompt was flagged"),
        lambda: server.end("failed"),
    ]
    terminal, end = pty.openpty()
    environment = {**os.environ, "DAILIES_URL": server.url, "DAILIES_API_KEY": KEY, "PYTHONPATH": str(ROOT)}
    environment |= {"COLUMNS": "80", "LINES": "24", "TERM": "xterm-256color"}
    command = [sys.executable, "-m", "cli", "watch", JOB]
    with subprocess.Popen(command, env=environment, stdout=end, stderr=end) as watching:
        os.close(end)
        drawn = "".join(_until_closed(terminal))
    assert watching.returncode == 1
    assert "\x1b[2K" in drawn
    last = drawn[drawn.rindex("The lighthouse") :]
    assert "100 %" in last
    assert "failed: the prompt was flagged" in last


def _until_closed(terminal: int) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder("utf-8")()
    with contextlib.suppress(OSError):  # what a closed terminal says on Linux
        while data := os.read(terminal, 65_536):
            yield decoder.decode(data)
    os.close(terminal)
