"""The provider's own limits, per account: request rates, and a concurrency limit that it tells nobody about."""

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What an account may do. ``max_in_flight`` None: no hidden limit. Bursts None: as many as per minute."""

    creates_per_minute: int = 600
    other_per_minute: int = 3000
    creates_burst: int | None = None
    other_burst: int | None = None
    max_in_flight: int | None = None
    busy_retry_after_seconds: int | None = 5  #: what a 429 for the hidden limit tells; None: nothing


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
    """Token buckets for requests, one pair per account; changed live by ``change``."""

    def __init__(self, limits: Limits, clock: Callable[[], float] = time.monotonic) -> None:
        self._initial = limits
        self._limits = limits
        self._clock = clock
        self._buckets: dict[tuple[str, str], _Bucket] = {}
        self._lock = threading.Lock()

    @property
    def limits(self) -> Limits:
        return self._limits

    def change(self, **changes: int | None) -> Limits:
        """Set limits from now on; buckets start full again. Raises TypeError for what is no limit."""
        for name, value in changes.items():
            optional = name not in {"creates_per_minute", "other_per_minute"}
            if not isinstance(value, int) and not (optional and value is None):
                raise TypeError(f"{name} can't be {value!r}")
        with self._lock:
            self._limits = replace(self._limits, **changes)  # type: ignore[arg-type]  # checked just above
            self._buckets.clear()
        return self._limits

    def reset(self) -> None:
        """Back to the limits of the start, with full buckets."""
        with self._lock:
            self._limits = self._initial
            self._buckets.clear()

    def take(self, account: str, kind: str) -> Verdict:
        """Use up one request of ``kind`` (``create`` or ``other``), if there is one left."""
        with self._lock:
            per_minute, burst = self._rate(kind)
            now = self._clock()
            full = _Bucket(float(burst), now)
            bucket = self._buckets.get((account, kind), full).filled(now, per_minute, burst)
            allowed = bucket.tokens >= 1
            left = bucket.tokens - 1 if allowed else bucket.tokens
            self._buckets[account, kind] = _Bucket(left, now)
        missing = burst - left if allowed else 1 - left
        reset_seconds = math.ceil(missing * 60 / per_minute) if per_minute else 60
        return Verdict(allowed=allowed, remaining=int(left), reset_seconds=max(1, reset_seconds))

    def _rate(self, kind: str) -> tuple[int, int]:
        if kind == "create":
            return self._limits.creates_per_minute, self._limits.creates_burst or self._limits.creates_per_minute
        return self._limits.other_per_minute, self._limits.other_burst or self._limits.other_per_minute
