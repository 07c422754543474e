"""Find out what became of a paying call that got no clear answer; never by repeating it.

The provider's list is searched for a prediction whose model and whole input are what the attempt recorded before it
sent anything (our own seed in the input makes it unique). Found: adopted. Not found in a complete list that is old
enough: never accepted. Else: asked again later, and in the end by a person.
"""

from datetime import datetime, timedelta

from pipeline.domain.answers import Accepted, Answer, Busy, Refused, Silent, Unknown
from pipeline.domain.attempt import Attempt
from pipeline.domain.hold import Hold
from pipeline.providers.protocol import Found, Order
from pipeline.services import Services

# The provider's clock may run behind ours.
_CLOCK_SKEW = timedelta(minutes=2)


def settle(services: Services, hold: Hold, attempt: Attempt) -> Answer:
    """What the provider's list proves about an attempt; nothing is left to prove once its prediction is known."""
    if attempt.prediction_id:
        return Accepted(prediction_id=attempt.prediction_id)
    asked_at = services.now()
    model = services.catalogue.model(attempt.model).provider_model
    order = Order(model=model, endpoint=attempt.endpoint, marker=str(attempt.id), input=attempt.input)
    found = services.provider(hold.account).find(order, attempt.intent_at - _CLOCK_SKEW)
    if isinstance(found, Busy | Silent):
        return found
    ours = _ours(services, hold, found)
    if ours and not found.certain:
        return Unknown(message="the provider lists what may be this attempt, and does not show its input")
    if ours:
        return Accepted(prediction_id=ours)
    if found.complete and _is_proof(attempt.intent_at, asked_at, services.absent_after(attempt.model)):
        return Refused(code="absent", message="the provider never accepted this attempt", retryable=True)
    return Unknown(message="the provider does not list this attempt yet")


def _ours(services: Services, hold: Hold, found: Found) -> str | None:
    """The prediction that is this attempt's: one with our input that no other attempt owns."""
    candidates = [each.prediction_id for each in found.predictions]
    owned = services.store.steps.owned(hold.account, candidates)
    return next((each for each in candidates if each not in owned), None)


def _is_proof(intent_at: datetime, asked_at: datetime, absent_after: timedelta) -> bool:
    """Whether the call had had time to arrive, and the list time to show it, before the list was asked for."""
    return asked_at - intent_at > absent_after
