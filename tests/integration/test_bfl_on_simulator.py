"""Pictures and a video by Black Forest Labs, through real steps; webhooks signed with what each order says."""

from collections.abc import Iterator
from datetime import timedelta
from uuid import UUID

import pytest
import requests

from pipeline import receive
from pipeline.domain.asset import State
from pipeline.start import start
from simulator.limits import account_of
from tests import servers
from tests.builders import World, world
from tests.integration.simulator_process import Letter, Mailbox, eventually

VIDEO, PICTURES = "bfl/flux-3-video", "bfl/flux-2-pro"


def told(painting: servers.Simulator, **more: str) -> dict[str, str]:
    return {"bfl_api_key": painting.token, "bfl_base_url": f"{painting.url}/bfl", **more}


@pytest.fixture
def emptied(painting: servers.Simulator) -> servers.Simulator:
    requests.post(f"{painting.url}/_sim/reset", timeout=5).raise_for_status()
    return painting


@pytest.fixture
def here(database_url: str, valkey_url: str, s3: servers.ObjectStore, painting: servers.Simulator) -> Iterator[World]:
    with world(database_url, valkey_url=valkey_url, s3=s3, simulator=painting, **told(painting)) as built:
        yield built


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    box = Mailbox()
    yield box
    box.close()


@pytest.fixture
def reached(
    database_url: str, valkey_url: str, s3: servers.ObjectStore, painting: servers.Simulator, mailbox: Mailbox
) -> Iterator[World]:
    """A world that the provider can call, though its letters wait in a box."""
    more = told(painting, public_url=mailbox.url)
    with world(database_url, valkey_url=valkey_url, s3=s3, simulator=painting, **more) as built:
        yield built


def asset(here: World, job_id: UUID, kind: str) -> UUID:
    [found] = here.query("select id from assets where job_id = :job and kind = :kind", job=job_id, kind=kind)
    return UUID(str(found["id"]))


def deliver(here: World, letter: Letter) -> bool:
    """Take a letter in as the API would."""
    *_, provider, attempt_id, mac = letter.path.split("/")
    body = letter.body.encode()
    return (
        receive.webhook(
            here.services, provider=provider, attempt_id=attempt_id, mac=mac, headers=letter.headers, body=body
        )
        is not None
    )


@pytest.mark.requirement("R40", "R46", "R50")
def test_a_keyframe_of_two_fields_for_its_size_becomes_the_first_frame_of_a_clip(here: World) -> None:
    scene = {"description": "the lamp turns", "duration": 4, "keyframe": "a tower"}
    job_id = here.order([scene], model=VIDEO, image_model=PICTURES, aspect_ratio="9:16")
    assert start(here.services, job_id)
    picture, clip = asset(here, job_id, "image"), asset(here, job_id, "video")
    assert [here.until(each)["state"] for each in (picture, clip)] == [State.DONE] * 2
    first, second = here.sold()
    assert (first["model"], first["input"]["width"], first["input"]["height"]) == ("flux-2-pro", 720, 1280)
    assert (second["model"], second["input"]["mode"], second["input"]["duration"]) == ("flux-3-video", "i2v", 5)
    assert str(here.row(picture)["file_key"]) in second["input"]["keyframes"][0]
    assert [first["price_cents"], second["price_cents"]] == [3, 50]


@pytest.mark.requirement("R50", "R53")
def test_a_signed_webhook_finishes_a_clip_without_a_look(reached: World, mailbox: Mailbox) -> None:
    asset_id = reached.clip(model=VIDEO)
    reached.until(asset_id, State.RENDERING)
    looks = reached.stats()["gets"]
    [letter] = eventually(lambda: list(mailbox.letters))
    assert deliver(reached, letter)
    assert deliver(reached, letter), "a copy changes nothing"
    assert reached.until(asset_id)["state"] == State.DONE
    assert reached.stats()["gets"] == looks


@pytest.mark.requirement("R53")
def test_a_forged_webhook_changes_nothing(reached: World, mailbox: Mailbox) -> None:
    asset_id = reached.clip(prompt="[[sim: webhook=forged]]", model=VIDEO)
    reached.until(asset_id, State.RENDERING)
    [letter] = eventually(lambda: list(mailbox.letters))
    assert not deliver(reached, letter)
    assert reached.state(asset_id) is State.RENDERING


@pytest.mark.requirement("R50", "R53")
def test_an_order_without_an_answer_is_settled_by_its_webhook_and_never_repeated(
    reached: World, mailbox: Mailbox
) -> None:
    asset_id = reached.clip(prompt="[[sim: create=drop-after times=1]]", model=VIDEO)
    reached.until(asset_id, State.UNCERTAIN)
    [letter] = eventually(lambda: list(mailbox.letters))
    assert deliver(reached, letter)
    assert reached.until(asset_id)["state"] == State.DONE
    assert reached.ledger(asset_id) == [(1, "reserve"), (1, "commit")]
    assert reached.stats()["creates"] == 1


@pytest.mark.requirement("R50")
def test_an_order_whose_webhook_never_comes_is_booked_as_spent_when_its_time_is_over(here: World) -> None:
    asset_id = here.clip(prompt="[[sim: create=500-after times=1]]", model=VIDEO)
    here.until(asset_id, State.UNCERTAIN)
    here.at(timedelta(seconds=601)).step(asset_id)
    row = here.row(asset_id)
    assert (row["state"], row["failure"]["code"]) == (State.FAILED, "maybe_spent")
    assert here.ledger(asset_id) == [(1, "reserve"), (1, "commit")]


@pytest.mark.requirement("R68")
@pytest.mark.parametrize(
    ("status", "words"), [("Request Moderated", "Derivative Works Filter"), ("Content Moderated", "Safety Filter")]
)
def test_a_verdict_says_what_was_flagged_and_why_and_is_not_tried_again(here: World, status: str, words: str) -> None:
    asset_id = here.clip(prompt=f"[[sim: fail='{status}']]", model=VIDEO)
    row = here.until(asset_id)
    assert (row["state"], row["failure"]["code"], row["takes"]) == (State.FAILED, "moderated", 1)
    assert words in row["failure"]["message"]


@pytest.mark.requirement("R10", "R59")
def test_the_25th_active_task_is_refused_until_one_has_finished(emptied: servers.Simulator) -> None:
    headers = {"x-key": emptied.token}
    url, body = f"{emptied.url}/bfl/v1/flux-2-pro", {"prompt": "a [[sim: stall]]"}
    answers = [requests.post(url, json=body, headers=headers, timeout=5) for _ in range(25)]
    assert [answer.status_code for answer in answers] == [200] * 24 + [429]
    limits = {"account": account_of(emptied.token, "bfl"), "max_in_flight": 25}
    requests.post(f"{emptied.url}/_sim/limits", json=limits, timeout=5).raise_for_status()
    assert requests.post(url, json=body, headers=headers, timeout=5).status_code == 200


@pytest.mark.requirement("R59")
@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"prompt": "a", "width": 1000}, "width"),
        ({"prompt": "a", "width": 4096, "height": 4096}, "width"),
        ({"prompt": "a", "output_format": "gif"}, "output_format"),
        ({"prompt": "a", "negative_prompt": "rain"}, "negative_prompt"),
        ({"seed": 7}, "prompt"),
        ({"prompt": "a", "webhook_url": "http://hooks.example/a"}, "webhook_url"),
    ],
)
def test_an_order_that_the_model_does_not_take_is_refused_by_the_field(
    emptied: servers.Simulator, body: dict[str, object], field: str
) -> None:
    answer = requests.post(f"{emptied.url}/bfl/v1/flux-2-pro", json=body, headers={"x-key": emptied.token}, timeout=5)
    assert answer.status_code == 422
    assert [each["loc"] for each in answer.json()["detail"]] == [["body", field]]


@pytest.mark.requirement("R59", "R63")
def test_a_link_lives_ten_minutes_and_a_task_is_looked_at_in_its_region(emptied: servers.Simulator) -> None:
    headers = {"x-key": emptied.token}
    bought = requests.post(f"{emptied.url}/bfl/v1/flux-2-pro", json={"prompt": "a"}, headers=headers, timeout=5).json()
    assert "/_regions/" in bought["polling_url"]

    def ready() -> dict[str, object] | None:
        seen = requests.get(bought["polling_url"], headers=headers, timeout=5).json()
        return seen if seen["status"] == "Ready" else None

    seen = eventually(ready)
    assert seen
    result = seen["result"]
    assert isinstance(result, dict)
    life = int(result["sample"].partition("expires=")[2].partition("&")[0]) - result["end_time"]
    assert 599 <= life <= 600
    assert requests.get(result["sample"], timeout=5).content[:2] == b"\xff\xd8"
    assert requests.get(f"{emptied.url}/bfl/v1/get_result?id=nobody", headers=headers, timeout=5).status_code == 404
    assert requests.get(f"{emptied.url}/bfl/v1/credits", headers={"x-key": "no"}, timeout=5).status_code == 403
