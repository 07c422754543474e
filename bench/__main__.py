"""``python -m bench``, or only some of it by name: measure, print one table, keep it in bench/results/latest.json.

On an idle machine. Everything runs here, the simulators too, so the figures are upper bounds.
"""

import sys
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor

from bench import line
from bench.arena import Case
from bench.contenders.ours import ours
from bench.fairness import equal_tenants, small_beside_large
from bench.hidden_limit import hidden_limit
from bench.parallel_clips import parallel_clips
from bench.processes import Bystanders
from bench.results import Figure, write
from bench.scale import scale
from bench.submit_latency import submit_latency
from bench.table import show
from bench.varied import varied
from cli.stack import endings

DAILY = Case(clips=0, slots=5)
NOTES = (
    "Ideal: the best schedule of the provider's own durations on those slots; ours includes API, database and storage.",
    "Side by side, each with a simulator of its own: ours over 4 slots with and without webhooks; the hidden limit,",
    "the varied clips and the other contenders. All else ran alone.",
    "A contender that lost clips has no makespan: the SDK never repeats a create that got a 429.",
)
Scenario = Callable[[], list[Figure]]


def every_day() -> list[Figure]:
    """What is measured on one stack with the account's usual five slots."""
    with ours(DAILY) as it:
        return [*parallel_clips(it), *equal_tenants(it), *small_beside_large(it), *submit_latency(it)]


def few_slots() -> list[Figure]:
    """Ours over four slots with webhooks."""
    return line.few_slots(webhooks=True)


def few_slots_polling() -> list[Figure]:
    """Ours over four slots without webhooks."""
    return line.few_slots(webhooks=False)


def side_by_side(*names: str) -> list[Figure]:
    """Several at once."""
    with ThreadPoolExecutor(len(names)) as pool:
        found = [pool.submit(SCENARIOS[name]) for name in names]
        return [figure for each in found for figure in each.result()]


SCENARIOS: Mapping[str, Scenario] = {
    "few-slots": few_slots,
    "many-slots": line.many_slots,
    "every-day": every_day,
    "scale": scale,
    "few-slots-polling": few_slots_polling,
    "others": line.others,
    "varied": varied,
    "hidden-limit": hidden_limit,
}
# What uses little of the machine, or is not measured in milliseconds, is measured in company.
WHOLE = (
    ("few-slots", "few-slots-polling"),
    ("many-slots",),
    ("every-day",),
    ("scale",),
    ("hidden-limit", "varied", "others"),
)


def main(names: list[str]) -> int:
    """Measure, print, keep; 1 when a goal is missed."""
    if unknown := set(names) - set(SCENARIOS):
        sys.exit(f"there is no {', '.join(unknown)}; there are {', '.join(SCENARIOS)}")
    began, bystanders = time.monotonic(), Bystanders()
    figures: list[Figure] = []
    for company in [(name,) for name in names] or WHOLE:
        company_began = time.monotonic()
        figures += side_by_side(*company)
        sys.stderr.write(f"{', '.join(company)}: {time.monotonic() - company_began:.0f} s\n")
    seconds, share = time.monotonic() - began, bystanders.share()
    show(figures, [*NOTES, f"{seconds:.0f} s in all; others used {share:.0%} of this machine meanwhile."])
    write(figures)
    return 0 if all(each.reached for each in figures) else 1


if __name__ == "__main__":
    with endings.as_exceptions():
        sys.exit(main(sys.argv[1:]))
