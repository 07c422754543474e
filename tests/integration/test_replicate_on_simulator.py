"""The Replicate adapter against the provider simulator, which shares no code with it."""

import queue
import secrets
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import pytest
import requests
import tenacity

from pipeline.domain.answers import Accepted, Busy, Finished, Reason, Refused, Silent, Unknown, Working
from pipeline.domain.attempt import Prediction
from pipeline.media import Media
from pipeline.providers.protocol import Credentials, Fetched, Found, Order, Status, WebhookNews
from pipeline.providers.replicate import Replicate
from tests import servers

MODEL = "bytedance/seedance-1-pro-fast"
MAX_BYTES = 50_000_000


@pytest.fixture
def simulator(running: servers.Simulator) -> servers.Simulator:
    requests.post(f"{running.url}/_sim/reset", timeout=5).raise_for_status()
    return running


@pytest.fixture
def replicate(simulator: servers.Simulator) -> Replicate:
    return Replicate(Credentials(base_url=simulator.replicate_base_url, token=simulator.token))


@pytest.fixture
def started_at() -> datetime:
    return datetime.now(UTC) - timedelta(minutes=2)


def order(prompt: str = "a lighthouse", **changes: Any) -> Order:
    given = {"prompt": prompt, "duration": 5, "aspect_ratio": "16:9", "seed": secrets.randbelow(2**31)}
    return Order(model=MODEL, input=given, **changes)


def bought(replicate: Replicate, wanted: Order) -> str:
    answer = replicate.submit(wanted)
    assert isinstance(answer, Accepted)
    return answer.prediction_id


def paid(simulator: servers.Simulator) -> int:
    stats = requests.get(f"{simulator.url}/_sim/stats", timeout=5).json()
    return int(stats["accepted"])


@tenacity.retry(
    retry=tenacity.retry_if_result(lambda answer: isinstance(answer, Working | Silent)),
    wait=tenacity.wait_fixed(0.05),
    stop=tenacity.stop_after_delay(20),
)
def awaited(replicate: Replicate, prediction_id: str) -> Status:
    return replicate.status(Prediction(id=prediction_id))


@dataclass(frozen=True)
class Delivery:
    headers: dict[str, str]
    body: bytes


class Inbox(ThreadingHTTPServer):
    """Takes webhooks and keeps them."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Postman)
        self.deliveries: queue.Queue[Delivery] = queue.Queue()
        self.url = f"http://127.0.0.1:{self.server_port}/webhooks/replicate/attempt/mac"


class Postman(BaseHTTPRequestHandler):
    server: Inbox

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.deliveries.put(Delivery(dict(self.headers.items()), body))
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 -- the name is the base class's
        """Keep the test output clean."""


@pytest.fixture
def inbox() -> Iterator[Inbox]:
    with Inbox() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.mark.requirement("R63")
def test_an_order_becomes_a_clip_on_our_disk(replicate: Replicate, tmp_path: Path) -> None:
    answer = awaited(replicate, bought(replicate, order()))
    assert isinstance(answer, Finished)
    fetched = replicate.download(answer.outputs[0], tmp_path / "clip.mp4", max_bytes=MAX_BYTES)
    assert isinstance(fetched, Fetched)
    clip = Media(imageio_ffmpeg.get_ffmpeg_exe()).check_clip(tmp_path / "clip.mp4")
    assert clip.duration_seconds == pytest.approx(5, abs=0.1)
    assert (clip.sha256, clip.size_bytes) == (fetched.sha256, fetched.size_bytes)


@pytest.mark.requirement("R53")
def test_the_webhooks_tell_the_whole_story_and_are_signed_with_the_fetched_secret(
    replicate: Replicate, inbox: Inbox
) -> None:
    secret = replicate.webhook_secret()
    assert isinstance(secret, str)
    prediction_id = bought(replicate, order(webhook_url=inbox.url))
    while True:
        delivery = inbox.deliveries.get(timeout=20)
        news = replicate.read_webhook(delivery.headers, delivery.body, secret=secret, now=datetime.now(UTC))
        assert isinstance(news, WebhookNews)
        assert news.prediction_id == prediction_id
        if isinstance(news.answer, Finished):
            break
    assert news.answer == replicate.status(Prediction(id=prediction_id))


@pytest.mark.requirement("R53")
def test_a_forged_webhook_is_not_believed(replicate: Replicate, inbox: Inbox, simulator: servers.Simulator) -> None:
    bought(replicate, order("forgery [[sim: webhook=forged]]", webhook_url=inbox.url))
    delivery = inbox.deliveries.get(timeout=20)
    news = replicate.read_webhook(
        delivery.headers, delivery.body, secret=simulator.webhook_secret, now=datetime.now(UTC)
    )
    assert not isinstance(news, WebhookNews)


@pytest.mark.requirement("R50")
@pytest.mark.parametrize("fault", ["create=drop-after", "create=500-after", "create=503-after"])
def test_an_order_whose_answer_was_lost_is_found_by_its_seed(
    replicate: Replicate, simulator: servers.Simulator, started_at: datetime, fault: str
) -> None:
    lost = order(f"same words [[sim: {fault}]]")
    twin = order(str(lost.input["prompt"]))
    assert isinstance(replicate.submit(lost), Unknown)
    assert isinstance(replicate.submit(twin), Unknown)
    found = replicate.find(lost, started_at)
    assert isinstance(found, Found)
    assert found.complete
    [prediction] = found.predictions
    assert isinstance(awaited(replicate, prediction.prediction_id), Finished)
    assert paid(simulator) == 2


@pytest.mark.requirement("R50")
@pytest.mark.parametrize("fault", ["create=drop", "create=500", "create=503"])
def test_an_order_that_never_arrived_is_proven_absent(
    replicate: Replicate, simulator: servers.Simulator, started_at: datetime, fault: str
) -> None:
    lost = order(f"a lighthouse [[sim: {fault}]]")
    assert isinstance(replicate.submit(lost), Unknown)
    assert replicate.find(lost, started_at) == Found(predictions=(), complete=True)
    assert paid(simulator) == 0


@pytest.mark.requirement("R50")
def test_an_order_is_found_behind_a_hundred_later_ones(replicate: Replicate, started_at: datetime) -> None:
    first = order("first [[sim: stall]]")
    prediction_id = bought(replicate, first)
    for number in range(101):
        bought(replicate, order(f"later {number} [[sim: stall]]"))
    found = replicate.find(first, started_at)
    assert isinstance(found, Found)
    assert [prediction.prediction_id for prediction in found.predictions] == [prediction_id]
    assert found.complete


@pytest.mark.requirement("R56")
def test_a_cancelled_prediction_stays_cancelled(replicate: Replicate) -> None:
    prediction_id = bought(replicate, order("never ends [[sim: stall]]"))
    for answer in (replicate.cancel(Prediction(id=prediction_id)), replicate.status(Prediction(id=prediction_id))):
        assert isinstance(answer, Refused)
        assert (answer.code, answer.retryable) == ("provider_cancelled", True)


@pytest.mark.requirement("R56")
def test_a_prediction_that_was_finished_before_the_cancel_is_kept(replicate: Replicate) -> None:
    prediction_id = bought(replicate, order())
    awaited(replicate, prediction_id)
    assert isinstance(replicate.cancel(Prediction(id=prediction_id)), Finished)


@pytest.mark.requirement("R10")
def test_a_429_says_how_long_to_stay_away_and_nothing_is_paid(
    replicate: Replicate, simulator: servers.Simulator
) -> None:
    answer = replicate.submit(order("a lighthouse [[sim: create=429 retry_after=30]]"))
    assert answer == Busy(reason=Reason.BLOCKED, wait_seconds=30.0)
    requests.post(f"{simulator.url}/_sim/limits", json={"max_in_flight": 0}, timeout=5).raise_for_status()
    full = replicate.submit(order())
    assert isinstance(full, Busy)
    assert full.reason is Reason.BLOCKED
    assert paid(simulator) == 0


@pytest.mark.requirement("R68", "R44")
@pytest.mark.parametrize(
    ("fault", "code", "retryable"),
    [("moderated", "moderated", False), ("E1000", "provider_error", True), ("oom", "provider_error", True)],
)
def test_a_failed_prediction_says_whether_another_attempt_can_help(
    replicate: Replicate, fault: str, code: str, *, retryable: bool
) -> None:
    answer = awaited(replicate, bought(replicate, order(f"a lighthouse [[sim: fail={fault}]]")))
    assert isinstance(answer, Refused)
    assert (answer.code, answer.retryable) == (code, retryable)


@pytest.mark.parametrize(("fault", "code"), [("402", "no_credit"), ("422", "rejected_input")])
def test_a_refused_order_costs_nothing(
    replicate: Replicate, simulator: servers.Simulator, fault: str, code: str
) -> None:
    answer = replicate.submit(order(f"a lighthouse [[sim: create={fault}]]"))
    assert isinstance(answer, Refused)
    assert (answer.code, answer.retryable) == (code, False)
    assert paid(simulator) == 0


def test_an_input_that_the_model_does_not_take_is_rejected_in_the_providers_words(replicate: Replicate) -> None:
    answer = replicate.submit(Order(model=MODEL, input={"prompt": "p", "duration": 999}))
    assert isinstance(answer, Refused)
    assert answer.code == "rejected_input"
    assert "duration" in answer.message


def test_a_deadline_of_ours_is_kept_by_the_provider(replicate: Replicate, simulator: servers.Simulator) -> None:
    prediction_id = bought(replicate, order("never ends [[sim: stall]]", cancel_after_seconds=600))
    url = f"{simulator.url}/v1/predictions/{prediction_id}"
    document = requests.get(url, headers={"Authorization": f"Bearer {simulator.token}"}, timeout=5).json()
    created_at, deadline = (datetime.fromisoformat(document[name]) for name in ("created_at", "deadline"))
    assert (deadline - created_at).total_seconds() == pytest.approx(600, abs=1)


@pytest.mark.requirement("R16")
def test_a_poll_that_is_dropped_twice_is_still_answered(replicate: Replicate) -> None:
    prediction_id = bought(replicate, order("a lighthouse [[sim: stall poll=502 requests=2]]"))
    assert isinstance(replicate.status(Prediction(id=prediction_id)), Working)


@pytest.mark.requirement("R06")
def test_progress_is_read_from_the_logs(replicate: Replicate) -> None:
    prediction_id = bought(replicate, order("slowly [[sim: seconds=4]]"))
    seen = [replicate.status(Prediction(id=prediction_id))]
    while not isinstance(seen[-1], Finished):
        seen.append(replicate.status(Prediction(id=prediction_id)))
    shown = [answer.progress for answer in seen if isinstance(answer, Working) and answer.progress]
    assert shown
    assert shown == sorted(shown)


@pytest.mark.requirement("R63")
@pytest.mark.parametrize(
    ("fault", "kind"), [("cut", Silent), ("expired", Refused), ("truncated", Fetched), ("html", Fetched)]
)
def test_a_file_that_is_not_whole_is_noticed_on_the_way_or_by_its_content(
    replicate: Replicate, tmp_path: Path, fault: str, kind: type
) -> None:
    answer = awaited(replicate, bought(replicate, order(f"a lighthouse [[sim: output={fault}]]")))
    assert isinstance(answer, Finished)
    assert isinstance(replicate.download(answer.outputs[0], tmp_path / "clip", max_bytes=MAX_BYTES), kind)
    assert (tmp_path / "clip").exists() == (kind is Fetched)
