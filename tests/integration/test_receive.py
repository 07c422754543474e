"""A provider reports by webhook: what is genuine finishes clips, whatever else comes changes nothing."""

import json
from collections.abc import Iterator
from dataclasses import asdict, replace
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
import requests

from pipeline.domain.answers import Reason
from pipeline.domain.asset import State, Waiting
from pipeline.domain.errors import Unavailable
from pipeline.domain.webhook import mac
from pipeline.receive import webhook
from pipeline.render import Verdict, step
from pipeline.services import Services
from tests import servers
from tests.builders import Killed, World, killed, world
from tests.integration.simulator_process import Letter, Mailbox
from tests.told import operator_says


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    """Where the provider's webhooks arrive; a test hands them on when it is their time."""
    box = Mailbox()
    yield box
    box.close()


@pytest.fixture
def here(
    database_url: str,
    valkey_url: str,
    s3: servers.ObjectStore,
    running: servers.Simulator,
    mailbox: Mailbox,
) -> Iterator[World]:
    with world(database_url, valkey_url=valkey_url, s3=s3, simulator=running, public_url=mailbox.url) as built:
        yield built


def address(here: World, asset_id: UUID) -> str:
    """Where the clip's last take is reported."""
    take = here.takes(asset_id)[-1].id
    return f"/webhooks/replicate/{take}/{mac(here.services.settings.secret_key, 'replicate', str(take))}"


def letter_about(here: World, mailbox: Mailbox, asset_id: UUID) -> Letter:
    """The webhook about the end of the clip's last take, once it has come."""
    return mailbox.wait_for(1, address(here, asset_id))[0]


def hand_on(services: Services, letter: Letter, **other: Any) -> bool:
    """Take a webhook in as the API does."""
    _, _, provider, attempt_id, proof = letter.path.split("/")
    given = {"provider": provider, "attempt_id": attempt_id, "mac": proof, "headers": letter.headers}
    return webhook(services, **{**given, "body": letter.body.encode(), **other}) is not None


def untouched(here: World, asset_id: UUID) -> tuple[Any, ...]:
    """Everything that a webhook could change about a clip."""
    return here.row(asset_id), here.takes(asset_id), here.query("select * from inbox"), list(here.carrier.published)


@pytest.mark.requirement("R53")
def test_webhooks_finish_a_job_without_a_single_poll(here: World, mailbox: Mailbox) -> None:
    ids = here.ids(here.job(3))
    for asset_id in ids:
        # No message is held for a look that should never be needed.
        assert step(here.services, asset_id) == Verdict()
    for asset_id in ids:
        assert hand_on(here.services, letter_about(here, mailbox, asset_id))
        assert here.carrier.published[-1] == asset_id
        assert here.until(asset_id)["state"] == State.DONE
    assert (here.stats()["gets"], here.stats()["lists"]) == (0, 0)


@pytest.mark.requirement("R53", "R50")
def test_a_webhook_settles_an_order_whose_answer_was_lost_without_a_search(here: World, mailbox: Mailbox) -> None:
    asset_id = here.clip()
    here.line.after["submit"] = killed
    with pytest.raises(Killed):
        step(here.services, asset_id)
    assert hand_on(here.services, letter_about(here, mailbox, asset_id))
    here.until(asset_id)
    [take], [sold] = here.takes(asset_id), here.sold()
    assert (here.state(asset_id), take.prediction_id) == (State.DONE, sold["id"])
    assert here.line.calls == ["submit", "read_webhook", "download"]
    assert here.ledger(asset_id) == [(1, "reserve"), (1, "commit")]


@pytest.mark.requirement("R53", "R50", "R56")
def test_a_result_that_comes_for_a_clip_in_doubt_is_kept_even_if_nobody_wants_it_any_more(
    here: World, mailbox: Mailbox
) -> None:
    asset_id = here.clip()
    here.line.after["submit"] = killed
    with pytest.raises(Killed):
        step(here.services, asset_id)
    doubt = Waiting(reason=Reason.NEEDS_PERSON)
    here.query(
        "update assets set state = 'uncertain', waiting = cast(:waiting as jsonb)", waiting=json.dumps(asdict(doubt))
    )
    here.query("update jobs set cancel_requested_at = now()")
    assert hand_on(here.services, letter_about(here, mailbox, asset_id))
    assert here.until(asset_id)["state"] == State.DONE
    assert here.ledger(asset_id) == [(1, "reserve"), (1, "commit")]


@pytest.mark.requirement("R53")
def test_a_webhook_that_comes_before_our_own_commit_is_not_lost(here: World, mailbox: Mailbox) -> None:
    asset_id = here.clip()

    def overtake() -> None:
        assert hand_on(here.services, letter_about(here, mailbox, asset_id))

    here.line.after["submit"] = overtake
    assert step(here.services, asset_id) == Verdict(countdown=timedelta(0))
    assert here.until(asset_id)["state"] == State.DONE
    assert here.stats()["gets"] == 0


@pytest.mark.requirement("R53", "R44")
def test_a_webhook_that_tells_of_a_failure_leads_to_the_next_attempt(here: World, mailbox: Mailbox) -> None:
    asset_id = here.clip(prompt="[[sim: fail=E1000 times=1]]")
    step(here.services, asset_id)
    hand_on(here.services, letter_about(here, mailbox, asset_id))
    step(here.services, asset_id)
    assert (here.state(asset_id), here.stats()["gets"]) == (State.WAITING, 0)
    assert here.until(asset_id)["takes"] == 2


@pytest.mark.requirement("R53")
def test_a_copy_of_a_webhook_changes_nothing(here: World, mailbox: Mailbox) -> None:
    asset_id = here.clip()
    step(here.services, asset_id)
    last = letter_about(here, mailbox, asset_id)
    hand_on(here.services, last)
    before = untouched(here, asset_id)
    assert hand_on(here.services, last)
    assert untouched(here, asset_id) == before


@pytest.mark.requirement("R53")
@pytest.mark.parametrize("forgery", ["address", "attempt", "provider", "body", "signature", "stale", "unsigned"])
def test_a_forged_webhook_is_refused_and_changes_nothing(here: World, mailbox: Mailbox, forgery: str) -> None:
    asset_id = here.clip()
    step(here.services, asset_id)
    letter = letter_about(here, mailbox, asset_id)
    unsigned = {name: value for name, value in letter.headers.items() if not name.startswith("webhook-")}
    forged: dict[str, dict[str, Any]] = {
        "address": {"mac": "0" * 32},
        "attempt": {"attempt_id": str(uuid4())},
        "provider": {"provider": "another"},
        "body": {"body": letter.body.replace("succeeded", "failed").encode()},
        "signature": {"headers": {**letter.headers, "webhook-signature": "v1,AAAA"}},
        "stale": {"headers": {**letter.headers, "webhook-timestamp": "1700000000"}},
        "unsigned": {"headers": unsigned},
    }
    before = untouched(here, asset_id)
    assert not hand_on(here.services, letter, **forged[forgery])
    assert untouched(here, asset_id) == before


@pytest.mark.requirement("R53", "R50")
def test_a_genuine_webhook_about_another_prediction_does_not_finish_this_clip(here: World, mailbox: Mailbox) -> None:
    stalled, done = here.ids(here.order([scene("[[sim: stall]]"), scene("a lighthouse")]))
    for asset_id in (stalled, done):
        step(here.services, asset_id)
    about_done = letter_about(here, mailbox, done)
    assert hand_on(here.services, replace(about_done, path=address(here, stalled)))
    step(here.services, stalled)
    assert here.state(stalled) is State.RENDERING
    assert here.until(done)["state"] == State.DONE


def scene(description: str) -> dict[str, Any]:
    return {"description": description, "duration": 2}


@pytest.mark.requirement("R53")
def test_a_webhook_that_comes_when_all_is_over_changes_nothing(here: World, mailbox: Mailbox) -> None:
    asset_id = here.clip()
    here.until(asset_id)
    before, published = here.row(asset_id), len(here.carrier.published)
    assert hand_on(here.services, letter_about(here, mailbox, asset_id))
    assert (here.row(asset_id), len(here.carrier.published)) == (before, published)
    assert step(here.services, asset_id) == Verdict(over=True)


@pytest.mark.requirement("R53")
def test_without_a_secret_of_the_operators_the_provider_is_asked_for_it_once(here: World, mailbox: Mailbox) -> None:
    trusting = operator_says(here.services, webhook_secret="")
    asset_id = here.clip()
    step(trusting, asset_id)
    assert hand_on(trusting, letter_about(here, mailbox, asset_id))
    assert here.line.calls.count("webhook_secret") == 1


@pytest.mark.requirement("R53", "R64")
def test_a_webhook_is_checked_with_the_key_of_the_account_that_bought_the_prediction(
    here: World, mailbox: Mailbox
) -> None:
    asset_id = here.clip()
    step(here.services, asset_id)
    letter = letter_about(here, mailbox, asset_id)
    here.query("update attempts set account = 'replicate-studio'")
    assert not hand_on(here.services, letter)
    providers = {"replicate-studio": here.services.provider("replicate")}
    pooled = replace(here.services, providers=providers)
    assert hand_on(pooled, letter)
    assert here.line.calls.count("webhook_secret") == 1


@pytest.mark.requirement("R53")
def test_a_webhook_about_an_attempt_that_is_gone_changes_nothing(here: World, mailbox: Mailbox) -> None:
    asset_id = here.clip()
    step(here.services, asset_id)
    letter, stranger = letter_about(here, mailbox, asset_id), str(uuid4())
    proof = mac(here.services.settings.secret_key, "replicate", stranger)
    before = untouched(here, asset_id)
    assert hand_on(here.services, letter, attempt_id=stranger, mac=proof)
    assert untouched(here, asset_id) == before


@pytest.mark.requirement("R53")
def test_a_signature_that_fails_makes_us_ask_for_a_newer_secret_at_most_once_a_minute(
    here: World, mailbox: Mailbox
) -> None:
    trusting = operator_says(here.services, webhook_secret="")
    trusting.signing_secrets["replicate"] = ("whsec_b2xkIHNlY3JldCBvZiBsYXN0IHllYXI=", trusting.now())
    asset_id = here.clip()
    step(trusting, asset_id)
    letter = letter_about(here, mailbox, asset_id)
    for _ in range(3):
        assert not hand_on(trusting, letter)
    assert "webhook_secret" not in here.line.calls
    later = replace(trusting, now=lambda: here.services.now() + timedelta(seconds=61))
    assert hand_on(later, letter)
    assert here.line.calls.count("webhook_secret") == 1


@pytest.mark.requirement("R53")
def test_while_the_secret_is_not_to_be_had_the_provider_is_told_to_come_again(here: World, mailbox: Mailbox) -> None:
    trusting = operator_says(here.services, webhook_secret="")
    asset_id = here.clip()
    step(trusting, asset_id)
    letter = letter_about(here, mailbox, asset_id)
    assert here.simulator
    limits = f"{here.simulator.url}/_sim/limits"
    requests.post(limits, json={"other_per_minute": 0}, timeout=10).raise_for_status()
    with pytest.raises(Unavailable, match="webhook key"):
        hand_on(trusting, letter)
    assert here.query("select * from inbox") == []
