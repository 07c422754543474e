"""The migrations make the very tables that the code believes in, and can be undone."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, TextClause, inspect, text

from pipeline.database.engine import connect
from pipeline.database.migrate import config, upgrade
from pipeline.database.tables import metadata
from tests import servers

#: Everything about a schema that PostgreSQL can say in words: columns, constraints and indexes with their predicates.
DESCRIPTION = """
    select 'column', table_name, column_name, concat_ws(' ', data_type, is_nullable, column_default)
      from information_schema.columns where table_schema = 'public'
    union all
    select 'constraint', conrelid::regclass::text, conname::text, pg_get_constraintdef(oid)
      from pg_constraint where connamespace = 'public'::regnamespace and contype <> 'n'
    union all
    select 'index', tablename::text, indexname::text, indexdef from pg_indexes where schemaname = 'public'
    order by 1, 2, 3
"""


@pytest.fixture
def migrated(database_url: str) -> Iterator[Engine]:
    yield from engine(database_url)


@pytest.fixture
def empty_url(postgres: servers.Postgres) -> Iterator[str]:
    with postgres.database("template1") as url:
        yield url


@pytest.fixture
def empty(empty_url: str) -> Iterator[Engine]:
    yield from engine(empty_url)


def engine(url: str) -> Iterator[Engine]:
    connected = connect(url)
    yield connected
    connected.dispose()


def described(database: Engine) -> list[tuple[Any, ...]]:
    with database.connect() as connection:
        return [tuple(row) for row in connection.execute(text(DESCRIPTION)) if row[1] != "alembic_version"]


def test_a_migrated_database_has_nothing_that_the_tables_do_not_say_nor_lacks_anything(migrated: Engine) -> None:
    with migrated.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_server_default": True})
        assert compare_metadata(context, metadata) == []


def test_the_tables_made_at_once_and_those_made_by_migrations_are_the_same_to_the_last_word(
    migrated: Engine, empty: Engine
) -> None:
    metadata.create_all(empty)
    assert described(migrated) == described(empty)


def test_every_migration_can_be_undone_and_done_again(migrated: Engine, database_url: str) -> None:
    before = described(migrated)
    settings = config()
    with migrated.begin() as connection:
        settings.attributes["connection"] = connection
        command.downgrade(settings, "base")
    assert inspect(migrated).get_table_names() == ["alembic_version"]
    upgrade(database_url)
    assert described(migrated) == before


def test_processes_that_migrate_at_the_same_time_do_not_meet(empty_url: str, empty: Engine) -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(upgrade, [empty_url] * 4))
    with empty.connect() as connection:
        [head] = MigrationContext.configure(connection).get_current_heads()
    assert [head] == ScriptDirectory.from_config(config()).get_heads()
    upgrade(empty_url)


@pytest.mark.requirement("R50")
def test_a_step_and_a_webhook_that_meet_a_migration_outlive_it_and_it_them(migrated: Engine, database_url: str) -> None:
    settings = config()
    with migrated.begin() as connection:
        settings.attributes["connection"] = connection
        command.downgrade(settings, "0008")
    asset = text("select pg_advisory_xact_lock(1)")  # stands for the row of one: a lock that no migration takes
    with ThreadPoolExecutor(3) as beside, migrated.connect() as step, migrated.connect() as webhook:
        step.execute(asset)
        webhook.execute(text("select id from attempts"))
        migration = beside.submit(upgrade, database_url)
        until_waiting(migrated, 1)
        written = beside.submit(commit, step, text("update attempts set live = live"))
        until_waiting(migrated, 2)
        waked = beside.submit(commit, webhook, asset)
        for each in (written, waked, migration):
            each.result()


def commit(connection: Connection, statement: TextClause) -> None:
    """The last statement of a transaction."""
    connection.execute(statement)
    connection.commit()


def until_waiting(database: Engine, number: int) -> None:
    """Wait until so many wait for locks."""
    blocked = text(
        "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()"
    )
    give_up_at = time.monotonic() + 10
    while True:
        with database.connect() as connection:
            if connection.execute(blocked).scalar_one() >= number:
                return
        assert time.monotonic() < give_up_at, "nobody waits"
        time.sleep(0.01)
