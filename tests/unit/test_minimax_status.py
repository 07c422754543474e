"""Asking MiniMax what became of an order, taking it back, looking for it, and hearing of it."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from pipeline.domain.answers import Busy, Finished, Reason, Refused, Silent, Working
from pipeline.domain.attempt import Prediction
from pipeline.domain.rows import BusySign
from pipeline.providers.minimax import MAX_PAGES, MiniMax
from pipeline.providers.protocol import Challenge, Credentials, Forged, Found, Hint, Order, Survey
from tests.replicate_server import Scripted, Server, answer

TASK, FILE = "106916112212032", 1768001002003004005
HAILUO, H3 = "/v1/video_generation", "/v2/video_generation"
OLD = Prediction(id=TASK, endpoint=HAILUO)
NEW = Prediction(id=TASK, endpoint=H3)
LINK = "https://files.example/output_aigc.mp4?sign=abc"
SINCE = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
ORDER = Order(model="MiniMax-H3", endpoint=H3, input={"prompt": "a lighthouse", "duration": 4, "resolution": "768P"})


@pytest.fixture(scope="module")
def running() -> Iterator[Server]:
    with Server.running() as server:
        yield server


@pytest.fixture
def server(running: Server) -> Server:
    return running.forgetful()


@pytest.fixture
def minimax(server: Server) -> MiniMax:
    busy = (BusySign(status=429), BusySign(field="base_resp.status_code", values=(1002,)))
    return MiniMax(Credentials(base_url=server.url, token="a key of the account", busy=busy))


def told(status: str, code: int = 0, **more: Any) -> Scripted:
    """An answer to the first API's query."""
    base = {"status_code": code, "status_msg": "said so" if code else "success"}
    return answer(200, {"task_id": TASK, "status": status, "base_resp": base, **more})


def task(status: str = "running", **changes: Any) -> dict[str, Any]:
    return {
        "id": TASK,
        "model": "MiniMax-H3",
        "status": status,
        "error": None,
        "created_at": int(SINCE.timestamp()) + 120,
        "updated_at": int(SINCE.timestamp()) + 180,
        "content": {"url": LINK} if status == "succeeded" else None,
        "resolution": "768P",
        "duration": 4,
        "ratio": "16:9",
        "usage": {"total_seconds": 4, "output_seconds": 4},
        "task_type": "generation",
        "modality": "video",
    } | changes


def page(*tasks: dict[str, Any]) -> Scripted:
    return answer(200, {"items": list(tasks), "total": len(tasks)})


def test_a_clip_is_fetched_in_three_steps_with_a_fresh_link_each_time(minimax: MiniMax, server: Server) -> None:
    file = {"file_id": FILE, "filename": "output_aigc.mp4", "purpose": "video_generation", "download_url": LINK}
    ready = told("Success", file_id=str(FILE), video_width=1366, video_height=768)
    kept = answer(200, {"file": file, "base_resp": {"status_code": 0, "status_msg": "success"}})
    server.plays(ready, kept, ready, answer(200, {"file": file | {"download_url": LINK + "2"}}))
    first, second = minimax.status(OLD), minimax.status(OLD)
    assert isinstance(first, Finished)
    assert isinstance(second, Finished)
    assert (first.outputs, second.outputs) == ((LINK,), (LINK + "2",))
    assert (first.prediction_id, first.raw["file_id"]) == (TASK, str(FILE))
    assert LINK not in json.dumps(dict(first.raw))
    assert [seen.path for seen in server.seen[:2]] == [
        f"/v1/query/video_generation?task_id={TASK}",
        f"/v1/files/retrieve?file_id={FILE}",
    ]


@pytest.mark.parametrize("word", ["Success", "success", "SUCCESS"])
def test_a_file_that_can_not_be_told_just_now_is_asked_for_again(minimax: MiniMax, server: Server, word: str) -> None:
    missing = answer(200, {"base_resp": {"status_code": 1013, "status_msg": "internal"}})
    server.plays(told(word, file_id=FILE), missing)
    assert minimax.status(OLD) == Silent(message="internal", outage=True)


@pytest.mark.requirement("R24")
@pytest.mark.parametrize(
    ("word", "queued"),
    [
        *[("Preparing", True), ("Queueing", True), ("queueing", True)],
        *[("Processing", False), ("processing", False), ("Unknown", False), ("something new", False)],
    ],
)
def test_what_is_under_way_is_known_in_every_spelling(
    minimax: MiniMax, server: Server, word: str, *, queued: bool
) -> None:
    server.plays(told(word))
    assert minimax.status(OLD) == Working(prediction_id=TASK, queued=queued)


@pytest.mark.requirement("R44", "R68")
@pytest.mark.parametrize(
    ("code", "means", "retryable", "says"),
    [
        (1027, "moderated", False, "the generated video was flagged"),
        (1026, "moderated", False, "the prompt was flagged"),
        (1000, "provider_error", True, ""),
        (1002, "provider_error", True, ""),
        (0, "provider_error", True, ""),
        (2013, "rejected_input", False, ""),
    ],
)
@pytest.mark.parametrize("word", ["Fail", "fail", "Failed"])
def test_a_task_that_failed_says_why(
    minimax: MiniMax, server: Server, word: str, code: int, means: str, says: str, *, retryable: bool
) -> None:
    server.plays(told(word, code, file_id=""))
    got = minimax.status(OLD)
    assert isinstance(got, Refused)
    assert (got.code, got.retryable) == (means, retryable)
    assert got.message.startswith(says)


@pytest.mark.requirement("R68")
@pytest.mark.parametrize(
    ("code", "means", "retryable"),
    [(1027, "moderated", False), (1026, "moderated", False), (0, "provider_error", True)],
)
def test_a_success_without_a_file_is_a_verdict_where_its_code_says_so(
    minimax: MiniMax, server: Server, code: int, means: str, *, retryable: bool
) -> None:
    newer = answer(200, {"task": task("succeeded", content={}, error={"code": str(code), "message": "no"})})
    for prediction, line in ((OLD, told("Success", code, file_id="")), (NEW, newer)):
        server.plays(line)
        got = minimax.status(prediction)
        assert isinstance(got, Refused)
        assert (got.code, got.retryable, "flagged" in got.message) == (means, retryable, not retryable)


@pytest.mark.requirement("R12")
@pytest.mark.parametrize("code", [1000, 1004, 1008, 2013, 4711])
def test_a_look_that_is_refused_gives_nothing_up(minimax: MiniMax, server: Server, code: int) -> None:
    server.plays(answer(200, {"base_resp": {"status_code": code, "status_msg": "said so"}}))
    assert minimax.status(OLD) == Silent(message="said so", outage=code == 1000)


@pytest.mark.requirement("R10")
def test_a_look_that_is_too_many_is_busy(minimax: MiniMax, server: Server) -> None:
    server.plays(answer(200, {"base_resp": {"status_code": 1002, "status_msg": "rate limit exceeded(RPM)"}}))
    assert minimax.status(OLD) == Busy(reason=Reason.BLOCKED)


def test_an_answer_about_another_task_is_not_believed(minimax: MiniMax, server: Server) -> None:
    server.plays(told("Success", task_id="1", file_id=FILE))
    assert isinstance(minimax.status(OLD), Silent)
    server.plays(answer(200, {"task": task("succeeded", id="1")}))
    assert isinstance(minimax.status(NEW), Silent)


def test_a_task_that_is_known_no_more_is_lost(minimax: MiniMax, server: Server) -> None:
    base = {"status_code": 2013, "status_msg": "invalid params, invalid task_id"}
    error = {"type": "bad_request_error", "message": "invalid task_id (2013)", "http_code": "400"}
    server.plays(answer(200, {"base_resp": base}), answer(400, {"type": "error", "error": error}))
    for prediction in (OLD, NEW):
        got = minimax.status(prediction)
        assert isinstance(got, Refused)
        assert (got.code, got.retryable) == ("lost", True)


def test_pictures_and_speech_are_told_only_once(minimax: MiniMax, server: Server) -> None:
    got = minimax.status(Prediction(id="03ff3cd0820949eb", endpoint="/v1/image_generation"))
    assert isinstance(got, Refused)
    assert (got.code, server.seen) == ("lost", [])


def test_a_task_of_the_second_api_tells_its_link_and_how_long_it_took(minimax: MiniMax, server: Server) -> None:
    server.plays(answer(200, {"task": task("succeeded")}))
    got = minimax.status(NEW)
    assert isinstance(got, Finished)
    assert (got.outputs, got.render_seconds, got.raw["usage"]["total_seconds"]) == ((LINK,), 60, 4)
    assert server.seen[0].path == f"/v2/query/video_generation/{TASK}"


@pytest.mark.parametrize(
    ("status", "said"),
    [
        ("queued", Working(prediction_id=TASK, queued=True)),
        ("running", Working(prediction_id=TASK)),
        ("a new word", Working(prediction_id=TASK)),
    ],
)
def test_a_task_of_the_second_api_that_is_under_way(
    minimax: MiniMax, server: Server, status: str, said: Working
) -> None:
    server.plays(answer(200, {"task": task(status)}))
    assert minimax.status(NEW) == said


@pytest.mark.parametrize(
    ("status", "error", "code"),
    [
        ("failed", {"code": "1026", "message": "input new_sensitive"}, "moderated"),
        ("failed", {"code": "1000", "message": "unknown error"}, "provider_error"),
        ("failed", None, "provider_error"),
        ("cancelled", None, "provider_cancelled"),
        ("expired", None, "lost"),
        ("succeeded", None, "provider_error"),
    ],
)
def test_a_task_of_the_second_api_that_came_to_nothing(
    minimax: MiniMax, server: Server, status: str, error: Any, code: str
) -> None:
    server.plays(answer(200, {"task": task(status, error=error, content=None)}))
    got = minimax.status(NEW)
    assert isinstance(got, Refused)
    assert (got.code, got.retryable) == (code, code != "moderated")


@pytest.mark.requirement("R56")
def test_only_what_is_queued_is_taken_back(minimax: MiniMax, server: Server) -> None:
    gone = answer(200, {"task_id": TASK, "action": "cancel", "status": "cancelled"})
    server.plays(answer(200, {"task": task("queued")}), gone, answer(200, {"task": task("cancelled")}))
    got = minimax.cancel(NEW)
    assert isinstance(got, Refused)
    assert got.code == "provider_cancelled"
    assert (server.seen[1].method, server.seen[1].path) == ("DELETE", f"{H3}/{TASK}")


@pytest.mark.requirement("R56", "R50")
@pytest.mark.parametrize("status", ["running", "succeeded"])
def test_what_is_finished_is_never_deleted_by_a_cancel(minimax: MiniMax, server: Server, status: str) -> None:
    server.plays(answer(200, {"task": task(status)}))
    assert isinstance(minimax.cancel(NEW), Working | Finished)
    assert [seen.method for seen in server.seen] == ["GET"]


@pytest.mark.requirement("R56")
def test_the_first_api_can_stop_nothing_and_is_only_asked(minimax: MiniMax, server: Server) -> None:
    server.plays(told("Queueing"))
    assert minimax.cancel(OLD) == Working(prediction_id=TASK, queued=True)
    assert [seen.method for seen in server.seen] == ["GET"]


@pytest.mark.requirement("R50")
def test_what_is_listed_may_be_the_order_but_is_never_certain(minimax: MiniMax, server: Server) -> None:
    others = (
        task(id="1", model="MiniMax-H3-Max"),
        task(id="2", duration=5),
        task(id="3", created_at=int(SINCE.timestamp()) - 1),
        task(id="4", created_at=int(SINCE.timestamp()) + 601),
    )
    server.plays(page(task(), *others))
    found = minimax.find(ORDER, SINCE)
    assert isinstance(found, Found)
    assert [each.prediction_id for each in found.predictions] == [TASK]
    assert (found.complete, found.certain) == (True, False)
    assert "filter.model=MiniMax-H3" in server.seen[0].path


@pytest.mark.requirement("R50")
@pytest.mark.parametrize(
    "told", [{"resolution": "768p"}, {"resolution": "1366x768"}, {"duration": "4"}, {"duration": 4.04}]
)
def test_a_size_or_length_in_other_words_proves_no_absence(
    minimax: MiniMax, server: Server, told: dict[str, Any]
) -> None:
    server.plays(page(task(**told)))
    found = minimax.find(ORDER, SINCE)
    assert isinstance(found, Found)
    assert [each.prediction_id for each in found.predictions] == [TASK]


@pytest.mark.requirement("R50")
def test_absence_is_proven_by_the_pages_back_to_the_order(minimax: MiniMax, server: Server) -> None:
    born = int(SINCE.timestamp())
    later = [task(id=str(n), duration=9, created_at=born + 900 - n) for n in range(20)]
    across = [task(id=str(n), duration=9, created_at=born + 10 - n) for n in range(20)]
    server.plays(page(*later), page(*across), page(task()))
    assert minimax.find(ORDER, SINCE) == Found(predictions=(), complete=True, certain=False)
    assert len(server.seen) == 2


@pytest.mark.requirement("R50")
def test_a_list_in_another_order_is_read_to_its_end(minimax: MiniMax, server: Server) -> None:
    born = int(SINCE.timestamp())
    oldest_first = [task(id=str(n), created_at=born - 900 + n) for n in range(20)]
    server.plays(page(*oldest_first), page(task()))
    found = minimax.find(ORDER, SINCE)
    assert isinstance(found, Found)
    assert [each.prediction_id for each in found.predictions] == [TASK]


@pytest.mark.requirement("R50")
def test_pages_that_are_shorter_than_asked_for_are_read_as_long_as_more_are_told(
    minimax: MiniMax, server: Server
) -> None:
    short = answer(200, {"items": [task(id=str(n), duration=9) for n in range(10)], "total": 11})
    server.plays(short, answer(200, {"items": [task()], "total": 11}))
    found = minimax.find(ORDER, SINCE)
    assert isinstance(found, Found)
    assert [each.prediction_id for each in found.predictions] == [TASK]


@pytest.mark.requirement("R50")
def test_a_list_without_an_end_proves_nothing(minimax: MiniMax, server: Server) -> None:
    server.plays(page(*[task(id=str(n), duration=9) for n in range(20)]))
    assert minimax.find(ORDER, SINCE) == Found(predictions=(), complete=False, certain=False)
    assert len(server.seen) == MAX_PAGES


@pytest.mark.requirement("R50")
def test_the_first_api_lists_nothing_and_proves_nothing(minimax: MiniMax, server: Server) -> None:
    found = minimax.find(Order(model="MiniMax-Hailuo-2.3", endpoint=HAILUO, input={}), SINCE)
    assert (found, server.seen) == (Found(predictions=(), complete=False), [])


@pytest.mark.parametrize("said", [answer(500, {}), answer(200, {"items": None}), Scripted(200, b"<html>")])
def test_a_list_that_can_not_be_read_proves_nothing(minimax: MiniMax, server: Server, said: Scripted) -> None:
    server.plays(said)
    assert isinstance(minimax.find(ORDER, SINCE), Silent)
    assert isinstance(minimax.survey({TASK}, SINCE), Silent)


def test_one_list_tells_of_many(minimax: MiniMax, server: Server) -> None:
    server.plays(page(task("succeeded"), task(id="2"), task(id="3")))
    told_of = minimax.survey({TASK, "2", "9"}, SINCE)
    assert isinstance(told_of, Survey)
    assert told_of.readings.keys() == {TASK, "2"}
    assert isinstance(told_of.readings[TASK], Finished)


@pytest.mark.parametrize(
    ("first", "second", "well"),
    [
        (answer(200, {"base_resp": {"status_code": 2013, "status_msg": "no"}}), page(), True),
        (answer(200, {"base_resp": {"status_code": 1013, "status_msg": "internal"}}), page(), False),
        (answer(200, {"base_resp": {"status_code": 2013, "status_msg": "no"}}), answer(500, {}), False),
        (answer(500, {}), page(), False),
    ],
)
def test_well_is_who_answers_in_both_apis(
    minimax: MiniMax, server: Server, first: Scripted, second: Scripted, *, well: bool
) -> None:
    server.plays(first, second)
    assert (minimax.probe("MiniMax-H3") is None) == well


def read(minimax: MiniMax, body: bytes) -> Hint | Challenge | Forged:
    return minimax.read_webhook({}, body, secret="", now=datetime.now(UTC))


@pytest.mark.requirement("R53")
def test_a_challenge_is_given_back_word_for_word(minimax: MiniMax) -> None:
    assert read(minimax, b'{"challenge": "a1b2"}') == Challenge(document={"challenge": "a1b2"})
    assert minimax.webhook_secret() == ""


@pytest.mark.requirement("R53")
@pytest.mark.parametrize(
    ("body", "webhook_id"),
    [
        ({"task_id": TASK, "status": "processing", "base_resp": {"status_code": 0}}, f"{TASK}:processing"),
        ({"task_id": TASK, "status": "Success", "file_id": str(FILE)}, f"{TASK}:success"),
        ({"task_id": int(TASK), "status": "fail"}, f"{TASK}:fail"),
        ({"task": task("succeeded")}, f"{TASK}:succeeded"),
        (task("running"), f"{TASK}:running"),
    ],
)
def test_a_callback_is_a_hint_of_its_task_and_the_same_one_for_the_same_status(
    minimax: MiniMax, body: dict[str, Any], webhook_id: str
) -> None:
    assert read(minimax, json.dumps(body).encode()) == Hint(webhook_id=webhook_id, prediction_id=TASK)


@pytest.mark.requirement("R53")
@pytest.mark.parametrize("body", [b"", b"[]", b"<html>", b"{}", b'{"task_id": "../x"}', b'{"task_id": ["1"]}'])
def test_what_names_no_task_is_no_callback(minimax: MiniMax, body: bytes) -> None:
    assert isinstance(read(minimax, body), Forged)
