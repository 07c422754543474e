"""Who is asking: owners and their API keys, of which only digests are kept."""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID, uuid4

from sqlalchemy import ColumnElement, Engine, func, select, update
from sqlalchemy.dialects.postgresql import insert

from pipeline.database.engine import transaction
from pipeline.database.tables import api_keys, assets, jobs, owners
from pipeline.domain.answers import Reason
from pipeline.domain.asset import State

_PREFIX = "dailies_"
_SHOWN = len(_PREFIX) + 4
_COLUMNS = [api_keys.c[name] for name in ("id", "name", "prefix", "day_budget_cents", "created_at", "revoked_at")]


@dataclass(frozen=True, kw_only=True)
class Caller:
    """Who holds a key."""

    key_id: UUID
    owner_id: UUID
    owner: str
    name: str


@dataclass(frozen=True, kw_only=True)
class KeyRow:
    """A key as its owner may see it again: never the key itself."""

    id: UUID
    owner: str
    weight: int  #: the owner's share of the slots, beside the weights of the others who wait
    name: str
    prefix: str
    day_budget_cents: int  #: what the jobs that it orders may spend in a day (UTC); 0: any
    created_at: datetime
    revoked_at: datetime | None


def digest(key: str) -> bytes:
    """SHA-256 is enough for a key of 256 random bits; slow hashes are for passwords.

    Any text has one, also text that is not Unicode: it is then nobody's.
    """
    return hashlib.sha256(key.encode(errors="surrogatepass")).digest()


@dataclass(frozen=True)
class Keys:
    """The questions asked of owners and keys."""

    engine: Engine

    def create(self, *, owner: str, name: str, day_budget_cents: int = 0) -> tuple[KeyRow, str]:
        """A new key for an owner, who is made when new; the key itself is shown this once."""
        key = _PREFIX + secrets.token_urlsafe(32)
        with transaction(self.engine) as connection:
            connection.execute(insert(owners).values(id=uuid4(), name=owner).on_conflict_do_nothing())
            found = connection.execute(select(owners.c.id, owners.c.weight).where(owners.c.name == owner)).one()
            known = {"id": uuid4(), "owner_id": found.id, "digest": digest(key)}
            told = {"name": name, "prefix": key[:_SHOWN], "day_budget_cents": day_budget_cents}
            row = connection.execute(insert(api_keys).values(known | told).returning(*_COLUMNS)).one()
        return KeyRow(owner=owner, weight=found.weight, **row._asdict()), key

    def caller(self, key: str) -> Caller | None:
        """Who holds this key; None for one that is unknown or revoked."""
        return self._caller(api_keys.c.digest == digest(key))

    def caller_by_id(self, key_id: UUID) -> Caller | None:
        """The holder of a session's key, unless it was revoked since."""
        return self._caller(api_keys.c.id == key_id)

    def _caller(self, condition: ColumnElement[bool]) -> Caller | None:
        query = (
            select(api_keys.c.id.label("key_id"), api_keys.c.owner_id, owners.c.name.label("owner"), api_keys.c.name)
            .join(owners, owners.c.id == api_keys.c.owner_id)
            .where(condition, api_keys.c.revoked_at.is_(None))
        )
        with transaction(self.engine) as connection:
            row = connection.execute(query).one_or_none()
        return Caller(**row._asdict()) if row else None

    def list(self) -> list[KeyRow]:
        """Every key, newest first."""
        query = (
            select(*_COLUMNS, owners.c.name.label("owner"), owners.c.weight)
            .join(owners, owners.c.id == api_keys.c.owner_id)
            .order_by(api_keys.c.created_at.desc())
        )
        with transaction(self.engine) as connection:
            return [KeyRow(**row._asdict()) for row in connection.execute(query)]

    def weigh(self, owner: str, weight: int) -> bool:
        """Give an owner another share of the slots, for jobs that get in line from now on; False for a stranger."""
        query = update(owners).where(owners.c.name == owner).values(weight=weight)
        with transaction(self.engine) as connection:
            return connection.execute(query).rowcount == 1

    def limit(self, key_id: UUID, day_budget_cents: int) -> bool:
        """Let a key spend so much in a day (0: any); who waits for its money is due again. False without such a key."""
        query = update(api_keys).where(api_keys.c.id == key_id, api_keys.c.revoked_at.is_(None))
        waiting = (
            select(assets.c.id)
            .join(jobs, jobs.c.id == assets.c.job_id)
            .where(jobs.c.api_key_id == key_id, assets.c.state == State.WAITING)
            .where(assets.c.waiting["reason"].as_string() == Reason.BUDGET)
            .order_by(assets.c.id)
            .with_for_update(of=assets, key_share=True)
        )
        with transaction(self.engine) as connection:
            known = connection.execute(query.values(day_budget_cents=day_budget_cents)).rowcount == 1
        with transaction(self.engine) as connection:
            # In a transaction of its own: a step locks its clip before the key. By their ids, as whoever wakes several.
            due = update(assets).where(assets.c.id.in_(connection.execute(waiting).scalars().all()))
            connection.execute(due.values(due_at=func.clock_timestamp()))
        return known

    def revoke(self, key_id: UUID) -> bool:
        """End a key at once; False when there is no such living key."""
        query = update(api_keys).where(api_keys.c.id == key_id, api_keys.c.revoked_at.is_(None))
        with transaction(self.engine) as connection:
            return connection.execute(query.values(revoked_at=func.now())).rowcount == 1
