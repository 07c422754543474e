"""How the providers stand just now, as whoever chooses a model has to know it: keys, lines, pauses and breakers."""

from pipeline.domain.choice import Standing
from pipeline.places import line
from pipeline.services import Services


def standings(services: Services) -> dict[str, Standing]:
    """How each provider stands that has a key here; without Redis only that it has one."""
    return {
        provider: _standing(services, provider)
        for provider in services.catalogue.accounts
        if services.accounts(provider)
    }


def failing(services: Services, provider: str) -> dict[str, int]:
    """The models whose orders are held back at every account of a provider, and how often in a row by now."""
    broken = [services.breaker.view(provider, account) for account in services.accounts(provider)]
    everywhere = set.intersection(*(set(each) for each in broken)) if broken else set()
    return {model: min(each[model].openings for each in broken) for model in everywhere}


def _standing(services: Services, provider: str) -> Standing:
    view = line(services, provider).view
    if view is None:
        return Standing(failing=frozenset(failing(services, provider)))
    accounts = view.accounts.values()
    return Standing(
        slots=sum(each.slots for each in accounts),
        free=sum(max(each.slots - each.in_flight, 0) for each in accounts),
        waiting=len(view.waiting),
        blocked_seconds=min((each.blocked_seconds for each in accounts), default=0.0),
        failing=frozenset(failing(services, provider)),
    )
