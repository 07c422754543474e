"""The queues, by name: for control, for media work, for bringing files home, and one for each provider."""

from collections.abc import Iterable

from kombu import Queue

CONTROL = "control"
MEDIA = "media"
FETCH = "fetch"


def rendering(provider: str) -> str:
    """The queue of everything that talks to this provider, so that it can have a worker of its own."""
    return f"render.{provider}"


def queues(providers: Iterable[str]) -> list[Queue]:
    """All queues there are; a worker takes what ``-Q`` names, or everything but what ``-X`` names."""
    names = (CONTROL, MEDIA, FETCH, *map(rendering, providers))
    return [Queue(name, routing_key=name) for name in names]
