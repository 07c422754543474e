"""What an API key may spend in a day, and which key ordered a job."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("api_keys", sa.Column("day_budget_cents", sa.Integer(), nullable=False, server_default=sa.text("0")))
    op.add_column("jobs", sa.Column("api_key_id", sa.Uuid(), sa.ForeignKey("api_keys.id", name="fk_jobs_api_key_id")))
    op.create_index("ix_spend_at", "spend", ["at"])


def downgrade() -> None:
    op.drop_index("ix_spend_at", "spend")
    op.drop_column("jobs", "api_key_id")
    op.drop_column("api_keys", "day_budget_cents")
