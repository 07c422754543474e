"""A round of a job is published: the chord's size, then every member, in one batch."""

from uuid import UUID

from pipeline.services import Services


def start(services: Services, job_id: UUID) -> bool:
    """Publish the newest round; False when the broker would not take it all, and the sweeper starts it again."""
    round_, members = services.store.runs.members(job_id)
    if not members or not services.carrier.chord(job_id, round_, members):
        return False
    services.store.runs.dispatched(job_id, round_)
    return True
