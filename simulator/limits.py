"""The provider's own limits, per account: request rates, and a concurrency limit that it tells nobody about."""

import hashlib
import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

OPTIONAL = frozenset({"creates_burst", "creates_per_day", "other_burst", "max_in_flight", "busy_retry_after_seconds"})
RATES = frozenset({"creates_per_minute", "creates_burst", "other_per_minute", "other_burst"})


class RetryForm(StrEnum):
    """How a 429 tells the time to wait."""

    SECONDS = "seconds"
    DATE = "date"
    MILLISECONDS = "ms"
    TEXT = "text"


def account_of(token: str, dialect: str = "") -> str:
    """The name of the account that a token opens; ``dialect:`` stands before it where one is told."""
    digest = hashlib.sha256(token.encode()).hexdigest()[:12]
    return f"{dialect}:{digest}" if dialect else digest


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What an account may do. ``max_in_flight`` None: no hidden limit. Bursts None: as many as per minute."""

    creates_per_minute: int = 600
    other_per_minute: int = 3000
    creates_burst: int | None = None
    other_burst: int | None = None
    max_in_flight: int | None = None
    creates_per_day: int | None = None  #: only where a dialect counts them
    busy_retry_after_seconds: float | None = 5  #: what a 429 for the hidden limit tells; None: nothing
    busy_retry_after_form: RetryForm = RetryForm.SECONDS


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """Whether a request may pass, and what the rate-limit headers say."""

    allowed: bool
    remaining: int
    reset_seconds: int


@dataclass(frozen=True)
class _Bucket:
    tokens: float
    filled_at: float

    def filled(self, now: float, per_minute: int, burst: int) -> "_Bucket":
        grown = self.tokens + (now - self.filled_at) * per_minute / 60
        return _Bucket(min(float(burst), grown), now)


class Gate:
    """Token buckets for requests, one pair per account, and whose limits are which; changed live by ``change``."""

    def __init__(self, limits: Limits, clock: Callable[[], float] = time.monotonic) -> None:
        self._initial = limits
        self._limits = limits
        self._own: dict[str, dict[str, Any]] = {}
        self._of_dialect: dict[str, dict[str, Any]] = {}
        self._clock = clock
        self._buckets: dict[tuple[str, str], _Bucket] = {}
        self._lock = threading.Lock()

    @property
    def limits(self) -> Limits:
        """What holds for every account that has no limits of its own."""
        return self._limits

    def limits_of(self, account: str) -> Limits:
        """What holds for this account."""
        dialect, known, _ = account.partition(":")
        usual = self._of_dialect.get(dialect, {}) if known else {}
        own = self._own.get(account, {})
        return replace(self._limits, **{**usual, **own}) if usual or own else self._limits

    def usual_for(self, dialect: str, **limits: Any) -> None:
        """What holds in a dialect for accounts without limits of their own; set once, when it is installed."""
        self._of_dialect[dialect] = {name: _limit(name, value) for name, value in limits.items()}

    def own_limits(self) -> dict[str, dict[str, Any]]:
        """By account, what was set for it alone."""
        return {account: dict(own) for account, own in self._own.items()}

    def change(self, account: str | None = None, **changes: Any) -> None:
        """Set limits from now on, for all or for one account. Buckets start full again when a rate changes.

        Raises TypeError for what is no limit.
        """
        changes = {name: _limit(name, value) for name, value in changes.items()}
        with self._lock:
            if account is None:
                self._limits = replace(self._limits, **changes)
            else:
                own = self._own.get(account, {}) | changes
                replace(self._limits, **own)
                self._own[account] = own
            if changes.keys() & RATES:
                self._buckets.clear()

    def reset(self) -> None:
        """Back to the limits of the start, with full buckets."""
        with self._lock:
            self._limits = self._initial
            self._own.clear()
            self._buckets.clear()

    def take(self, account: str, kind: str) -> Verdict:
        """Use up one request of ``kind`` (``create`` or ``other``), if there is one left."""
        with self._lock:
            per_minute, burst = self._rate(self.limits_of(account), kind)
            now = self._clock()
            full = _Bucket(float(burst), now)
            bucket = self._buckets.get((account, kind), full).filled(now, per_minute, burst)
            allowed = bucket.tokens >= 1
            left = bucket.tokens - 1 if allowed else bucket.tokens
            self._buckets[account, kind] = _Bucket(left, now)
        missing = burst - left if allowed else 1 - left
        reset_seconds = math.ceil(missing * 60 / per_minute) if per_minute else 60
        return Verdict(allowed=allowed, remaining=int(left), reset_seconds=max(1, reset_seconds))

    @staticmethod
    def _rate(limits: Limits, kind: str) -> tuple[int, int]:
        if kind == "create":
            return limits.creates_per_minute, limits.creates_burst or limits.creates_per_minute
        return limits.other_per_minute, limits.other_burst or limits.other_per_minute


def _limit(name: str, value: Any) -> Any:
    if name == "busy_retry_after_form":
        if value not in set(RetryForm):
            raise TypeError(f"{name} is one of {', '.join(RetryForm)}")
        return RetryForm(value)
    numbers = (int, float) if name == "busy_retry_after_seconds" else (int,)
    if not isinstance(value, numbers) and not (name in OPTIONAL and value is None):
        raise TypeError(f"{name} can't be {value!r}")
    return value
