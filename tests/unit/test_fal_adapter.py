"""fal's answers over a real socket: what each means for the order, the question and the money."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from pipeline.domain.answers import Accepted, Busy, Finished, Reason, Refused, Silent, Unknown, Working
from pipeline.domain.attempt import Prediction
from pipeline.providers import PROVIDERS
from pipeline.providers.fal import Fal
from pipeline.providers.protocol import Credentials, Found, Order, Survey
from tests.replicate_server import Scripted, Server, answer

TOKEN = "canary-key-of-the-account:secret"
ID = "6c6a5a2e-1f3b-4a51-9a5e-0b8a5b7f1c2d"
ENDPOINT = "fal-ai/veo3.1/fast/image-to-video"
ORDER = Order(model="fal-ai/veo3.1/fast", endpoint=ENDPOINT, input={"prompt": "a lighthouse", "duration": "8s"})
PREDICTION = Prediction(id=ID, endpoint=ENDPOINT)
FILE = {"url": "https://v3.fal.media/files/a.mp4", "content_type": "video/mp4", "file_name": "a.mp4", "file_size": 1}
RECEIPT = {"status": "IN_QUEUE", "request_id": ID, "queue_position": 0, "response_url": "https://elsewhere.test/steal"}
DONE = {"status": "COMPLETED", "logs": None, "metrics": {"inference_time": 41.8}}
FAILED = DONE | {"error": "it failed", "error_type": "runner_server_error"}
LOCKED = {"detail": "User is locked. Reason: Exhausted balance. Top up your balance at https://fal.ai/dashboard."}


@pytest.fixture(scope="module")
def running() -> Iterator[Server]:
    with Server.running() as server:
        yield server


@pytest.fixture
def server(running: Server) -> Server:
    return running.forgetful()


@pytest.fixture
def fal(server: Server) -> Fal:
    hosts = {"rest": f"{server.url}/_rest", "platform": f"{server.url}/_platform"}
    return Fal(Credentials(base_url=server.url, token=TOKEN, hosts=hosts))


def problem(kind: str, *, status: int = 422, **headers: str) -> Scripted:
    detail = {"loc": ["body", "prompt"], "msg": "no", "type": kind, "url": "", "ctx": {}, "input": "a lighthouse"}
    return answer(status, {"detail": [detail]}, **headers)


def test_the_registry_knows_fal() -> None:
    assert PROVIDERS["fal"] is Fal


def test_an_order_goes_to_the_models_whole_path_and_its_body_is_the_input(fal: Fal, server: Server) -> None:
    server.plays(answer(200, RECEIPT))
    hook = "https://us.test/webhooks/fal/1/mac?a=b&c"
    got = fal.submit(Order(**{**vars(ORDER), "webhook_url": hook, "cancel_after_seconds": 600}))
    assert isinstance(got, Accepted)
    assert got.prediction_id == ID
    [seen] = server.seen
    assert (seen.method, urlsplit(seen.path).path) == ("POST", f"/{ENDPOINT}")
    assert parse_qs(urlsplit(seen.path).query) == {"fal_webhook": [hook]}
    assert seen.document == dict(ORDER.input)
    assert seen.headers["Authorization"] == f"Key {TOKEN}"
    assert not any(name.lower().startswith("x-fal") for name in seen.headers), "nothing may end it in the queue"


@pytest.mark.parametrize(
    ("endpoint", "app"),
    [
        (ENDPOINT, "fal-ai/veo3.1"),
        ("fal-ai/flux/schnell", "fal-ai/flux"),
        ("fal-ai/nano-banana", "fal-ai/nano-banana"),
        ("workflows/studio/storm/v2", "workflows/studio/storm"),
        ("comfy/studio/storm", "comfy/studio/storm"),
    ],
)
def test_what_comes_after_the_order_goes_to_owner_and_alias(fal: Fal, server: Server, endpoint: str, app: str) -> None:
    server.plays(answer(200, DONE), answer(200, {"video": FILE}))
    fal.status(Prediction(id=ID, endpoint=endpoint, receipt=RECEIPT))
    assert [seen.path for seen in server.seen] == [f"/{app}/requests/{ID}/status", f"/{app}/requests/{ID}"]


def test_what_is_nested_over_there_is_given_its_form(fal: Fal, server: Server) -> None:
    server.plays(answer(200, RECEIPT))
    speech = {"text": "hello", "voice_setting.voice_id": "Wise_Woman", "voice_setting.speed": 1}
    fal.submit(Order(model="fal-ai/minimax/speech-02-hd", endpoint="fal-ai/minimax/speech-02-hd", input=speech))
    [seen] = server.seen
    assert seen.document == {"text": "hello", "voice_setting": {"voice_id": "Wise_Woman", "speed": 1}}


NO_PROOF = {
    "a 500": answer(500, {"detail": "oops"}),
    "a 503 with Retry-After": answer(503, {}, Retry_After="3"),
    "a 504 of the runner": answer(504, {"detail": "slow", "error_type": "request_timeout"}),
    "a request timeout": answer(408, {}),
    "a conflict": answer(409, {}),
    "a redirect": answer(307, {}, Location="/elsewhere"),
    "an empty 200": Scripted(200, b""),
    "a 200 without an id": answer(200, {"status": "IN_QUEUE"}),
    "an id that is none": answer(200, {"request_id": "../../admin"}),
    "half an answer": Scripted(200, b'{"request_id":', cut=3),
    "a reset": Scripted(reset=True),
}


@pytest.mark.requirement("R50")
@pytest.mark.parametrize("line", NO_PROOF.values(), ids=NO_PROOF)
def test_an_answer_that_proves_nothing_is_unknown_and_the_order_is_not_repeated(
    fal: Fal, server: Server, line: Scripted
) -> None:
    server.plays(line)
    assert isinstance(fal.submit(ORDER), Unknown)
    assert len(server.seen) == 1


REFUSALS = {
    "a wrong key": (answer(401, {"detail": "no"}), "not_authorised"),
    "a model that is not for us": (answer(403, {"detail": "forbidden"}), "not_authorised"),
    "a locked account": (answer(403, LOCKED), "no_credit"),
    "no such model": (answer(404, {"detail": "Application not found"}), "rejected_input"),
    "a bad input": (problem("literal_error"), "rejected_input"),
    "a bad input, said shortly": (answer(400, {"detail": "bad"}), "rejected_input"),
    "a verdict": (problem("content_policy_violation"), "moderated"),
}


@pytest.mark.requirement("R44", "R68")
@pytest.mark.parametrize(("line", "code"), REFUSALS.values(), ids=REFUSALS)
def test_a_clear_no_to_an_order_is_final(fal: Fal, server: Server, line: Scripted, code: str) -> None:
    server.plays(line)
    got = fal.submit(ORDER)
    assert isinstance(got, Refused)
    assert (got.code, got.retryable) == (code, False)
    assert got.message


def test_a_refusal_names_the_field_and_never_the_token(fal: Fal, server: Server) -> None:
    detail = {"loc": ["body", "duration"], "msg": f"not {TOKEN}", "type": "literal_error"}
    server.plays(answer(422, {"detail": [detail]}))
    got = fal.submit(ORDER)
    assert isinstance(got, Refused)
    assert got.message.startswith("duration: not")
    assert TOKEN not in repr(got)


@pytest.mark.requirement("R10")
def test_a_429_is_busy_for_as_long_as_it_says(fal: Fal, server: Server) -> None:
    server.plays(answer(429, {"detail": "Too many requests"}, Retry_After="7"))
    busy = Busy(reason=Reason.BLOCKED, wait_seconds=7.0)
    assert fal.submit(ORDER) == fal.status(PREDICTION) == fal.cancel(PREDICTION) == busy


@pytest.mark.requirement("R24")
@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({"status": "IN_QUEUE", "queue_position": 2}, Working(prediction_id=ID, queued=True)),
        ({"status": "IN_PROGRESS", "logs": []}, Working(prediction_id=ID)),
        ({"status": "A_NEW_WORD"}, Working(prediction_id=ID)),
    ],
)
def test_time_in_fals_queue_is_told_from_rendering(
    fal: Fal, server: Server, document: dict[str, Any], expected: Working
) -> None:
    server.plays(answer(200, document))
    assert fal.status(PREDICTION) == expected


@pytest.mark.parametrize(
    ("output", "links"),
    [
        ({"video": FILE, "seed": 7}, 1),
        ({"images": [FILE, FILE], "has_nsfw_concepts": [False, False], "timings": {}}, 2),
        ({"audio": FILE, "duration_ms": 900}, 1),
        ({"video": FILE, "thumbnail": FILE}, 1),
    ],
)
def test_a_result_is_its_files(fal: Fal, server: Server, output: dict[str, Any], links: int) -> None:
    server.plays(answer(200, DONE), answer(200, output))
    got = fal.status(PREDICTION)
    assert isinstance(got, Finished)
    assert got.outputs == (FILE["url"],) * links
    assert "https" not in repr(got.raw), "a link is a key to the file"


@pytest.mark.requirement("R68")
@pytest.mark.parametrize(
    ("output", "code", "retryable"),
    [
        ({"images": [FILE], "has_nsfw_concepts": [True]}, "moderated", False),
        ({"image": FILE, "has_nsfw_concepts": True}, "moderated", False),
        ({"video": {"url": "javascript:alert(1)"}}, "provider_error", True),
        ({"video": None}, "provider_error", True),
        ({}, "provider_error", True),
    ],
)
def test_a_result_without_a_usable_file_is_no_result(
    fal: Fal, server: Server, output: dict[str, Any], code: str, *, retryable: bool
) -> None:
    server.plays(answer(200, DONE), answer(200, output))
    got = fal.status(PREDICTION)
    assert isinstance(got, Refused)
    assert (got.code, got.retryable) == (code, retryable)


def queue_error(kind: str, status: int) -> Scripted:
    return answer(status, {"detail": "no", "error_type": kind}, X_Fal_Error_Type=kind)


FAILURES: dict[str, tuple[Scripted, str, bool]] = {
    "moderation": (problem("content_policy_violation", X_Fal_Retryable="false"), "moderated", False),
    "moderation, whatever the header says": (
        problem("content_policy_violation", X_Fal_Retryable="true"),
        "moderated",
        False,
    ),
    "nothing was made": (problem("no_media_generated"), "provider_error", False),
    "a picture that can't be read": (problem("image_load_error"), "rejected_input", False),
    "a picture too small": (problem("image_too_small"), "rejected_input", False),
    "a type of tomorrow": (problem("made_up_tomorrow"), "rejected_input", False),
    "a type of tomorrow that may pass": (problem("made_up_tomorrow", X_Fal_Retryable="true"), "rejected_input", True),
    "the model broke": (problem("internal_server_error", status=500), "provider_error", True),
    "the model broke for good": (
        problem("internal_server_error", status=500, X_Fal_Retryable="false"),
        "provider_error",
        False,
    ),
    "it took too long": (problem("generation_timeout", status=504), "provider_error", True),
    "what it calls is down": (problem("downstream_service_error"), "provider_error", True),
    "the older header": (problem("internal_server_error", status=500, X_Fal_Needs_Retry="1"), "provider_error", True),
    "no runner": (queue_error("runner_scheduling_failure", 503), "provider_error", True),
    "no start in time": (queue_error("startup_timeout", 504), "provider_error", True),
    "cancelled": (queue_error("client_cancelled", 499), "provider_cancelled", True),
    "a bad request": (queue_error("bad_request", 400), "rejected_input", False),
}


@pytest.mark.requirement("R44", "R68")
@pytest.mark.parametrize(("line", "code", "retryable"), FAILURES.values(), ids=FAILURES)
def test_a_failed_run_is_completed_with_an_error_and_its_type_says_whether_to_try_again(
    fal: Fal, server: Server, line: Scripted, code: str, *, retryable: bool
) -> None:
    server.plays(answer(200, FAILED), line)
    got = fal.status(PREDICTION)
    assert isinstance(got, Refused)
    assert (got.code, got.retryable) == (code, retryable)


def test_a_failed_run_without_a_type_is_known_by_its_status(fal: Fal, server: Server) -> None:
    server.plays(answer(200, DONE | {"error": "oops"}), answer(500, {"detail": "Internal Server Error"}))
    got = fal.status(PREDICTION)
    assert isinstance(got, Refused)
    assert (got.code, got.retryable, got.message) == ("provider_error", True, "Internal Server Error")


@pytest.mark.parametrize(
    ("status", "line"),
    [
        (DONE, answer(400, {"detail": "Request is still in progress"})),
        (DONE, answer(500, {"detail": "Internal Server Error"})),
        (DONE, queue_error("runner_connection_timeout", 503)),
        (DONE, problem("internal_server_error", status=500)),
        (FAILED, Scripted(502, b"<html>nginx")),
        (FAILED, answer(401, {"detail": "no"})),
        (FAILED, answer(403, LOCKED)),
        (DONE, Scripted(200, b"[]")),
        (DONE, Scripted(reset=True)),
    ],
)
def test_trouble_on_the_way_to_a_result_says_nothing_about_the_run(
    fal: Fal, server: Server, status: dict[str, Any], line: Scripted
) -> None:
    server.plays(answer(200, status), line)
    assert isinstance(fal.status(PREDICTION), Silent)


@pytest.mark.parametrize(
    "script", [[answer(404, {"detail": "no"})], [answer(200, DONE), answer(404, {"detail": "no"})]]
)
def test_a_request_that_fal_does_not_know_is_lost(fal: Fal, server: Server, script: list[Scripted]) -> None:
    server.plays(*script)
    got = fal.status(PREDICTION)
    assert isinstance(got, Refused)
    assert got.code == "lost"


@pytest.mark.requirement("R56")
@pytest.mark.parametrize(
    "line", [answer(202, {"status": "CANCELLATION_REQUESTED"}), answer(400, {"status": "ALREADY_COMPLETED"})]
)
def test_a_cancel_tells_what_the_request_has_become(fal: Fal, server: Server, line: Scripted) -> None:
    server.plays(line, answer(200, DONE), answer(200, {"video": FILE}))
    assert isinstance(fal.cancel(PREDICTION), Finished)
    first = server.seen[0]
    assert (first.method, first.path) == ("PUT", f"/fal-ai/veo3.1/requests/{ID}/cancel")


@pytest.mark.requirement("R56")
def test_a_cancel_that_was_only_asked_for_goes_on_until_the_end_is_told(fal: Fal, server: Server) -> None:
    server.plays(answer(202, {"status": "CANCELLATION_REQUESTED"}), answer(200, {"status": "IN_PROGRESS"}))
    assert fal.cancel(PREDICTION) == Working(prediction_id=ID)


def test_a_cancel_of_what_nobody_knows_is_lost(fal: Fal, server: Server) -> None:
    server.plays(answer(404, {"status": "NOT_FOUND"}))
    got = fal.cancel(PREDICTION)
    assert isinstance(got, Refused)
    assert got.code == "lost"


SINCE = datetime(2026, 3, 1, 10, tzinfo=UTC)


def entry(**changes: Any) -> dict[str, Any]:
    return {
        "request_id": ID,
        "endpoint_id": ENDPOINT,
        "sent_at": "2026-03-01T10:00:30+00:00",
        "status_code": 200,
        "json_input": {**ORDER.input, "resolution": "720p"},
        "json_output": {"video": FILE},
    } | changes


@pytest.mark.requirement("R50")
def test_a_lost_order_is_found_among_the_finished_ones_by_its_input(fal: Fal, server: Server) -> None:
    others = [
        entry(request_id="other", json_input={"prompt": "a lighthouse"}),
        entry(request_id="older", sent_at=(SINCE - timedelta(hours=1)).isoformat()),
        entry(request_id="wiped", json_input=None),
        "no entry",
    ]
    server.plays(
        answer(200, {"items": others, "has_more": True, "next_cursor": "page 2"}),
        answer(200, {"items": [entry()], "has_more": False, "next_cursor": None}),
    )
    found = fal.find(ORDER, SINCE)
    assert isinstance(found, Found)
    [each] = found.predictions
    assert (each.prediction_id, isinstance(each.answer, Finished)) == (ID, True)
    first, second = (parse_qs(urlsplit(seen.path).query) for seen in server.seen)
    assert first["endpoint_id"] == [ENDPOINT]
    assert (first["start"], first["expand"]) == (["2026-03-01T10:00:00Z"], ["payloads"])
    assert second["cursor"] == ["page 2"]
    assert server.seen[0].path.startswith("/_platform/v1/models/requests/by-endpoint?")


@pytest.mark.requirement("R50")
def test_a_list_of_finished_requests_never_proves_that_an_order_did_not_arrive(fal: Fal, server: Server) -> None:
    server.plays(answer(200, {"items": [], "has_more": False}))
    assert fal.find(ORDER, SINCE) == Found(predictions=(), complete=False)


@pytest.mark.parametrize(
    "line", [answer(401, {}), answer(403, LOCKED), answer(404, {}), answer(500, {}), Scripted(200)]
)
def test_a_list_that_can_not_be_read_is_silence(fal: Fal, server: Server, line: Scripted) -> None:
    server.plays(line)
    found = fal.find(ORDER, SINCE)
    assert isinstance(found, Silent) or (isinstance(found, Found) and not found.complete)


def test_a_probe_asks_the_models_queue_and_takes_no_such_request_for_an_answer(fal: Fal, server: Server) -> None:
    server.plays(answer(404, {"detail": "Request not found"}))
    assert fal.probe("fal-ai/veo3.1/fast") is None
    assert server.seen[0].path.startswith("/fal-ai/veo3.1/requests/00000000-")
    server.plays(answer(500, {}))
    probed = fal.probe("fal-ai/veo3.1/fast")
    assert isinstance(probed, Silent)
    assert probed.outage


def test_there_is_no_list_of_what_is_under_way(fal: Fal, server: Server) -> None:
    assert fal.survey({ID}, SINCE) == Survey(readings={})
    assert server.seen == []
