"""R51: a limit that nobody told us is found by trying, used, and found again when it is halved."""

import time
from datetime import UTC, datetime

from bench import measures
from bench.arena import Case, made
from bench.contenders.ours import ours
from bench.results import Figure

START, CEILING, HIDDEN, HALVED = 5, 20, 10, 5
BEFORE_SECONDS, AFTER_SECONDS = 60.0, 35.0
# Back in bounds: no more than one refusal in any stretch of this length.
QUIET_SECONDS, MOST_REFUSED = 20.0, 1
CLIPS = 400


def hidden_limit() -> list[Figure]:
    """Render against a limit that is lower than what we may try, and halve it in the middle."""
    case = Case(clips=CLIPS, slots=START)
    with ours(case, SIMULATOR_MAX_IN_FLIGHT=str(HIDDEN), REPLICATE_CEILING_IN_FLIGHT=str(CEILING)) as it:
        known = it.provider.stats()["creates"]
        begun_at = datetime.now(UTC)
        it.order(CLIPS)
        time.sleep(BEFORE_SECONDS)
        it.provider.limit(max_in_flight=HALVED)
        halved_at = datetime.now(UTC)
        time.sleep(AFTER_SECONDS)
        orders = [made(each) for each in it.provider.ledger()]
        refused_at = it.provider.refused_at()
        creates = it.provider.stats()["creates"] - known
    orders = [each for each in orders if each.created_at >= begun_at]
    used = measures.slots_used(orders, HIDDEN, min(each.created_at for each in orders), halved_at)
    recovery = measures.recovery_seconds(refused_at, halved_at, quiet_seconds=QUIET_SECONDS, most_refused=MOST_REFUSED)
    refused = len([each for each in refused_at if each >= begun_at])
    name, who = f"{HIDDEN} of {CEILING}, then {HALVED}", "ours-webhooks"
    return [
        Figure(name="hidden_limit_used", case=name, contender=who, value=used, n=len(orders), goal=0.9),
        Figure(name="rate_429_per_submit", case=name, contender=who, value=refused / creates, n=creates, goal=0.02),
        Figure(name="recovery_after_halving_s", case=name, contender=who, value=recovery, n=1, goal=30),
    ]
