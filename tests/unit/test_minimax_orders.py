"""Buying from MiniMax over a real socket: what is sent, and what each answer to the one paying request means."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from pipeline.domain.answers import Accepted, Busy, Finished, Reason, Refused, Unknown
from pipeline.domain.catalogue import load
from pipeline.domain.order import compose_input
from pipeline.domain.shot import Shot
from pipeline.providers import PROVIDERS
from pipeline.providers.minimax import MiniMax
from pipeline.providers.protocol import Credentials, Order
from tests.replicate_server import Scripted, Server, answer

TASK = "106916112212032"
CATALOGUE = Path(__file__).parents[2] / "pipeline" / "catalogue" / "minimax.toml"
SHIPPED = load({CATALOGUE.name: CATALOGUE.read_text(encoding="utf-8")})
HAILUO, H3 = "/v1/video_generation", "/v2/video_generation"
PICTURE, SPEECH = "/v1/image_generation", "/v1/t2a_v2"
HOOK = "https://us.example/webhooks/minimax/1/mac"


@pytest.fixture(scope="module")
def running() -> Iterator[Server]:
    with Server.running() as server:
        yield server


@pytest.fixture
def server(running: Server) -> Server:
    return running.forgetful()


@pytest.fixture
def minimax(server: Server) -> MiniMax:
    busy = SHIPPED.accounts["minimax"].busy
    return MiniMax(Credentials(base_url=server.url, token="a key of the account", busy=busy))


def order(endpoint: str, *, model: str = "any", **given: Any) -> Order:
    return Order(model=model, endpoint=endpoint, input={"prompt": "a lighthouse", **given})


def based(code: int, message: str = "said so", **more: Any) -> Scripted:
    """An answer of the first API."""
    return answer(200, {**more, "base_resp": {"status_code": code, "status_msg": message}})


def complained(status: int, kind: str, code: int) -> Scripted:
    """An error of the second API."""
    error = {"type": kind, "message": f"said so ({code})", "http_code": str(status)}
    return answer(status, {"type": "error", "error": error, "request_id": "abc"})


def test_the_registry_knows_minimax() -> None:
    assert PROVIDERS["minimax"] is MiniMax


@pytest.mark.requirement("R50")
def test_a_hailuo_order_is_one_post_of_flat_fields_with_its_callback(minimax: MiniMax, server: Server) -> None:
    server.plays(based(0, "success", task_id=TASK))
    wanted = order(HAILUO, model="MiniMax-Hailuo-2.3", duration=6, resolution="768P")
    got = minimax.submit(Order(**{**vars(wanted), "webhook_url": HOOK}))
    assert isinstance(got, Accepted)
    assert got.prediction_id == TASK
    [seen] = server.seen
    assert (seen.method, seen.path) == ("POST", HAILUO)
    assert seen.headers["Authorization"] == "Bearer a key of the account"
    assert seen.document == {"model": "MiniMax-Hailuo-2.3", **wanted.input, "callback_url": HOOK}


def test_a_subject_is_sent_as_a_character(minimax: MiniMax, server: Server) -> None:
    server.plays(based(0, task_id=TASK))
    minimax.submit(order(HAILUO, model="S2V-01", subject_reference=["https://p.example/a.png"]))
    minimax.submit(order(PICTURE, model="image-01", subject_reference=["https://p.example/a.png"]))
    video, picture = (seen.document["subject_reference"] for seen in server.seen)
    assert video == [{"type": "character", "image": ["https://p.example/a.png"]}]
    assert picture == [{"type": "character", "image_file": "https://p.example/a.png"}]


def test_an_order_of_the_second_api_is_a_list_of_parts(minimax: MiniMax, server: Server) -> None:
    server.plays(answer(200, {"task_id": TASK}))
    given = {"first_frame": "https://p.example/a.png", "last_frame": "https://p.example/b.png"}
    got = minimax.submit(order(H3, model="MiniMax-H3", duration=4, resolution="768P", **given))
    assert got == Accepted(prediction_id=TASK, raw={"task_id": TASK})
    assert server.seen[0].path == H3
    assert server.seen[0].document == {
        "model": "MiniMax-H3",
        "duration": 4,
        "resolution": "768P",
        "content": [
            {"type": "text", "text": "a lighthouse"},
            {"type": "image_url", "image_url": {"url": "https://p.example/a.png"}, "role": "first_frame"},
            {"type": "image_url", "image_url": {"url": "https://p.example/b.png"}, "role": "last_frame"},
        ],
    }


def test_each_reference_is_a_part_of_its_own(minimax: MiniMax, server: Server) -> None:
    server.plays(answer(200, {"task_id": TASK}))
    minimax.submit(order(H3, reference_image=["https://p.example/a.png", "https://p.example/b.png"], ratio="16:9"))
    parts = server.seen[0].document["content"][1:]
    assert [(part["role"], part["image_url"]["url"]) for part in parts] == [
        ("reference_image", "https://p.example/a.png"),
        ("reference_image", "https://p.example/b.png"),
    ]


@pytest.mark.requirement("R46")
def test_a_picture_is_finished_with_the_answer(minimax: MiniMax, server: Server) -> None:
    data = {"image_urls": ["https://files.example/a.jpg"]}
    server.plays(based(0, id="03ff3cd0820949eb", data=data, metadata={"success_count": "1", "failed_count": "0"}))
    got = minimax.submit(order(PICTURE, response_format="url"))
    assert isinstance(got, Finished)
    assert (got.prediction_id, got.outputs) == ("03ff3cd0820949eb", ("https://files.example/a.jpg",))


@pytest.mark.requirement("R46")
def test_speech_is_finished_with_the_answer(minimax: MiniMax, server: Server) -> None:
    data = {"audio": "https://files.example/a.mp3", "status": 2}
    server.plays(based(0, data=data, extra_info={"audio_length": 9900}, trace_id="01b8bf9bb7433cc75c18eee6cfa8fe21"))
    got = minimax.submit(order(SPEECH, output_format="url"))
    assert isinstance(got, Finished)
    assert got.outputs == ("https://files.example/a.mp3",)
    assert got.prediction_id == "01b8bf9bb7433cc75c18eee6cfa8fe21"


@pytest.mark.requirement("R10")
@pytest.mark.parametrize("code", [1002, 1039, 1041, 2045])
@pytest.mark.parametrize("endpoint", [HAILUO, PICTURE, SPEECH])
def test_a_rate_limit_is_busy_although_its_status_is_200(
    minimax: MiniMax, server: Server, endpoint: str, code: int
) -> None:
    server.plays(based(code, "rate limit exceeded(RPM)"))
    assert minimax.submit(order(endpoint)) == Busy(reason=Reason.BLOCKED)
    assert len(server.seen) == 1


@pytest.mark.requirement("R10")
@pytest.mark.parametrize("code", [1028, 1030, 2056])
def test_a_quota_that_is_used_up_is_waited_for_longer(minimax: MiniMax, server: Server, code: int) -> None:
    server.plays(based(code, "usage limit exceeded"))
    assert minimax.submit(order(HAILUO)) == Busy(reason=Reason.DAILY_LIMIT, wait_seconds=900.0)


def test_the_voice_and_the_sound_of_speech_are_objects_of_their_own(minimax: MiniMax, server: Server) -> None:
    server.plays(based(0, data={"audio": "https://files.example/a.mp3", "status": 2}))
    row = SHIPPED.model("minimax/speech-2.8-hd")
    assert row.voice
    spoken = {row.prompt_field: "hello", row.voice.field: row.voice.default, **row.always}
    minimax.submit(Order(model=row.provider_model, endpoint=SPEECH, input=spoken))
    assert server.seen[0].document == {
        "model": "speech-2.8-hd",
        "text": "hello",
        "output_format": "url",
        "language_boost": "auto",
        "voice_setting": {"voice_id": "Wise_Woman"},
        "audio_setting": {"format": "mp3", "sample_rate": 32000, "bitrate": 128000, "channel": 1},
    }


@pytest.mark.requirement("R10")
def test_an_overload_in_its_own_words_is_busy(minimax: MiniMax, server: Server) -> None:
    server.plays(complained(529, "overloaded_error", 1000))
    assert minimax.submit(order(H3)) == Busy(reason=Reason.BLOCKED)


@pytest.mark.requirement("R10")
def test_a_rate_limit_of_the_second_api_is_a_429(minimax: MiniMax, server: Server) -> None:
    server.plays(complained(429, "rate_limit_error", 1002))
    assert minimax.submit(order(H3)) == Busy(reason=Reason.BLOCKED)


REFUSALS: Mapping[str, tuple[str, Scripted, str, bool]] = {
    "a wrong key": (HAILUO, based(1004), "not_authorised", False),
    "an invalid key": (HAILUO, based(2049), "not_authorised", False),
    "a model that is not in the plan": (HAILUO, based(2061), "not_authorised", False),
    "a name that was never verified": (HAILUO, based(2038), "not_authorised", False),
    "an empty account": (HAILUO, based(1008), "no_credit", False),
    "bad parameters": (HAILUO, based(2013), "rejected_input", False),
    "an error inside": (HAILUO, based(1013), "provider_error", True),
    "a code that nobody knows": (HAILUO, based(4711), "provider_error", False),
    "an answer with an empty id": (HAILUO, based(1000, task_id=""), "provider_error", True),
    "no picture at all": (PICTURE, based(0, metadata={"success_count": "0"}), "provider_error", True),
    "v2: a wrong key": (H3, complained(401, "authorized_error", 1004), "not_authorised", False),
    "v2: an empty account": (H3, complained(402, "insufficient_balance_error", 1008), "no_credit", False),
    "v2: bad parameters": (H3, complained(400, "bad_request_error", 2013), "rejected_input", False),
}


@pytest.mark.requirement("R44")
@pytest.mark.parametrize(("endpoint", "said", "code", "retryable"), REFUSALS.values(), ids=REFUSALS.keys())
def test_a_refusal_says_whether_another_attempt_can_help(
    minimax: MiniMax, server: Server, endpoint: str, said: Scripted, code: str, *, retryable: bool
) -> None:
    server.plays(said)
    got = minimax.submit(order(endpoint))
    assert isinstance(got, Refused)
    assert (got.code, got.retryable) == (code, retryable)
    assert len(server.seen) == 1


@pytest.mark.requirement("R68")
@pytest.mark.parametrize(
    ("endpoint", "said"),
    [
        (HAILUO, based(1026, "input new_sensitive")),
        (H3, complained(422, "unprocessable_entity_error", 1026)),
    ],
)
def test_a_prompt_that_offends_is_named_and_never_sent_again(
    minimax: MiniMax, server: Server, endpoint: str, said: Scripted
) -> None:
    server.plays(said)
    got = minimax.submit(order(endpoint))
    assert isinstance(got, Refused)
    assert (got.code, got.retryable) == ("moderated", False)
    assert got.message.startswith("the prompt was flagged")


@pytest.mark.requirement("R68", "R44")
@pytest.mark.parametrize(
    ("counts", "code", "retryable"),
    [
        ({"success_count": "0", "failed_count": "1"}, "moderated", False),
        ({"success_count": 0, "failed_count": 1}, "moderated", False),
        ({"success_count": "0", "failed_count": "0"}, "provider_error", True),
        ({"success_count": "0"}, "provider_error", True),
    ],
)
def test_a_picture_that_was_kept_back_for_its_content_is_not_ordered_again(
    minimax: MiniMax, server: Server, counts: dict[str, Any], code: str, *, retryable: bool
) -> None:
    server.plays(based(0, data={"image_urls": []}, metadata=counts))
    got = minimax.submit(order(PICTURE))
    assert isinstance(got, Refused)
    assert (got.code, got.retryable, "flagged" in got.message) == (code, retryable, not retryable)


NO_PROOF = {
    "a 500": (HAILUO, answer(500, {})),
    "a 500 with a code of its own": (HAILUO, answer(500, {"base_resp": {"status_code": 1000, "status_msg": "no"}})),
    "a timeout inside": (HAILUO, based(1001)),
    "a timeout inside, of a picture": (PICTURE, based(1001)),
    "a 503": (H3, answer(503, {})),
    "an overload that nobody explains": (H3, Scripted(529, b"")),
    "no id": (H3, answer(200, {})),
    "an id that is a path": (H3, answer(200, {"task_id": "../files"})),
    "success without an id": (HAILUO, based(0, "success")),
    "HTML": (HAILUO, Scripted(200, b"<html>")),
    "a picture without links": (PICTURE, based(0, data={"image_urls": []})),
    "a reset": (HAILUO, Scripted(reset=True)),
}


@pytest.mark.requirement("R50")
@pytest.mark.parametrize(("endpoint", "said"), NO_PROOF.values(), ids=NO_PROOF.keys())
def test_an_answer_that_proves_nothing_is_unknown_and_the_order_is_sent_once(
    minimax: MiniMax, server: Server, endpoint: str, said: Scripted
) -> None:
    server.plays(said)
    assert isinstance(minimax.submit(order(endpoint)), Unknown)
    assert len(server.seen) == 1


@pytest.mark.requirement("R50")
def test_an_id_that_is_told_was_bought_whatever_else_is_said(minimax: MiniMax, server: Server) -> None:
    server.plays(based(1000, "unknown error", task_id=TASK))
    got = minimax.submit(order(HAILUO))
    assert isinstance(got, Accepted)
    assert got.prediction_id == TASK


@pytest.mark.requirement("R40", "R41", "R43")
@pytest.mark.parametrize(
    ("slug", "resolution", "target", "asked", "cents"),
    [
        ("hailuo-2.3", "768P", 5, 6, 28),
        ("hailuo-2.3", "768P", 7, 10, 56),
        ("hailuo-2.3", "1080P", 6, 6, 49),
        ("hailuo-02", "512P", 9, 10, 15),
        ("h3", "2K", 4, 5, 65),
        ("h3-max", "480P", 12, 15, 75),
    ],
)
def test_lengths_and_prices_follow_the_resolution(
    slug: str, resolution: str, target: float, asked: int, cents: int
) -> None:
    model = SHIPPED.model(f"minimax/{slug}")
    seconds = model.asked_seconds(target, 1.25, resolution=resolution)
    assert (seconds, model.price_cents(seconds, resolution)) == (asked, cents)


@pytest.mark.requirement("R40", "R42")
def test_ten_seconds_are_made_at_768p_only() -> None:
    model = SHIPPED.model("minimax/hailuo-2.3")
    assert model.lengths("text", "768P").allowed == [6, 10]
    assert model.lengths("text", "1080P").allowed == [6]


@pytest.mark.requirement("R42")
@pytest.mark.parametrize(("slug", "most"), [("hailuo-2.3", 2000), ("s2v-01", 2000), ("image-01", 1500), ("h3", None)])
def test_words_that_minimax_would_refuse_are_refused_here(slug: str, most: int | None) -> None:
    assert SHIPPED.model(f"minimax/{slug}").prompt_max == most


@pytest.mark.requirement("R41")
@pytest.mark.parametrize("mode", ["text", "image"])
def test_the_shapes_of_hailuo(mode: str) -> None:
    model = SHIPPED.model("minimax/hailuo-2.3")
    assert set(model.aspect_ratios()) == {"16:9", "9:16", "1:1"}
    assert ("16:9" in model.aspect_ratios(mode), "9:16" in model.aspect_ratios(mode)) == (True, mode == "image")  # type: ignore[arg-type]


@pytest.mark.requirement("R40")
def test_every_mode_of_every_row_says_which_api_it_speaks() -> None:
    for model in SHIPPED.models.values():
        second = model.provider_model.startswith("MiniMax-H3")
        for mode in model.modes:
            assert model.endpoint(mode).startswith("/v2/" if second else "/v1/")
        assert model.listed == second


@pytest.mark.requirement("R40")
def test_a_shape_is_sent_with_words_and_left_to_the_picture_beside_one() -> None:
    model = SHIPPED.model("minimax/h3")
    shot = Shot(
        index=0,
        model=model.key,
        prompt="a lighthouse",
        target_seconds=4,
        asked_seconds=4,
        aspect_ratio="9:16",
        seed=None,
        negative_prompt=None,
        image_url=None,
        reference_image_urls=(),
        estimate_cents=1,
    )
    assert compose_input(model, shot, seed=1)["ratio"] == "9:16"
    pictured = Shot(**{**vars(shot), "image_url": "https://p.example/a.png", "mode": "image"})
    given = compose_input(model, pictured, seed=1)
    assert given == {
        "prompt": "a lighthouse",
        "duration": 4,
        "resolution": "768P",
        "first_frame": "https://p.example/a.png",
    }
