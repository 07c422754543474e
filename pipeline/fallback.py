"""When a clip's provider is down or has no credit, an equivalent model elsewhere takes over, if its job allows it.

Never while a prediction of the clip may still finish: only a clip in line, or one whose order was refused just now, can
go. One that was in doubt before stays as long as it has tries, because what was bought for it may yet turn up; when its
last try is proven absent too, it would fail for the provider's trouble, and goes instead.
"""

from typing import Any

from pipeline import logs, metrics
from pipeline.domain.answers import OF_THE_ACCOUNT, Answer, Busy, Reason, Refused, Rerouted
from pipeline.domain.choice import Choice, Like, Search, choose
from pipeline.domain.document import ClipRow, JobRow, stamp
from pipeline.domain.hold import Hold
from pipeline.domain.model import Model
from pipeline.domain.pictures import CONTEXT
from pipeline.domain.spec import JobSpec, parse_job
from pipeline.inputs import planned_anew
from pipeline.market import failing, standings
from pipeline.services import Services

FAILING = "failing"
# Orders were stopped, and half a minute later the provider still failed, or failed again.
_DOWN_AFTER_OPENINGS = 2
_LOG = logs.get(__name__)


def rerouted(services: Services, hold: Hold, answer: Answer) -> Answer:
    """The same answer, or in its place that another model takes over."""
    reason = _reason(services, hold, answer)
    if reason == FAILING and hold.kind == CONTEXT and isinstance(answer, Busy):
        # Words about pictures only help: a whole job must not stand still for them.
        return Refused(code="provider_unreachable", message=f"{hold.model} is failing", retryable=True)
    if reason is None or hold.kind != "video" or (_was_in_doubt(hold) and not _last_was_absent(services, hold, answer)):
        return answer
    job = services.store.jobs.read(hold.member.job_id)
    if job is None or not job.spec.get("allow_fallback"):
        return answer
    picked = _equivalent(services, hold, job).picked
    if picked is None or picked.failing:
        _LOG.info("clip.no_fallback", model=hold.model, reason=reason)
        return answer
    _LOG.warning("clip.rerouted", model=hold.model, to=picked.model.key, reason=reason)
    metrics.FALLBACKS.labels(provider=hold.provider, reason=reason).inc()
    row, needs = planned_anew(services, job.id, parse_job(job.spec), picked.shot)
    fell = {"model": hold.model, "reason": reason, "at": stamp(services.now())}
    return Rerouted(
        model=picked.model.key,
        provider=picked.model.provider,
        account=services.account(picked.model).name,
        # What others take from it stays as it was.
        shot={**row, "gives": hold.shot.get("gives", []), "fell_back_from": [*_falls(hold), fell]},
        needs=needs,
        reason=reason,
        refused=answer if isinstance(answer, Refused) else None,
    )


def _reason(services: Services, hold: Hold, answer: Answer) -> str | None:
    """Why the clip should go elsewhere; None while its model may be waited for."""
    if _last_was_absent(services, hold, answer):
        return FAILING
    if isinstance(answer, Refused):
        return answer.code if answer.code in OF_THE_ACCOUNT else None
    if not isinstance(answer, Busy) or answer.reason is not Reason.BREAKER:
        return None
    return FAILING if failing(services, hold.provider).get(hold.model, 0) >= _DOWN_AFTER_OPENINGS else None


def _last_was_absent(services: Services, hold: Hold, answer: Answer) -> bool:
    """Whether none of the tries ever arrived, so that the clip would fail now without having been refused."""
    absent = isinstance(answer, Refused) and answer.code == "absent"
    return absent and hold.asset.tries >= services.policy(hold.model).max_tries


def _was_in_doubt(hold: Hold) -> bool:
    """Whether the last attempt was given up because nobody could find it."""
    return hold.asset.failure is not None and hold.asset.failure.code == "absent"


def _falls(hold: Hold) -> list[dict[str, Any]]:
    return list(hold.shot.get("fell_back_from") or ())


def _equivalent(services: Services, hold: Hold, job: JobRow) -> Choice:
    """The model that comes nearest, at a provider that the clip was not at yet, for what may still be spent."""
    clips = services.store.jobs.clips(job.id)[job.id]
    asked = services.catalogue.models.get(hold.model)
    left = {fall["model"].partition("/")[0] for fall in _falls(hold)} | {hold.provider}
    price_cents = int(hold.shot["estimate_cents"])

    def elsewhere(model: Model) -> bool:
        return model.provider not in left

    search = Search(
        spec=_spec(job, hold, clips),
        index=hold.index,
        today=services.now().date(),
        duration_buffer=services.settings.video_generator_duration_buffer,
        wanted=elsewhere,
        most_cents=_most_cents(services, job, price_cents),
        like=Like(model=asked, estimate_cents=price_cents) if asked else None,
    )
    return choose(search, services.catalogue, standings(services))


def _spec(job: JobRow, hold: Hold, clips: list[ClipRow]) -> JobSpec:
    """The job as it was ordered, with the scene as it is now; a seed means nothing to another model."""
    scenes = [dict(scene) for scene in job.spec["scenes"]]
    description = next(clip.description for clip in clips if clip.id == hold.asset_id)
    scenes[hold.index] |= {"description": description, "seed": None}
    return parse_job({**job.spec, "scenes": scenes})


def _most_cents(services: Services, job: JobRow, price_cents: int) -> int:
    """So much above the price that was agreed to, and never above what the job may still cost."""
    most = int(price_cents * services.settings.fallback_price_factor)
    budget_cents = job.spec.get("budget_cents")
    if budget_cents is None:
        return most
    planned_cents = services.store.jobs.still_to_pay(job.id)
    return min(most, int(budget_cents) - job.actual_cents - planned_cents + price_cents)
