"""How work is carried to workers: the promise that the worker's dispatch keeps, so that no use case knows Celery."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Protocol
from uuid import UUID

from pipeline.domain.member import Member


class Carrier(Protocol):
    """Every message is a hint: losing or repeating one is harmless, so no method raises when it can't be sent."""

    def start(self, job_id: UUID, *, delay: timedelta = timedelta(0)) -> None:
        """Somebody should start the newest round of this job, now or after a delay."""
        ...

    def turn(self, provider: str, wait_seconds: float) -> None:
        """Somebody should give out this provider's free slots after so long, or sooner."""
        ...

    def open(self, job_id: UUID, round_: int, size: int) -> bool:
        """Open a round's chord for so many members; False when the broker would not take it."""
        ...

    def members(self, members: Sequence[Member], *, delay: timedelta = timedelta(0)) -> None:
        """Somebody should look at these assets, now or after a delay, as members of their chord."""
        ...

    def finish(self, job_id: UUID) -> None:
        """Somebody should see whether this job is over."""
        ...

    def film(self, job_id: UUID) -> None:
        """Somebody in the media pool should make this job's film."""
        ...

    def thumbnail(self, clip_id: UUID) -> None:
        """Somebody in the media pool should make this clip's thumbnail."""
        ...
