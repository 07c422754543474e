"""Buying from Black Forest Labs, asking where the order says, and believing their webhooks."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pipeline.domain.answers import Accepted, Busy, Finished, Reason, Refused, Silent, Unknown, Working
from pipeline.domain.attempt import Prediction
from pipeline.domain.catalogue import load
from pipeline.domain.order import compose_input
from pipeline.domain.shot import Shot
from pipeline.providers.bfl import Bfl, shaped, signature
from pipeline.providers.protocol import Credentials, Forged, Found, Order, Survey, WebhookNews
from pipeline.services import catalogue_texts
from tests.replicate_server import Scripted, Server, answer

CATALOGUE = load(catalogue_texts(""))
ACCOUNT = CATALOGUE.accounts["bfl"]
TOKEN = "bfl_canary_key_of_the_account"
TASK_ID = "0c0f2a4e-6d1b-4f0a-9a52-1d7f0f6b3a11"
NOW = datetime(2026, 3, 1, 10, tzinfo=UTC)
SECRET = "secret"
HOOK = "https://dailies.example/webhooks/bfl/attempt/mac"
ORDER = Order(
    model="flux-2-pro", endpoint="flux-2-pro", input={"prompt": "a lighthouse", "width": 1280, "height": 720, "seed": 7}
)
SAMPLE = "https://delivery-eu1.bfl.ai/results/ab/sample.jpeg?sig=1"


def task(status: str, **more: Any) -> dict[str, Any]:
    return {"id": TASK_ID, "status": status, "result": None, "progress": None, "details": None, "preview": None, **more}


def ready(**more: Any) -> dict[str, Any]:
    return task("Ready", result={"sample": SAMPLE, "seed": 7, "duration": 4.25, **more})


@pytest.fixture(scope="module")
def running() -> Iterator[Server]:
    with Server.running() as server:
        yield server


@pytest.fixture
def server(running: Server) -> Server:
    return running.forgetful()


def account(url: str, **more: Any) -> Bfl:
    return Bfl(Credentials(base_url=url, token=TOKEN, busy=ACCOUNT.busy, **more))


@pytest.fixture
def bfl(server: Server) -> Bfl:
    return account(server.url, hosts={"regions": f"{server.url}/_regions"})


def bought_at(polling_url: str) -> Prediction:
    return Prediction(id=TASK_ID, endpoint="flux-2-pro", receipt={"id": TASK_ID, "polling_url": polling_url})


@pytest.mark.requirement("R50")
def test_an_order_is_one_post_to_its_models_path_and_its_receipt_says_where_to_ask(bfl: Bfl, server: Server) -> None:
    polling_url = "https://api.eu1.bfl.ai/v1/get_result?id=" + TASK_ID
    server.plays(answer(200, {"id": TASK_ID, "polling_url": polling_url, "cost": 3.0, "output_mp": 1.05}))
    told = bfl.submit(ORDER)
    assert isinstance(told, Accepted)
    assert told.prediction_id == TASK_ID
    assert told.raw == {"id": TASK_ID, "cost": 3.0, "output_mp": 1.05, "polling_url": polling_url}
    [seen] = server.seen
    assert (seen.method, seen.path, seen.document) == ("POST", "/v1/flux-2-pro", dict(ORDER.input))
    assert seen.headers["x-key"] == TOKEN
    assert "Authorization" not in seen.headers


@pytest.mark.requirement("R53")
def test_an_order_with_a_webhook_tells_what_to_sign_it_with_and_is_asked_for_by_its_id(
    bfl: Bfl, server: Server
) -> None:
    server.plays(answer(200, {"id": TASK_ID, "status": "Pending", "webhook_url": HOOK}), answer(200, task("Pending")))
    told = bfl.submit(Order(model="flux-2-pro", endpoint="flux-2-pro", input={"prompt": "p"}, webhook_url=HOOK))
    assert isinstance(told, Accepted)
    assert HOOK not in json.dumps(dict(told.raw))
    body = server.seen[0].document
    assert (body["webhook_url"], body["webhook_secret"]) == (HOOK, bfl.webhook_secret())
    bfl.status(Prediction(id=TASK_ID, receipt=told.raw))
    assert server.seen[1].path == f"/v1/get_result?id={TASK_ID}"


def test_the_secret_of_webhooks_is_the_operators_or_made_from_the_key_and_never_the_key_itself() -> None:
    assert account("https://api.bfl.ai", webhook_secret=SECRET).webhook_secret() == SECRET
    made = account("https://api.bfl.ai").webhook_secret()
    assert made == account("https://api.eu.bfl.ai").webhook_secret()
    assert isinstance(made, str)
    assert len(made) == 64
    assert TOKEN not in made


@pytest.mark.parametrize("ending", ["", "/", "/v1", "/v1/"])
def test_the_address_may_end_with_the_version_or_not(server: Server, ending: str) -> None:
    server.plays(answer(200, {"credits": 12.5}))
    assert account(server.url + ending).probe("flux-2-pro") is None
    assert server.seen[0].path == "/v1/credits"


@pytest.mark.requirement("R10", "R44", "R50")
@pytest.mark.parametrize(
    ("scripted", "expected"),
    [
        (answer(402, {"detail": "Insufficient credits"}), ("no_credit", False)),
        (answer(403, {"detail": "Not authenticated"}), ("not_authorised", False)),
        (answer(400, {"detail": "bad"}), ("rejected_input", False)),
        (answer(422, {"detail": "bad"}), ("rejected_input", False)),
        (answer(429, {"detail": "Too many active tasks"}), Busy(reason=Reason.BLOCKED)),
        (
            answer(429, {"error": "rate_limit_exceeded", "message": "slow down", "retry_after": 5}),
            Busy(reason=Reason.BLOCKED, wait_seconds=5.0),
        ),
        (answer(500, {}), Unknown),
        (answer(503, {}), Unknown),
        (Scripted(reset=True), Unknown),
        (answer(200, {"polling_url": "https://api.bfl.ai/v1/get_result?id=7"}), Unknown),
        (answer(200, {"id": "a/../b"}), Unknown),
        (Scripted(200, b"<html>"), Unknown),
    ],
    ids=["402", "403", "400", "422", "429", "429 told", "500", "503", "reset", "no id", "bad id", "HTML"],
)
def test_what_the_answer_to_an_order_means(bfl: Bfl, server: Server, scripted: Scripted, expected: Any) -> None:
    server.plays(scripted)
    told = bfl.submit(ORDER)
    if isinstance(expected, tuple):
        assert isinstance(told, Refused)
        assert (told.code, told.retryable) == expected
    else:
        assert told == expected if isinstance(expected, Busy) else isinstance(told, expected)
    assert len(server.seen) == 1


@pytest.mark.requirement("R36")
def test_a_rejected_input_names_its_fields(bfl: Bfl, server: Server) -> None:
    detail = [{"loc": ["body", "width"], "msg": "Input should be a multiple of 16", "type": "multiple_of"}]
    server.plays(answer(422, {"detail": detail}))
    told = bfl.submit(ORDER)
    assert isinstance(told, Refused)
    assert told.message == "width: Input should be a multiple of 16"


@pytest.mark.parametrize(
    ("url", "followed"),
    [
        ("https://api.eu1.bfl.ai/v1/get_result?id=7", True),
        ("https://api.bfl.ai/v1/get_result?id=7", True),
        ("https://bfl.ai/v1/get_result?id=7", True),
        ("https://api.us2.eu.bfl.ai:443/v1/get_result?id=7", True),
        ("http://api.eu1.bfl.ai/v1/get_result?id=7", False),
        ("https://api.eu1.bfl.ai:8443/v1/get_result?id=7", False),
        ("https://evilbfl.ai/v1/get_result?id=7", False),
        ("https://bfl.ai.evil.example/v1/get_result?id=7", False),
        ("https://api.bfl.ai@evil.example/v1/get_result?id=7", False),
        ("https://evil.example\\@api.bfl.ai/v1/get_result?id=7", False),
        ("https://key@api.bfl.ai/v1/get_result?id=7", False),
        ("https://[::1/v1", False),
        ("//api.bfl.ai/v1/get_result", False),
        ("https://api.bfl.ai/\n", False),
        ("https://api.bfl.ai/" + "a" * 5000, False),
    ],
)
def test_our_key_goes_to_hosts_of_their_domain_only(url: str, *, followed: bool) -> None:
    real = account(ACCOUNT.base_url, hosts=ACCOUNT.hosts)
    assert real._is_theirs(url) is followed


def test_a_link_to_elsewhere_is_not_followed_and_the_usual_address_is_asked_instead(bfl: Bfl, server: Server) -> None:
    server.plays(answer(200, task("Pending")))
    for url in ("https://evil.example/steal", f"{server.url}/_regions/v1/get_result?id={TASK_ID}"):
        assert bfl.status(bought_at(url)) == Working(prediction_id=TASK_ID)
    paths = [seen.path for seen in server.seen]
    assert paths == [f"/v1/get_result?id={TASK_ID}", f"/_regions/v1/get_result?id={TASK_ID}"]


@pytest.mark.requirement("R44", "R68")
@pytest.mark.parametrize(
    ("document", "code", "retryable", "words"),
    [
        (
            task("Request Moderated", details={"Moderation Reasons": ["Derivative Works Filter", "Copyright"]}),
            *(
                "moderated",
                False,
                "the prompt or an image that was given was flagged; Derivative Works Filter; Copyright",
            ),
        ),
        (
            task("Content Moderated", details={"Moderation Reasons": ["Safety Filter"]}),
            *("moderated", False, "the result was flagged, though nothing that was given; Safety Filter"),
        ),
        (task("Content Moderated"), "moderated", False, "the result was flagged"),
        (task("Request Moderated", details={"Moderation Reasons": "all"}), "moderated", False, "was flagged"),
        (task("Error", details={"error": "out of memory"}), "provider_error", True, "out of memory"),
        (task("Error"), "provider_error", True, "without a reason"),
        (task("Failed"), "provider_error", True, "without a reason"),
        (task("Task not found"), "lost", True, "no such task"),
        (task("Ready"), "provider_error", True, "without an output"),
        (
            task("Ready", details={"Moderation Reasons": ["Safety Filter"]}),
            *("moderated", False, "the result was flagged, though nothing that was given; Safety Filter"),
        ),
        (task("Ready", result={"sample": "file:///etc/passwd"}), "provider_error", True, "without an output"),
        (task("Ready", result={"sample": "https://a.test/" + "a" * 5000}), "provider_error", True, "without an output"),
    ],
)
def test_a_task_that_came_to_nothing_says_why_and_whether_another_may_help(
    bfl: Bfl, server: Server, document: dict[str, Any], code: str, words: str, *, retryable: bool
) -> None:
    server.plays(answer(200, document))
    told = bfl.status(Prediction(id=TASK_ID))
    assert isinstance(told, Refused)
    assert (told.code, told.retryable) == (code, retryable)
    assert words in told.message


@pytest.mark.parametrize(
    ("document", "progress"),
    [
        (task("Pending"), None),
        (task("Pending", progress=0.4), 40),
        (task("Pending", progress="x"), None),
        (task("?"), None),
    ],
)
def test_a_pending_task_is_working(bfl: Bfl, server: Server, document: dict[str, Any], progress: int | None) -> None:
    server.plays(answer(200, document))
    assert bfl.status(Prediction(id=TASK_ID)) == Working(prediction_id=TASK_ID, progress=progress)


@pytest.mark.requirement("R63")
def test_a_ready_task_is_finished_with_its_time_and_still_knows_where_to_ask_for_a_fresh_link(
    bfl: Bfl, server: Server
) -> None:
    server.plays(answer(200, ready()))
    polling_url = f"{server.url}/_regions/v1/get_result?id={TASK_ID}"
    told = bfl.status(bought_at(polling_url))
    assert isinstance(told, Finished)
    assert (told.outputs, told.render_seconds) == ((SAMPLE,), 4.25)
    assert told.raw["polling_url"] == polling_url
    assert "delivery" not in json.dumps(dict(told.raw))


@pytest.mark.parametrize(
    ("scripted", "kind"),
    [
        *((answer(403, {}), Silent), (answer(402, {}), Silent), (answer(500, {}), Silent), (answer(200, []), Silent)),
        *((answer(200, {**ready(), "id": "another"}), Silent), (answer(404, task("Task not found")), Refused)),
        (answer(429, {}), Busy),
    ],
    ids=["403", "402", "500", "a list", "another task", "404", "429"],
)
def test_a_question_without_a_clear_answer_gives_nothing_up(
    bfl: Bfl, server: Server, scripted: Scripted, kind: type
) -> None:
    server.plays(scripted)
    told = bfl.status(Prediction(id=TASK_ID))
    assert isinstance(told, kind)
    assert not isinstance(told, Refused) or told.code == "lost"


@pytest.mark.requirement("R56")
def test_nothing_can_be_stopped_so_a_cancel_only_looks(bfl: Bfl, server: Server) -> None:
    server.plays(answer(200, task("Pending")))
    assert bfl.cancel(Prediction(id=TASK_ID)) == Working(prediction_id=TASK_ID)
    assert [seen.method for seen in server.seen] == ["GET"]


@pytest.mark.requirement("R50")
def test_there_is_no_list_so_nothing_is_ever_found_or_proven(bfl: Bfl, server: Server) -> None:
    assert bfl.find(ORDER, NOW) == Found(predictions=(), complete=False)
    assert bfl.survey({TASK_ID}, NOW) == Survey(readings={})
    assert server.seen == []
    assert (ACCOUNT.settle, ACCOUNT.doubt, ACCOUNT.reports) == (None, "spent", True)


@pytest.mark.requirement("R53")
def test_the_signature_is_that_of_the_published_example() -> None:
    body = b'{"request_id":"req-1","status":"OK"}'
    expected = "sha256=db69b5d11a2112f2573c11ce6d7dcc887fcdafa9da4fdc0c21c4059d6986afc7"
    assert signature(body, SECRET) == expected


def signed(document: Any, **more: str) -> tuple[dict[str, str], bytes]:
    body = json.dumps(document).encode()
    return {"X-BFL-Signature": signature(body, SECRET), **more}, body


@pytest.mark.requirement("R53")
@pytest.mark.parametrize(
    "timestamp",
    [None, NOW.isoformat(), (NOW - timedelta(seconds=299)).timestamp(), "2026-03-01T10:00:00", "soon", True],
    ids=["none", "ISO", "seconds", "no zone", "no time", "a truth"],
)
def test_a_genuine_webhook_is_believed(bfl: Bfl, timestamp: Any) -> None:
    document = {"id": TASK_ID, "status": "Ready", "result": {"sample": SAMPLE}, "timestamp": timestamp}
    headers, body = signed(document)
    for written in (headers, {"x-bfl-signature": headers["X-BFL-Signature"]}):
        news = bfl.read_webhook(written, body, secret=SECRET, now=NOW)
        assert isinstance(news, WebhookNews)
        assert (news.prediction_id, news.webhook_id) == (TASK_ID, f"{TASK_ID}:Ready")
        assert isinstance(news.answer, Finished)
        assert news.answer.outputs == (SAMPLE,)


@pytest.mark.requirement("R53")
@pytest.mark.parametrize(
    ("headers", "body", "secret"),
    [
        (*signed(task("Ready")), "another secret"),
        ({}, signed(task("Ready"))[1], SECRET),
        ({"X-BFL-Signature": "sha256="}, signed(task("Ready"))[1], SECRET),
        ({"X-BFL-Signature": "sha256=é"}, signed(task("Ready"))[1], SECRET),
        (signed(task("Ready"))[0], signed(task("Ready"))[1] + b" ", SECRET),
        (*signed({"request_id": "req-1", "status": "OK"}), SECRET),
        (*signed([1]), SECRET),
        (*signed({**ready(), "timestamp": (NOW - timedelta(seconds=301)).isoformat()}), SECRET),
        (*signed({**ready(), "timestamp": (NOW + timedelta(seconds=301)).timestamp()}), SECRET),
    ],
    ids=["key", "unsigned", "empty", "odd", "changed", "no task", "no object", "old", "from the future"],
)
def test_a_webhook_that_is_not_theirs_or_not_fresh_is_forged(
    bfl: Bfl, headers: dict[str, str], body: bytes, secret: str
) -> None:
    assert isinstance(bfl.read_webhook(headers, body, secret=secret, now=NOW), Forged)


@pytest.mark.requirement("R40")
@pytest.mark.parametrize(
    ("flat", "nested"),
    [
        ({"input_image": ["a", "b", "c"]}, {"input_image": "a", "input_image_2": "b", "input_image_3": "c"}),
        ({"image_prompt": ["a"]}, {"image_prompt": "a"}),
        ({"keyframes": "a"}, {"keyframes": ["a"]}),
        ({"width": 1280, "height": 720}, {"width": 1280, "height": 720}),
    ],
)
def test_the_flat_input_of_a_row_is_told_as_they_have_it(flat: dict[str, Any], nested: dict[str, Any]) -> None:
    assert shaped(flat) == nested


@pytest.mark.requirement("R40")
def test_a_shape_may_be_a_size_of_two_fields() -> None:
    row = CATALOGUE.model("bfl/flux-2-pro")
    shot = Shot(
        index=0,
        model=row.key,
        prompt="a lighthouse",
        target_seconds=1,
        asked_seconds=1,
        aspect_ratio="4:3",
        seed=None,
        negative_prompt=None,
        image_url=None,
        reference_image_urls=("https://a.test/1.png",),
        estimate_cents=3,
    )
    given = compose_input(row, shot, seed=7)
    assert {name: given[name] for name in ("width", "height", "seed")} == {"width": 1152, "height": 864, "seed": 7}
    assert "aspect_ratio" not in given


@pytest.mark.requirement("R40")
def test_what_stands_behind_an_endpoints_question_mark_goes_into_the_body(bfl: Bfl, server: Server) -> None:
    row = CATALOGUE.model("bfl/flux-3-video")
    server.plays(answer(200, {"id": TASK_ID}))
    bfl.submit(Order(model="flux-3-video", endpoint=row.endpoint("image"), input={"keyframes": "https://a.test/1.png"}))
    [seen] = server.seen
    assert seen.path == "/v1/flux-3-video"
    assert seen.document == {"mode": "i2v", "keyframes": ["https://a.test/1.png"]}


@pytest.mark.requirement("R24")
def test_a_picture_is_asked_for_after_two_seconds_and_then_up_to_every_ten() -> None:
    rows = [row for row in CATALOGUE.models.values() if row.provider == "bfl"]
    assert {(row.polling.first_seconds, row.polling.max_seconds) for row in rows} == {(2, 10)}
    assert {row.output_life_seconds for row in rows} == {600}
