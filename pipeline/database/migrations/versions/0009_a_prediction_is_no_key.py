"""A prediction still belongs to one attempt; but writing it down no longer waits for the attempt's webhooks, or they for it."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # First what needs the table for itself: who builds an index and then asks for that may meet a step and a webhook
    # that each wait for the next, and one of the three is undone.
    op.drop_constraint("uq_attempts_account_prediction_id", "attempts")
    op.create_index(
        "uq_attempts_prediction",
        "attempts",
        ["account", "prediction_id"],
        unique=True,
        postgresql_where=sa.text("prediction_id is not null"),
    )


def downgrade() -> None:
    op.create_unique_constraint("uq_attempts_account_prediction_id", "attempts", ["account", "prediction_id"])
    op.drop_index("uq_attempts_prediction", "attempts")
