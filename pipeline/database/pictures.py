"""How a clip's thumbnail is written down; whoever made it, the newest is the one that counts."""

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
    """The row of a clip's thumbnail; the clip's own row gets the take's key of it in the same transaction."""
    about = {"clip_id": clip_id, "job_id": job_id, "clip_index": index, "key": picture.clip_key}
    measures = {"width": picture.width, "height": picture.height, "size_bytes": picture.size_bytes}
    connection.execute(_UPSERT, about | measures)
