"""Counts what came in and went out, for whoever audits the other side."""

import threading
from collections import Counter, defaultdict, deque
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

REMEMBERED_REFUSALS = 100_000


class Why(StrEnum):
    """What a 429 was for."""

    IN_FLIGHT = "in_flight"  #: the hidden limit
    RATE = "rate"  #: too many requests
    FAULT = "fault"  #: on demand


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """One 429: whose, at what (``creates``, ``gets``, …), why and when."""

    account: str
    what: str
    why: Why
    at: datetime = field(default_factory=lambda: datetime.now(UTC))

    def as_json(self) -> dict[str, str]:
        return vars(self) | {"at": self.at.isoformat(timespec="microseconds")}


class Stats:
    """Named counters, in all and by account, and the latest 429s; thread safe."""

    BY_ACCOUNT = (
        *("creates", "accepted", "gets", "lists", "cancels", "files", "other"),
        *("rate_limited", "refused_in_flight", "refused_rate", "refused"),
    )
    NAMES = (*BY_ACCOUNT, "downloads", "webhooks")

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._by_account: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._refusals: deque[Refusal] = deque(maxlen=REMEMBERED_REFUSALS)
        self._lock = threading.Lock()

    def count(self, name: str, account: str | None = None) -> None:
        with self._lock:
            self._count(name, account)

    def refuse(self, account: str, what: str, why: Why) -> None:
        """Count and remember a 429."""
        with self._lock:
            self._count("rate_limited", account)
            self._count(f"refused_{why}", account)
            self._refusals.append(Refusal(account=account, what=what, why=why))

    def refusals(self) -> list[Refusal]:
        """The latest 429s, oldest first."""
        with self._lock:
            return list(self._refusals)

    def snapshot(self) -> dict[str, int]:
        with self._lock:
            return {name: self._counts[name] for name in self.NAMES}

    def by_account(self) -> dict[str, dict[str, Any]]:
        with self._lock:
            return {
                account: {name: counts[name] for name in self.BY_ACCOUNT}
                for account, counts in self._by_account.items()
            }

    def reset(self) -> None:
        with self._lock:
            self._counts.clear()
            self._by_account.clear()
            self._refusals.clear()

    def _count(self, name: str, account: str | None) -> None:
        self._counts[name] += 1
        if account is not None:
            self._by_account[account][name] += 1
