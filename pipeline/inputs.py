"""What a shot takes from other assets, put into words and links of ours at the moment when its attempt begins.

So what was sent stands word for word in the attempt's row, whatever becomes of the other assets. A customer's own link
to a picture is never sent to anybody.
"""

from dataclasses import replace
from typing import Any
from uuid import UUID

from pipeline.domain.context import with_context
from pipeline.domain.fit import INPUT_FIELDS, mode_from
from pipeline.domain.hold import Hold
from pipeline.domain.needs import part_of, sources
from pipeline.domain.pictures import CONTEXT, PICTURE, by_ours, pictures_of, without_pictures
from pipeline.domain.shot import Shot, as_kept, kept_shot, needed, taken
from pipeline.domain.spec import JobSpec
from pipeline.services import Services

_WORDS = "words"


def whole_shot(services: Services, hold: Hold) -> Shot:
    """The shot with every input that its row names; what has failed to come is left out."""
    shot = kept_shot(hold.shot)
    if "inputs" not in hold.shot:
        return shot  # a job of old
    inputs, shot = hold.shot["inputs"], without_pictures(shot)
    for name, source in sources(inputs):
        given = part_of(hold.needs, source)
        if given is None:
            continue
        if source["part"] == _WORDS:
            model = services.catalogue.model(hold.model)
            shot = replace(shot, prompt=with_context(given, shot.prompt, at_most=model.prompt_max))
        else:
            shot = _with(services, shot, name, given)
    if not inputs or shot.kind != "video":
        return shot
    return replace(shot, mode=mode_from([name for name, (field, _) in INPUT_FIELDS.items() if getattr(shot, field)]))


def planned_anew(services: Services, job_id: UUID, spec: JobSpec, shot: Shot) -> tuple[dict[str, Any], list[str]]:
    """A shot of a job that exists, as its row keeps it, and the ids of what it needs: the pictures that it has now."""
    ids, named = services.store.jobs.asset_ids(job_id), pictures_of(spec)
    pictures = [each for each in named if (PICTURE, each.index) in ids]
    if named and not pictures:
        return as_kept(shot), []  # a job of old
    shot = by_ours(shot, pictures, context=(CONTEXT, 0) in ids)
    return {**as_kept(shot), "inputs": taken(shot, ids)}, needed(shot, ids)


def _with(services: Services, shot: Shot, name: str, given: str) -> Shot:
    field, _ = INPUT_FIELDS[name]
    link = services.storage.link(services.settings.s3_bucket_clips, given)
    before = getattr(shot, field)
    changes: dict[str, Any] = {field: (*before, link) if isinstance(before, tuple) else link}
    return replace(shot, **changes)
