"""The accounts that predictions are bought with: each provider's main one, and those that share its work (R64)."""

from collections.abc import Mapping

from pipeline.domain.catalogue import Catalogue
from pipeline.domain.errors import SettingsError
from pipeline.domain.rows import Account
from pipeline.providers import PROVIDERS
from pipeline.providers.protocol import Credentials, Provider
from pipeline.settings import ProviderSettings, Settings


def told(settings: Settings, catalogue: Catalogue) -> dict[str, ProviderSettings]:
    """What the operator says of each provider. Raises SettingsError for what can't be, or a key that stands twice."""
    found = {
        row.provider: settings.provider(row.provider, key_variable=row.key_variable)
        for row in catalogue.accounts.values()
    }
    for row in catalogue.accounts.values():
        if found[row.provider].key in found[row.provider].accounts.values():
            # One account under two names would be asked for twice what it may do.
            raise SettingsError(f"{row.provider.upper()}_ACCOUNTS repeats the key of {row.key_variable}")
    return found


def adapters(own: Mapping[str, ProviderSettings], catalogue: Catalogue) -> dict[str, Provider]:
    """An adapter for each account that has a key."""
    found: dict[str, Provider] = {}
    for row in catalogue.accounts.values():
        for name, token in _tokens(row, own[row.provider]).items():
            found[name] = PROVIDERS[row.provider](_credentials(row, own[row.provider], token))
    return found


def names(row: Account, own: ProviderSettings) -> tuple[str, ...]:
    """The accounts of a provider that have a key, the main one first."""
    return tuple(_tokens(row, own))


def _credentials(row: Account, own: ProviderSettings, token: str) -> Credentials:
    """An address of the operator's stands for all hosts of the provider, each under a path of its own."""
    elsewhere = own.base_url
    hosts = {name: f"{elsewhere.rstrip('/')}/_{name}" for name in row.hosts} if elsewhere else row.hosts
    return Credentials(
        base_url=elsewhere or row.base_url,
        token=token,
        busy=row.busy,
        hosts=hosts,
        webhook_secret=own.webhook_secret,
    )


def _tokens(row: Account, own: ProviderSettings) -> dict[str, str]:
    named = {f"{row.provider}-{name}": token for name, token in own.accounts.items()}
    return {row.name: own.key, **named} if own.key else named
