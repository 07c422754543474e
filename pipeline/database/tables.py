"""Every table of Dailies; nobody outside this folder sees a row as the database knows it."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(column_0_label)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

_JSON = JSONB(none_as_null=True)
_NOW = func.now()
_AT = DateTime(timezone=True)
_NO_JSON = text("'{}'::jsonb")
_ZERO = text("0")

owners = Table(
    "owners",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    # The owner's share of every line, in relation to the others'.
    Column("weight", Integer, nullable=False, server_default=text("1")),
    Column("created_at", _AT, nullable=False, server_default=_NOW),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("owner_id", Uuid, ForeignKey("owners.id"), nullable=False),
    Column("name", Text, nullable=False),
    Column("prefix", Text, nullable=False),
    Column("digest", LargeBinary, nullable=False, unique=True),
    # What the jobs that it orders may spend in a day (UTC); 0: any.
    Column("day_budget_cents", Integer, nullable=False, server_default=_ZERO),
    Column("created_at", _AT, nullable=False, server_default=_NOW),
    Column("revoked_at", _AT),
)

jobs = Table(
    "jobs",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("owner_id", Uuid, ForeignKey("owners.id"), nullable=False),
    # The key that ordered it; retries with another are still for this one to pay.
    Column("api_key_id", Uuid, ForeignKey("api_keys.id")),
    Column("title", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("priority", Text, nullable=False),
    Column("min_clips", Integer, nullable=False),
    # The order as it was accepted; a retry with another prompt is planned from it again.
    Column("spec", _JSON, nullable=False),
    Column("metadata", _JSON, nullable=False, server_default=_NO_JSON),
    Column("estimate_cents", Integer, nullable=False),
    Column("budget_cents", Integer),
    # Each round of retries is a chord of its own, so a counter that already fired is never reused.
    Column("round", Integer, nullable=False, server_default=text("1")),
    Column("dispatched_round", Integer, nullable=False, server_default=_ZERO),
    Column("event_seq", BigInteger, nullable=False, server_default=_ZERO),
    Column("cancel_requested_at", _AT),
    Column("created_at", _AT, nullable=False, server_default=_NOW),
    Column("started_at", _AT),
    Column("finished_at", _AT),
    Column("film_tries", Integer, nullable=False, server_default=_ZERO),
    Column("film_claimed_until", _AT),
    Column("film_key", Text),
    Column("film_thumbnail_key", Text),
    Column("film_duration_seconds", Float),
    # Why its clips had to be encoded again; null when they could be copied as they came.
    Column("film_why", Text),
    Column("video_clips", _JSON),
    Index("ix_jobs_owner_created", "owner_id", "created_at", "id"),
    Index("ix_jobs_open", "state", postgresql_where=text("state in ('queued', 'running', 'assembling')")),
)

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("owner_id", Uuid, ForeignKey("owners.id"), primary_key=True),
    Column("key", Text, primary_key=True),
    Column("body_digest", LargeBinary, nullable=False),
    Column(
        "job_id", Uuid, ForeignKey("jobs.id", ondelete="CASCADE", deferrable=True, initially="DEFERRED"), nullable=False
    ),
    Column("created_at", _AT, nullable=False, server_default=_NOW),
)

scenes = Table(
    "scenes",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("job_id", Uuid, ForeignKey("jobs.id", ondelete="CASCADE"), nullable=False),
    Column("index", Integer, nullable=False),
    Column("description", Text, nullable=False),
    Column("metadata", _JSON, nullable=False, server_default=_NO_JSON),
    UniqueConstraint("job_id", "index"),
)

assets = Table(
    "assets",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("job_id", Uuid, ForeignKey("jobs.id", ondelete="CASCADE"), nullable=False),
    Column("owner_id", Uuid, nullable=False),
    # None for what is the whole job's: its reference pictures, and the words about them.
    Column("scene_id", Uuid, ForeignKey("scenes.id", ondelete="CASCADE")),
    Column("kind", Text, nullable=False),
    Column("index", Integer, nullable=False),
    Column("round", Integer, nullable=False, server_default=text("1")),
    Column("group_index", Integer, nullable=False),
    # What is asked for: catalogue key, account and the shot as planned.
    Column("model", Text, nullable=False),
    Column("provider", Text, nullable=False),
    Column("account", Text, nullable=False),
    Column("shot", _JSON, nullable=False),
    # The assets, by their ids, that have to end before its turn, and what becomes of it when one of them has failed.
    Column("needs", _JSON, nullable=False, server_default=text("'[]'::jsonb")),
    Column("if_needed_fails", Text, nullable=False, server_default=text("'fail'")),
    # What ``decide`` knows.
    Column("state", Text, nullable=False),
    Column("takes", Integer, nullable=False, server_default=_ZERO),
    Column("tries", Integer, nullable=False, server_default=_ZERO),
    Column("silences", Integer, nullable=False, server_default=_ZERO),
    Column("polls", Integer, nullable=False, server_default=_ZERO),
    Column("timeout_retries", Integer, nullable=False, server_default=_ZERO),
    Column("progress", Integer, nullable=False, server_default=_ZERO),
    Column("clock_started_at", _AT),
    Column("uncertain_since", _AT),
    Column("link_expires_at", _AT),
    Column("waiting", _JSON),
    Column("failure", _JSON),
    # Gate, claim, fence.
    Column("due_at", _AT, nullable=False, server_default=_NOW),
    Column("claimed_until", _AT),
    Column("wakes", Integer, nullable=False, server_default=_ZERO),
    Column("version", Integer, nullable=False, server_default=_ZERO),
    # The result.
    Column("attempt_id", Uuid),
    Column("file_key", Text),
    Column("sha256", Text),
    Column("size_bytes", BigInteger),
    Column("duration_seconds", Float),
    Column("thumbnail_key", Text),
    Column("thumbnail_tries", Integer, nullable=False, server_default=_ZERO),
    # What others start from: a clip's last picture, and words where those are the result.
    Column("last_frame_key", Text),
    Column("words", Text),
    Column("created_at", _AT, nullable=False, server_default=_NOW),
    Column("updated_at", _AT, nullable=False, server_default=_NOW),
    Column("finished_at", _AT),
    UniqueConstraint("job_id", "kind", "index"),
    Index("ix_assets_due", "due_at", postgresql_where=text("state not in ('done', 'failed', 'cancelled')")),
    Index(
        "ix_assets_slots",
        "account",
        postgresql_where=text("state in ('submitting', 'uncertain', 'rendering', 'cancelling')"),
    ),
)

attempts = Table(
    "attempts",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("asset_id", Uuid, ForeignKey("assets.id", ondelete="CASCADE"), nullable=False),
    Column("job_id", Uuid, nullable=False),
    Column("owner_id", Uuid, nullable=False),
    Column("number", Integer, nullable=False),
    Column("provider", Text, nullable=False),
    Column("account", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("prompt", Text, nullable=False),
    Column("seed", BigInteger),
    # What we send, word for word: together with the model it is the marker by which a lost prediction is known again.
    Column("input", _JSON, nullable=False),
    # Where it was ordered, in the provider's words: it is asked for there, whatever the catalogue says by then.
    Column("endpoint", Text, nullable=False, server_default=text("''")),
    Column("state", Text, nullable=False),
    Column("live", Boolean, nullable=False, server_default=text("true")),
    Column("estimate_cents", Integer, nullable=False),
    Column("cost_cents", Integer, nullable=False, server_default=_ZERO),
    Column("prediction_id", Text),
    Column("settled_by", Text),
    Column("outputs", _JSON),
    Column("answer", _JSON),
    Column("failure", _JSON),
    Column("intent_at", _AT, nullable=False, server_default=_NOW),
    Column("answered_at", _AT),
    Column("rendered_at", _AT),
    # From creation to end by the provider's clock where it tells, else from its acceptance to our knowing.
    Column("render_seconds", Float),
    Column("finished_at", _AT),
    # What it brought; the asset shows the one that was chosen, which is the newest unless somebody chose.
    Column("file_key", Text),
    Column("sha256", Text),
    Column("size_bytes", BigInteger),
    Column("duration_seconds", Float),
    Column("thumbnail_key", Text),
    Column("last_frame_key", Text),
    UniqueConstraint("asset_id", "number"),
    # Partial, so that Postgres does not take it for a key: a webhook never waits for the step that writes its order's
    # answer, nor that step for the webhook.
    Index(
        "uq_attempts_prediction",
        "account",
        "prediction_id",
        unique=True,
        postgresql_where=text("prediction_id is not null"),
    ),
    # At most one attempt of an asset may be costing money at a time.
    Index("uq_attempts_live", "asset_id", unique=True, postgresql_where=text("live")),
    Index("ix_attempts_job", "job_id"),
    Index("ix_attempts_took", "model", "rendered_at", postgresql_where=text("render_seconds is not null")),
)

inbox = Table(
    "inbox",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=True),
    Column("provider", Text, nullable=False),
    Column("webhook_id", Text, nullable=False),
    Column("attempt_id", Uuid, ForeignKey("attempts.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("prediction_id", Text, nullable=False),
    Column("answer", _JSON, nullable=False),
    # A webhook that ends the prediction is read before any other, in whatever order they came.
    Column("final", Boolean, nullable=False),
    Column("received_at", _AT, nullable=False, server_default=_NOW),
    Column("read_at", _AT),
    UniqueConstraint("provider", "webhook_id"),
)

spend = Table(
    "spend",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=True),
    Column("attempt_id", Uuid, ForeignKey("attempts.id"), nullable=False),
    Column("job_id", Uuid, nullable=False, index=True),
    Column("owner_id", Uuid, nullable=False),
    Column("kind", Text, nullable=False),
    Column("cents", Integer, nullable=False),
    Column("at", _AT, nullable=False, server_default=_NOW),
    UniqueConstraint("attempt_id", "kind"),
    Index("ix_spend_at", "at"),
)

events = Table(
    "events",
    metadata,
    Column("job_id", Uuid, ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("owner_id", Uuid, nullable=False),
    Column("type", Text, nullable=False),
    Column("payload", _JSON, nullable=False),
    Column("created_at", _AT, nullable=False, server_default=_NOW),
    Column("published_at", _AT),
    Index("ix_events_unpublished", "created_at", postgresql_where=text("published_at is null")),
)

clip_thumbnails = Table(
    "clip_thumbnails",
    metadata,
    Column("clip_id", Uuid, ForeignKey("assets.id", ondelete="CASCADE"), primary_key=True),
    Column("job_id", Uuid, ForeignKey("jobs.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("clip_index", Integer, nullable=False),
    Column("key", Text, nullable=False),
    Column("width", Integer, nullable=False),
    Column("height", Integer, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("created_at", _AT, nullable=False, server_default=_NOW),
)

# How the number of predictions that an account takes at once was learned; the newest row is what holds.
learned_limits = Table(
    "learned_limits",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=True),
    Column("account", Text, nullable=False),
    Column("slots", Integer, nullable=False),
    Column("in_flight", Integer, nullable=False),
    Column("why", Text, nullable=False),
    Column("at", _AT, nullable=False, server_default=_NOW),
    Index("ix_learned_limits_account", "account", "id"),
)
