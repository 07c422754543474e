"""How a clip's thumbnail is written down; whoever made it, the newest is the one that counts."""

from dataclasses import asdict
from uuid import UUID

from sqlalchemy import Connection
from sqlalchemy.dialects.postgresql import insert

from pipeline.database.tables import clip_thumbnails
from pipeline.domain.answers import Picture

_ROW = insert(clip_thumbnails)
_UPSERT = _ROW.on_conflict_do_update(
    index_elements=["clip_id"],
    set_={name: _ROW.excluded[name] for name in ("key", "width", "height", "size_bytes")},
)


def keep_picture(connection: Connection, *, clip_id: UUID, job_id: UUID, index: int, picture: Picture) -> None:
    """The row of a clip's thumbnail, whose key the clip's own row gets in the same transaction."""
    connection.execute(_UPSERT, {"clip_id": clip_id, "job_id": job_id, "clip_index": index, **asdict(picture)})
