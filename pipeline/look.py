"""How does a prediction go? Asked when it is likely to be over, and answered for as many as one request can."""

from contextlib import suppress
from datetime import timedelta

from redis.exceptions import RedisError

from pipeline.database.surveys import InFlight
from pipeline.domain.answers import Answer, Busy, Finished, Reason, Refused, Silent, Working
from pipeline.domain.asset import Waiting
from pipeline.domain.attempt import Prediction
from pipeline.domain.errors import Unavailable
from pipeline.domain.hold import Hold
from pipeline.heed import asked
from pipeline.providers.protocol import Survey
from pipeline.services import Services

# For how long a list answers everybody's question.
_FRESH = timedelta(milliseconds=100)
# Of more than these a list of two pages would show only the youngest, which are the last to end.
_MOST = 100
# The provider's clock may run behind ours.
_CLOCK_SKEW = timedelta(minutes=2)


def look(services: Services, hold: Hold, prediction: Prediction) -> Answer:
    """Ask the provider how it goes: by one list for all predictions under way, else for this one alone."""
    provider = services.provider(hold.account)
    others = _in_company(services, hold)
    if not others:
        return asked(services, hold, lambda: provider.status(prediction))
    if _was_just_asked(services, hold.account):
        # Had it ended, the inbox would wake us.
        queued = hold.asset.waiting == Waiting(reason=Reason.PROVIDER_QUEUE)
        return Working(prediction_id=prediction.id, queued=queued)
    return asked(services, hold, lambda: _survey(services, hold, prediction, others))


def _in_company(services: Services, hold: Hold) -> list[InFlight]:
    """All predictions of the account that one list would answer for; none where it pays not to ask for a list."""
    account, model = services.catalogue.accounts.get(hold.provider), services.catalogue.models.get(hold.model)
    if account is None or not account.lists or (model and not model.listed):
        return []
    in_flight = services.store.surveys.in_flight(hold.account, limit=_MOST + 1)
    return in_flight if 1 < len(in_flight) <= _MOST else []


def _was_just_asked(services: Services, account: str) -> bool:
    """Whether somebody's list is on its way or a moment old; if not, ours is from now on."""
    try:
        return not services.redis.set(f"dailies:survey:{account}", "1", nx=True, px=_FRESH)
    except RedisError:
        return False


def _survey(services: Services, hold: Hold, prediction: Prediction, in_flight: list[InFlight]) -> Answer:
    """Ask for all at once; the others' ends go to their inbox. Whatever the list does not tell is asked singly."""
    provider = services.provider(hold.account)
    since = min(each.intent_at for each in in_flight) - _CLOCK_SKEW
    told = provider.survey({each.prediction_id for each in in_flight}, since)
    if isinstance(told, Busy):
        return told
    if isinstance(told, Silent):
        return provider.status(prediction)
    _spread(services, hold, told, in_flight)
    return told.readings.get(prediction.id) or provider.status(prediction)


def _spread(services: Services, hold: Hold, told: Survey, in_flight: list[InFlight]) -> None:
    ended: dict[InFlight, Finished | Refused] = {}
    for each in in_flight:
        reading = told.readings.get(each.prediction_id)
        if each.asset_id != hold.asset_id and isinstance(reading, Finished | Refused):
            ended[each] = reading
    # News that is lost is asked for again.
    with suppress(Unavailable):
        services.wake(services.store.surveys.report(hold.provider, ended))
