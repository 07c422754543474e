"""Hypereal over a real socket: what is sent, what each answer means, and which early words are not believed."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from pipeline.domain.answers import Accepted, Busy, Finished, Reason, Refused, Silent, Unknown, Working
from pipeline.domain.attempt import Prediction
from pipeline.providers import PROVIDERS
from pipeline.providers.hypereal import Hypereal
from pipeline.providers.protocol import Credentials, Forged, Found, Hint, Order, Survey
from tests.replicate_server import Scripted, Server, answer

TOKEN = "ck_canary_token_of_the_account"
JOB = "job_7f3a9c2e10"
MODEL = "kling-3-0-std-i2v"
ORDER = Order(model="kling-3-0-std-t2v", endpoint=MODEL, input={"prompt": "a lighthouse", "duration": 5})
PICTURE = replace(ORDER, endpoint="images/nano-banana-t2i", input={"prompt": "a lighthouse", "aspect_ratio": "16:9"})
PREDICTION = Prediction(id=JOB, endpoint=MODEL)
NOW = datetime(2026, 11, 21, tzinfo=UTC)


@pytest.fixture(scope="module")
def running() -> Iterator[Server]:
    with Server.running() as server:
        yield server


@pytest.fixture
def server(running: Server) -> Server:
    return running.forgetful()


@pytest.fixture
def hypereal(server: Server) -> Hypereal:
    return Hypereal(Credentials(base_url=server.url, token=TOKEN))


def accepted(**changes: Any) -> Scripted:
    return answer(202, {"jobId": JOB, "status": "processing", "message": "…", "creditsUsed": 42} | changes)


def test_the_registry_knows_hypereal() -> None:
    assert PROVIDERS["hypereal"] is Hypereal


@pytest.mark.requirement("R50")
def test_an_order_names_the_model_of_its_mode_and_goes_out_once(hypereal: Hypereal, server: Server) -> None:
    server.plays(accepted())
    got = hypereal.submit(replace(ORDER, webhook_url="https://us.test/w/1"))
    assert got == Accepted(prediction_id=JOB, raw={"jobId": JOB, "status": "processing", "creditsUsed": 42})
    [seen] = server.seen
    assert (seen.method, seen.path) == ("POST", "/v1/videos/generate")
    assert seen.document == {"model": MODEL, "input": dict(ORDER.input), "webhook_url": "https://us.test/w/1"}
    assert seen.headers["Authorization"] == f"Bearer {TOKEN}"


@pytest.mark.parametrize("ending", ["", "/", "/v1", "/v1/"])
def test_the_address_of_an_account_may_end_with_the_version_or_not(server: Server, ending: str) -> None:
    server.plays(answer(200, {"status": "processing"}))
    for before in ("", "/api"):
        Hypereal(Credentials(base_url=server.url + before + ending, token=TOKEN)).status(PREDICTION)
    paths = [seen.path.partition("?")[0] for seen in server.seen]
    assert paths == [f"/v1/jobs/{JOB}", f"/api/v1/jobs/{JOB}"]


def test_a_picture_is_ordered_flat_and_is_there_at_once(hypereal: Hypereal, server: Server) -> None:
    link = "https://files.test/a.png"
    pictures = {
        "created": 1,
        "data": [{"url": link, "model": "nano-banana-t2i"}],
        "resultId": "res_1",
        "creditsUsed": 4,
    }
    server.plays(answer(200, pictures))
    got = hypereal.submit(PICTURE)
    assert got == Finished(outputs=(link,), prediction_id="res_1", raw={"resultId": "res_1", "creditsUsed": 4})
    [seen] = server.seen
    assert seen.path == "/v1/images/generate"
    assert seen.document == {"model": "nano-banana-t2i", **PICTURE.input}
    assert hypereal.status(Prediction(id="res_1", endpoint=PICTURE.endpoint)).code == "lost"  # type: ignore[union-attr]


@pytest.mark.requirement("R50")
@pytest.mark.parametrize("order", [ORDER, PICTURE], ids=["a job", "a picture"])
@pytest.mark.parametrize(
    "scripted",
    [
        answer(500, {}),
        answer(503, {}),
        answer(408, {}),
        answer(202, {"status": "processing"}),
        answer(202, []),
        Scripted(202, b"<html>"),
        Scripted(202, json.dumps({"jobId": JOB, "data": [{"url": "https://files.test/a.png"}]}).encode(), cut=5),
        Scripted(reset=True),
    ],
)
def test_an_answer_that_proves_nothing_is_unknown_and_the_order_is_sent_once(
    hypereal: Hypereal, server: Server, scripted: Scripted, order: Order
) -> None:
    server.plays(scripted)
    assert isinstance(hypereal.submit(order), Unknown)
    assert len(server.seen) == 1


@pytest.mark.requirement("R44", "R68")
@pytest.mark.parametrize(
    ("status", "message", "code"),
    [
        (400, "duration must be 5 or 10", "rejected_input"),
        (400, "The prompt violates our content policy", "moderated"),
        (401, "Invalid API key", "not_authorised"),
        (402, "Insufficient credits", "no_credit"),
        (403, "Forbidden", "not_authorised"),
    ],
)
def test_a_clear_no_to_an_order_is_refused_for_good(
    hypereal: Hypereal, server: Server, status: int, message: str, code: str
) -> None:
    for body in ({"error": {"message": message}}, {"error": message}):
        server.plays(answer(status, body))
        got = hypereal.submit(ORDER)
        assert isinstance(got, Refused)
        assert (got.code, got.message, got.retryable) == (code, message, False)


@pytest.mark.requirement("R10")
def test_the_queue_of_the_plan_is_busy_whoever_asks(hypereal: Hypereal, server: Server) -> None:
    words = "Your request is currently queued due to high demand on your plan. Please retry shortly."
    server.plays(answer(429, {"error": {"message": words}}))
    busy = Busy(reason=Reason.BLOCKED)
    assert [hypereal.submit(ORDER), hypereal.status(PREDICTION), hypereal.probe(MODEL)] == [busy] * 3
    assert len(server.seen) == 3


@pytest.mark.parametrize(
    "document",
    [
        {"status": "completed", "outputUrl": "https://files.test/a.mp4"},
        {"status": "succeeded", "output_url": "https://files.test/a.mp4"},
        {"status": "completed", "result": {"url": "https://files.test/a.mp4"}},
        {"status": "completed", "output": {"url": "https://files.test/a.mp4"}},
        {"status": "completed", "url": "https://files.test/a.mp4", "outputUrl": None},
    ],
)
def test_the_link_of_a_finished_job_is_found_wherever_it_stands(
    hypereal: Hypereal, server: Server, document: dict[str, Any]
) -> None:
    server.plays(answer(200, document))
    got = hypereal.status(PREDICTION)
    assert isinstance(got, Finished)
    assert got.outputs == ("https://files.test/a.mp4",)
    assert server.seen[0].path == f"/v1/jobs/{JOB}?model={MODEL}&type=video"


@pytest.mark.parametrize("status", ["processing", "queued", "starting", None])
def test_any_other_state_is_work_in_progress(hypereal: Hypereal, server: Server, status: str | None) -> None:
    server.plays(answer(200, {"status": status}))
    assert hypereal.status(PREDICTION) == Working(prediction_id=JOB)


@pytest.mark.requirement("R12")
@pytest.mark.parametrize(
    "scripted",
    [
        answer(200, {"status": "failed", "error": "Failed to check status"}),
        answer(200, {"status": "failed", "error": "Failed to check status."}),
        answer(200, {"status": "failed", "error": ""}),
        answer(200, {"status": "error"}),
        answer(200, {"status": "failed", "error": "Job not found"}),
        answer(404, {"error": {"message": "not found"}}),
    ],
)
def test_an_early_failure_to_look_is_no_verdict_on_the_job(
    hypereal: Hypereal, server: Server, scripted: Scripted
) -> None:
    server.plays(scripted)
    got = hypereal.status(PREDICTION)
    assert isinstance(got, Refused)
    assert got.code == "lost"


@pytest.mark.requirement("R44", "R68")
@pytest.mark.parametrize(
    ("error", "code"),
    [
        ("Generation failed: out of memory", "provider_error"),
        ("Output flagged by the safety system", "moderated"),
        ("The reference image was not found on the given host", "provider_error"),
    ],
)
def test_a_real_failure_is_believed_at_once(hypereal: Hypereal, server: Server, error: str, code: str) -> None:
    for said in (error, {"message": error}):
        server.plays(answer(200, {"status": "failed", "error": said}))
        got = hypereal.status(PREDICTION)
        assert isinstance(got, Refused)
        assert (got.code, got.message, got.retryable) == (code, error, code == "provider_error")


@pytest.mark.requirement("R44", "R68")
@pytest.mark.parametrize(
    ("said", "code", "retryable"),
    [
        ({"error": "Output flagged by the safety system"}, "moderated", False),
        ({"message": "blocked: content policy"}, "moderated", False),
        ({"message": "done"}, "provider_error", True),
        ({}, "provider_error", True),
    ],
)
def test_a_success_without_a_file_is_a_verdict_where_its_words_say_so(
    hypereal: Hypereal, server: Server, said: dict[str, str], code: str, *, retryable: bool
) -> None:
    server.plays(answer(200, {"status": "completed", "outputUrl": None, **said}))
    got = hypereal.status(PREDICTION)
    assert isinstance(got, Refused)
    assert (got.code, got.retryable) == (code, retryable)


@pytest.mark.requirement("R11")
def test_a_look_that_fails_in_transit_waits_for_its_row_since_a_second_one_would_come_too_soon(
    hypereal: Hypereal, server: Server
) -> None:
    server.plays(answer(503, {}))
    assert hypereal.status(PREDICTION) == Silent(message="HTTP 503: HTTP 503", outage=True)
    assert len(server.seen) == 1


def test_the_place_to_poll_is_taken_from_the_receipt_and_kept_in_what_a_look_tells(
    hypereal: Hypereal, server: Server
) -> None:
    place = f"{server.url}/v1/elsewhere/{JOB}?type=video"
    server.plays(accepted(pollUrl=place))
    bought = hypereal.submit(ORDER)
    assert isinstance(bought, Accepted)
    server.plays(answer(200, {"status": "failed", "error": "Failed to check status"}))
    told = hypereal.status(replace(PREDICTION, receipt=bought.raw))
    assert isinstance(told, Refused)
    assert told.raw["pollUrl"] == place
    assert server.seen[-1].path == f"/v1/elsewhere/{JOB}?type=video"


@pytest.mark.parametrize(
    "place", ["https://thief.test/v1/jobs/1", "http://127.0.0.1:1/v1/jobs/1", "//thief.test", "", 7, "https://["]
)
def test_the_key_never_goes_to_a_host_that_is_not_the_providers(
    hypereal: Hypereal, server: Server, place: object
) -> None:
    server.plays(answer(200, {"status": "processing"}))
    hypereal.status(replace(PREDICTION, receipt={"pollUrl": place}))
    assert server.seen[0].path.startswith(f"/v1/jobs/{JOB}?")


def test_the_providers_other_hosts_are_its_own(server: Server) -> None:
    moved = Hypereal(Credentials(base_url="http://127.0.0.1:1", token=TOKEN, hosts={"former": server.url}))
    server.plays(answer(200, {"status": "processing"}))
    assert moved.status(replace(PREDICTION, receipt={"pollUrl": f"{server.url}/v1/jobs/9"})) == Working(
        prediction_id=JOB
    )


@pytest.mark.requirement("R50")
def test_a_lost_order_is_never_proven_absent(hypereal: Hypereal, server: Server) -> None:
    assert hypereal.find(ORDER, NOW) == Found(predictions=(), complete=False)
    assert hypereal.survey([JOB], NOW) == Survey(readings={})
    assert server.seen == []


@pytest.mark.requirement("R56")
def test_what_can_not_be_cancelled_is_asked_for(hypereal: Hypereal, server: Server) -> None:
    server.plays(answer(200, {"status": "processing"}))
    assert hypereal.cancel(PREDICTION) == Working(prediction_id=JOB)
    assert [seen.method for seen in server.seen] == ["GET"]


@pytest.mark.parametrize("scripted", [answer(404, {}), answer(200, {"status": "failed"}), answer(400, {})])
def test_a_probe_is_answered_by_whoever_is_there(hypereal: Hypereal, server: Server, scripted: Scripted) -> None:
    server.plays(scripted)
    found = hypereal.probe(MODEL)
    assert not (isinstance(found, Silent) and found.outage)


@pytest.mark.requirement("R53")
def test_a_report_is_a_hint_since_nobody_signs_it(hypereal: Hypereal) -> None:
    assert hypereal.webhook_secret() == ""
    body = json.dumps({"jobId": JOB, "status": "completed"}).encode()
    first, again = (hypereal.read_webhook({}, body, secret="", now=NOW) for _ in range(2))
    assert isinstance(first, Hint)
    assert first.prediction_id == JOB
    assert first == again
    for strange in (b"", b"[]", b"{}", b'{"jobId": "../account"}', b'{"jobId": 7}'):
        assert isinstance(hypereal.read_webhook({}, strange, secret="", now=NOW), Forged)


def test_the_token_shows_nowhere(server: Server, hypereal: Hypereal) -> None:
    server.plays(answer(401, {"error": f"the key {TOKEN} is not known"}))
    for shown in (hypereal, hypereal.submit(ORDER), hypereal.status(PREDICTION)):
        assert TOKEN not in repr(shown)
