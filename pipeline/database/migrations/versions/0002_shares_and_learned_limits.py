"""Owners' shares of the line, and what was learned about accounts."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("owners", sa.Column("weight", sa.Integer(), server_default=sa.text("1"), nullable=False))
    op.create_table(
        "learned_limits",
        sa.Column("id", sa.BigInteger(), autoincrement=True, nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("slots", sa.Integer(), nullable=False),
        sa.Column("in_flight", sa.Integer(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_learned_limits")),
    )
    op.create_index("ix_learned_limits_account", "learned_limits", ["account", "id"])


def downgrade() -> None:
    op.drop_table("learned_limits")
    op.drop_column("owners", "weight")
