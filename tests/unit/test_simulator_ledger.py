"""What the simulator sold survives a crash in the middle of a line."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from simulator.faults import Fault
from simulator.ledger import JsonLines
from simulator.predictions import Media, Order, Phase, Prediction
from simulator.replicate.dialect import MODELS
from simulator.schema import Models
from simulator.shared_render import COMMENT_BYTES, comment

BORN = datetime(2026, 3, 1, 10, 0, 0, 123456, tzinfo=UTC)
ORDER = Order(
    id="a" * 26,
    number=1,
    account="me",
    model="bytedance/seedance-1-pro",
    version="hidden",
    input={"prompt": "ein Leuchtturm — été", "duration": 5},
    price_cents=62,
    created_at=BORN,
    render_seconds=10,
    media=Media(kind="video", extension="mp4"),
    caption="ein Leuchtturm",
    base_url="http://127.0.0.1:1",
    webhook="http://127.0.0.1:2/hook",
    webhook_events=["completed"],
    deadline=BORN + timedelta(seconds=90),
    fault=Fault(seconds=10, webhook="late"),
)


def test_lines_come_back_after_reopening(tmp_path: Path) -> None:
    path = tmp_path / "new" / "ledger.jsonl"
    lines = JsonLines(path)
    lines.append({"id": "ü"}, sync=True)
    lines.close()
    again = JsonLines(path)
    again.append({"id": "b"})
    assert list(again) == [{"id": "ü"}, {"id": "b"}]
    again.clear()
    again.append({"id": "c"})
    assert list(again) == [{"id": "c"}]
    again.close()


def test_a_torn_last_line_is_dropped_and_the_next_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    path.write_bytes(b'{"id":"a"}\n{"id":"b", "inp')
    lines = JsonLines(path)
    lines.append({"id": "c"})
    assert list(lines) == [{"id": "a"}, {"id": "c"}]
    lines.close()


def test_an_order_is_the_same_after_its_line_was_read(tmp_path: Path) -> None:
    lines = JsonLines(tmp_path / "ledger.jsonl")
    lines.append(ORDER.as_json())
    assert [Order.from_json(line) for line in lines] == [ORDER]
    lines.close()


def test_a_prediction_is_the_same_after_its_journal_was_replayed(tmp_path: Path) -> None:
    journal = JsonLines(tmp_path / "journal.jsonl")
    prediction = Prediction(order=ORDER)
    for changes in (
        {"phase": Phase.PROCESSING, "started_at": ORDER.starts_at},
        {"phase": Phase.FAILED, "error": "boom", "completed_at": ORDER.ends_at},
        {"data_removed": True},
    ):
        prediction, line = prediction.change(**changes)
        journal.append(line)
    replayed = Prediction(order=ORDER)
    for line in journal:
        replayed = replayed.replay(line)
    assert replayed == prediction
    journal.close()


def test_a_prediction_is_never_complete_before_it_succeeded() -> None:
    running = Prediction(order=ORDER, phase=Phase.PROCESSING, started_at=ORDER.starts_at)
    assert running.fraction(ORDER.starts_at) == 0
    assert 0.4 < running.fraction(BORN + timedelta(seconds=5)) < 0.6
    assert running.fraction(BORN + timedelta(hours=1)) == 0.99
    assert replace(running, phase=Phase.SUCCEEDED).fraction(BORN) == 1


def test_the_truth_of_any_order_fits_in_the_blank_of_a_shared_clip() -> None:
    longest = max(Models.read(MODELS).by_name, key=len)
    truth = comment(replace(ORDER, model=longest, number=9_999_999))
    assert len(truth) == COMMENT_BYTES
    assert json.loads(truth)["model"] == longest
