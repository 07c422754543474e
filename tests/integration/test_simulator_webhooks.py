"""The simulator's webhooks: filtered, signed, tried again, and wrong on demand."""

import json

import pytest
from replicate.webhook import Webhooks, WebhookSigningSecret

from tests.integration.simulator_process import Mailbox, SimulatorProcess, eventually

pytest_plugins = ["tests.integration.simulator_fixture"]
pytestmark = pytest.mark.requirement("R59")


def test_webhooks_follow_the_filter_and_their_signature_satisfies_the_sdk(
    provider: SimulatorProcess, mailbox: Mailbox
) -> None:
    events = ["start", "output", "logs", "completed"]
    hook = f"{mailbox.url}/all"
    made = provider.finished(fault="seconds=3", webhook=hook, webhook_events_filter=events)
    # The output and the end come last; by then all are counted that were ever sent.
    eventually(lambda: sum("succeeded" in letter.body for letter in mailbox.letters) == 2)
    letters = mailbox.wait_for(provider.control("stats")["webhooks"], "/all")
    assert len(letters) >= 5, "a start, two reports at least, the output and the end"
    statuses = [json.loads(letter.body)["status"] for letter in letters]
    assert {"processing", "succeeded"} == set(statuses)
    secret = WebhookSigningSecret(**provider.call("GET", "/v1/webhooks/default/secret").json())
    for letter in letters:
        Webhooks.validate(headers=letter.headers, body=letter.body, secret=secret, tolerance=60)
    last = next(json.loads(letter.body) for letter in letters if "succeeded" in letter.body)
    assert last == provider.get(made["id"])
    assert len({letter.headers["webhook-id"] for letter in letters}) == len(letters)
    assert provider.control("stats")["webhooks"] == len(letters)


def test_only_the_end_is_told_when_only_that_is_asked_for(provider: SimulatorProcess, mailbox: Mailbox) -> None:
    provider.finished(webhook=f"{mailbox.url}/end", webhook_events_filter=["completed"])
    provider.finished(webhook=f"{mailbox.url}/usual")
    assert len(mailbox.wait_for(2, "/usual")) == 2
    assert len(mailbox.wait_for(1, "/end")) == 1


def test_the_last_webhook_is_tried_again_under_the_same_id(provider: SimulatorProcess, mailbox: Mailbox) -> None:
    mailbox.answers[:] = [500, 404]
    provider.finished(webhook=f"{mailbox.url}/again", webhook_events_filter=["completed"])
    letters = mailbox.wait_for(3, "/again")
    assert len({letter.headers["webhook-id"] for letter in letters}) == 1
    assert len({letter.body for letter in letters}) == 1


def test_a_redirect_is_not_followed(provider: SimulatorProcess, mailbox: Mailbox) -> None:
    mailbox.answers[:] = [307]
    provider.finished(webhook=f"{mailbox.url}/moved", webhook_events_filter=["completed"])
    mailbox.wait_for(1, "/moved")
    provider.finished(webhook=f"{mailbox.url}/next", webhook_events_filter=["completed"])
    mailbox.wait_for(1, "/next")
    assert [letter.path for letter in mailbox.letters] == ["/moved", "/next"]


def test_webhooks_go_wrong_on_demand(provider: SimulatorProcess, mailbox: Mailbox) -> None:
    def order(fault: str) -> None:
        hook = f"{mailbox.url}/{fault}"
        provider.finished(fault=f"webhook={fault} late=0.2", webhook=hook, webhook_events_filter=["completed"])

    order("never")
    order("twice")
    order("forged")
    order("late")
    first, second = mailbox.wait_for(2, "/twice")
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    [forged] = mailbox.wait_for(1, "/forged")
    secret = WebhookSigningSecret(**provider.call("GET", "/v1/webhooks/default/secret").json())
    with pytest.raises(ValueError, match="signature"):
        Webhooks.validate(headers=forged.headers, body=forged.body, secret=secret)
    assert mailbox.wait_for(1, "/late")
    assert "/never" not in {letter.path for letter in mailbox.letters}
