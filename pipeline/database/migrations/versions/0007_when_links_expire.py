"""When the provider's link to a finished asset expires, so that the files that are soonest lost come home first."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("assets", sa.Column("link_expires_at", sa.DateTime(timezone=True)))


def downgrade() -> None:
    op.drop_column("assets", "link_expires_at")
