"""The values that cross the limiter's border: what a pool may do, and what its line says."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from uuid import UUID

from pipeline.domain.answers import Busy, Granted
from pipeline.domain.rows import Account


@dataclass(frozen=True, kw_only=True)
class Window:
    """At most so many requests in so many seconds; ``models`` when it counts the orders of these alone."""

    name: str
    requests: int
    seconds: float
    models: tuple[str, ...] = ()


def windows_of(row: Account) -> Iterator[Window]:
    """The windows that count an account's orders: of all models, or of a family of them."""
    for bucket, window in row.windows.items():
        if bucket != "status":
            yield Window(name=bucket, requests=window.requests, seconds=window.seconds)
    for name, family in row.families.items():
        models = tuple(f"{row.provider}/{slug}" for slug in family.models)
        yield Window(name=name, requests=family.requests, seconds=family.seconds, models=models)


@dataclass(frozen=True, kw_only=True)
class AccountLimits:
    """What one account may do.

    ``slots`` predictions at once to begin with; what is learned moves between ``floor`` and ``ceiling``. ``orders`` are
    the windows of paying requests, ``asks`` that of all others; ``gap_seconds`` lie between two orders.
    """

    account: str
    slots: int
    floor: int
    ceiling: int
    gap_seconds: float
    orders: tuple[Window, ...]
    asks: Window


@dataclass(frozen=True)
class Pool:
    """All accounts of one provider that can be used here; they share one line."""

    provider: str
    accounts: tuple[AccountLimits, ...]

    def of(self, account: str) -> AccountLimits:
        """The limits of one account; those of the first for one that is not configured any more."""
        return next((each for each in self.accounts if each.account == account), self.accounts[0])

    @cached_property
    def document(self) -> dict[str, Any]:
        """The pool as the scripts read it."""
        accounts = [
            {
                "name": each.account,
                "slots": each.slots,
                "floor": each.floor,
                "ceiling": each.ceiling,
                "gap": int(each.gap_seconds * 1000),
                "windows": [
                    [window.name, window.requests, int(window.seconds * 1000), list(window.models)]
                    for window in each.orders
                ],
            }
            for each in self.accounts
        ]
        return {"accounts": accounts}


@dataclass(frozen=True, kw_only=True)
class Lost:
    """The pool's leases are not there; they must be rebuilt from the rows before anything is admitted."""


@dataclass(frozen=True, kw_only=True)
class Turn:
    """Whose turn it is now, to be waked; and when somebody has to come back because nobody else will (None: never)."""

    heads: tuple[UUID, ...] = ()
    wait_seconds: float | None = None


@dataclass(frozen=True, kw_only=True)
class Admission:
    """The answer to one asset, and the line's next turn."""

    answer: Granted | Busy | Lost
    turn: Turn


@dataclass(frozen=True, kw_only=True)
class Learned:
    """An account's limit has changed by what the provider said."""

    account: str
    slots: int
    in_flight: int


@dataclass(frozen=True, kw_only=True)
class Census:
    """Who has a slot (holder → its age in seconds, by account), and who a place or a reservation."""

    ready: bool
    slots: dict[str, dict[str, float]]
    waiting: frozenset[UUID]
    shortest_lease_seconds: float
