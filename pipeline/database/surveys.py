"""What one list of a provider's predictions is about, and the news that it brings for everybody else."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Engine, select
from sqlalchemy.dialects.postgresql import insert

from pipeline.database.engine import transaction
from pipeline.database.tables import assets, attempts, inbox
from pipeline.domain.answers import Finished, Refused, to_json
from pipeline.domain.asset import State

#: Whether news in the inbox came by a webhook of the provider's, and not by a survey of ours.
IS_WEBHOOK = ~inbox.c.webhook_id.startswith("survey:")

_AT_WORK = [State.RENDERING.value, State.CANCELLING.value]


@dataclass(frozen=True, kw_only=True)
class InFlight:
    """A prediction that the provider works on, as far as we know."""

    attempt_id: UUID
    asset_id: UUID
    prediction_id: str
    intent_at: datetime


@dataclass(frozen=True)
class Surveys:
    """The questions asked around a survey."""

    engine: Engine

    def in_flight(self, account: str, *, limit: int) -> list[InFlight]:
        """The predictions of an account that are under way, in no order."""
        columns = (attempts.c.id, attempts.c.asset_id, attempts.c.prediction_id, attempts.c.intent_at)
        query = (
            select(*columns)
            .join(assets, assets.c.attempt_id == attempts.c.id)
            .where(assets.c.account == account, assets.c.state.in_(_AT_WORK), attempts.c.prediction_id.is_not(None))
            .limit(limit)
        )
        with transaction(self.engine) as connection:
            rows = connection.execute(query).all()
        return [
            InFlight(attempt_id=id_, asset_id=about, prediction_id=name, intent_at=at) for id_, about, name, at in rows
        ]

    def report(self, provider: str, ended: Mapping[InFlight, Finished | Refused]) -> Sequence[UUID]:
        """Put what a survey found into the inbox, as if webhooks had told it; the assets for whom it is news."""
        if not ended:
            return []
        letters = [
            {
                "provider": provider,
                "webhook_id": f"survey:{each.prediction_id}:{type(answer).__name__.lower()}",
                "attempt_id": each.attempt_id,
                "prediction_id": each.prediction_id,
                "answer": to_json(answer),
                "final": True,
            }
            # In one order: an insert waits for whoever writes the same news, and he must not wait for ours.
            for each, answer in sorted(ended.items(), key=lambda told: told[0].prediction_id)
        ]
        arrival = insert(inbox).values(letters).on_conflict_do_nothing().returning(inbox.c.attempt_id)
        with transaction(self.engine) as connection:
            fresh = set(connection.execute(arrival).scalars())
        return [each.asset_id for each in ended if each.attempt_id in fresh]
