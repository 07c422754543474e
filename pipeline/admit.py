"""May this asset buy a prediction now? The limiter's word, after its leases were rebuilt where Redis had lost them."""

from pipeline.domain.answers import Answer, Busy, Reason, Refused
from pipeline.domain.errors import Unavailable
from pipeline.domain.hold import Hold
from pipeline.limits.limiter import REDIS_DOWN_SECONDS, Lost
from pipeline.services import Services


def admit(services: Services, hold: Hold) -> Answer:
    """Granted, or Busy with the reason, the place in line and the wait.

    Raises Unavailable where this process could not buy at all, before a slot is taken for it.
    """
    if hold.model not in services.catalogue.models:
        return Refused(code="rejected_input", message=f"the catalogue has no model {hold.model} any more")
    services.provider(hold.account)
    limits = services.limits(hold.account)
    told = services.limiter.acquire(limits, holder=hold.slot, asset_id=hold.asset_id, order=hold.order)
    if not isinstance(told, Lost):
        return told
    try:
        services.limiter.restore(hold.account, services.store.forgotten.holders(hold.account))
    except Unavailable:
        return Busy(reason=Reason.REDIS_DOWN, wait_seconds=REDIS_DOWN_SECONDS)
    told = services.limiter.acquire(limits, holder=hold.slot, asset_id=hold.asset_id, order=hold.order)
    return Busy(reason=Reason.REDIS_DOWN, wait_seconds=REDIS_DOWN_SECONDS) if isinstance(told, Lost) else told
