"""Alembic's entry: runs the migrations on the connection that ``pipeline.database.migrate`` hands over."""

from alembic import context

from pipeline.database.tables import metadata

context.configure(
    connection=context.config.attributes["connection"], target_metadata=metadata, compare_server_default=True
)
with context.begin_transaction():
    context.run_migrations()
