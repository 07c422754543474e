"""Where contenders meet: a case, the provider simulator that measures it, and what a run there amounted to."""

import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

import requests

from bench.measures import Made, Run, clip_of
from cli.stack.stack import Stack

MODEL = "bytedance/seedance-1-pro"
# How long a contender is waited for, in relation to the best schedule.
PATIENCE = 6
START_SECONDS = 60.0


@dataclass(frozen=True, kw_only=True)
class Case:
    """So many clips of so many seconds over so many slots, which is all that the provider lets an account have."""

    clips: int
    slots: int
    seconds: float = 3.0
    spread: float = 0.0

    @property
    def name(self) -> str:
        return f"{self.clips}/{self.slots}"

    @property
    def patience_seconds(self) -> float:
        """When whoever is not ready by now has lost the rest."""
        return PATIENCE * self.clips / self.slots * self.seconds

    @property
    def simulator(self) -> dict[str, str]:
        """The simulator's settings for it."""
        return {
            **QUIET,
            "SIMULATOR_RENDER_SECONDS": str(self.seconds),
            "SIMULATOR_RENDER_SPREAD": str(self.spread),
            "SIMULATOR_MAX_IN_FLIGHT": str(self.slots),
        }


# Drawing pictures, waiting for disks, and any limit but the slots are none of the contenders' business.
QUIET = {
    "SIMULATOR_RENDER": "shared",
    "SIMULATOR_FSYNC": "0",
    "SIMULATOR_FRAME_HEIGHT": "48",
    "LOG_LEVEL": "WARNING",
    "SIMULATOR_CREATES_PER_MINUTE": "100000",
    "SIMULATOR_OTHER_PER_MINUTE": "100000",
}


class Contender(Protocol):
    """Somebody who can render a case."""

    @property
    def name(self) -> str: ...

    def run(self, case: Case) -> Run:
        """Render it, and say what happened."""
        ...


@dataclass(frozen=True)
class Provider:
    """The simulator, seen from its control port."""

    url: str
    session: requests.Session = field(default_factory=requests.Session, repr=False)

    @classmethod
    def start(cls, stack: Stack) -> "Provider":
        """The simulator of a stack without one. It gives way to nobody, as a provider elsewhere would not."""
        stack.add("simulator", stack.command("simulator"))
        provider = cls(stack.addresses.simulator_url)
        give_up_at = time.monotonic() + START_SECONDS
        while not provider.answers():
            if time.monotonic() > give_up_at:
                raise SystemExit("the simulator does not start")
            time.sleep(0.05)
        return provider

    def answers(self) -> bool:
        """Whether it is there."""
        try:
            return bool(self.stats())
        except requests.RequestException:
            return False

    def ledger(self) -> list[dict[str, Any]]:
        """Every order that was sold, oldest first."""
        orders: list[dict[str, Any]] = self._ask("GET", "ledger")
        return orders

    def stats(self) -> dict[str, Any]:
        """The counts since the start."""
        counts: dict[str, Any] = self._ask("GET", "stats")
        return counts

    def limit(self, **changes: int | None) -> None:
        """Change the account's limits from now on."""
        self._ask("POST", "limits", json=changes)

    def refused_at(self) -> list[datetime]:
        """When creates got a 429."""
        return [
            datetime.fromisoformat(each["at"]) for each in self._ask("GET", "refusals") if each["what"] == "creates"
        ]

    def _ask(self, method: str, path: str, **more: Any) -> Any:
        answer = self.session.request(method, f"{self.url}/_sim/{path}", timeout=30, **more)
        answer.raise_for_status()
        return answer.json()


def turned_away(counts: Mapping[str, int]) -> int:
    """Creates that got a 429."""
    return counts["creates"] - counts["accepted"] - counts["refused"]


def made(order: Mapping[str, Any]) -> Made:
    """A line of the ledger."""
    completed_at = order["completed_at"]
    return Made(
        id=order["id"],
        clip=clip_of(order["input"]["prompt"]),
        created_at=datetime.fromisoformat(order["created_at"]),
        completed_at=datetime.fromisoformat(completed_at) if completed_at else None,
        succeeded=order["status"] == "succeeded",
    )


@dataclass(frozen=True, kw_only=True)
class Before:
    """What the provider had counted when a run began."""

    orders: Collection[str]
    counts: Mapping[str, int]

    @classmethod
    def of(cls, provider: Provider) -> "Before":
        """As of now."""
        return cls(orders={each["id"] for each in provider.ledger()}, counts=provider.stats())


def gathered(
    provider: Provider, case: Case, known: Mapping[str, datetime], *, before: Before, refusals: int | None = None
) -> Run:
    """A run as the provider saw it; ``refusals`` are its 429s where the contender has no word of its own for them."""
    counts = provider.stats()
    grown = {name: counts[name] - before.counts[name] for name in ("creates", "gets", "lists", "cancels", "other")}
    away = turned_away(counts) - turned_away(before.counts)
    return Run(
        clips=case.clips,
        slots=case.slots,
        made=tuple(made(order) for order in provider.ledger() if order["id"] not in before.orders),
        known=known,
        creates=grown["creates"],
        turned_away=away,
        refusals=away if refusals is None else refusals,
        requests=sum(grown.values()),
    )
