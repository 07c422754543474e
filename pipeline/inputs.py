"""What a shot takes from other assets, put into words and links of ours at the moment when its attempt begins.

So what was sent stands word for word in the attempt's row, whatever becomes of the other assets. A customer's own link
is never sent to anybody, but for those of jobs of old, whose files we never fetched.
"""

from dataclasses import replace
from typing import Any
from uuid import UUID

from pipeline.domain.answers import Refused
from pipeline.domain.context import with_context
from pipeline.domain.errors import UnsupportedDuration
from pipeline.domain.fit import INPUT_FIELDS, mode_from
from pipeline.domain.hold import Hold
from pipeline.domain.material import by_ours, material_of, without_links
from pipeline.domain.needs import part_of, sources, video_seconds
from pipeline.domain.order import as_long_as
from pipeline.domain.pictures import CONTEXT, after_words
from pipeline.domain.shot import Shot, as_kept, kept_shot, needed, taken
from pipeline.domain.spec import JobSpec
from pipeline.services import Services

_WORDS = "words"


def whole_shot(services: Services, hold: Hold) -> Shot:
    """The shot with every input that its row names; what has failed to come is left out."""
    shot = kept_shot(hold.shot)
    if "inputs" not in hold.shot:
        return shot  # a job of old
    inputs, shot = hold.shot["inputs"], without_links(shot)
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
    shot = _measured(services, hold, shot)
    return replace(shot, mode=mode_from([name for name, (field, _) in INPUT_FIELDS.items() if getattr(shot, field)]))


def unfit_video(services: Services, hold: Hold) -> Refused | None:
    """Why a clip can't be made from the video that is given, now that we know how long it is."""
    try:
        _measured(services, hold, kept_shot(hold.shot))
    except UnsupportedDuration as error:
        return Refused(code="rejected_input", message=f"scenes.{hold.index}.video_url: {error}")
    return None


def _measured(services: Services, hold: Hold, shot: Shot) -> Shot:
    seconds = video_seconds(hold.needs, hold.shot.get("inputs", {}))
    return shot if seconds is None else as_long_as(shot, services.catalogue.model(hold.model), seconds)


def planned_anew(services: Services, job_id: UUID, spec: JobSpec, shot: Shot) -> tuple[dict[str, Any], list[str]]:
    """A shot of a job that exists, as its row keeps it, and the ids of what it needs: the files that it has now."""
    ids, named = services.store.jobs.asset_ids(job_id), material_of(spec)
    material = [each for each in named if each.name in ids]
    if named and not material:
        return as_kept(shot), []  # a job of old
    shot = by_ours(after_words(shot) if (CONTEXT, 0) in ids else shot, material)
    return {**as_kept(shot), "inputs": taken(shot, ids)}, needed(shot, ids)


def _with(services: Services, shot: Shot, name: str, given: str) -> Shot:
    field, _ = INPUT_FIELDS[name]
    link = services.storage.link(services.settings.s3_bucket_clips, given)
    before = getattr(shot, field)
    changes: dict[str, Any] = {field: (*before, link) if isinstance(before, tuple) else link}
    return replace(shot, **changes)
