"""How models did lately: what the times of looks and of waiting are guessed from."""

import time
from dataclasses import dataclass, field

from sqlalchemy import Engine, exists, select

from pipeline.database.engine import transaction
from pipeline.database.surveys import IS_WEBHOOK
from pipeline.database.tables import attempts, inbox
from pipeline.domain.errors import Unavailable
from pipeline.domain.timing import took

_SAMPLES = 200
# Of so many ends in a row at least one should have been told by a webhook, where webhooks arrive.
_HEARD_OF = 20
# Every step asks; the answer moves slowly, once there is one. Until then there is little to read.
_FRESH_SECONDS = 15.0
_SOON_SECONDS = 0.2


@dataclass(frozen=True, kw_only=True)
class Lately:
    """A model's last predictions.

    ``took_seconds``: the quantiles of ``timing.SHARES``, none of too few. ``reported``: whether the provider's webhooks
    arrive, as far as these tell.
    """

    took_seconds: tuple[float, ...] = ()
    reported: bool = True


@dataclass(frozen=True)
class Timings:
    """What each model's last predictions tell, remembered for a moment."""

    engine: Engine
    _known: dict[str, tuple[float, Lately]] = field(default_factory=dict, repr=False)

    def lately(self, model: str) -> Lately:
        """What is known of a model; when Postgres is away, what was known."""
        read_at, known = self._known.get(model, (None, Lately()))
        fresh_for = _FRESH_SECONDS if known.took_seconds else _SOON_SECONDS
        if read_at is not None and time.monotonic() - read_at < fresh_for:
            return known
        try:
            fresh = self._read(model)
        except Unavailable:
            return known
        self._known[model] = (time.monotonic(), fresh)
        return fresh

    def _read(self, model: str) -> Lately:
        told = exists().where(inbox.c.attempt_id == attempts.c.id, IS_WEBHOOK)
        query = (
            select(attempts.c.render_seconds, told)
            .where(attempts.c.model == model, attempts.c.render_seconds.is_not(None))
            .order_by(attempts.c.rendered_at.desc())
            .limit(_SAMPLES)
        )
        with transaction(self.engine) as connection:
            rows = connection.execute(query).all()
        took_seconds = took([seconds for seconds, _ in rows])
        return Lately(
            took_seconds=took_seconds, reported=not took_seconds or any(heard for _, heard in rows[:_HEARD_OF])
        )
