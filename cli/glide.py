"""Progress between two reports: it moves on at the model's usual pace, slower and slower, and never back. Pure.

The dashboard's bars move the same way.
"""

import math
from dataclasses import dataclass

USUAL_SECONDS = 60.0
_CEILING = 95  # only a report may say that a clip is nearly done
_WHOLE = 100


@dataclass(frozen=True, kw_only=True)
class Glide:
    """A bar that stood at ``start`` percent at the time ``since``; None: it stands still. Times are in seconds."""

    start: int = 0
    since: float | None = None

    def percent(self, now: float, usual_seconds: float = USUAL_SECONDS) -> int:
        """Where the bar is."""
        if self.since is None or self.start >= _CEILING:
            return self.start
        left_seconds = usual_seconds * (1 - self.start / _WHOLE)
        gone = math.tanh(max(0.0, now - self.since) / left_seconds)
        return int(self.start + (_CEILING - self.start) * gone)
