"""How long each prediction took, and a way to the latest ones of a model."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("attempts", sa.Column("render_seconds", sa.Float(), nullable=True))
    op.create_index(
        "ix_attempts_took", "attempts", ["model", "rendered_at"], postgresql_where=sa.text("render_seconds is not null")
    )


def downgrade() -> None:
    op.drop_index("ix_attempts_took", table_name="attempts")
    op.drop_column("attempts", "render_seconds")
