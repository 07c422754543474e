"""May this asset buy a prediction now? Asked only by a process that could."""

from pipeline.domain.answers import Answer, Busy, Reason, Refused
from pipeline.domain.errors import Unavailable
from pipeline.domain.hold import Hold
from pipeline.heed import held_back
from pipeline.limits.limiter import REDIS_DOWN_SECONDS
from pipeline.services import Services
from pipeline.turn import admit as admitted


def admit(services: Services, hold: Hold) -> Answer:
    """Granted, or Busy with the reason.

    Raises Unavailable where this process could not buy at all, before a slot is taken for it.
    """
    if hold.model not in services.catalogue.models:
        return Refused(code="rejected_input", message=f"the catalogue has no model {hold.model} any more")
    services.require_account(hold.provider)
    try:
        return held_back(services, hold) or admitted(services, hold)
    except Unavailable:
        return Busy(reason=Reason.REDIS_DOWN, wait_seconds=REDIS_DOWN_SECONDS)
