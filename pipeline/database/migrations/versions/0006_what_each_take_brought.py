"""What each take brought, so that any can be chosen; of old ones, what their clip shows. Why a film was encoded again."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

RESULT: dict[str, sa.types.TypeEngine[Any]] = {
    "file_key": sa.Text(),
    "sha256": sa.Text(),
    "size_bytes": sa.BigInteger(),
    "duration_seconds": sa.Float(),
    "thumbnail_key": sa.Text(),
    "last_frame_key": sa.Text(),
}


def upgrade() -> None:
    for name, kind in RESULT.items():
        op.add_column("attempts", sa.Column(name, kind))
    op.add_column("jobs", sa.Column("film_why", sa.Text()))
    values = ", ".join(f"{name} = assets.{name}" for name in RESULT)
    op.execute(
        f"update attempts set {values} from assets"  # noqa: S608 -- only our own words
        " where assets.attempt_id = attempts.id and assets.state = 'done' and attempts.state = 'done'"
    )


def downgrade() -> None:
    op.drop_column("jobs", "film_why")
    for name in reversed(RESULT):
        op.drop_column("attempts", name)
