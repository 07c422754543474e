"""fal through real steps and over HTTP: its queue, its failures, its webhooks, and what an order costs."""

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
import requests

from pipeline import receive, steer
from pipeline.domain.answers import Accepted, Finished, Reason, Refused, Silent, Working
from pipeline.domain.asset import State
from pipeline.domain.attempt import Prediction
from pipeline.domain.catalogue import load
from pipeline.domain.webhook import address
from pipeline.providers.fal import Fal
from pipeline.providers.protocol import Credentials, Found, Order
from pipeline.services import catalogue_texts
from tests import servers
from tests.builders import Killed, World, killed, world
from tests.integration.simulator_process import Letter, Mailbox, eventually

CATALOGUE = load(catalogue_texts(""))
ROWS = [row for row in CATALOGUE.models.values() if row.provider == "fal"]
MODEL = "fal/seedance-1-pro-fast"
ENDPOINT = "fal-ai/bytedance/seedance/v1/pro/fast/text-to-video"


@pytest.fixture
def simulator(running: servers.Simulator) -> servers.Simulator:
    control(running, "reset", {})
    return running


@pytest.fixture
def fal(simulator: servers.Simulator) -> Fal:
    base_url, token = simulator.environment["FAL_BASE_URL"], simulator.environment["FAL_KEY"]
    hosts = {"rest": f"{base_url}/_rest", "platform": f"{base_url}/_platform"}
    return Fal(Credentials(base_url=base_url, token=token, hosts=hosts))


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    box = Mailbox()
    yield box
    box.close()


@pytest.fixture
def here(
    database_url: str, valkey_url: str, s3: servers.ObjectStore, running: servers.Simulator, mailbox: Mailbox
) -> Iterator[World]:
    told = {name: running.environment[name.upper()] for name in ("fal_key", "fal_base_url")}
    with world(
        database_url,
        valkey_url=valkey_url,
        s3=s3,
        simulator=running,
        public_url=mailbox.url,
        fal_key=told["fal_key"],
        fal_base_url=told["fal_base_url"],
    ) as built:
        yield built


def control(simulator: servers.Simulator, path: str, body: Any = None) -> Any:
    method = "GET" if body is None else "POST"
    answer = requests.request(method, f"{simulator.url}/_sim/{path}", json=body, timeout=5)
    answer.raise_for_status()
    return answer.json()


def get(simulator: servers.Simulator, path: str, method: str = "GET") -> requests.Response:
    headers = {"Authorization": f"Key {simulator.environment['FAL_KEY']}"}
    return requests.request(method, simulator.environment["FAL_BASE_URL"] + path, headers=headers, timeout=5)


def order(prompt: str = "a lighthouse", **changes: Any) -> Order:
    given = {"prompt": prompt, "duration": "2", "seed": uuid4().int % 2**31}
    return Order(model=ENDPOINT, endpoint=ENDPOINT, input=given, **changes)


def bought(fal: Fal, wanted: Order) -> Prediction:
    answer = fal.submit(wanted)
    assert isinstance(answer, Accepted), answer
    return Prediction(id=answer.prediction_id, endpoint=wanted.endpoint)


def ended(fal: Fal, prediction: Prediction) -> Finished | Refused:
    def end() -> Finished | Refused | None:
        answer = fal.status(prediction)
        return answer if isinstance(answer, Finished | Refused) else None

    answer = eventually(end)
    assert answer
    return answer


@pytest.mark.requirement("R24", "R59")
def test_two_of_an_account_render_and_the_others_wait_in_fals_queue(fal: Fal, simulator: servers.Simulator) -> None:
    predictions = [bought(fal, order("[[sim: stall]]")) for _ in range(4)]
    eventually(lambda: fal.status(predictions[1]) == Working(prediction_id=predictions[1].id))
    queued = [fal.status(each) for each in predictions]
    assert [answer.queued for answer in queued if isinstance(answer, Working)] == [False, False, True, True]
    assert fal.cancel(predictions[0]) != queued[0]
    eventually(lambda: fal.status(predictions[2]) == Working(prediction_id=predictions[2].id))
    token = simulator.environment["FAL_KEY"]
    account = f"fal:{hashlib.sha256(token.encode()).hexdigest()[:12]}"
    control(simulator, "limits", {"account": account, "max_in_flight": 40})
    assert fal.status(bought(fal, order("[[sim: stall]]"))) is not None
    assert control(simulator, "stats")["rate_limited"] == 0


@pytest.mark.requirement("R24", "R12")
def test_time_in_fals_queue_does_not_eat_the_time_limit_but_ends_after_a_day(here: World) -> None:
    first, second, third = here.ids(here.job(3, prompt="[[sim: stall]]", model=MODEL))
    for asset_id in (first, second, third):
        here.until(asset_id, State.RENDERING)
    later = here.at(timedelta(hours=3))
    assert later.step(third)
    row = here.row(third)
    assert (row["state"], row["waiting"]["reason"], row["timeout_retries"]) == (
        State.RENDERING,
        Reason.PROVIDER_QUEUE,
        0,
    )
    here.at(timedelta(hours=25)).step(third)
    assert here.until(third)["failure"]["code"] == "queued_too_long", "also a queue has an end"
    later.step(second)
    failure = here.row(second)["failure"]
    assert failure["code"] == "timed_out", "its three hours were spent rendering"


@pytest.mark.requirement("R53", "R50")
def test_a_webhook_that_is_signed_with_a_published_key_finishes_a_clip_without_a_question(
    here: World, mailbox: Mailbox
) -> None:
    [asset_id] = here.ids(here.job(model=MODEL))
    here.until(asset_id, State.RENDERING)
    before = here.stats()["gets"]
    assert heard(here, letter_about(here, mailbox, asset_id))
    assert here.until(asset_id)["state"] == State.DONE
    assert here.stats()["gets"] == before
    assert here.ledger(asset_id) == [(1, "reserve"), (1, "commit")]


@pytest.mark.requirement("R53", "R68")
@pytest.mark.parametrize(("fault", "code"), [("moderated", "moderated"), ("image_load_error", "rejected_input")])
def test_a_failure_arrives_by_webhook_with_the_reason(here: World, mailbox: Mailbox, fault: str, code: str) -> None:
    [asset_id] = here.ids(here.job(model=MODEL, prompt=f"[[sim: fail={fault}]]"))
    here.until(asset_id, State.RENDERING)
    before = here.stats()["gets"]
    assert heard(here, letter_about(here, mailbox, asset_id))
    row = here.until(asset_id)
    assert (row["state"], row["failure"]["code"], here.stats()["gets"]) == (State.FAILED, code, before)


@pytest.mark.requirement("R53")
def test_the_published_keys_are_asked_for_once_a_day(here: World) -> None:
    adapter: Any = here.services.providers["fal"]
    days = [here.at(timedelta(hours=hours)).services for hours in (0, 1, 23, 25, 26)]
    assert len({services.signing_secret("fal") for services in days}) == 1
    assert adapter.calls.count("webhook_secret") == 2


@pytest.mark.requirement("R53")
def test_a_forged_webhook_changes_nothing(here: World, mailbox: Mailbox) -> None:
    [asset_id] = here.ids(here.job(model=MODEL, prompt="[[sim: webhook=forged]]"))
    here.until(asset_id, State.RENDERING)
    before = here.row(asset_id)
    assert not heard(here, letter_about(here, mailbox, asset_id))
    assert here.row(asset_id) == before


@pytest.mark.requirement("R50", "R55")
def test_an_order_whose_answer_was_lost_is_adopted_by_its_webhook(here: World, mailbox: Mailbox) -> None:
    [asset_id] = here.ids(here.job(model=MODEL, prompt="[[sim: create=drop-after seconds=1]]"))
    here.step(asset_id)
    assert here.state(asset_id) is State.UNCERTAIN
    assert heard(here, letter_about(here, mailbox, asset_id))
    assert here.until(asset_id)["state"] == State.DONE
    [sold] = here.sold()
    assert [take.prediction_id for take in here.takes(asset_id)] == [sold["id"]]


@pytest.mark.requirement("R50", "R55")
def test_a_worker_that_dies_after_it_sent_finds_its_order_among_the_finished_ones(here: World) -> None:
    [asset_id] = here.ids(here.job(model=MODEL))
    adapter: Any = here.services.providers["fal"]
    adapter.after["submit"] = killed
    with pytest.raises(Killed):
        here.step(asset_id)
    eventually(lambda: here.sold()[0]["completed_at"])
    assert here.until(asset_id)["state"] == State.DONE
    [sold] = here.sold()
    assert [take.prediction_id for take in here.takes(asset_id)] == [sold["id"]]


def test_an_order_that_never_arrived_is_never_proven_absent_and_never_bought_again(here: World) -> None:
    [asset_id] = here.ids(here.job(model=MODEL, prompt="[[sim: create=drop]]"))
    for _ in range(3):
        here.step(asset_id)
    assert (here.state(asset_id), here.sold()) == (State.UNCERTAIN, [])


@pytest.mark.requirement("R56")
def test_a_cancelled_job_cancels_its_requests_at_fal(here: World) -> None:
    job_id = here.job(model=MODEL, prompt="[[sim: stall]]")
    [asset_id] = here.ids(job_id)
    here.until(asset_id, State.RENDERING)
    steer.cancel(here.services, here.owner_id, job_id)
    assert here.until(asset_id)["state"] == State.CANCELLED
    assert [line["status"] for line in here.sold()] == ["canceled"]


@pytest.mark.requirement("R46")
def test_a_keyframe_and_a_narration_are_made_by_fal_too(here: World) -> None:
    scene = {"description": "a lighthouse", "keyframe": "a lighthouse at dawn", "narration": "Once upon a time"}
    makers = {"model": "fal/veo-3.1-fast", "image_model": "fal/flux-schnell", "speech_model": "fal/speech-02-hd"}
    job_id = here.order([scene], **makers)
    assets = here.query("select id, kind from assets where job_id = :id order by kind", id=job_id)
    for asset in sorted(assets, key=lambda each: each["kind"] == "video"):
        assert here.until(asset["id"])["state"] == State.DONE
    sold = {line["model"]: line["input"] for line in here.sold()}
    assert sold.keys() == {"fal-ai/flux/schnell", "fal-ai/minimax/speech-02-hd", "fal-ai/veo3.1/fast/image-to-video"}
    assert sold["fal-ai/minimax/speech-02-hd"]["voice_setting"] == {"voice_id": "Wise_Woman"}


def letter_about(here: World, mailbox: Mailbox, asset_id: UUID) -> Letter:
    """The webhook about the end of the clip's last take, once it has come."""
    secret = here.services.settings.secret_key
    url = address(mailbox.url, secret, "fal", str(here.takes(asset_id)[-1].id))
    assert url
    return mailbox.wait_for(1, url.removeprefix(mailbox.url))[0]


def heard(here: World, letter: Letter) -> bool:
    """Let the API take a webhook in; whether it believed it."""
    provider, attempt_id, mac = letter.path.split("/")[2:]
    body, services = letter.body.encode(), here.services
    answer = receive.webhook(
        services, provider=provider, attempt_id=attempt_id, mac=mac, headers=letter.headers, body=body
    )
    return answer is not None


@pytest.mark.requirement("R59")
def test_a_request_is_known_by_owner_and_alias_only(fal: Fal, simulator: servers.Simulator) -> None:
    prediction = bought(fal, order("[[sim: stall]]"))
    assert get(simulator, f"/fal-ai/bytedance/requests/{prediction.id}/status").status_code == 200
    for path in (f"/{ENDPOINT}/requests/{prediction.id}/status", f"/fal-ai/veo3.1/requests/{prediction.id}/status"):
        assert get(simulator, path).status_code in {404, 405}
    early = get(simulator, f"/fal-ai/bytedance/requests/{prediction.id}")
    assert (early.status_code, early.json()) == (400, {"detail": "Request is still in progress"})


@pytest.mark.requirement("R59")
def test_the_stream_of_a_request_ends_with_it(fal: Fal, simulator: servers.Simulator) -> None:
    prediction = bought(fal, order())
    events = get(simulator, f"/fal-ai/bytedance/requests/{prediction.id}/status/stream")
    told = [line for line in events.text.splitlines() if line]
    assert events.headers["content-type"].startswith("text/event-stream")
    assert ['"COMPLETED"' in line for line in told] == [False] * (len(told) - 1) + [True]


@pytest.mark.requirement("R44")
@pytest.mark.parametrize(
    ("fault", "code", "retryable"),
    [
        ("runner_scheduling_failure", "provider_error", True),
        ("generation_timeout", "provider_error", True),
        ("image_too_small", "rejected_input", False),
        ("no_media_generated", "provider_error", False),
    ],
)
def test_a_failure_is_named_by_its_type(fal: Fal, fault: str, code: str, *, retryable: bool) -> None:
    answer = ended(fal, bought(fal, order(f"[[sim: fail={fault}]]")))
    assert isinstance(answer, Refused)
    assert (answer.code, answer.retryable) == (code, retryable)


def test_a_request_that_no_runner_took_ended_before_it_began(fal: Fal) -> None:
    answer = ended(fal, bought(fal, order("[[sim: aborted]]")))
    assert isinstance(answer, Refused)
    assert (answer.code, answer.retryable) == ("provider_error", True)


@pytest.mark.requirement("R50")
def test_the_list_of_finished_requests_is_read_page_by_page(fal: Fal, simulator: servers.Simulator) -> None:
    since = datetime.now(UTC) - timedelta(minutes=2)
    mine = order("[[sim: fail=oom]]")
    bought(fal, mine)
    for _ in range(100):
        prediction = bought(fal, order("[[sim: fail=oom]]"))
    eventually(lambda: all(line["completed_at"] for line in control(simulator, "ledger")), patience_seconds=60)
    found = fal.find(mine, since)
    assert isinstance(found, Found)
    assert len(found.predictions) == 1
    assert found.predictions[0].prediction_id != prediction.id
    assert control(simulator, "stats")["lists"] == 2


@pytest.mark.requirement("R58")
def test_a_queue_that_is_down_is_noticed_by_the_probe(fal: Fal, simulator: servers.Simulator) -> None:
    assert fal.probe(ENDPOINT) is None
    control(simulator, "faults", {"fault": "down=503"})
    probed = fal.probe(ENDPOINT)
    assert isinstance(probed, Silent)
    assert probed.outage
