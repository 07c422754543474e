"""The composition root: every part built from the settings, and handed to the use cases as one value."""

import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from uuid import UUID

import imageio_ffmpeg
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from pipeline import accounts
from pipeline.carrier import Carrier
from pipeline.database.store import Store
from pipeline.domain.asset import Policy
from pipeline.domain.catalogue import Catalogue, load
from pipeline.domain.document import Links
from pipeline.domain.errors import SettingsError, Unavailable, UnknownModel
from pipeline.domain.events import Event, EventType, present
from pipeline.domain.hosts import is_inner
from pipeline.domain.line import Line, View
from pipeline.domain.model import Model
from pipeline.domain.pictures import Describer
from pipeline.domain.rows import Account
from pipeline.limits.arrivals import Arrivals
from pipeline.limits.breaker import Breaker
from pipeline.limits.limiter import Limiter
from pipeline.limits.pool import AccountLimits, Pool, Window, windows_of
from pipeline.media import Media
from pipeline.progress import Progress, Told
from pipeline.providers.protocol import Provider
from pipeline.settings import ProviderSettings, Settings
from pipeline.storage import Storage

_REDIS_SECONDS = 5.0
# Keys are withdrawn without a word; fal wants its set to be asked for every day.
_KEY_LIFE = timedelta(hours=24)
# What an owner's list of jobs shows live.
_FOR_LISTS = frozenset({EventType.JOB_PROGRESS, EventType.JOB_COMPLETE})


@dataclass(frozen=True, kw_only=True)
class Services:
    """Everything a use case needs; the only value that knows all adapters."""

    settings: Settings = field(repr=False)
    catalogue: Catalogue
    store: Store
    redis: Redis
    limiter: Limiter
    breaker: Breaker
    arrivals: Arrivals
    providers: Mapping[str, Provider]
    storage: Storage
    media: Media
    progress: Progress
    carrier: Carrier
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    provider_settings: Mapping[str, ProviderSettings] = field(default_factory=dict, repr=False)
    signing_secrets: dict[str, tuple[str, datetime]] = field(default_factory=dict, repr=False)
    lines_read: dict[str, Line] = field(default_factory=dict, repr=False)

    @cached_property
    def links(self) -> Links:
        """Object keys as links that work for a day."""
        return Links(
            clip=lambda key: self.storage.link(self.settings.s3_bucket_clips, key),
            picture=lambda key: self.storage.link(self.settings.s3_bucket_thumbnails, key),
        )

    def provider(self, account: str) -> Provider:
        """The adapter of an account. Raises Unavailable when the account has no key here."""
        if account not in self.providers:
            raise Unavailable(f"{account} is not configured here: its API key is not set")
        return self.providers[account]

    def account(self, model: Model) -> Account:
        """The account that a model is bought with."""
        return self.catalogue.account_for(model)

    def signing_secret(self, account: str, *, newer_than: timedelta | None = None) -> str | None:
        """The key that signs an account's webhooks: the operator's for a main one, else its own, asked for once a day.

        ``newer_than`` asks again when what we have is older: a signature that fails may be made with a new key.
        """
        main = {row.name: provider for provider, row in self.catalogue.accounts.items()}
        if account in main and (told := self._own(main[account]).webhook_secret):
            return told
        known, since = self.signing_secrets.get(account, (None, self.now()))
        if known and self.now() - since < (_KEY_LIFE if newer_than is None else newer_than):
            return known
        fetched = self.provider(account).webhook_secret()
        if isinstance(fetched, str):
            self.signing_secrets[account] = (fetched, self.now())
            return fetched
        return known

    def accounts(self, provider: str) -> tuple[str, ...]:
        """The accounts of a provider that have a key here, the main one first."""
        row = self.catalogue.accounts.get(provider)
        return tuple(each for each in accounts.names(row, self._own(provider)) if each in self.providers) if row else ()

    def require_account(self, provider: str) -> None:
        """Raises Unavailable when no account of a provider has a key here."""
        if not self.accounts(provider):
            raise Unavailable(f"{provider} is not configured here: its API key is not set")

    @cached_property
    def describer(self) -> Describer | None:
        """The vision model that can be asked here what pictures show; None where none can."""
        model = self.catalogue.models.get(self.settings.context_model)
        if model is None or model.kind != "text" or model.retired or not self.accounts(model.provider):
            return None
        return Describer(model=model, prompt=files("pipeline").joinpath("consistency.txt").read_text().strip())

    def store_is_hidden_from(self, provider: str) -> bool:
        """Whether a provider out there has no way to our store, whose address is one of our own net's."""
        store = self.settings.s3_public_endpoint_url or self.settings.s3_endpoint_url
        row = self.catalogue.accounts[provider]
        return bool(store) and is_inner(store) and not is_inner(self._own(provider).base_url or row.base_url)

    def pool(self, provider: str) -> Pool:
        """What the accounts of a provider may do together; without any where none has a key here."""
        row = self.catalogue.accounts.get(provider)
        return Pool(provider, tuple(self._limits(row, each) for each in self.accounts(provider) if row))

    def line(self, provider: str) -> View | None:
        """Who waits at a provider and who holds a slot; None without Redis."""
        return self.limiter.view(self.pool(provider))

    def _own(self, provider: str) -> ProviderSettings:
        """What the operator says of a provider."""
        return self.provider_settings.get(provider, ProviderSettings())

    def _limits(self, row: Account, account: str) -> AccountLimits:
        """What an account may do; the operator's figures go before the catalogue's."""
        own = self._own(row.provider)
        slots = own.max_in_flight or row.max_in_flight
        status = row.windows["status"]
        return AccountLimits(
            account=account,
            slots=slots,
            floor=row.min_in_flight,
            ceiling=max(own.ceiling_in_flight, slots),
            gap_seconds=row.gap_seconds,
            orders=tuple(windows_of(row)),
            asks=Window(name="status", requests=status.requests, seconds=status.seconds),
        )

    def policy(self, model: str) -> Policy:
        """How patient we are with a model; a model that left the catalogue is treated like any other."""
        row = self.catalogue.models.get(model)
        if row is None:
            return Policy(max_tries=self.settings.clip_max_attempts)
        account, lately = self.account(row), self.store.timings.lately(model)
        return Policy(
            max_tries=self.settings.clip_max_attempts,
            took_seconds=lately.took_seconds,
            usual_seconds=row.usual_seconds,
            reported=bool(self.settings.public_url) and account.reports and lately.reported,
            poll_first=timedelta(seconds=row.polling.first_seconds),
            poll_factor=row.polling.factor,
            poll_max=timedelta(seconds=row.polling.max_seconds),
            poll_min=timedelta(seconds=row.polling.min_seconds),
            blocked_default=timedelta(seconds=account.blocked_default_seconds),
            time_limit=timedelta(seconds=row.time_limit_seconds),
            hard_limit=timedelta(seconds=row.hard_limit_seconds),
            queue_limit=timedelta(seconds=self.settings.queue_limit_seconds),
            output_life=timedelta(seconds=row.output_life_seconds),
            ask_person_after=timedelta(seconds=self.settings.ask_person_after_seconds),
            spent_after=timedelta(seconds=account.doubt_seconds) if (row.doubt or account.doubt) == "spent" else None,
        )

    def absent_after(self, model: str) -> timedelta:
        """How long a prediction must be missing from the provider's list to count as never accepted, if ever."""
        settle = self.account(self.catalogue.model(model)).settle
        if settle is None:
            return timedelta.max
        return timedelta(seconds=self.settings.settle_absent_after_seconds or settle.absent_after_seconds)

    def wake(self, asset_ids: Sequence[UUID]) -> None:
        """Make assets due and publish their members; safe to repeat, and to lose."""
        if asset_ids:
            self.carrier.members(self.store.steps.wake(asset_ids))

    def tell(self, events: Iterable[Event]) -> None:
        """Tell watchers, in order, and mark what is stored as told; what could not be told is told by the sweeper."""
        news = list(events)
        if not news or not self.progress.tell([self._told(event) for event in news]):
            return
        try:
            self.store.outbox.published([event for event in news if event.stored])
        except Unavailable:
            return  # they were told, and are told once more by the sweeper

    def job_progress(self, job_id: UUID, owner_id: UUID) -> list[Event]:
        """How far the whole job is, as a live event; nothing when Postgres is away."""
        try:
            payload = {"job_id": str(job_id), **self.store.jobs.totals(job_id)}
        except Unavailable:
            return []
        event = Event(type=EventType.JOB_PROGRESS, job_id=str(job_id), payload=payload, stored=False)
        return [replace(event, owner_id=str(owner_id))]

    def present(self, event: Event) -> dict[str, object]:
        """An event's payload as watchers see it: with links and its number."""
        shown = present(event.payload, clip_link=self.links.clip, picture_link=self.links.picture)
        return {"seq": event.seq, **shown} if event.seq is not None else shown

    def readiness(self) -> dict[str, bool]:
        """Which of the parts we can't do without answer."""
        return {
            "database": _answers(self.store.ping),
            "redis": _answers(self.redis.ping),
            "storage": _answers(self.storage.ping),
        }

    def storage_is_away(self) -> bool:
        """Whether it is our own store that fails, and neither a file nor a provider."""
        return not _answers(self.storage.ping)

    def close(self) -> None:
        """Give connections back."""
        self.store.close()
        self.redis.close()

    def _told(self, event: Event) -> Told:
        return Told(
            type=event.type,
            job_id=event.job_id,
            owner_id=event.owner_id,
            payload=self.present(event),
            for_list=event.type in _FOR_LISTS,
        )


def build(settings: Settings, carrier: Carrier) -> Services:
    """Every part, from the settings; nothing is connected before it is used. Raises CatalogueError, SettingsError."""
    redis = connect_redis(settings.redis_url)
    catalogue = _catalogue(settings)
    own = accounts.told(settings, catalogue)
    return Services(
        settings=settings,
        catalogue=catalogue,
        store=Store.at(settings.database_url),
        redis=redis,
        limiter=Limiter(redis),
        breaker=Breaker(redis),
        arrivals=Arrivals(redis),
        providers=accounts.adapters(own, catalogue),
        provider_settings=own,
        storage=_storage(settings),
        media=Media(_ffmpeg(settings)),
        progress=Progress(redis),
        carrier=carrier,
    )


def connect_redis(url: str) -> Redis:
    """A client that gives up quickly: a step would rather wait in its row than in a worker."""
    return Redis.from_url(
        url,
        socket_timeout=_REDIS_SECONDS,
        socket_connect_timeout=_REDIS_SECONDS,
        health_check_interval=15,
        retry=Retry(NoBackoff(), 1),
    )


def catalogue_texts(folder: str) -> dict[str, str]:
    """The catalogue's files: the shipped ones, or those of the operator's folder."""
    place = Path(folder) if folder else files("pipeline").joinpath("catalogue")
    texts = {each.name: each.read_text() for each in place.iterdir() if each.name.endswith(".toml")}
    if not texts:
        raise SettingsError(f"CATALOGUE_DIR {folder} holds no .toml file")
    return texts


def _catalogue(settings: Settings) -> Catalogue:
    """The catalogue, without the models that the operator takes out. Raises CatalogueError, SettingsError."""
    catalogue = load(catalogue_texts(settings.catalogue_dir))
    try:
        return catalogue.retiring(settings.retired_models, datetime.now(UTC).date())
    except UnknownModel as unknown:
        raise SettingsError(f"RETIRED_MODELS: {unknown.detail}") from None


def _storage(settings: Settings) -> Storage:
    return Storage(
        buckets=(settings.s3_bucket_clips, settings.s3_bucket_thumbnails),
        endpoint_url=settings.s3_endpoint_url or None,
        access_key=settings.s3_access_key_id,
        secret_key=settings.s3_secret_access_key,
        region=settings.s3_region,
        public_endpoint_url=settings.s3_public_endpoint_url or None,
        link_seconds=settings.s3_link_seconds,
    )


def _ffmpeg(settings: Settings) -> str:
    return settings.ffmpeg_bin or imageio_ffmpeg.get_ffmpeg_exe() or shutil.which("ffmpeg") or "ffmpeg"


def _answers(question: Callable[[], object]) -> bool:
    try:
        question()
    except (Unavailable, RedisError):
        return False
    return True
