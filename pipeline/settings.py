"""Every environment variable, read once; ``.env.example`` documents each."""

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any
from urllib.parse import urlsplit

from pipeline.domain.errors import SettingsError

_MIN_SECRET_LENGTH = 32
_ACCOUNT_NAME = re.compile(r"[a-z0-9-]+")

#: More accounts of a provider: their tokens by their names.
Tokens = Mapping[str, str]


#: Keys of the catalogue.
Names = tuple[str, ...]


def _secret() -> Any:
    """A field that no repr and no log ever shows."""
    return field(default="", repr=False)


@dataclass(frozen=True, kw_only=True)
class ProviderSettings:
    """What the operator says of one provider. In the environment its name stands before each: ``FAL_BASE_URL``.

    The key alone is called as the provider's users call it; the catalogue has that name.
    """

    key: str = _secret()
    accounts: Tokens = field(default_factory=dict, repr=False)
    base_url: str = ""
    webhook_secret: str = _secret()
    max_in_flight: int = 0
    ceiling_in_flight: int = 0


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings of one process. Names in the environment are the names here in capitals."""

    database_url: str = _secret()
    redis_url: str = _secret()
    s3_endpoint_url: str = ""
    s3_public_endpoint_url: str = ""
    s3_access_key_id: str = _secret()
    s3_secret_access_key: str = _secret()
    s3_region: str = "us-east-1"
    s3_bucket_clips: str = "dailies-clips"
    s3_bucket_thumbnails: str = "dailies-thumbnails"
    s3_link_seconds: int = 86_400
    secret_key: str = _secret()
    public_url: str = ""
    video_generator_duration_buffer: float = 1.25
    clip_max_attempts: int = 3
    fallback_price_factor: float = 1.5
    owner_day_budget_cents: int = 0
    settle_absent_after_seconds: float = 0.0
    ask_person_after_seconds: float = 3600.0
    queue_limit_seconds: float = 86_400.0
    sweep_seconds: float = 5.0
    worker_metrics_port: int = 0
    broker_visibility_timeout_seconds: int = 180
    ffmpeg_bin: str = ""
    catalogue_dir: str = ""
    context_model: str = "replicate/gemini-2.5-flash"
    links_to_loopback: bool = False
    retired_models: Names = ()
    log_level: str = "INFO"
    log_format: str = "json"
    #: All that was told, whatever it is: what concerns providers is read by the names that the catalogue gives them.
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)

    def provider(self, name: str, *, key_variable: str) -> ProviderSettings:
        """What the operator says of this provider. Raises SettingsError, naming every complaint."""
        prefix = name.upper().replace("-", "_")
        names = (each.name for each in fields(ProviderSettings))
        told = {name: self.environment.get(f"{prefix}_{name.upper()}", "") for name in names}
        told["key"] = self.environment.get(key_variable, "")
        values, complaints = _values(ProviderSettings, told, spelt=lambda each: f"{prefix}_{each.upper()}")
        if complaints:
            raise SettingsError("; ".join(complaints))
        return ProviderSettings(**values)

    def complaints(self) -> list[str]:
        """What a process that serves or renders can't do without."""
        wanted = ("database_url", "redis_url", "secret_key", "s3_access_key_id", "s3_secret_access_key")
        missing = [f"{name.upper()} is not set" for name in wanted if not getattr(self, name)]
        if self.secret_key and len(self.secret_key) < _MIN_SECRET_LENGTH:
            missing.append(f"SECRET_KEY is shorter than {_MIN_SECRET_LENGTH} characters")
        if self.public_url and urlsplit(self.public_url).scheme not in {"http", "https"}:
            missing.append("PUBLIC_URL is not an http(s) address")
        return missing


def _tokens(told: str) -> Tokens:
    """``studio=r8_…,archive=r8_…`` as a mapping. Raises ValueError where it is anything else."""
    pairs = [each.partition("=")[::2] for each in told.split(",")]
    found = {name.strip(): token.strip() for name, token in pairs}
    whole = all(_ACCOUNT_NAME.fullmatch(name) and token for name, token in found.items())
    if not whole or not len(pairs) == len(found) == len(set(found.values())):
        raise ValueError
    return found


def _names(told: str) -> Names:
    """``fal/sora-2,fal/sora-2-pro`` as a list."""
    return tuple(name for each in told.split(",") if (name := each.strip()))


def _flag(told: str) -> bool:
    """True or false. Raises ValueError for any other word."""
    return bool(("false", "true").index(told.strip().lower()))


_NUMBER = "a number"
_PARSERS: dict[Any, tuple[Callable[[str], object], str]] = {
    str: (str.strip, "text"),
    int: (int, _NUMBER),
    float: (float, _NUMBER),
    bool: (_flag, "true or false"),
    Names: (_names, "a list of names"),
    Tokens: (_tokens, "a list like name=token,name=token, with names of a-z, 0-9 and -, and nothing twice"),
}


def read(environment: Mapping[str, str] | None = None) -> Settings:
    """The settings from the environment; empty values count as unset. Raises SettingsError, naming every complaint."""
    source = os.environ if environment is None else environment
    told = {each.name: source.get(each.name.upper(), "") for each in fields(Settings) if each.name != "environment"}
    values, complaints = _values(Settings, told, spelt=str.upper)
    settings = Settings(**values, environment=dict(source))
    if complaints := complaints + settings.complaints():
        raise SettingsError("; ".join(complaints))
    return settings


def _values(
    kind: type[Settings | ProviderSettings], told: Mapping[str, str], *, spelt: Callable[[str], str]
) -> tuple[dict[str, Any], list[str]]:
    """What the words mean, field by field, and what is wrong with them."""
    values: dict[str, Any] = {}
    complaints = []
    for each in fields(kind):
        if not (words := told.get(each.name, "").strip()):
            continue
        parse, wanted = _PARSERS[each.type]
        try:
            values[each.name] = parse(words)
        except ValueError:
            complaints.append(f"{spelt(each.name)} is not {wanted}")
    return values, complaints


def database_url(environment: Mapping[str, str] | None = None) -> str:
    """The one setting that keys and migrations need. Raises SettingsError when it is not set."""
    source = os.environ if environment is None else environment
    if url := source.get("DATABASE_URL", "").strip():
        return url
    raise SettingsError("DATABASE_URL is not set")
