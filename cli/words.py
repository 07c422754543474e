"""What documents and events say, in the words of a customer; the dashboard uses the same. Pure."""

import unicodedata
from collections.abc import Mapping
from datetime import datetime
from typing import Any

_ORDINALS = ("zeroth", "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth")
_TEENS = range(11, 14)
_MINUTE, _HOUR = 60, 3600
_A_MOMENT, _EXACT_UP_TO, _SECONDS_UP_TO, _MINUTES_UP_TO = 1, 20, 90, 5400
_STEP_SECONDS = 5

_WAITING = {
    "slot": "waiting for a slot at {account}",
    "rate": "keeping to {account}'s pace",
    "blocked": "{account} asks us to wait",
    "learned_limit": "{account} takes fewer now",
    "daily_limit": "today's limit at {account} is reached",
    "budget": "needs you: the budget is reached",
    "dependency": "waiting for what it is made from",
    "job_limit": "this job makes as many of these at once as it may",
    "breaker": "{account} is failing; waiting for it to recover",
    "redis_down": "the limiter is down; nothing is bought meanwhile",
    "needs_person": "needs you: can't tell whether this was paid",
    "provider_queue": "in {account}'s own queue",
    "retry": "pausing before another try",
}

# Whoever is held by these moves up one by one; the others all wait for the same end.
_PLACED = {"slot": " in line at {account}", "learned_limit": " in line, {account} takes fewer now"}

_STATES = {
    "waiting": "waiting for its turn",
    "submitting": "sending the order",
    "uncertain": "checking whether the order arrived",
    "fetching": "saving the file",
    "cancelling": "cancelling",
}

_STATUSES = {"queued": "waiting for its turn", "processing": "in the works", "complete": "saved"}

_JOBS = {"queued": "waiting to start", "assembling": "putting the film together", "partial": "partly done"}


def waiting(held: Mapping[str, Any], left_seconds: float | None = None) -> str:
    """Why a clip waits, and how long: ``third in line at replicate · about 40 s``."""
    account = held.get("account") or "the provider"
    place = held.get("place")
    reason = str(held.get("reason"))
    if reason in _PLACED and isinstance(place, int) and place > 0:
        why = ordinal(place) + _PLACED[reason].format(account=account)
    else:
        why = _WAITING.get(reason, "waiting").format(account=account)
    return why if left_seconds is None else f"{why} · {_told(left_seconds, exactly=reason == 'blocked')}"


def doing(status: str, state: str | None, attempts: int) -> str:
    """What a clip that is not over and does not wait is doing."""
    known = _STATES.get(state or "") if status in {"queued", "processing"} or state == "cancelling" else None
    words = known or _STATUSES.get(status, status)
    return f"{words} · attempt {attempts}" if attempts > 1 else words


def saved(duration: float | None, cost_cents: int) -> str:
    """A finished clip: ``saved · 5.0 s · $0.25``."""
    parts = ["saved"]
    parts += [f"{duration:.1f} s"] if duration else []
    parts += [money(cost_cents)] if cost_cents else []
    return " · ".join(parts)


def failed(error: Mapping[str, Any] | None) -> str:
    """A failed clip, with what its provider or we ourselves said."""
    return f"failed: {one_line((error or {}).get('message') or 'it could not be made')}"


def job(state: str) -> str:
    """The state of a job."""
    return _JOBS.get(state, state)


def ordinal(number: int) -> str:
    """``third``, ``21st``."""
    if number < len(_ORDINALS):
        return _ORDINALS[number]
    last = 0 if number % 100 in _TEENS else number % 10
    return f"{number}{ {1: 'st', 2: 'nd', 3: 'rd'}.get(last, 'th') }"


def about(seconds: float) -> str:
    """A span that is only roughly known: ``about 40 s``, ``about 3 min``."""
    if seconds < _A_MOMENT:
        return "any moment"
    if seconds < _EXACT_UP_TO:
        return f"about {-int(-seconds // 1)} s"
    if seconds < _SECONDS_UP_TO:
        return f"about {_STEP_SECONDS * -int(-seconds // _STEP_SECONDS)} s"
    if seconds < _MINUTES_UP_TO:
        return f"about {round(seconds / _MINUTE)} min"
    return f"about {round(seconds / _HOUR)} h"


def _told(seconds: float, *, exactly: bool) -> str:
    """A pause has its end from the provider; everything else is a guess."""
    return f"{-int(-seconds // 1)} s" if exactly and _A_MOMENT <= seconds < _SECONDS_UP_TO else about(seconds)


def clock(seconds: float) -> str:
    """Seconds as a running clock: ``0:07``, ``12:30``, ``1:02:03``."""
    whole = max(0, int(seconds))
    hours, rest = divmod(whole, _HOUR)
    minutes, left = divmod(rest, _MINUTE)
    return f"{hours}:{minutes:02}:{left:02}" if hours else f"{minutes}:{left:02}"


def money(cents: int) -> str:
    """``$1.35``."""
    return f"${cents / 100:.2f}"


def plural(number: int, thing: str) -> str:
    """``1 clip``, ``5 clips``."""
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def one_line(text: Any) -> str:
    """Somebody else's text in one line, without anything that a terminal would obey."""
    shown = "".join(" " if unicodedata.category(each)[0] in "CZ" else each for each in str(text))
    return " ".join(shown.split())


def moment(text: Any) -> datetime | None:
    """A time of a document."""
    try:
        return datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None
