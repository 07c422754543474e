"""Kling over a real socket: both families, one code for everything, and our own id of an order."""

import base64
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from pipeline.domain.answers import Accepted, Busy, Finished, Reason, Refused, Silent, Unknown, Working
from pipeline.domain.attempt import Prediction
from pipeline.domain.catalogue import load
from pipeline.providers import PROVIDERS, signature
from pipeline.providers.kling import Kling
from pipeline.providers.kling_token import bearer, signed
from pipeline.providers.protocol import Credentials, Forged, Found, FoundPrediction, Hint, Order, Survey, WebhookNews
from pipeline.services import catalogue_texts
from tests.replicate_server import Scripted, Server, answer

KEY = "api-key-canary-of-the-account"
TASK = "933557962801545273"
MARKER = "0b8f6c1e-5d0a-5a43-9a3e-1c2d3e4f5a6b"
NOW = datetime(2026, 11, 21, tzinfo=UTC)
SECRET = "whsec_" + base64.b64encode(b"a secret of the console").decode()
BUSY = load(catalogue_texts("")).accounts["kling"].busy

NEW = Order(
    model="kling-2.5-turbo",
    endpoint="image-to-video/kling-2.5-turbo",
    marker=MARKER,
    input={"prompt": "a lighthouse", "first_frame": "https://p.test/a.png", "resolution": "1080p", "duration": 5},
)
LEGACY = Order(
    model="kling-v2-1",
    endpoint="v1/videos/image2video",
    marker=MARKER,
    input={"prompt": "a lighthouse", "image": "https://p.test/a.png", "mode": "pro", "duration": "5"},
)
FAMILIES = pytest.mark.parametrize("order", [NEW, LEGACY], ids=["new", "legacy"])


@pytest.fixture(scope="module")
def running() -> Iterator[Server]:
    with Server.running() as server:
        yield server


@pytest.fixture
def server(running: Server) -> Server:
    return running.forgetful()


@pytest.fixture
def kling(server: Server) -> Kling:
    return Kling(Credentials(base_url=server.url, token=KEY, busy=BUSY))


def said(code: int, status: int = 200, message: str = "SUCCEED", data: Any = None) -> Scripted:
    body = {"code": code, "message": message, "request_id": "r1"} | ({} if data is None else {"data": data})
    return answer(status, body)


def task(order: Order, status: str = "processing", **more: Any) -> dict[str, Any]:
    """A task in the words of the order's family."""
    if order is NEW:
        return {"id": TASK, "status": status, "external_id": MARKER, "outputs": [], "message": ""} | more
    info = {"external_task_id": MARKER}
    return {"task_id": TASK, "task_status": status, "task_status_msg": "", "task_info": info} | more


def prediction(order: Order) -> Prediction:
    return Prediction(id=TASK, endpoint=order.endpoint)


def test_the_registry_knows_kling() -> None:
    assert PROVIDERS["kling"] is Kling


@pytest.mark.requirement("R50")
def test_an_order_of_the_new_family_is_built_of_contents_settings_and_options(kling: Kling, server: Server) -> None:
    server.plays(said(0, data={"id": TASK, "status": "submitted"}))
    got = kling.submit(replace(NEW, webhook_url="https://us.test/w/1"))
    assert got == Accepted(prediction_id=TASK, raw={"id": TASK, "status": "submitted"})
    [seen] = server.seen
    assert (seen.method, seen.path) == ("POST", "/image-to-video/kling-2.5-turbo")
    assert seen.headers["Authorization"] == f"Bearer {KEY}"
    assert seen.document == {
        "contents": [
            {"type": "prompt", "text": "a lighthouse"},
            {"type": "first_frame", "url": "https://p.test/a.png"},
        ],
        "settings": {"resolution": "1080p", "duration": 5},
        "options": {
            "external_task_id": MARKER,
            "callback_url": "https://us.test/w/1",
            "watermark_info": {"enabled": False},
        },
    }


def test_words_alone_stand_beside_the_settings(kling: Kling, server: Server) -> None:
    server.plays(said(0, data={"id": TASK, "status": "submitted"}))
    kling.submit(replace(NEW, endpoint="text-to-video/kling-3.0", input={"prompt": "a storm", "audio": "off"}))
    assert server.seen[0].document == {
        "prompt": "a storm",
        "settings": {"audio": "off"},
        "options": {"external_task_id": MARKER, "watermark_info": {"enabled": False}},
    }


def test_references_are_entries_with_names_to_be_called_by(kling: Kling, server: Server) -> None:
    server.plays(said(0, data={"id": TASK, "status": "submitted"}))
    given = {"prompt": "Ada", "refer_image": ["https://p.test/a.png", "https://p.test/b.png"], "duration": 5}
    kling.submit(replace(NEW, endpoint="omni-video/kling-o1", input=given))
    assert server.seen[0].document["contents"] == [
        {"type": "prompt", "text": "Ada"},
        {"type": "refer_image", "url": "https://p.test/a.png", "id": "image_1"},
        {"type": "refer_image", "url": "https://p.test/b.png", "id": "image_2"},
    ]


def test_an_order_of_the_legacy_family_is_flat_and_names_its_model(kling: Kling, server: Server) -> None:
    server.plays(said(0, data={"task_id": TASK, "task_status": "submitted"}))
    assert isinstance(kling.submit(replace(LEGACY, webhook_url="https://us.test/w/1")), Accepted)
    [seen] = server.seen
    assert seen.path == "/v1/videos/image2video"
    options = {"external_task_id": MARKER, "callback_url": "https://us.test/w/1"}
    assert seen.document == {"model_name": "kling-v2-1", **LEGACY.input, **options}


def test_a_list_of_pictures_of_the_legacy_family_is_a_list_of_objects(kling: Kling, server: Server) -> None:
    server.plays(said(0, data={"task_id": TASK, "task_status": "submitted"}))
    given = {"prompt": "Ada", "image_list": ["https://p.test/a.png", "https://p.test/b.png"]}
    kling.submit(replace(LEGACY, endpoint="v1/videos/multi-image2video", input=given))
    pictures = [{"image": "https://p.test/a.png"}, {"image": "https://p.test/b.png"}]
    assert server.seen[0].document["image_list"] == pictures


@pytest.mark.requirement("R50")
def test_a_lip_sync_has_an_input_of_its_own_and_no_id_of_ours(kling: Kling, server: Server) -> None:
    server.plays(said(0, data={"task_id": TASK, "task_status": "submitted"}))
    given = {
        "mode": "audio2video",
        "audio_type": "url",
        "video_url": "https://v.test/a.mp4",
        "audio_url": "https://v.test/a.mp3",
    }
    order = replace(LEGACY, endpoint="v1/videos/lip-sync", input=given, webhook_url="https://us.test/w/1")
    assert isinstance(kling.submit(order), Accepted)
    assert server.seen[0].document == {"input": given, "callback_url": "https://us.test/w/1"}
    assert kling.find(order, NOW) == Found(predictions=(), complete=False)
    assert len(server.seen) == 1


@pytest.mark.requirement("R50")
@FAMILIES
@pytest.mark.parametrize(
    "scripted",
    [
        said(5000, 500, "internal error"),
        said(5001, 503, "unavailable"),
        said(5002, 504, "timeout"),
        said(5000, 200, "internal error"),
        said(4711, 200, "never heard of"),
        said(0, 200),
        said(0, 200, data={"status": "submitted"}),
        said(0, 200, data=[]),
        answer(200, {"code": False, "data": {"id": TASK, "task_id": TASK}}),
        answer(200, {"data": {"id": TASK, "task_id": TASK}}),
        answer(200, []),
        Scripted(200, b"<html>"),
        Scripted(reset=True),
    ],
)
def test_an_answer_that_proves_nothing_is_unknown_and_the_order_is_sent_once(
    kling: Kling, server: Server, scripted: Scripted, order: Order
) -> None:
    server.plays(scripted)
    assert isinstance(kling.submit(order), Unknown)
    assert len(server.seen) == 1


@pytest.mark.requirement("R44", "R68")
@pytest.mark.parametrize(
    ("code", "status", "meaning"),
    [
        *((code, 401, "not_authorised") for code in (1000, 1001, 1002, 1003, 1004)),
        (1100, 429, "not_authorised"),
        (1101, 429, "no_credit"),
        (1102, 429, "no_credit"),
        (1103, 403, "not_authorised"),
        (1304, 429, "not_authorised"),
        (1200, 400, "rejected_input"),
        (1201, 400, "rejected_input"),
        (1202, 404, "rejected_input"),
        (1203, 404, "rejected_input"),
        (1300, 400, "moderated"),
        (1301, 400, "moderated"),
    ],
)
def test_a_code_says_what_is_wrong_with_an_order_whatever_the_status_is(
    kling: Kling, server: Server, code: int, status: int, meaning: str
) -> None:
    for http_status in (status, 200):
        server.plays(said(code, http_status, "the reason"))
        got = kling.submit(NEW)
        assert isinstance(got, Refused)
        assert (got.code, got.message, got.retryable) == (meaning, "the reason", False)


@pytest.mark.requirement("R10")
@FAMILIES
@pytest.mark.parametrize(
    "scripted",
    [
        said(1303, 429, "parallel task over resource pack limit"),
        said(1302, 429, "too fast"),
        said(1303, 200, "parallel task over resource pack limit"),
        Scripted(429, b"<html>"),
        answer(429, {}),
    ],
)
def test_not_now_is_busy_whoever_asks(kling: Kling, server: Server, scripted: Scripted, order: Order) -> None:
    server.plays(scripted)
    busy = Busy(reason=Reason.BLOCKED)
    assert [kling.submit(order), kling.status(prediction(order)), kling.find(order, NOW)] == [busy] * 3
    assert len(server.seen) == 3


@pytest.mark.parametrize("code", [1002, 1101, 1200, 1201, 5000, 4711])
@FAMILIES
def test_what_is_rendered_is_never_given_up_for_what_is_wrong_with_a_question(
    kling: Kling, server: Server, code: int, order: Order
) -> None:
    for status in (200, 400, 429 if code == 1101 else 500):
        server.plays(said(code, status, "no"))
        assert isinstance(kling.status(prediction(order)), Silent)


def test_a_task_of_the_new_family_is_asked_for_by_a_query_and_of_the_legacy_one_by_its_path(
    kling: Kling, server: Server
) -> None:
    server.plays(said(0, data=[task(NEW)]), said(0, data=task(LEGACY)))
    assert kling.status(prediction(NEW)) == kling.status(prediction(LEGACY)) == Working(prediction_id=TASK)
    assert [seen.path for seen in server.seen] == [f"/tasks?task_ids={TASK}", f"/v1/videos/image2video/{TASK}"]


@FAMILIES
@pytest.mark.parametrize("as_list", [True, False], ids=["an array", "an object"])
def test_a_task_says_where_it_stands_in_either_shape(
    kling: Kling, server: Server, order: Order, *, as_list: bool
) -> None:
    def told(status: str, **more: Any) -> Any:
        document = task(order, status, **more)
        server.plays(said(0, data=[document] if as_list else document))
        return kling.status(prediction(order))

    assert told("submitted") == Working(prediction_id=TASK, queued=True)
    assert told("processing") == told("a new word") == Working(prediction_id=TASK)
    name = "message" if order is NEW else "task_status_msg"
    failed = told("failed", **{name: "internal render error"})
    assert (failed.code, failed.message, failed.retryable) == ("provider_error", "internal render error", True)
    flagged = told("failed", **{name: "Failure to pass the risk control system"})
    assert (flagged.code, flagged.retryable) == ("moderated", False)
    empty = told("succeeded" if order is NEW else "succeed", **{name: "Failure to pass the risk control system"})
    assert (empty.code, empty.retryable) == ("moderated", False)
    nothing = told("succeeded" if order is NEW else "succeed")
    assert (nothing.code, nothing.retryable) == ("provider_error", True)


@pytest.mark.parametrize("word", ["succeed", "succeeded"])
def test_either_spelling_of_success_brings_links_units_and_the_time_it_took(
    kling: Kling, server: Server, word: str
) -> None:
    link = "https://files.test/a.mp4"
    new = task(
        NEW,
        word,
        outputs=[{"type": "video", "url": link, "duration": "5.041"}],
        billing=[{"charge_type": "cash", "amount": "9"}, {"charge_type": "unit", "amount": "2.5"}],
        create_time=1_790_000_000_000,
        update_time=1_790_000_092_500,
    )
    legacy = task(
        LEGACY,
        word,
        task_result={"videos": [{"id": "1", "url": link, "duration": "5"}]},
        final_unit_deduction="2.5",
        created_at=1_790_000_000_000,
        updated_at=1_790_000_092_500,
    )
    for order, document in ((NEW, new), (LEGACY, legacy)):
        server.plays(said(0, data=document))
        got = kling.status(prediction(order))
        assert isinstance(got, Finished)
        assert (got.outputs, got.render_seconds, got.raw["units"]) == ((link,), 92.5, "2.5")
        assert link not in repr(got.raw)


def test_pictures_are_read_too(kling: Kling, server: Server) -> None:
    links = ["https://files.test/a.png", "https://files.test/b.png"]
    images = [{"index": n, "url": link} for n, link in enumerate(links)]
    server.plays(said(0, data=task(LEGACY, "succeed", task_result={"images": images})))
    got = kling.status(prediction(LEGACY))
    assert isinstance(got, Finished)
    assert list(got.outputs) == links


@pytest.mark.parametrize(("order", "scripted"), [(NEW, said(0, data=[])), (LEGACY, said(1203, 404, "not found"))])
def test_a_task_that_nobody_knows_is_lost(kling: Kling, server: Server, order: Order, scripted: Scripted) -> None:
    server.plays(scripted)
    got = kling.status(prediction(order))
    assert isinstance(got, Refused)
    assert got.code == "lost"


@pytest.mark.requirement("R50")
def test_a_lost_order_is_found_by_our_id_of_it(kling: Kling, server: Server) -> None:
    found = Found(predictions=(FoundPrediction(prediction_id=TASK, answer=Working(prediction_id=TASK)),), complete=True)
    server.plays(said(0, data=[task(NEW)]), said(0, data=task(LEGACY)))
    assert kling.find(NEW, NOW) == kling.find(LEGACY, NOW) == found
    paths = [f"/tasks?external_task_ids={MARKER}", f"/v1/videos/image2video/{MARKER}"]
    assert [seen.path for seen in server.seen] == paths


@pytest.mark.requirement("R50")
@pytest.mark.parametrize(("order", "scripted"), [(NEW, said(0, data=[])), (LEGACY, said(1203, 404, "not found"))])
def test_absence_is_proven_by_the_providers_own_word(
    kling: Kling, server: Server, order: Order, scripted: Scripted
) -> None:
    server.plays(scripted)
    assert kling.find(order, NOW) == Found(predictions=(), complete=True)


@pytest.mark.requirement("R50")
@FAMILIES
@pytest.mark.parametrize(
    "scripted",
    [Scripted(404, b"<html>no such route"), answer(404, {"message": "gone"}), said(5000, 200), said(1201, 400, "no")],
)
def test_nothing_else_proves_absence(kling: Kling, server: Server, order: Order, scripted: Scripted) -> None:
    server.plays(scripted)
    assert isinstance(kling.find(order, NOW), Silent)


@pytest.mark.requirement("R50")
@FAMILIES
def test_a_task_that_does_not_bear_our_id_is_neither_ours_nor_a_proof(
    kling: Kling, server: Server, order: Order
) -> None:
    strange = {"external_id": "another", "task_info": {"external_task_id": "another"}}
    server.plays(said(0, data=[task(order) | strange]))
    assert kling.find(order, NOW) == Found(predictions=(), complete=False)


def test_many_are_asked_for_by_one_request_and_strangers_are_left_out(kling: Kling, server: Server) -> None:
    other = {"task_id": "2", "task_status": "processing"}
    server.plays(said(0, data=[task(NEW), other, {"id": "9", "status": "succeeded"}]))
    readings = {TASK: Working(prediction_id=TASK), "2": Working(prediction_id="2")}
    assert kling.survey([TASK, "2", "3"], NOW) == Survey(readings=readings)
    assert server.seen[0].path == f"/tasks?task_ids={TASK}%2C2%2C3"


@pytest.mark.requirement("R56")
def test_what_can_not_be_cancelled_is_asked_for(kling: Kling, server: Server) -> None:
    server.plays(said(0, data=[task(NEW)]))
    assert kling.cancel(prediction(NEW)) == Working(prediction_id=TASK)
    assert [seen.method for seen in server.seen] == ["GET"]


def test_a_probe_costs_nothing(kling: Kling, server: Server) -> None:
    server.plays(said(0, data=[]))
    assert kling.probe("kling-3.0") is None
    assert [seen.method for seen in server.seen] == ["GET"]
    server.plays(said(5001, 503))
    down = kling.probe("kling-3.0")
    assert isinstance(down, Silent)
    assert down.outage


# ── the key ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_token_is_signed_as_the_provider_says() -> None:
    vector = (
        "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJpc3MiOiJhayIsImV4cCI6MTcwMDAwMTgwMCwibmJmIjoxNjk5OTk5OTk1fQ."
        "mgn0T3D3XT4hbNxAtEsJsDH8-Kpgvs6l8t89iZ9EkEg"
    )
    assert signed("ak", "sk", expires=1_700_001_800, begins=1_699_999_995) == vector
    assert bearer("ak:sk", now=1_700_000_000) == vector
    assert bearer("an-api-key", now=1_700_000_000) == "an-api-key"


def test_a_secret_never_leaves_and_its_token_shows_nowhere(server: Server) -> None:
    kling = Kling(Credentials(base_url=server.url, token="access-key-canary:secret-key-canary", busy=BUSY))
    server.plays(said(1002, 401, "no"))
    kling.submit(NEW)
    sent = server.seen[0].headers["Authorization"]
    assert sent.startswith("Bearer eyJ")
    assert "canary" not in sent
    server.plays(answer(400, {"code": 1201, "message": f"the header was {sent}"}))
    for shown in (kling, kling.submit(NEW), kling.status(prediction(NEW))):
        assert "secret-key-canary" not in repr(shown)
    refused = kling.submit(NEW)
    assert isinstance(refused, Refused)
    assert "eyJ" not in refused.message


# ── webhooks ────────────────────────────────────────────────────────────────────────────────────────────────────────


def letter(document: Any) -> tuple[dict[str, str], bytes]:
    body, sent_at = json.dumps(document).encode(), str(int(NOW.timestamp()))
    proof = signature.sign("msg_1", sent_at, body, secret=SECRET)
    return {"Webhook-Id": "msg_1", "Webhook-Timestamp": sent_at, "Webhook-Signature": proof}, body


@pytest.mark.requirement("R53")
@FAMILIES
def test_a_signed_webhook_is_believed_in_the_words_of_its_family(kling: Kling, order: Order) -> None:
    link = "https://files.test/a.mp4"
    result: dict[str, Any] = (
        {"outputs": [{"url": link}]} if order is NEW else {"task_result": {"videos": [{"url": link}]}}
    )
    document = task(order, "succeeded" if order is NEW else "succeed", **result)
    for told in (document, {"code": 0, "data": document}, {"code": 0, "data": [document]}):
        headers, body = letter(told)
        news = kling.read_webhook(headers, body, secret=SECRET, now=NOW)
        assert isinstance(news, WebhookNews)
        assert isinstance(news.answer, Finished)
        assert (news.webhook_id, news.prediction_id, news.answer.outputs) == ("msg_1", TASK, (link,))


@pytest.mark.requirement("R53")
def test_a_webhook_that_is_changed_old_or_unsigned_is_forged(kling: Kling) -> None:
    headers, body = letter(task(NEW))
    late = datetime.fromtimestamp(NOW.timestamp() + 301, UTC)
    assert isinstance(kling.read_webhook(headers, body + b" ", secret=SECRET, now=NOW), Forged)
    assert isinstance(kling.read_webhook(headers, body, secret=SECRET, now=late), Forged)
    assert isinstance(kling.read_webhook({}, body, secret=SECRET, now=NOW), Forged)
    assert isinstance(kling.read_webhook(*letter({"status": "processing"}), secret=SECRET, now=NOW), Forged)


@pytest.mark.requirement("R53")
def test_without_the_consoles_key_a_webhook_is_a_hint(kling: Kling) -> None:
    assert kling.webhook_secret() == ""
    headers, body = letter(task(NEW, "succeeded"))
    first, again = (kling.read_webhook(headers, body, secret="", now=NOW) for _ in range(2))
    assert isinstance(first, Hint)
    assert (first.prediction_id, first) == (TASK, again)
