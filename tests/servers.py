"""Real servers for tests: what the fixtures of conftest.py are made of, for tests that need their own."""

import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field

import psycopg2

from cli.stack.environment import accounts
from cli.stack.stack import Stack

# What must not leak in from the machine: addresses of somebody's servers, keys that cost money, our own settings.
FOREIGN_ENDS = ("_URL", "_API_KEY", "_API_TOKEN", "_ACCOUNTS", "_SECRET", "_SECRET_KEY", "_CONCURRENCY")
FOREIGN_STARTS = ("S3_", "AWS_", "CELERY_", "DAILIES_", "FLOWER_", "SIMULATOR_", "REPLICATE_", "LOG_")
FOREIGN = {"SECRET_KEY", "CATALOGUE_DIR", "API_BIND", "IO_EXCLUDE_QUEUES", "BEAT_SCHEDULE"}
WELCOME = {"DAILIES_PREFER_SYSTEM"}
# Each provider's variables begin with its name; only its key is called as its users call it.
OF_PROVIDERS = {row["provider"].upper().replace("-", "_"): row["key_variable"] for row in accounts({})}


def scrub() -> None:
    """Forget everything of the machine's environment that could reach a server or a provider of somebody's."""
    for name in set(os.environ) - WELCOME:
        of_a_provider = name.partition("_")[0] in OF_PROVIDERS or name in OF_PROVIDERS.values()
        if of_a_provider or name in FOREIGN or name.startswith(FOREIGN_STARTS) or name.endswith(FOREIGN_ENDS):
            del os.environ[name]


@dataclass(frozen=True, kw_only=True)
class ObjectStore:
    """A running S3. ``settings`` are its environment variables (S3_ENDPOINT_URL, S3_ACCESS_KEY_ID, …)."""

    settings: dict[str, str]

    @property
    def endpoint_url(self) -> str:
        return self.settings["S3_ENDPOINT_URL"]

    @property
    def access_key_id(self) -> str:
        return self.settings["S3_ACCESS_KEY_ID"]

    @property
    def secret_access_key(self) -> str:
        return self.settings["S3_SECRET_ACCESS_KEY"]


@dataclass(frozen=True, kw_only=True)
class Simulator:
    """A running simulator: its root, the provider's base address in it, and what opens it."""

    url: str
    replicate_base_url: str
    token: str
    webhook_secret: str
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)  #: what leads to every provider in it


@contextmanager
def simulator(**more: str) -> Iterator[Simulator]:
    """A simulator of one's own; ``more`` are its environment variables, for example SIMULATOR_SPEED="10"."""
    with Stack(services=("simulator",), more=more) as stack:
        yield Simulator(
            url=stack.addresses.simulator_url,
            replicate_base_url=stack.environment["REPLICATE_BASE_URL"],
            token=stack.environment["REPLICATE_API_TOKEN"],
            webhook_secret=stack.environment["REPLICATE_WEBHOOK_SECRET"],
            environment=stack.environment,
        )


# Quicker than the files of a whole new database. Rows that were deleted would leave room among which new ones lie in
# any order, and be found in it.
EMPTY = """
do $$ begin
    execute (select 'truncate ' || string_agg(format('%I.%I', schemaname, tablename), ', ') || ' restart identity'
        from pg_tables where schemaname = 'public' and tablename <> 'alembic_version');
end $$
"""


@dataclass(frozen=True, kw_only=True)
class Postgres:
    """A running PostgreSQL, in which each test gets a database of its own, or one that was emptied for it."""

    url: str

    def sibling(self, name: str) -> str:
        """The address of another database of the same server."""
        return f"{self.url.rpartition('/')[0]}/{name}"

    def execute(self, statement: str, **values: str) -> None:
        """Run one statement outside of a transaction."""
        with closing(psycopg2.connect(self.url.replace("+psycopg2", ""))) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(statement, values or None)

    @contextmanager
    def database(self, template: str) -> Iterator[str]:
        """The address of a fresh copy of a database, dropped afterwards whoever is still connected."""
        name = f"test_{secrets.token_hex(6)}"
        self.execute(f"create database {name} template {template}")
        try:
            yield self.sibling(name)
        finally:
            self.execute(f"drop database {name} with (force)")

    def emptied(self, database: str) -> str:
        """The new name of a database without rows: whoever is still connected is sent away, and does not find it."""
        name = f"test_{secrets.token_hex(6)}"
        self.execute("select pg_terminate_backend(pid) from pg_stat_activity where datname = %(name)s", name=database)
        self.execute(f"alter database {database} rename to {name}")
        Postgres(url=self.sibling(name)).execute(EMPTY)
        return name
