"""The auditor: after every test with a simulator, what was paid there is what we booked, to the cent (R69)."""

from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.builders import World

_OURS = "select prediction_id, cost_cents from attempts where prediction_id is not null"
# What nobody can settle, yet or for good, may have been paid for.
_IN_DOUBT = (
    "select 1 from attempts where prediction_id is null and intent_at is not null"
    " and (cost_cents = 0 or failure ->> 'code' = 'maybe_spent')"
)


@dataclass
class Books:
    """Both sides of all worlds of a run."""

    predictions: int = 0
    cents_here: int = 0
    cents_there: int = 0


BOOKS = Books()


def audit(here: "World") -> None:
    """Compare the two ledgers of a world. Raises AssertionError, naming what differs."""
    ours = {row["prediction_id"]: row["cost_cents"] for row in here.query(_OURS)}
    theirs = {line["id"]: ceil(line["price_cents"] - 1e-6) for line in here.sold()}
    differing = {each: (ours[each], theirs.get(each)) for each in ours if ours[each] != theirs.get(each)}
    assert not differing, f"(ours, the provider's) by prediction: {differing}"
    unowned = theirs.keys() - ours.keys()
    assert len(unowned) <= len(here.query(_IN_DOUBT)), f"paid for, and no attempt owns or misses it: {unowned}"
    BOOKS.predictions += len(ours)
    BOOKS.cents_here += sum(ours.values())
    BOOKS.cents_there += sum(theirs[each] for each in ours)
