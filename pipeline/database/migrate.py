"""Bring a database up to the newest migration."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import text

from pipeline.database.engine import connect, retried_on_deadlock, transaction

# Any constant will do: it only keeps two migrating processes from meeting.
_LOCK = 7_215_309


def config() -> Config:
    """Alembic's configuration: the folder of migrations, and nothing from a file."""
    settings = Config()
    settings.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return settings


@retried_on_deadlock
def upgrade(url: str) -> None:
    """Migrate to the newest revision; several processes may call this at once."""
    engine = connect(url)
    settings = config()
    try:
        with transaction(engine) as connection:
            connection.execute(text("select pg_advisory_xact_lock(:key)"), {"key": _LOCK})
            settings.attributes["connection"] = connection
            command.upgrade(settings, "head")
    finally:
        engine.dispose()
