"""MiniMax against the simulator, and whole clips by real steps: challenges, doubts, limits, pictures and speech."""

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import requests
from werkzeug.serving import make_server
from werkzeug.wrappers import Request, Response

from api.app import create_app
from pipeline import accounts
from pipeline.domain.answers import Accepted, Busy, Finished, Refused, Working
from pipeline.domain.asset import State
from pipeline.domain.attempt import Prediction
from pipeline.domain.catalogue import load
from pipeline.domain.order import compose_input, plan
from pipeline.domain.spec import parse_job
from pipeline.providers.protocol import Fetched, Order, Provider
from pipeline.services import catalogue_texts
from pipeline.settings import Settings
from pipeline.sweep import sweep
from tests import servers
from tests.builders import World, world
from tests.integration.simulator_process import eventually

CATALOGUE = load(catalogue_texts(""))
HAILUO, H3 = "minimax/hailuo-2.3", "minimax/h3"
NOBODY = "http://127.0.0.1:1"


@pytest.fixture
def simulator(running: servers.Simulator) -> servers.Simulator:
    requests.post(f"{running.url}/_sim/reset", timeout=5).raise_for_status()
    return running


@pytest.fixture
def minimax(simulator: servers.Simulator) -> Provider:
    own = accounts.told(Settings(environment=simulator.environment), CATALOGUE)
    return accounts.adapters(own, CATALOGUE)["minimax"]


def order(key: str, prompt: str = "a lighthouse", **changes: Any) -> Order:
    row = CATALOGUE.model(key)
    given: dict[str, Any] = {"model": row.provider_model, "endpoint": row.endpoint(row.modes[0])}
    if row.kind != "video":
        voice = {row.voice.field: row.voice.default} if row.voice else {}
        return Order(**given, input={row.prompt_field: prompt, **voice, **row.always}, **changes)
    [shot] = plan(parse_job({"model": key, "scenes": [{"description": prompt}]}), CATALOGUE, duration_buffer=1).shots
    return Order(**given, input=compose_input(row, shot, seed=1), **changes)


def bought(minimax: Provider, wanted: Order) -> Prediction:
    answer = minimax.submit(wanted)
    assert isinstance(answer, Accepted), answer
    return Prediction(id=answer.prediction_id, endpoint=wanted.endpoint, receipt=answer.raw)


def sold(simulator: servers.Simulator) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = requests.get(f"{simulator.url}/_sim/ledger", timeout=5).json()
    return found


def spoken(simulator: servers.Simulator, method: str, path: str, body: Any = None) -> requests.Response:
    """One request as anybody's client sends it."""
    headers = {"Authorization": f"Bearer {simulator.environment['MINIMAX_API_KEY']}"}
    url = f"{simulator.environment['MINIMAX_BASE_URL']}{path}"
    return requests.request(method, url, json=body, headers=headers, timeout=10)


@dataclass
class Door:
    """A public address whose app comes later; keeps what came in."""

    app: Any = None
    url: str = ""
    seen: list[dict[str, Any]] = field(default_factory=list)
    answers_challenges: bool = True

    def __call__(self, environ: Any, start_response: Any) -> Any:
        body = Request(environ).get_data()
        environ["wsgi.input"] = BytesIO(body)
        self.seen.append(json.loads(body))
        if self.app is None:
            known = "challenge" in self.seen[-1] and self.answers_challenges
            return Response(body if known else b"{}", mimetype="application/json")(environ, start_response)
        return self.app(environ, start_response)

    @property
    def reports(self) -> list[dict[str, Any]]:
        return [each for each in self.seen if "challenge" not in each]


@pytest.fixture
def door() -> Iterator[Door]:
    built = Door()
    server = make_server("127.0.0.1", 0, built, threaded=True)
    built.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield built
    server.shutdown()
    server.server_close()
    thread.join()


@dataclass(frozen=True)
class Parts:
    database_url: str
    valkey_url: str
    s3: servers.ObjectStore
    simulator: servers.Simulator

    @contextmanager
    def world(self, **more: Any) -> Iterator[World]:
        told = {name.lower(): value for name, value in self.simulator.environment.items() if name.startswith("MINIMAX")}
        more |= {"valkey_url": self.valkey_url, "s3": self.s3, "simulator": self.simulator, **told}
        with world(self.database_url, **more) as here:
            yield here


@pytest.fixture
def parts(database_url: str, valkey_url: str, s3: servers.ObjectStore, simulator: servers.Simulator) -> Parts:
    return Parts(database_url, valkey_url, s3, simulator)


@pytest.mark.requirement("R53", "R50", "R59")
@pytest.mark.parametrize("model", [HAILUO, H3])
def test_our_api_answers_the_challenge_while_the_order_is_under_way_and_hints_bring_the_clip(
    parts: Parts, door: Door, model: str
) -> None:
    with parts.world(public_url=door.url) as here:
        door.app = create_app(here.services)
        [asset_id] = here.ids(here.order([{"description": "a lighthouse"}], model=model))
        here.until(asset_id, State.RENDERING)
        [line] = here.sold()
        assert line["extra"]["reported"], "the challenge was answered"
        eventually(lambda: len(door.reports) == 2)
        assert here.until(asset_id)["state"] == State.DONE
        [take] = here.takes(asset_id)
        assert take.prediction_id == line["id"]
        assert here.ledger(asset_id) == [(1, "reserve"), (1, "commit")]


@pytest.mark.requirement("R50", "R53")
@pytest.mark.parametrize("model", [HAILUO, H3])
def test_an_order_whose_answer_was_lost_is_adopted_by_its_callback(parts: Parts, door: Door, model: str) -> None:
    with parts.world(public_url=door.url) as here:
        door.app = create_app(here.services)
        scene = {"description": "a lighthouse [[sim: create=drop-after]]"}
        [asset_id] = here.ids(here.order([scene], model=model))
        assert here.until(asset_id)["state"] == State.DONE
        assert [line["id"] for line in here.sold()] == [take.prediction_id for take in here.takes(asset_id)]
        assert here.ledger(asset_id) == [(1, "reserve"), (1, "commit")]


@pytest.mark.requirement("R50")
@pytest.mark.parametrize("model", [HAILUO, H3])
def test_what_may_be_ours_is_neither_adopted_nor_bought_again(parts: Parts, model: str) -> None:
    with parts.world() as here:
        scene = {"description": "a lighthouse [[sim: create=drop-after]]"}
        [asset_id] = here.ids(here.order([scene], model=model))
        here.until(asset_id, State.UNCERTAIN)
        later = here.at(timedelta(minutes=20))
        for _ in range(3):
            later.step(asset_id)
        assert here.state(asset_id) is State.UNCERTAIN
        assert [take.prediction_id for take in here.takes(asset_id)] == [None]
        assert len(here.sold()) == 1


def slots_held(here: World) -> int:
    census = here.services.limiter.census(here.services.pool("minimax"))
    assert census
    return len(census.slots["minimax"])


@pytest.mark.requirement("R50", "R55")
def test_an_order_that_a_person_has_to_judge_is_not_bought_again_and_leaves_its_slot_to_the_next(parts: Parts) -> None:
    with parts.world(minimax_max_in_flight=1) as here:
        lost = {"description": "a lighthouse [[sim: create=drop-after]]"}
        doubtful, after = here.ids(here.order([lost, {"description": "a calm sea"}], model=HAILUO))
        here.until(doubtful, State.UNCERTAIN)
        here.step(after)
        assert (here.state(after), slots_held(here)) == (State.WAITING, 1)
        here.at(timedelta(hours=2)).step(doubtful)
        assert here.row(doubtful)["waiting"]["reason"] == "needs_person"
        assert here.until(after)["state"] == State.DONE
        sweep(here.services)
        assert (here.state(doubtful), slots_held(here)) == (State.UNCERTAIN, 0)
        assert (len(here.sold()), len(here.takes(doubtful))) == (2, 1)


@pytest.mark.requirement("R50", "R55", "R46")
@pytest.mark.parametrize(("kind", "field"), [("image", "keyframe"), ("audio", "narration")])
def test_a_picture_or_speech_whose_answer_was_lost_is_booked_as_spent_since_nothing_can_tell_of_it(
    parts: Parts, kind: str, field: str
) -> None:
    makers = {"image_model": "minimax/image-01", "speech_model": "minimax/speech-2.8-hd"}
    with parts.world() as here:
        scene = {"description": "dawn", field: "a tower [[sim: create=drop-after]]"}
        here.order([scene], model=HAILUO, **makers)
        [row] = here.query("select id from assets where kind = :kind", kind=kind)
        here.until(row["id"], State.UNCERTAIN)
        here.at(timedelta(seconds=301)).step(row["id"])
        ended = here.row(row["id"])
        assert (ended["state"], ended["failure"]["code"]) == (State.FAILED, "maybe_spent")
        assert here.ledger(row["id"]) == [(1, "reserve"), (1, "commit")]
        assert (len(here.sold()), slots_held(here)) == (1, 0)


@pytest.mark.requirement("R50")
def test_an_order_of_the_second_api_that_never_arrived_is_proven_absent_and_sent_anew(parts: Parts) -> None:
    with parts.world() as here:
        scene = {"description": "a lighthouse [[sim: create=drop times=1]]"}
        [asset_id] = here.ids(here.order([scene], model=H3))
        here.until(asset_id, State.UNCERTAIN)
        here.at(timedelta(minutes=20)).step(asset_id)
        assert here.until(asset_id)["state"] == State.DONE
        assert here.ledger(asset_id) == [(1, "reserve"), (1, "release"), (2, "reserve"), (2, "commit")]
        assert len(here.sold()) == 1


@pytest.mark.requirement("R59")
def test_a_callback_that_answers_no_challenge_stops_hailuo_and_is_not_called_by_h3(
    minimax: Provider, simulator: servers.Simulator, door: Door
) -> None:
    door.answers_challenges = False
    refused = minimax.submit(order(HAILUO, webhook_url=door.url))
    assert isinstance(refused, Refused)
    assert refused.code == "rejected_input"
    assert "callback" in refused.message
    bought(minimax, order(H3, webhook_url=door.url))
    eventually(lambda: sold(simulator)[0]["completed_at"])
    assert door.reports == []


@pytest.mark.requirement("R59", "R53")
def test_queries_have_capitals_and_callbacks_have_none(
    minimax: Provider, simulator: servers.Simulator, door: Door
) -> None:
    prediction = bought(minimax, order(HAILUO, webhook_url=door.url))
    eventually(lambda: len(door.reports) == 2)
    assert [each["status"] for each in door.reports] == ["processing", "success"]
    assert all("video_width" not in each for each in door.reports)
    asked = spoken(simulator, "GET", f"/v1/query/video_generation?task_id={prediction.id}").json()
    assert (asked["status"], asked["video_width"], asked["base_resp"]["status_code"]) == ("Success", 1366, 0)


@pytest.mark.requirement("R10", "R59")
def test_hailuo_takes_five_orders_a_minute_and_h3_goes_on(minimax: Provider, simulator: servers.Simulator) -> None:
    answers = [minimax.submit(order(HAILUO)) for _ in range(6)]
    assert [type(answer) for answer in answers] == [Accepted] * 5 + [Busy]
    said = spoken(simulator, "POST", "/v1/video_generation", {"model": "MiniMax-Hailuo-2.3", "prompt": "p"})
    assert (said.status_code, said.json()["base_resp"]["status_code"]) == (200, 1002)
    assert isinstance(minimax.submit(order(H3)), Accepted)


@pytest.mark.requirement("R10", "R59")
def test_more_than_thirty_tasks_of_h3_at_once_are_refused_with_a_429(
    minimax: Provider, simulator: servers.Simulator
) -> None:
    for _ in range(30):
        bought(minimax, order(H3, "[[sim: stall]]"))
    assert isinstance(minimax.submit(order(H3)), Busy)
    said = spoken(simulator, "POST", "/v2/video_generation", body_of(order(H3)))
    assert (said.status_code, said.json()["error"]["type"]) == (429, "rate_limit_error")


def body_of(wanted: Order) -> dict[str, Any]:
    given = dict(wanted.input)
    return {"model": wanted.model, "content": [{"type": "text", "text": given.pop("prompt")}], **given}


@pytest.mark.requirement("R56", "R59")
def test_a_queued_task_is_taken_back_and_a_running_one_is_not(minimax: Provider, simulator: servers.Simulator) -> None:
    tasks = [bought(minimax, order(H3, "[[sim: stall]]")) for _ in range(11)]
    assert minimax.status(tasks[-1]) == Working(prediction_id=tasks[-1].id, queued=True)
    assert isinstance(minimax.cancel(tasks[0]), Working)
    taken_back = minimax.cancel(tasks[-1])
    assert isinstance(taken_back, Refused)
    assert taken_back.code == "provider_cancelled"
    assert [line["status"] for line in sold(simulator)].count("canceled") == 1


@pytest.mark.requirement("R46", "R59")
@pytest.mark.parametrize(("model", "magic"), [("image-01", b"\xff\xd8"), ("speech-2.8-hd", b"ID3")])
def test_pictures_and_speech_come_with_the_answer(minimax: Provider, tmp_path: Path, model: str, magic: bytes) -> None:
    answer = minimax.submit(order(f"minimax/{model}"))
    assert isinstance(answer, Finished), answer
    fetched = minimax.download(answer.outputs[0], tmp_path / "file", max_bytes=10_000_000)
    assert isinstance(fetched, Fetched)
    assert (tmp_path / "file").read_bytes().startswith(magic)


@pytest.mark.requirement("R68", "R59")
@pytest.mark.parametrize(
    ("code", "says"), [("1026", "the prompt was flagged"), ("1027", "the generated video was flagged")]
)
@pytest.mark.parametrize("model", [HAILUO, H3])
def test_a_verdict_on_content_names_what_was_flagged(minimax: Provider, model: str, code: str, says: str) -> None:
    prediction = bought(minimax, order(model, f"[[sim: fail={code}]]"))
    eventually(lambda: isinstance(minimax.status(prediction), Refused))
    told = minimax.status(prediction)
    assert isinstance(told, Refused)
    assert (told.code, told.retryable) == ("moderated", False)
    assert told.message.startswith(says)


TEXT = {"type": "text", "text": "a lighthouse"}
FRAME = {"type": "image_url", "image_url": {"url": "https://p.example/a.png"}, "role": "first_frame"}
SEEN = {**FRAME, "role": "reference_image"}
SOUND = {"type": "audio_url", "audio_url": {"url": "https://p.example/a.mp3"}, "role": "reference_audio"}
GOOD_1 = {"model": "MiniMax-Hailuo-2.3", "prompt": "a lighthouse"}
GOOD_2 = {"model": "MiniMax-H3", "duration": 4, "resolution": "768P", "ratio": "16:9", "content": [TEXT]}
BAD: Mapping[str, tuple[str, dict[str, Any]]] = {
    "an unknown field": ("/v1/video_generation", {**GOOD_1, "seed": 1}),
    "an unknown model": ("/v1/video_generation", {**GOOD_1, "model": "MiniMax-Hailuo-9"}),
    "a model of the other API": ("/v1/video_generation", {**GOOD_1, "model": "MiniMax-H3"}),
    "ten seconds at 1080P": ("/v1/video_generation", {**GOOD_1, "duration": 10, "resolution": "1080P"}),
    "too many words": ("/v1/video_generation", {**GOOD_1, "prompt": "a" * 2001}),
    "nothing to start from": ("/v1/video_generation", {"model": "MiniMax-Hailuo-2.3"}),
    "a subject of another form": ("/v1/video_generation", {"model": "S2V-01", "subject_reference": ["a.png"]}),
    "a shape that is none": ("/v1/image_generation", {"model": "image-01", "prompt": "p", "aspect_ratio": "5:4"}),
    "speech without a voice": ("/v1/t2a_v2", {"model": "speech-2.8-hd", "text": "hello"}),
    "v2: no parts": ("/v2/video_generation", {**GOOD_2, "content": []}),
    "v2: words alone with the picture's shape": ("/v2/video_generation", {**GOOD_2, "ratio": "adaptive"}),
    "v2: a prompt beside the parts": ("/v2/video_generation", {**GOOD_2, "seed": 1}),
    "v2: frames and references": ("/v2/video_generation", {**GOOD_2, "content": [TEXT, FRAME, SEEN]}),
    "v2: sound alone": ("/v2/video_generation", {**GOOD_2, "content": [TEXT, SOUND]}),
    "v2: ten references": ("/v2/video_generation", {**GOOD_2, "content": [TEXT, *[SEEN] * 10]}),
    "v2: sixteen seconds": ("/v2/video_generation", {**GOOD_2, "duration": 16}),
}


@pytest.mark.requirement("R59")
@pytest.mark.parametrize(("path", "body"), BAD.values(), ids=BAD.keys())
def test_the_simulator_takes_nothing_that_minimax_would_not(
    simulator: servers.Simulator, path: str, body: dict[str, Any]
) -> None:
    said = spoken(simulator, "POST", path, body)
    if path.startswith("/v2/"):
        assert (said.status_code, said.json()["error"]["type"]) == (400, "bad_request_error")
    else:
        assert (said.status_code, said.json()["base_resp"]["status_code"]) == (200, 2013)
    assert sold(simulator) == []


@pytest.mark.requirement("R59")
@pytest.mark.parametrize(("path", "body"), [("/v1/video_generation", GOOD_1), ("/v2/video_generation", GOOD_2)])
def test_what_is_well_formed_is_sold(simulator: servers.Simulator, path: str, body: dict[str, Any]) -> None:
    assert spoken(simulator, "POST", path, body).json()["task_id"] == sold(simulator)[0]["id"]


@pytest.mark.requirement("R59")
def test_a_finished_task_of_the_second_api_can_be_deleted_and_is_no_task_then(
    minimax: Provider, simulator: servers.Simulator
) -> None:
    prediction = bought(minimax, order(H3))
    eventually(lambda: isinstance(minimax.status(prediction), Finished))
    assert spoken(simulator, "DELETE", f"/v2/video_generation/{prediction.id}").json()["action"] == "delete"
    assert spoken(simulator, "GET", "/v2/query/video_generation").json() == {"items": [], "total": 0}
    lost = minimax.status(prediction)
    assert isinstance(lost, Refused)
    assert lost.code == "lost"


@pytest.mark.requirement("R46", "R50")
def test_a_scene_is_drawn_filmed_and_spoken_by_minimax_alone(parts: Parts) -> None:
    with parts.world() as here:
        scene = {"description": "a lighthouse", "keyframe": "a lighthouse at dusk", "narration": "The light goes on."}
        makers = {"image_model": "minimax/image-01", "speech_model": "minimax/speech-2.8-hd"}
        job_id = here.order([scene], model=HAILUO, **makers)
        made = here.query("select id, kind from assets where job_id = :job order by kind", job=job_id)
        for asset in sorted(made, key=lambda each: each["kind"] == "video"):
            assert here.until(asset["id"])["state"] == State.DONE
        assert sorted(line["model"] for line in here.sold()) == ["MiniMax-Hailuo-2.3", "image-01", "speech-2.8-hd"]
        [clip] = [line for line in here.sold() if line["model"] == "MiniMax-Hailuo-2.3"]
        assert clip["input"]["first_frame_image"].startswith("http")
        assert all(here.ledger(asset["id"]) == [(1, "reserve"), (1, "commit")] for asset in made)


@pytest.mark.requirement("R04", "R10", "R60")
def test_the_sixth_clip_of_a_minute_waits_here_and_is_never_refused_there(parts: Parts) -> None:
    with parts.world() as here:
        clips = here.ids(here.order([{"description": "a lighthouse [[sim: stall]]"}] * 6, model=HAILUO))
        other = here.ids(here.order([{"description": "a harbour [[sim: stall]]"}], model=H3))
        for asset_id in (*clips[:5], *other):
            here.until(asset_id, State.RENDERING)
        here.step(clips[5])
        assert here.state(clips[5]) is State.WAITING
        assert here.row(clips[5])["waiting"]["reason"] == "rate"
        assert (here.stats()["creates"], here.stats()["rate_limited"]) == (6, 0)


@pytest.mark.requirement("R10")
@pytest.mark.parametrize("model", [HAILUO, H3])
def test_one_refusal_for_the_rate_pauses_the_account_and_uses_no_attempt_up(parts: Parts, model: str) -> None:
    with parts.world() as here:
        here.arm("create=429")
        clips = here.ids(here.order([{"description": "a lighthouse"}] * 4, model=model))
        for asset_id in clips:
            here.step(asset_id)
        assert here.stats()["creates"] == 1
        assert {here.row(each)["tries"] for each in clips} == {0}
        assert {here.row(each)["waiting"]["reason"] for each in clips} == {"blocked"}


@pytest.mark.requirement("R24")
@pytest.mark.parametrize("model", [HAILUO, H3])
def test_one_list_answers_for_all_of_h3_and_hailuo_is_asked_singly(parts: Parts, model: str) -> None:
    with parts.world() as here:
        clips = here.ids(here.order([{"description": "a lighthouse"}] * 3, model=model))
        for asset_id in clips:
            here.until(asset_id, State.RENDERING)
        eventually(lambda: all(line["completed_at"] for line in here.sold()))
        before = here.stats()
        here.step(clips[0])
        if model == HAILUO:
            assert here.stats()["lists"] == before["lists"] == 0
            return
        assert here.stats()["lists"] == before["lists"] + 1
        for asset_id in clips:
            here.until(asset_id)
        assert here.stats()["gets"] == before["gets"], "the others' ends were in their inbox"
