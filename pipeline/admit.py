"""May this asset buy a prediction now? Asked only by a process that could."""

from pipeline.domain.answers import IN_LINE, Answer, Busy, Reason, Refused
from pipeline.domain.errors import Unavailable
from pipeline.domain.hold import Hold
from pipeline.domain.needs import held_by
from pipeline.heed import held_back
from pipeline.inputs import unfit_video
from pipeline.limits.limiter import REDIS_DOWN_SECONDS
from pipeline.services import Services
from pipeline.turn import admit as admitted
from pipeline.turn import turn


def admit(services: Services, hold: Hold) -> Answer:
    """Granted, or Busy with the reason.

    Raises Unavailable where this process could not buy at all, before a slot is taken for it.
    """
    if hold.model not in services.catalogue.models:
        return Refused(code="rejected_input", message=f"the catalogue has no model {hold.model} any more")
    services.require_account(hold.provider)
    if held := held_by(hold.kind, hold.needs, hold.shot.get("inputs", {})) or unfit_video(services, hold):
        return _aside(services, hold, held)
    try:
        return held_back(services, hold) or admitted(services, hold)
    except Unavailable:
        return Busy(reason=Reason.REDIS_DOWN, wait_seconds=REDIS_DOWN_SECONDS)


def _aside(services: Services, hold: Hold, held: Answer) -> Answer:
    """Whoever has to wait for another asset must not stand before those who need not."""
    if hold.asset.waiting and hold.asset.waiting.reason in IN_LINE:
        turn(services, hold.provider, leave=[hold.asset_id])
    return held
