"""The one question that each state asks of the world; every outcome is an answer, and no transaction is open."""

import time

from pipeline.admit import admit
from pipeline.domain import webhook as addresses
from pipeline.domain.answers import Answer, Finished, Reason, Refused, Silent, Unknown, Withdrawn, Working
from pipeline.domain.asset import State, Waiting
from pipeline.domain.attempt import Attempt, Prediction
from pipeline.domain.errors import DailiesError
from pipeline.domain.hold import Hold
from pipeline.domain.needs import MATERIAL
from pipeline.fallback import rerouted
from pipeline.fetch import fetch
from pipeline.heed import asked, ordered, paused
from pipeline.look import look
from pipeline.material import bring_home
from pipeline.providers.protocol import Order
from pipeline.services import Services
from pipeline.settle import settle

# A worker that slept this long since it wrote the intent may have lost its claim, so it does not send.
_FRESH_SECONDS = 5.0


def ask(services: Services, hold: Hold, *, fresh: bool) -> Answer:
    """The one question that this state asks of the world."""
    news = hold.news.answer if hold.news else None
    last_word = news if isinstance(news, Finished | Refused) else None
    match hold.asset.state:
        case State.WAITING:
            # A result of the last attempt that comes late is kept: it was paid for.
            return news if isinstance(news, Finished) else _wanted(services, hold)
        case State.SUBMITTING:
            # An intent that was found and not made just now may have been sent: it is never sent again.
            sent = _submit(services, hold, _attempt(hold)) if fresh else Unknown(message="the worker died on the way")
            return rerouted(services, hold, sent)
        case State.UNCERTAIN:
            if not news and hold.cancelled and hold.asset.waiting == Waiting(reason=Reason.NEEDS_PERSON):
                return Withdrawn()
            return news or rerouted(services, hold, _settled(services, hold))
        case State.RENDERING:
            told = None if isinstance(news, Working) and news.unsigned else news
            return last_word or (Withdrawn() if hold.cancelled else told or look(services, hold, _prediction(hold)))
        case State.CANCELLING:
            provider, prediction = services.provider(hold.account), _prediction(hold)
            return last_word or asked(services, hold, lambda: provider.cancel(prediction))
        case State.FETCHING:
            # It was paid for, so it is brought home even when the job was cancelled; but only once.
            if hold.cancelled and (hold.asset.silences or hold.attempt is None):
                return Withdrawn()
            if hold.kind in MATERIAL:
                return bring_home(services, hold)
            return paused(services, hold, fetch(services, hold, _attempt(hold)))
        case _:
            raise DailiesError(f"a step claimed an asset that is {hold.asset.state}")


def _wanted(services: Services, hold: Hold) -> Answer:
    """A place in line, or an end of waiting."""
    return Withdrawn() if hold.cancelled else rerouted(services, hold, admit(services, hold))


def _submit(services: Services, hold: Hold, attempt: Attempt) -> Answer:
    """Buy the prediction: the one call in the system that costs money, sent once."""
    if time.monotonic() - hold.taken_at > _FRESH_SECONDS:
        return Silent(message="this worker was paused before it could send")
    model = services.catalogue.model(attempt.model)
    hook = addresses.address(services.settings.public_url, services.settings.secret_key, hold.provider, str(attempt.id))
    order = Order(
        model=model.provider_model,
        endpoint=attempt.endpoint,
        marker=str(attempt.id),
        version=model.version,
        input=attempt.input,
        webhook_url=hook,
        # Should we lose sight of it, the provider ends it by itself; its own queue may double its time.
        cancel_after_seconds=int(2 * model.hard_limit_seconds),
    )
    answer: Answer = services.provider(hold.account).submit(order)
    return ordered(services, hold, answer)


def _settled(services: Services, hold: Hold) -> Answer:
    """What became of an order that got no clear answer."""
    return asked(services, hold, lambda: settle(services, hold, _attempt(hold)))


def _attempt(hold: Hold) -> Attempt:
    if hold.attempt is None:
        raise DailiesError(f"asset {hold.asset_id} is {hold.asset.state} without an attempt")
    return hold.attempt


def _prediction(hold: Hold) -> Prediction:
    prediction = _attempt(hold).prediction
    if prediction is None:
        raise DailiesError(f"asset {hold.asset_id} is {hold.asset.state} without a prediction")
    return prediction
