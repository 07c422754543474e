"""How the accounts stand: their limits and what was learned of them, slots, line, pauses, breakers and spend.

Every key may see every account; whose jobs the slots and places are is told only of the caller's own.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from pipeline.domain.document import stamp
from pipeline.domain.errors import NotFound
from pipeline.domain.line import AccountView, Holding, View
from pipeline.limits.pool import AccountLimits
from pipeline.places import line
from pipeline.services import Services

_LESSONS = 50

Document = dict[str, Any]


def accounts(services: Services, owner_id: UUID) -> list[Document]:
    """Every account that has a key here."""
    asked = _Asked.by(services, owner_id)
    return [
        _account(asked, provider, name)
        for provider in services.catalogue.accounts
        for name in services.accounts(provider)
    ]


def account(services: Services, owner_id: UUID, name: str) -> Document:
    """One account. Raises NotFound."""
    for provider in services.catalogue.accounts:
        if name in services.accounts(provider):
            return _account(_Asked.by(services, owner_id), provider, name)
    raise NotFound("there is no such account here; GET /v1/accounts lists them")


@dataclass(frozen=True, kw_only=True)
class _Asked:
    """A question by somebody, and what they spent: at each account since midnight (UTC), and in all."""

    services: Services
    owner_id: UUID
    spent: Mapping[str, tuple[int, int]]

    @classmethod
    def by(cls, services: Services, owner_id: UUID) -> "_Asked":
        midnight = services.now().replace(hour=0, minute=0, second=0, microsecond=0)
        return cls(services=services, owner_id=owner_id, spent=services.store.jobs.spent(owner_id, since=midnight))


def _account(asked: _Asked, provider: str, name: str) -> Document:
    """The figures of Redis are null while it is away; those of Postgres are there."""
    services = asked.services
    view = line(services, provider).view
    now = view.accounts.get(name) if view else None
    today, total = asked.spent.get(name, (0, 0))
    return {
        "name": name,
        "provider": provider,
        "limits": _limits(services, services.pool(provider).of(name), now),
        "slots": _slots(asked.owner_id, name, view, now),
        "line": _line(asked.owner_id, view),
        "blocked_seconds": round(now.blocked_seconds, 1) if now else None,
        "blocked_until": _blocked_until(services, now),
        "breakers": _breakers(services, provider, name),
        "spend": {"today_cents": today, "total_cents": total},
    }


def _limits(services: Services, row: AccountLimits, now: AccountView | None) -> Document:
    used = now.used if now else {}
    lessons = services.store.lines.lessons(row.account, limit=_LESSONS)
    return {
        "slots": now.slots if now else None,
        "set": {"slots": row.slots, "floor": row.floor, "ceiling": row.ceiling},
        "windows": [
            {"name": each.name, "requests": each.requests, "seconds": each.seconds, "used": used.get(each.name)}
            for each in (*row.orders, row.asks)
        ],
        "learned": [
            {"slots": each.slots, "in_flight": each.in_flight, "why": each.why, "at": stamp(each.at)}
            for each in lessons
        ],
    }


def _slots(owner_id: UUID, name: str, view: View | None, now: AccountView | None) -> Document | None:
    if view is None or now is None:
        return None
    held = [each for each in view.holding if each.account == name]
    yours = [each for each in held if each.owner_id == owner_id]
    return {
        "in_use": now.in_flight,
        "free": max(now.slots - now.in_flight, 0),
        "yours": len(yours),
        "others": now.in_flight - len(yours),
        "holders": [_holder(each) for each in sorted(yours, key=lambda each: -each.held_seconds)],
    }


def _holder(holding: Holding) -> Document:
    return {
        "job_id": str(holding.job_id),
        "clip_id": str(holding.asset_id),
        "model": holding.model,
        "held_seconds": round(holding.held_seconds, 1),
    }


def _line(owner_id: UUID, view: View | None) -> Document | None:
    """All accounts of a provider share their line."""
    if view is None:
        return None
    return {"length": len(view.waiting), "yours": sum(each.owner_id == owner_id for each in view.waiting)}


def _blocked_until(services: Services, now: AccountView | None) -> str | None:
    if now is None or not now.blocked_seconds:
        return None
    return stamp(services.now() + timedelta(seconds=round(now.blocked_seconds, 1)))


def _breakers(services: Services, provider: str, name: str) -> list[Document]:
    """The models that fail at this account, and for how long orders for them are held back yet."""
    return [
        {
            "model": model,
            "open_seconds": round(each.open_seconds, 1),
            "openings": each.openings,
            "failures": each.failures,
        }
        for model, each in services.breaker.view(provider, name).items()
    ]
