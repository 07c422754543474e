"""What an asset needs of others before its turn, and what others take from it; assets of a job without a scene."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_JSON = postgresql.JSONB(none_as_null=True)


def upgrade() -> None:
    op.alter_column("assets", "scene_id", existing_type=sa.Uuid(), nullable=True)
    op.add_column("assets", sa.Column("needs", _JSON, nullable=False, server_default=sa.text("'[]'::jsonb")))
    op.add_column("assets", sa.Column("if_needed_fails", sa.Text(), nullable=False, server_default=sa.text("'fail'")))
    op.add_column("assets", sa.Column("last_frame_key", sa.Text(), nullable=True))
    op.add_column("assets", sa.Column("words", sa.Text(), nullable=True))


def downgrade() -> None:
    op.drop_column("assets", "words")
    op.drop_column("assets", "last_frame_key")
    op.drop_column("assets", "if_needed_fails")
    op.drop_column("assets", "needs")
    op.execute("delete from assets where scene_id is null")
    op.alter_column("assets", "scene_id", existing_type=sa.Uuid(), nullable=False)
