"""Buying from Runway and asking how it goes: what is sent, and what each of its answers means."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from pipeline.domain.answers import Accepted, Busy, Finished, Reason, Refused, Silent, Unknown, Working
from pipeline.domain.attempt import Prediction
from pipeline.domain.catalogue import load
from pipeline.domain.rows import Account
from pipeline.providers.protocol import Credentials, Forged, Found, Order, Survey
from pipeline.providers.runway import Runway, shaped
from pipeline.services import catalogue_texts
from tests.replicate_server import Scripted, Server, answer

CATALOGUE = load(catalogue_texts(""))
ACCOUNT: Account = CATALOGUE.accounts["runway"]
TOKEN = "key_canary_of_the_account"
TASK_ID = "17f20503-6c24-4c16-946b-35dbbce2af2f"
PREDICTION = Prediction(id=TASK_ID)
LONG_AGO = datetime(2026, 3, 1, tzinfo=UTC)
ORDER = Order(
    model="gen4.5",
    endpoint="text_to_video",
    input={"promptText": "a lighthouse", "ratio": "1280:720", "duration": 5, "seed": 4711},
)
NO_CREDIT = {"error": "You do not have enough credits to run this task."}
INVALID = {
    "error": "Validation of body failed",
    "issues": [{"code": "too_big", "path": ["duration"], "message": "Number must be less than or equal to 10"}],
    "docUrl": "https://docs.dev.runwayml.com/api",
}


def task(status: str, **more: Any) -> dict[str, Any]:
    return {"id": TASK_ID, "status": status, "createdAt": "2026-03-01T10:00:00.123Z", **more}


@pytest.fixture(scope="module")
def running() -> Iterator[Server]:
    with Server.running() as server:
        yield server


@pytest.fixture
def server(running: Server) -> Server:
    return running.forgetful()


@pytest.fixture
def runway(server: Server) -> Runway:
    return Runway(Credentials(base_url=server.url, token=TOKEN, busy=ACCOUNT.busy))


@pytest.mark.requirement("R50")
def test_an_order_is_one_post_to_the_endpoint_of_its_mode(runway: Runway, server: Server) -> None:
    server.plays(answer(200, {"id": TASK_ID, "estimatedCost": {"credits": 60}}))
    told = runway.submit(ORDER)
    assert told == Accepted(prediction_id=TASK_ID, raw={"id": TASK_ID, "estimatedCost": {"credits": 60}})
    [seen] = server.seen
    assert (seen.method, seen.path) == ("POST", "/v1/text_to_video")
    assert seen.document == {"model": "gen4.5", **ORDER.input}
    assert seen.headers["Authorization"] == f"Bearer {TOKEN}"
    assert seen.headers["X-Runway-Version"] == "2024-11-06"


def test_every_question_names_the_version_too(runway: Runway, server: Server) -> None:
    server.plays(answer(200, task("PENDING")))
    runway.status(PREDICTION)
    runway.cancel(PREDICTION)
    runway.probe("gen4.5")
    assert {seen.headers["X-Runway-Version"] for seen in server.seen} == {"2024-11-06"}
    paths = [(seen.method, seen.path) for seen in server.seen]
    assert paths == [
        ("GET", f"/v1/tasks/{TASK_ID}"),
        ("GET", f"/v1/tasks/{TASK_ID}"),
        ("DELETE", f"/v1/tasks/{TASK_ID}"),
        ("GET", "/v1/organization"),
    ]


@pytest.mark.requirement("R40")
@pytest.mark.parametrize(
    ("flat", "nested"),
    [
        ({"promptImage": "https://a.test/1.png"}, {"promptImage": "https://a.test/1.png"}),
        (
            {"promptImage": "https://a.test/1.png", "lastFrame": "https://a.test/2.png"},
            {
                "promptImage": [
                    {"uri": "https://a.test/1.png", "position": "first"},
                    {"uri": "https://a.test/2.png", "position": "last"},
                ]
            },
        ),
        (
            {"character.type": "image", "reference.type": "video", "character.uri": "c", "reference.uri": "v"},
            {"character": {"type": "image", "uri": "c"}, "reference": {"type": "video", "uri": "v"}},
        ),
        (
            {"referenceImages": ["https://a.test/1.png", "https://a.test/2.png"]},
            {
                "referenceImages": [
                    {"uri": "https://a.test/1.png", "tag": "ref1"},
                    {"uri": "https://a.test/2.png", "tag": "ref2"},
                ]
            },
        ),
        ({"references": ["https://a.test/1.png"]}, {"references": [{"type": "image", "uri": "https://a.test/1.png"}]}),
        (
            {"voice.type": "runway-preset", "voice.presetId": "Leslie", "promptText": "hello"},
            {"voice": {"type": "runway-preset", "presetId": "Leslie"}, "promptText": "hello"},
        ),
    ],
    ids=["one frame", "first and last", "character", "tagged pictures", "references", "voice"],
)
def test_the_flat_input_of_a_row_is_nested_as_runway_has_it(flat: dict[str, Any], nested: dict[str, Any]) -> None:
    given = dict(flat)
    assert shaped(flat) == nested
    assert flat == given


@pytest.mark.requirement("R10", "R44", "R50")
@pytest.mark.parametrize(
    ("scripted", "expected"),
    [
        (answer(400, NO_CREDIT), ("no_credit", False)),
        (answer(400, INVALID), ("rejected_input", False)),
        (answer(401, {"error": "Unauthorized"}), ("not_authorised", False)),
        (answer(404, {"error": "Not found"}), ("rejected_input", False)),
        (answer(405, {"error": "Method not allowed"}), ("rejected_input", False)),
        (answer(429, {"error": "Slow down."}), Busy(reason=Reason.BLOCKED)),
        (answer(429, {"error": "Slow down."}, Retry_After="7"), Busy(reason=Reason.BLOCKED, wait_seconds=7.0)),
        (
            answer(429, {"error": "You have reached the daily task limit."}),
            Busy(reason=Reason.DAILY_LIMIT, wait_seconds=3600.0),
        ),
        (answer(500, {}), Unknown),
        (answer(503, {"error": "down"}), Unknown),
        (Scripted(reset=True), Unknown),
        (answer(200, {"id": 7}), Unknown),
        (answer(200, {"id": "../organization"}), Unknown),
        (Scripted(200, b"<html>"), Unknown),
        (answer(302, {}, Location="/elsewhere"), Unknown),
    ],
    ids=[
        *("no credit", "invalid", "401", "404", "405", "429", "429 with a wait", "daily", "500", "503", "reset"),
        *("no id", "bad id", "HTML", "redirect"),
    ],
)
def test_what_the_answer_to_an_order_means(runway: Runway, server: Server, scripted: Scripted, expected: Any) -> None:
    server.plays(scripted)
    told = runway.submit(ORDER)
    if isinstance(expected, tuple):
        assert isinstance(told, Refused)
        assert (told.code, told.retryable) == expected
    else:
        assert told == expected if isinstance(expected, Busy) else isinstance(told, expected)
    assert len(server.seen) == 1


@pytest.mark.requirement("R36")
def test_a_rejected_input_names_its_fields(runway: Runway, server: Server) -> None:
    server.plays(answer(400, INVALID))
    told = runway.submit(ORDER)
    assert isinstance(told, Refused)
    assert told.message == "Validation of body failed; duration: Number must be less than or equal to 10"


@pytest.mark.requirement("R10", "R24")
@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (task("PENDING", estimatedCost={"credits": 60}), Working(prediction_id=TASK_ID)),
        (task("THROTTLED", estimatedCost={"credits": 60}), Working(prediction_id=TASK_ID, queued=True)),
        (task("RUNNING", progress=0.425), Working(prediction_id=TASK_ID, progress=42)),
        (task("RUNNING", progress=7), Working(prediction_id=TASK_ID, progress=100)),
        (task("RUNNING", progress="half"), Working(prediction_id=TASK_ID)),
        (task("RUNNING", progress=True), Working(prediction_id=TASK_ID)),
        (task("PAUSED_BY_COSMIC_RAY"), Working(prediction_id=TASK_ID)),
    ],
    ids=["pending", "throttled", "running", "too much", "no number", "a truth", "unheard of"],
)
def test_a_task_in_progress_is_working_and_a_throttled_one_waits_over_there(
    runway: Runway, server: Server, document: dict[str, Any], expected: Working
) -> None:
    server.plays(answer(200, document))
    assert runway.status(PREDICTION) == expected


def test_a_task_that_succeeded_is_finished_and_keeps_what_it_cost(runway: Runway, server: Server) -> None:
    links = ["https://files.test/a.mp4?_jwt=1", "https://files.test/b.mp4?_jwt=2"]
    server.plays(answer(200, task("SUCCEEDED", output=links, cost={"credits": 60})))
    told = runway.status(PREDICTION)
    assert isinstance(told, Finished)
    assert (told.outputs, told.prediction_id) == (tuple(links), TASK_ID)
    assert told.raw["cost"] == {"credits": 60}
    assert "files.test" not in json.dumps(dict(told.raw))


@pytest.mark.requirement("R44", "R68")
@pytest.mark.parametrize(
    ("failure_code", "code", "retryable", "words"),
    [
        ("SAFETY.INPUT.TEXT", "moderated", False, "the prompt was flagged"),
        ("SAFETY.INPUT.IMAGE", "moderated", False, "an image that was given was flagged"),
        ("SAFETY.INPUT.VIDEO", "moderated", False, "a video that was given was flagged"),
        ("SAFETY.OUTPUT.VIDEO", "moderated", False, "the result was flagged"),
        ("SAFETY", "moderated", False, "something that was given was flagged"),
        ("INPUT_PREPROCESSING.SAFETY.TEXT", "moderated", False, "the prompt was flagged"),
        ("INPUT_PREPROCESSING.SAFETY.THIRD_PARTY", "moderated", False, "by the model's maker"),
        ("INPUT_PREPROCESSING.INTERNAL", "provider_error", True, "it broke"),
        ("ASSET.INVALID", "rejected_input", False, "ASSET.INVALID"),
        ("THIRD_PARTY.INPUT_VALIDATION", "rejected_input", False, "it broke"),
        ("THIRD_PARTY.UNAVAILABLE", "provider_error", True, "it broke"),
        ("INTERNAL.BAD_OUTPUT.CODE01", "provider_error", True, "it broke"),
        ("INTERNAL", "provider_error", True, "it broke"),
        ("NEVER.HEARD.OF", "provider_error", True, "it broke"),
        (None, "provider_error", True, "it broke"),
    ],
)
def test_a_failure_is_cured_by_another_attempt_or_not_and_says_what_was_flagged(
    runway: Runway, server: Server, failure_code: str | None, code: str, words: str, *, retryable: bool
) -> None:
    server.plays(answer(200, task("FAILED", failure="it broke", failureCode=failure_code, cost={"credits": 0})))
    told = runway.status(PREDICTION)
    assert isinstance(told, Refused)
    assert (told.code, told.retryable) == (code, retryable)
    assert words in told.message
    assert "it broke" in told.message


@pytest.mark.parametrize(
    ("document", "code"),
    [
        (task("CANCELLED", cost={"credits": 0}), "provider_cancelled"),
        (task("CANCELED"), "provider_cancelled"),
        (task("SUCCEEDED", output=[]), "provider_error"),
        (task("SUCCEEDED", output=["file:///etc/passwd", 7]), "provider_error"),
        (task("SUCCEEDED", output="https://files.test/a.mp4"), "provider_error"),
    ],
)
def test_a_task_that_came_to_nothing_is_refused_and_another_may_help(
    runway: Runway, server: Server, document: dict[str, Any], code: str
) -> None:
    server.plays(answer(200, document))
    told = runway.status(PREDICTION)
    assert isinstance(told, Refused)
    assert (told.code, told.retryable) == (code, True)


@pytest.mark.parametrize(
    "scripted",
    [
        *(answer(401, {}), answer(400, NO_CREDIT), answer(500, {}), Scripted(200, b"<html>"), answer(200, [])),
        answer(200, {**task("SUCCEEDED"), "id": "another"}),
    ],
    ids=["401", "no credit", "500", "HTML", "a list", "another task"],
)
def test_a_question_without_a_clear_answer_gives_nothing_up(runway: Runway, server: Server, scripted: Scripted) -> None:
    server.plays(scripted)
    assert isinstance(runway.status(PREDICTION), Silent)


def test_a_task_that_is_not_known_is_lost(runway: Runway, server: Server) -> None:
    server.plays(answer(404, {"error": "The task was not found."}))
    told = runway.status(PREDICTION)
    assert isinstance(told, Refused)
    assert told.code == "lost"


@pytest.mark.requirement("R56")
@pytest.mark.parametrize("status", ["PENDING", "THROTTLED", "RUNNING"])
def test_a_task_at_work_is_deleted_and_that_is_its_end(runway: Runway, server: Server, status: str) -> None:
    server.plays(answer(200, task(status)), Scripted(204, b""))
    told = runway.cancel(PREDICTION)
    assert isinstance(told, Refused)
    assert told.code == "provider_cancelled"
    assert [seen.method for seen in server.seen] == ["GET", "DELETE"]


@pytest.mark.requirement("R50", "R56")
def test_a_task_that_is_finished_is_kept_and_never_deleted(runway: Runway, server: Server) -> None:
    server.plays(answer(200, task("SUCCEEDED", output=["https://files.test/a.mp4"])))
    assert isinstance(runway.cancel(PREDICTION), Finished)
    assert [seen.method for seen in server.seen] == ["GET"]


@pytest.mark.requirement("R56")
@pytest.mark.parametrize(
    "script",
    [[answer(404, {})], [answer(200, task("RUNNING")), answer(404, {})]],
    ids=["before the look", "between the look and the call"],
)
def test_a_task_that_is_gone_when_it_is_to_be_cancelled_is_over(
    runway: Runway, server: Server, script: list[Scripted]
) -> None:
    server.plays(*script)
    told = runway.cancel(PREDICTION)
    assert isinstance(told, Refused)
    assert told.code == "lost"


def test_a_cancel_that_is_not_answered_is_asked_again_later(runway: Runway, server: Server) -> None:
    server.plays(answer(200, task("RUNNING")), answer(500, {}))
    assert isinstance(runway.cancel(PREDICTION), Silent)
    server.plays(answer(200, task("RUNNING")), answer(429, {"error": "Slow down."}))
    assert runway.cancel(PREDICTION) == Busy(reason=Reason.BLOCKED)


@pytest.mark.requirement("R50")
def test_there_is_no_list_so_nothing_is_ever_found_or_proven(runway: Runway, server: Server) -> None:
    assert runway.find(ORDER, LONG_AGO) == Found(predictions=(), complete=False)
    assert runway.survey({TASK_ID}, LONG_AGO) == Survey(readings={})
    assert server.seen == []
    assert (ACCOUNT.lists, ACCOUNT.settle, ACCOUNT.doubt) == (False, None, "spent")


@pytest.mark.requirement("R53")
def test_nobody_calls_so_whoever_does_is_not_believed(runway: Runway) -> None:
    assert runway.webhook_secret() == ""
    assert isinstance(runway.read_webhook({}, b"{}", secret="", now=LONG_AGO), Forged)
    assert not ACCOUNT.reports


@pytest.mark.parametrize(
    ("scripted", "kind"), [(answer(200, {}), type(None)), (answer(404, {}), type(None)), (answer(503, {}), Silent)]
)
def test_a_probe_tells_whether_anybody_is_there(runway: Runway, server: Server, scripted: Scripted, kind: type) -> None:
    server.plays(scripted)
    assert isinstance(runway.probe("gen4.5"), kind)
