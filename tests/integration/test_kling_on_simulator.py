"""Kling's own API against the simulator: both families, both kinds of keys, and orders that got lost on the way."""

import base64
from collections.abc import Iterator
from datetime import UTC, datetime
from math import ceil
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import requests

from pipeline.domain.answers import Accepted, Busy, Finished, Reason, Refused, Unknown, Working
from pipeline.domain.asset import State
from pipeline.domain.attempt import Prediction
from pipeline.domain.catalogue import load
from pipeline.providers.kling import Kling
from pipeline.providers.protocol import Credentials, Found, Order, Survey
from pipeline.services import catalogue_texts
from simulator.limits import account_of
from tests import servers
from tests.builders import World, world
from tests.integration.simulator_process import QUICK, SimulatorProcess, eventually

BUSY = load(catalogue_texts("")).accounts["kling"].busy
PICTURE = "https://pictures.example/keyframe.png"
MODERN, OLDER = "api-key-of-the-account", "access-key:secret-key"
NOW = datetime.now(UTC)


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulatorProcess]:
    environment = {**QUICK, "SIMULATOR_TOKENS": f"{MODERN},{OLDER}"}
    with SimulatorProcess(tmp_path_factory.mktemp("kling") / "data", environment) as running:
        yield running


@pytest.fixture
def provider(process: SimulatorProcess) -> SimulatorProcess:
    process.control("reset", "POST")
    return process


def kling(provider: SimulatorProcess, key: str = MODERN) -> Kling:
    return Kling(Credentials(base_url=f"{provider.url}/kling", token=key, busy=BUSY))


def order(endpoint: str, model: str = "", prompt: str = "a lighthouse", **given: Any) -> Order:
    return Order(model=model, endpoint=endpoint, marker=str(uuid4()), input={"prompt": prompt, **given})


ORDERS = {
    "text": order("text-to-video/kling-3.0", duration=3, resolution="720p", audio="off", multi_shot=False),
    "frames": order("image-to-video/kling-2.5-turbo", first_frame=PICTURE, last_frame=PICTURE, resolution="1080p"),
    "references": order("omni-video/kling-o1", refer_image=[PICTURE, PICTURE], duration=4),
    "legacy text": order("v1/videos/text2video", "kling-v2-1-master", duration="5", negative_prompt="rain"),
    "legacy frames": order("v1/videos/image2video", "kling-v2-1", image=PICTURE, image_tail=PICTURE, mode="pro"),
    "legacy references": order("v1/videos/multi-image2video", "kling-v1-6", image_list=[PICTURE], duration="5"),
    "omni": order("omni-video/kling-3.0-omni", duration=3, audio="off", multi_shot=False),
    "a picture": order("v1/images/generations", "kling-v2", aspect_ratio="21:9", n=1),
}


def bought(adapter: Kling, wanted: Order) -> Prediction:
    answer = adapter.submit(wanted)
    assert isinstance(answer, Accepted), answer
    return Prediction(id=answer.prediction_id, endpoint=wanted.endpoint, receipt=answer.raw)


def finished(adapter: Kling, prediction: Prediction) -> Finished:
    def over() -> Any:
        answer = adapter.status(prediction)
        return None if isinstance(answer, Working) else answer

    answer = eventually(over)
    assert isinstance(answer, Finished), answer
    return answer


@pytest.mark.requirement("R59")
@pytest.mark.parametrize("wanted", ORDERS.values(), ids=ORDERS.keys())
def test_every_kind_of_order_is_taken_rendered_and_found_by_our_id(provider: SimulatorProcess, wanted: Order) -> None:
    adapter = kling(provider)
    prediction = bought(adapter, wanted)
    answer = finished(adapter, prediction)
    assert len(answer.outputs) == 1
    [sold] = provider.control("ledger")
    ordered_at, over_at = (datetime.fromisoformat(sold[name]) for name in ("created_at", "completed_at"))
    assert answer.render_seconds == pytest.approx((over_at - ordered_at).total_seconds(), abs=0.002)
    found = adapter.find(wanted, NOW)
    assert isinstance(found, Found)
    assert [each.prediction_id for each in found.predictions] == [prediction.id]


@pytest.mark.requirement("R59")
@pytest.mark.parametrize(
    "wrong",
    [
        order("text-to-video/kling-3.0", duration=16),
        order("text-to-video/kling-3.0", negative_prompt="rain"),
        order("text-to-video/kling-9", duration=5),
        order("image-to-video/kling-3.0", duration=5),
        order("v1/videos/text2video", "kling-v2-1-master", duration=5),
        order("v1/videos/image2video", "kling-v9", image=PICTURE),
    ],
)
def test_what_a_model_does_not_take_is_refused(provider: SimulatorProcess, wrong: Order) -> None:
    answer = kling(provider).submit(wrong)
    assert isinstance(answer, Refused)
    assert answer.code == "rejected_input"
    assert provider.control("ledger") == []


@pytest.mark.requirement("R59")
def test_an_access_key_opens_the_legacy_family_and_no_more(provider: SimulatorProcess) -> None:
    adapter = kling(provider, OLDER)
    finished(adapter, bought(adapter, ORDERS["legacy text"]))
    modern = adapter.submit(ORDERS["text"])
    assert isinstance(modern, Refused)
    assert modern.code == "not_authorised"
    assert [line["account"] for line in provider.control("ledger")] == [account_of(OLDER, "kling")]


@pytest.mark.parametrize("key", ["a-stranger", "access-key:another-secret", "another-key:secret-key"])
def test_a_wrong_key_of_either_kind_buys_nothing(provider: SimulatorProcess, key: str) -> None:
    answer = kling(provider, key).submit(ORDERS["legacy text"])
    assert isinstance(answer, Refused)
    assert answer.code == "not_authorised"
    assert provider.control("ledger") == []


@pytest.mark.requirement("R10")
def test_more_at_once_than_the_pack_allows_is_not_now(provider: SimulatorProcess) -> None:
    adapter = kling(provider)
    provider.control("faults", "POST", fault="stall")
    stuck = [order("text-to-video/kling-2.6", duration=5) for _ in range(6)]
    answers = [adapter.submit(each) for each in stuck]
    assert [type(answer) for answer in answers] == [Accepted] * 5 + [Busy]
    assert answers[-1] == Busy(reason=Reason.BLOCKED)
    assert [each["why"] for each in provider.control("refusals")] == ["in_flight"]


@pytest.mark.requirement("R50")
@pytest.mark.parametrize("kind", ["text", "legacy text"])
@pytest.mark.parametrize(("fault", "arrived"), [("drop-after", True), ("500-after", True), ("drop", False)])
def test_a_lost_order_is_found_or_proven_absent_at_once(
    provider: SimulatorProcess, kind: str, fault: str, *, arrived: bool
) -> None:
    adapter = kling(provider)
    provider.control("faults", "POST", fault=f"create={fault} times=1")
    assert isinstance(adapter.submit(ORDERS[kind]), Unknown)
    found = adapter.find(ORDERS[kind], NOW)
    assert isinstance(found, Found)
    assert found.complete
    assert [each.prediction_id for each in found.predictions] == [line["id"] for line in provider.control("ledger")]
    assert len(found.predictions) == arrived


def test_tasks_of_both_families_are_told_of_by_one_request(provider: SimulatorProcess) -> None:
    adapter = kling(provider)
    provider.control("faults", "POST", fault="stall")
    ids = {bought(adapter, ORDERS[kind]).id for kind in ("text", "legacy text")}
    before = provider.control("stats")["gets"]
    told = adapter.survey({*ids, "1"}, NOW)
    assert isinstance(told, Survey)
    assert set(told.readings) == ids
    assert provider.control("stats")["gets"] == before + 1


# ── the whole way ───────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def here(database_url: str, valkey_url: str, s3: servers.ObjectStore, painting: servers.Simulator) -> Iterator[World]:
    own = {name.lower(): value for name, value in painting.environment.items() if name.startswith(("KLING", "KLINGAI"))}
    with world(database_url, valkey_url=valkey_url, s3=s3, simulator=painting, **own) as built:
        yield built


@pytest.mark.requirement("R40", "R50", "R63")
@pytest.mark.parametrize("model", ["kling/kling-3.0", "kling/kling-o1", "kling/kling-v2.1-master"])
def test_a_clip_of_either_family_is_bought_once_and_comes_home(here: World, model: str) -> None:
    job_id = here.order([{"description": "a lighthouse", "duration": 3}], model=model)
    [clip] = here.render(job_id)
    [take], [sold] = here.takes(clip.id), here.sold()
    assert (clip.state, take.prediction_id) == (State.DONE, sold["id"])
    assert sold["extra"]["marker"] == str(take.id)
    assert take.cost_cents == here.read(job_id).actual_cents == ceil(sold["price_cents"])


@pytest.mark.requirement("R50")
def test_an_order_whose_answer_was_lost_is_adopted_and_one_that_never_arrived_is_bought_anew(here: World) -> None:
    [lost] = here.ids(here.order([{"description": "[[sim: create=drop-after times=1]]"}], model="kling/kling-2.6"))
    assert here.until(lost)["takes"] == 1
    [never] = here.ids(here.order([{"description": "[[sim: create=drop times=1]]"}], model="kling/kling-2.6"))
    here.until(never, State.UNCERTAIN)
    here.query("update attempts set intent_at = intent_at - interval '181 seconds' where asset_id = :id", id=never)
    row = here.until(never)
    assert (row["state"], row["takes"], len(here.sold())) == (State.DONE, 2, 2)
    assert here.ledger(never) == [(1, "reserve"), (1, "release"), (2, "reserve"), (2, "commit")]


@pytest.mark.requirement("R10", "R44")
def test_an_empty_account_fails_the_clip_and_pauses_nobody(here: World) -> None:
    [asset_id] = here.ids(here.order([{"description": "[[sim: create=402]]"}], model="kling/kling-2.6"))
    row = here.until(asset_id)
    assert (row["state"], row["failure"]["code"], row["takes"]) == (State.FAILED, "no_credit", 1)
    assert here.services.limiter.ask(here.services.pool("kling"), "kling") is None


def test_the_simulator_signs_with_the_key_that_the_customer_was_told(painting: servers.Simulator) -> None:
    secret = painting.environment["KLING_WEBHOOK_SECRET"]
    assert base64.b64decode(secret.removeprefix("whsec_"))
    assert requests.get(f"{painting.url}/kling/tasks", timeout=5).json()["code"] == 1000


def test_a_clip_fetched_from_a_picture_model_is_a_picture(provider: SimulatorProcess, tmp_path: Path) -> None:
    adapter = kling(provider)
    answer = finished(adapter, bought(adapter, order("v1/images/generations", "kling-v2")))
    adapter.download(answer.outputs[0], tmp_path / "picture.jpg", max_bytes=10_000_000)
    assert (tmp_path / "picture.jpg").read_bytes()[:2] == b"\xff\xd8"
