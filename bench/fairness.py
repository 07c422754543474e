"""R52: tenants share the slots evenly, and a small job beside a large one does not wait for it."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

from bench import measures
from bench.arena import made
from bench.contenders.ours import Ours
from bench.results import Figure
from pipeline.database.keys import Keys
from pipeline.domain.spec import MAX_SCENES

TENANTS, CLIPS_EACH, CLIP_SECONDS = 10, 10, 1
SMALL, TRIES = 3, 2


def small_beside_large(it: Ours) -> list[Figure]:
    """How much longer a small job takes beside a large one of the same owner, at worst."""
    alone = min(_seconds_to_render(it, SMALL) for _ in range(TRIES))
    large = it.order(MAX_SCENES, words=_unlike_others)
    it.wait(lambda: len(it.rendered(large)) > 2 * SMALL, 60)
    beside = max(_seconds_to_render(it, SMALL) for _ in range(TRIES))
    for job in large:
        it.client.cancel(job)
    it.wait(lambda: it.provider.stats()["in_flight"] == 0, 60)
    case = f"{SMALL} beside {MAX_SCENES}"
    return [Figure(name="small_job_over_alone", case=case, contender=it.name, value=beside / alone, n=TRIES, goal=2)]


def equal_tenants(it: Ours) -> list[Figure]:
    """How evenly ten tenants who order the same at the same time are served while all of them wait."""
    keys = Keys(it.database)
    tenants = {f"tenant-{number}": keys.create(owner=f"tenant-{number}", name="bench")[1] for number in range(TENANTS)}
    begun_at = datetime.now(UTC)
    with ThreadPoolExecutor(TENANTS) as pool:
        jobs = list(pool.map(lambda tenant: _order(it, *tenant), tenants.items()))
    all_jobs = [job for found in jobs for job in found]
    it.wait_for_rendered(all_jobs, TENANTS * CLIPS_EACH, 120)
    orders = [order for order in it.provider.ledger() if made(order).created_at >= begun_at]
    shares = _shares([(_tenant(order["input"]["prompt"], tenants), made(order).created_at) for order in orders])
    case = f"{TENANTS} equal tenants"
    index = measures.jain_index(shares)
    return [Figure(name="jain_index", case=case, contender=it.name, value=index, n=sum(shares), goal=0.95)]


def _shares(served: Sequence[tuple[str, datetime]]) -> list[int]:
    """How many clips each tenant got while all of them were there and had more to come."""
    first = dict(reversed(served))
    last = dict(served)
    begin, end = max(first.values()), min(last.values())
    return [sum(begin <= at < end for name, at in served if name == tenant) for tenant in last]


def _unlike_others(number: int) -> str:
    """Between 2.5 and 3.5 s, or all slots would come free at the same moment."""
    return f"[[sim: seconds={2.5 + number * 37 % 100 / 100:g}]]"


def _order(it: Ours, tenant: str, key: str) -> list[str]:
    return it.order(CLIPS_EACH, words=lambda _: f"by {tenant}. [[sim: seconds={CLIP_SECONDS}]]", key=key)


def _tenant(prompt: str, tenants: dict[str, str]) -> str:
    return next(tenant for tenant in tenants if f"by {tenant}." in prompt)


def _seconds_to_render(it: Ours, clips: int) -> float:
    """From the order to the last clip known to be rendered."""
    began_at = datetime.now(UTC)
    jobs = it.order(clips)
    it.wait_for_rendered(jobs, clips, 120)
    return measures.seconds(began_at, max(it.rendered(jobs).values()))
