"""How long models took lately: what the times of looks and of waiting are guessed from."""

import time
from dataclasses import dataclass, field

from sqlalchemy import Engine, select

from pipeline.database.engine import transaction
from pipeline.database.tables import attempts
from pipeline.domain.errors import Unavailable
from pipeline.domain.timing import took

_SAMPLES = 200
# Every step asks; the answer moves slowly.
_FRESH_SECONDS = 15.0


@dataclass(frozen=True)
class Timings:
    """The times of each model's last predictions, remembered for a moment."""

    engine: Engine
    _known: dict[str, tuple[float, tuple[float, ...]]] = field(default_factory=dict, repr=False)

    def took(self, model: str) -> tuple[float, ...]:
        """The quantiles of ``timing.SHARES`` in seconds; none while too few are known, or never read."""
        read_at, known = self._known.get(model, (None, ()))
        if read_at is not None and time.monotonic() - read_at < _FRESH_SECONDS:
            return known
        try:
            fresh = took(self._lately(model))
        except Unavailable:
            return known
        self._known[model] = (time.monotonic(), fresh)
        return fresh

    def _lately(self, model: str) -> list[float]:
        query = (
            select(attempts.c.render_seconds)
            .where(attempts.c.model == model, attempts.c.render_seconds.is_not(None))
            .order_by(attempts.c.rendered_at.desc())
            .limit(_SAMPLES)
        )
        with transaction(self.engine) as connection:
            return list(connection.execute(query).scalars())
