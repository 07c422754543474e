"""What holds for every provider, over HTTP against its dialect of the simulator: one table with a row each.

A new provider needs its adapter, its catalogue file and its dialect, and then a ``Case`` in ``CASES``:

    Case(model="NAME/slug", bad={"duration": "for ever"})

The keys, addresses, hosts and busy signs come from the catalogue and the stack's environment, as in production; orders
are composed from the catalogue's row. ``scene`` is added where the model needs more than words. Say what the provider
lacks, and never leave a test out in another way: ``cancels=False`` where nothing can be stopped, ``signed=False``
where webhooks bear no signature, ``finds="never"`` where no list shows what was bought, ``"absence"`` where one shows
it without its input; whether it calls webhooks at all is the catalogue's ``reports``.

The dialect has to understand these words of the control port: ``create=429`` (its own "not now", with the wait that
``retry_after`` names where it can say one), ``create=402``, ``create=drop-after``, ``500-after``, ``503-after``,
``poll=500``, ``fail=moderated``, ``fail=E1000``, ``stall``, ``webhook=forged``. Its ledger has the provider's own id.
"""

import json
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from math import ceil
from pathlib import Path
from typing import Any, Literal
from uuid import uuid4

import imageio_ffmpeg
import pytest
import requests

from pipeline import accounts
from pipeline.domain.answers import Accepted, Busy, Finished, Reason, Refused, Silent, Unknown, Working
from pipeline.domain.asset import State
from pipeline.domain.attempt import Prediction
from pipeline.domain.catalogue import load
from pipeline.domain.model import Model
from pipeline.domain.order import compose_input, plan
from pipeline.domain.spec import parse_job
from pipeline.media import Media
from pipeline.providers.protocol import Challenge, Fetched, Forged, Found, Hint, Order, Provider, WebhookNews
from pipeline.services import catalogue_texts
from pipeline.settings import Settings
from tests import servers
from tests.builders import world
from tests.integration.simulator_process import eventually
from tests.ways_to_order import order_of, ways_to_order

CATALOGUE = load(catalogue_texts(""))
MAX_BYTES = 50_000_000


@dataclass(frozen=True, kw_only=True)
class Case:
    """One provider: a model to order from it, and what the provider can't."""

    model: str
    bad: Mapping[str, Any]  #: inputs that the provider refuses
    scene: Mapping[str, Any] = field(default_factory=dict)
    cancels: bool = True
    signed: bool = True
    finds: Literal["at once", "when finished", "absence", "never"] = "at once"
    api: str = ""  #: which of a provider's, where it has two that differ

    @property
    def row(self) -> Model:
        return CATALOGUE.model(self.model)

    @property
    def provider(self) -> str:
        return self.row.provider

    @property
    def name(self) -> str:
        """What the case is called: as its provider, and its API where there are two."""
        return f"{self.provider}.{self.api}" if self.api else self.provider

    @property
    def reports(self) -> bool:
        return CATALOGUE.accounts[self.provider].reports

    def order(self, prompt: str = "a lighthouse", **changes: Any) -> Order:
        """An order as a job of one scene makes it."""
        body = {"model": self.model, "scenes": [{"description": prompt, "duration": 2, **self.scene}]}
        [shot] = plan(parse_job(body), CATALOGUE, duration_buffer=1.0).shots
        marker = uuid4()
        given = {
            "model": self.row.provider_model,
            "endpoint": self.row.endpoint(shot.mode),
            "version": self.row.version,
            "marker": str(marker),
            "input": compose_input(self.row, shot, seed=marker.int % 2**31),
        }
        return Order(**given | changes)


CASES = (
    Case(model="fal/seedance-1-pro-fast", bad={"duration": "for ever"}, finds="when finished"),
    Case(model="replicate/seedance-1-pro-fast", bad={"duration": 999}),
    Case(model="hypereal/kling-3-std", bad={"duration": 999}, cancels=False, signed=False, finds="never"),
    Case(model="runway/gen4.5", bad={"duration": 999}, finds="never"),
    Case(model="minimax/hailuo-2.3", bad={"duration": 999}, cancels=False, signed=False, finds="never", api="v1"),
    Case(model="minimax/h3", bad={"duration": 999}, cancels=False, signed=False, finds="absence", api="v2"),
    Case(model="kling/kling-v2.5-turbo", bad={"duration": 999}, cancels=False),
    Case(model="bfl/flux-3-video", bad={"duration": 999}, cancels=False, finds="never"),
)


@pytest.fixture
def simulator(running: servers.Simulator) -> servers.Simulator:
    requests.post(f"{running.url}/_sim/reset", timeout=5).raise_for_status()
    return running


@pytest.fixture(params=[pytest.param(case, id=case.name) for case in CASES])
def case(request: pytest.FixtureRequest) -> Case:
    found: Case = request.param
    return found


@pytest.fixture
def adapter(case: Case, simulator: servers.Simulator) -> Provider:
    return built(case, simulator.environment)


def built(case: Case, environment: Mapping[str, str]) -> Provider:
    """The adapter as the services build it from this environment."""
    return adapter_of(case.provider, environment)


def adapter_of(provider: str, environment: Mapping[str, str]) -> Provider:
    """The adapter of a provider's main account."""
    own = accounts.told(Settings(environment=environment), CATALOGUE)
    return accounts.adapters(own, CATALOGUE)[CATALOGUE.accounts[provider].name]


def webhook_secret(case: Case, adapter: Provider, environment: Mapping[str, str]) -> str:
    """The key that the account's webhooks are checked with: the operator's, else the provider tells it."""
    own = accounts.told(Settings(environment=environment), CATALOGUE)[case.provider]
    secret = own.webhook_secret or adapter.webhook_secret()
    assert isinstance(secret, str)
    return secret


def sold(simulator: servers.Simulator) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = requests.get(f"{simulator.url}/_sim/ledger", timeout=5).json()
    return found


def creates(simulator: servers.Simulator) -> int:
    return int(requests.get(f"{simulator.url}/_sim/stats", timeout=5).json()["creates"])


def arm(simulator: servers.Simulator, fault: str) -> None:
    requests.post(f"{simulator.url}/_sim/faults", json={"fault": fault}, timeout=5).raise_for_status()


def bought(adapter: Provider, order: Order) -> Prediction:
    answer = adapter.submit(order)
    assert isinstance(answer, Accepted), answer
    return Prediction(id=answer.prediction_id, endpoint=order.endpoint, receipt=answer.raw)


def ended(adapter: Provider, prediction: Prediction) -> Finished | Refused:
    """What the prediction has become, once it is over."""
    answer = eventually(lambda: _end(adapter, prediction))
    assert answer
    return answer


def _end(adapter: Provider, prediction: Prediction) -> Finished | Refused | None:
    answer = adapter.status(prediction)
    return answer if isinstance(answer, Finished | Refused) else None


@pytest.mark.requirement("R50", "R59", "R63")
def test_an_order_is_sold_once_under_the_id_we_know_and_becomes_a_playable_file(
    case: Case, adapter: Provider, simulator: servers.Simulator, tmp_path: Path
) -> None:
    prediction = bought(adapter, case.order())
    answer = ended(adapter, prediction)
    assert isinstance(answer, Finished), answer
    fetched = adapter.download(answer.outputs[0], tmp_path / "clip.mp4", max_bytes=MAX_BYTES)
    assert isinstance(fetched, Fetched)
    assert Media(imageio_ffmpeg.get_ffmpeg_exe()).check_clip(tmp_path / "clip.mp4").duration_seconds > 1
    assert [line["id"] for line in sold(simulator)] == [prediction.id]
    assert creates(simulator) == 1


def test_a_wrong_key_buys_nothing_and_gives_nothing_up(
    case: Case, adapter: Provider, simulator: servers.Simulator
) -> None:
    variable = CATALOGUE.accounts[case.provider].key_variable
    stranger = built(case, {**simulator.environment, variable: "a-key-that-was-never-sold"})
    answer = stranger.submit(case.order())
    assert isinstance(answer, Refused)
    assert (answer.code, answer.retryable, sold(simulator)) == ("not_authorised", False, [])
    prediction = bought(adapter, case.order())
    assert not isinstance(stranger.status(prediction), Finished | Refused)


def test_an_input_that_the_model_does_not_take_is_refused_and_costs_nothing(
    case: Case, adapter: Provider, simulator: servers.Simulator
) -> None:
    order = case.order()
    answer = adapter.submit(replace(order, input={**order.input, **case.bad}))
    assert isinstance(answer, Refused)
    assert (answer.code, answer.retryable, sold(simulator)) == ("rejected_input", False, [])


def test_an_account_without_credit_is_told_so_and_charged_nothing(
    case: Case, adapter: Provider, simulator: servers.Simulator
) -> None:
    arm(simulator, "create=402")
    answer = adapter.submit(case.order())
    assert isinstance(answer, Refused)
    assert (answer.code, answer.retryable, sold(simulator)) == ("no_credit", False, [])


@pytest.mark.requirement("R10")
def test_not_now_is_busy_and_costs_nothing(case: Case, adapter: Provider, simulator: servers.Simulator) -> None:
    arm(simulator, "create=429 retry_after=30 times=1")
    answer = adapter.submit(case.order())
    assert isinstance(answer, Busy), answer
    assert answer.reason is Reason.BLOCKED
    assert answer.wait_seconds in {None, 30.0}
    assert sold(simulator) == []
    assert isinstance(adapter.submit(case.order()), Accepted)


@pytest.mark.requirement("R50")
@pytest.mark.parametrize("fault", ["drop-after", "500-after", "503-after"])
def test_an_order_whose_answer_was_lost_is_unknown_and_never_sent_again(
    case: Case, adapter: Provider, simulator: servers.Simulator, fault: str
) -> None:
    since = datetime.now(UTC) - timedelta(minutes=2)
    arm(simulator, f"create={fault} times=1")
    order = case.order()
    assert isinstance(adapter.submit(order), Unknown)
    [line] = sold(simulator)
    assert creates(simulator) == 1
    if case.finds == "when finished":
        eventually(lambda: sold(simulator)[0]["completed_at"])
    found = adapter.find(order, since)
    assert isinstance(found, Found)
    assert [each.prediction_id for each in found.predictions] == ([] if case.finds == "never" else [line["id"]])
    assert found.complete == (case.finds in {"at once", "absence"})
    assert found.certain == (case.finds != "absence")


@pytest.mark.requirement("R56")
def test_a_prediction_is_stopped_where_the_provider_can_stop_it(
    case: Case, adapter: Provider, simulator: servers.Simulator
) -> None:
    arm(simulator, "stall")
    prediction = bought(adapter, case.order())
    answer = adapter.cancel(prediction)
    if not case.cancels:
        assert isinstance(answer, Working)
        return
    answer = answer if isinstance(answer, Refused) else ended(adapter, prediction)
    assert isinstance(answer, Refused)
    assert answer.code in {"provider_cancelled", "lost"}
    [line] = sold(simulator)
    assert line["status"] == "canceled"


def test_a_prediction_that_nobody_knows_is_lost(case: Case, adapter: Provider) -> None:
    prediction = bought(adapter, case.order())
    answer = adapter.status(another(prediction))
    assert isinstance(answer, Refused), answer
    assert answer.code == "lost"


def another(prediction: Prediction) -> Prediction:
    """One of the same form, whose id was never given to anybody."""
    # An id may be all letters; whatever is hexadecimal stays so.
    strange = prediction.id.translate(
        str.maketrans("0123456789abcdefghijklmnopqrstuvwxyz", "1234567890bcdefahijklmnopqrstuvwxyzg")
    )
    receipt = json.dumps(dict(prediction.receipt)).replace(prediction.id, strange)
    return replace(prediction, id=strange, receipt=json.loads(receipt))


@pytest.mark.requirement("R16")
def test_a_provider_in_trouble_is_silent_and_nothing_is_given_up(
    case: Case, adapter: Provider, simulator: servers.Simulator
) -> None:
    prediction = bought(adapter, case.order())
    arm(simulator, "poll=500 times=1")
    assert isinstance(adapter.status(prediction), Silent)
    assert isinstance(ended(adapter, prediction), Finished)


@pytest.mark.requirement("R44", "R68")
@pytest.mark.parametrize(("fault", "code"), [("moderated", "moderated"), ("E1000", "provider_error")])
def test_a_failure_says_whether_another_attempt_can_cure_it(
    case: Case, adapter: Provider, simulator: servers.Simulator, fault: str, code: str
) -> None:
    arm(simulator, f"fail={fault}")
    answer = ended(adapter, bought(adapter, case.order()))
    assert isinstance(answer, Refused)
    assert (answer.code, answer.retryable) == (code, code == "provider_error")


@pytest.mark.requirement("R40", "R57", "R59")
@pytest.mark.parametrize("provider", sorted({case.provider for case in CASES}))
def test_every_way_to_order_is_taken_at_the_price_that_we_say(provider: str, simulator: servers.Simulator) -> None:
    adapter, wrong = adapter_of(provider, simulator.environment), []
    account = CATALOGUE.accounts[provider]
    at_once = min(account.max_in_flight, *(family.requests for family in account.families.values()), 100)
    for row in CATALOGUE.find(provider=provider):
        # A picture or a voice may come with the answer itself: that is lost here, and nothing needs to be made.
        fault, taken = ("stall", Accepted) if row.kind == "video" else ("stall create=500-after", Unknown)
        shots = list(ways_to_order(row))
        for first in range(0, len(shots), at_once):
            some = shots[first : first + at_once]
            requests.post(f"{simulator.url}/_sim/reset", timeout=5).raise_for_status()
            arm(simulator, fault)
            answers = [adapter.submit(order_of(row, shot)) for shot in some]
            charged = [ceil(line["price_cents"] - 1e-6) for line in sold(simulator)]
            untaken = [answer for answer in answers if not isinstance(answer, taken)]
            if untaken or charged != [shot.estimate_cents for shot in some]:
                wrong.append((some, untaken, charged))
    assert wrong == []


class Inbox(ThreadingHTTPServer):
    """Takes webhooks, answers a challenge as the adapter says, and keeps what the adapter makes of the rest."""

    def __init__(self, adapter: Provider, secret: str) -> None:
        super().__init__(("127.0.0.1", 0), Postman)
        self.adapter, self.secret = adapter, secret
        self.read: list[WebhookNews | Hint | Forged] = []
        self.url = f"http://127.0.0.1:{self.server_port}/webhooks/attempt/mac"


class Postman(BaseHTTPRequestHandler):
    server: Inbox

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        headers = dict(self.headers.items())
        news = self.server.adapter.read_webhook(headers, body, secret=self.server.secret, now=datetime.now(UTC))
        answer = json.dumps(dict(news.document) if isinstance(news, Challenge) else {}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)
        if not isinstance(news, Challenge):
            self.server.read.append(news)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 -- the name is the base class's
        """Keep the test output clean."""


@pytest.fixture
def inbox(case: Case, adapter: Provider, simulator: servers.Simulator) -> Iterator[Inbox]:
    if not case.reports:
        pytest.skip(f"{case.provider} calls no webhooks")
    with Inbox(adapter, webhook_secret(case, adapter, simulator.environment)) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.mark.requirement("R53")
def test_a_genuine_webhook_is_believed_or_a_reason_to_look(case: Case, adapter: Provider, inbox: Inbox) -> None:
    prediction = bought(adapter, case.order(webhook_url=inbox.url))
    finished = ended(adapter, prediction)
    last = eventually(lambda: _last_news(inbox, case))
    assert last
    assert last.prediction_id == prediction.id
    if isinstance(last, WebhookNews):
        assert isinstance(last.answer, Finished)
        assert isinstance(finished, Finished)
        assert len(last.answer.outputs) == len(finished.outputs)
    assert not any(isinstance(news, Forged) for news in inbox.read)


def _last_news(inbox: Inbox, case: Case) -> WebhookNews | Hint | None:
    """The end as far as it is told: a signed word, or any hint where nothing is signed."""
    told = [news for news in inbox.read if isinstance(news, WebhookNews | Hint)]
    over = [news for news in told if isinstance(news, WebhookNews) and isinstance(news.answer, Finished | Refused)]
    return next(iter(over if case.signed else told), None)


@pytest.mark.requirement("R53")
def test_a_forged_webhook_is_refused_where_webhooks_are_signed(
    case: Case, adapter: Provider, simulator: servers.Simulator, inbox: Inbox
) -> None:
    if not case.signed:
        pytest.skip(f"{case.provider} signs nothing: its webhooks are hints")
    arm(simulator, "webhook=forged")
    bought(adapter, case.order(webhook_url=inbox.url))
    news = eventually(lambda: list(inbox.read))
    assert all(isinstance(each, Forged) for each in news)


@pytest.mark.requirement("R50", "R59")
def test_a_clip_goes_the_whole_way_and_both_ledgers_agree(
    case: Case, database_url: str, valkey_url: str, s3: servers.ObjectStore, simulator: servers.Simulator
) -> None:
    told: dict[str, Any] = {
        name.lower(): value for name, value in simulator.environment.items() if _is_about(case, name)
    }
    with world(database_url, valkey_url=valkey_url, s3=s3, simulator=simulator, **told) as here:
        scene = {"description": "a lighthouse", "duration": 2, **case.scene}
        job_id = here.order([scene, scene], model=case.model)
        assert [clip.state for clip in here.render(job_id)] == [State.DONE, State.DONE]
        takes = [take for asset_id in here.ids(job_id) for take in here.takes(asset_id)]
        assert [take.prediction_id for take in takes] == [line["id"] for line in here.sold()]
        assert all(here.ledger(each) == [(1, "reserve"), (1, "commit")] for each in here.ids(job_id))
        assert all(here.row(each)["duration_seconds"] > 1 for each in here.ids(job_id))


def _is_about(case: Case, variable: str) -> bool:
    """Whether a variable of the environment is this provider's."""
    prefix = case.provider.upper().replace("-", "_")
    return variable.startswith(f"{prefix}_") or variable == CATALOGUE.accounts[case.provider].key_variable
