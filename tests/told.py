"""Settings as tests tell them: our own as they are, a provider's under its name (``fal_base_url``)."""

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from pipeline.services import Services
from pipeline.settings import ProviderSettings, Settings

_OURS = frozenset(each.name for each in fields(Settings))


def settings_told(values: Mapping[str, Any]) -> Settings:
    """Settings of these values; whatever is no setting of ours is a variable that some provider reads."""
    ours = {name: value for name, value in values.items() if name in _OURS}
    environment = {name.upper(): _spelt(value) for name, value in values.items() if name not in _OURS}
    return Settings(**ours, environment=environment)


def operator_says(services: Services, provider: str = "replicate", **values: Any) -> Services:
    """The same services, with other settings of a provider."""
    own = services.provider_settings.get(provider, ProviderSettings())
    return replace(services, provider_settings={**services.provider_settings, provider: replace(own, **values)})


def _spelt(value: Any) -> str:
    if isinstance(value, Mapping):
        return ",".join(f"{name}={token}" for name, token in value.items())
    return str(value)
