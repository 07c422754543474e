"""A provider reports on an attempt: what is verified goes to the inbox and wakes the asset, the rest does nothing."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

from pipeline import logs, metrics
from pipeline.domain import webhook as addresses
from pipeline.domain.answers import Answer, Working
from pipeline.domain.errors import Unavailable
from pipeline.providers.protocol import Challenge, Forged, Hint, Webhook, WebhookNews
from pipeline.services import Services

_LOG = logs.get(__name__)
# A forger can make us ask the provider for its key once a minute, and no more.
_KEY_MAY_HAVE_CHANGED = timedelta(minutes=1)


def webhook(
    services: Services, *, provider: str, attempt_id: str, mac: str, headers: Mapping[str, str], body: bytes
) -> Mapping[str, Any] | None:
    """Take a webhook in: the document to answer with, or None for a forged one.

    A copy, or one about a stranger, is answered like any other and changes nothing.
    """
    if not addresses.is_ours(services.settings.secret_key, provider, attempt_id, mac):
        _refuse(provider)
        return None
    # A stranger's news is checked too, by the main account's key: it changes nothing, and learns nothing.
    account = services.store.steps.account(UUID(attempt_id)) or next(iter(services.accounts(provider)), "")
    news = _read(services, account, headers, body)
    if isinstance(news, Forged):
        _refuse(provider)
        return None
    if isinstance(news, Challenge):
        return _counted(provider, "challenge", news.document)
    members = services.store.steps.receive(
        UUID(attempt_id),
        provider=provider,
        webhook_id=news.webhook_id,
        prediction_id=news.prediction_id,
        answer=_answer(news),
    )
    if members:
        services.carrier.members(members)
    return _counted(provider, "taken" if members else "copy", {})


def _answer(news: WebhookNews | Hint) -> Answer:
    return news.answer if isinstance(news, WebhookNews) else Working(prediction_id=news.prediction_id, unsigned=True)


def _read(services: Services, account: str, headers: Mapping[str, str], body: bytes) -> Webhook:
    """Believe a body only by its account's signature; one that fails is checked once more with a fresh key."""
    news: Webhook = Forged(message="the account is not configured")
    if account not in services.providers:
        return news
    for age in (None, _KEY_MAY_HAVE_CHANGED):
        secret = services.signing_secret(account, newer_than=age)
        if secret is None:
            raise Unavailable(f"{account} does not tell its webhook key just now")
        news = services.providers[account].read_webhook(headers, body, secret=secret, now=services.now())
        if not isinstance(news, Forged):
            return news
    return news


def _counted(provider: str, verdict: str, document: Mapping[str, Any]) -> Mapping[str, Any]:
    metrics.WEBHOOKS.labels(provider=provider, verdict=verdict).inc()
    return document


def _refuse(provider: str) -> None:
    metrics.WEBHOOKS.labels(provider=provider, verdict="forged").inc()
    _LOG.warning("webhook.refused", provider=provider)
