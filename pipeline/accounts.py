"""The accounts that predictions are bought with: each provider's main one, and those that share its work (R64)."""

from pipeline.domain.catalogue import Catalogue
from pipeline.domain.errors import SettingsError
from pipeline.domain.rows import Account
from pipeline.providers import PROVIDERS
from pipeline.providers.protocol import Credentials, Provider
from pipeline.settings import Settings


def adapters(settings: Settings, catalogue: Catalogue) -> dict[str, Provider]:
    """An adapter for each account that has a key. Raises SettingsError when two of a provider's have the same."""
    found: dict[str, Provider] = {}
    for row in catalogue.accounts.values():
        base_url = getattr(settings, f"{row.provider}_base_url", "") or row.base_url
        for name, token in _tokens(settings, row).items():
            found[name] = PROVIDERS[row.provider](Credentials(base_url=base_url, token=token, busy=row.busy))
    return found


def names(settings: Settings, row: Account) -> tuple[str, ...]:
    """The accounts of a provider that have a key, the main one first."""
    return tuple(_tokens(settings, row))


def _tokens(settings: Settings, row: Account) -> dict[str, str]:
    main = getattr(settings, f"{row.provider}_api_token", "")
    more = getattr(settings, f"{row.provider}_accounts", {})
    if main in more.values():
        # One account under two names would be asked for twice what it may do.
        raise SettingsError(f"{row.provider.upper()}_ACCOUNTS repeats the key of {row.provider.upper()}_API_TOKEN")
    named = {f"{row.provider}-{name}": token for name, token in more.items()}
    return {row.name: main, **named} if main else named
