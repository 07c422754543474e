"""Orders of one clip that leave it to us who makes it (R22)."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from pipeline.domain import single
from pipeline.domain.choice import Choice, PassedOver, Search, Why, choose
from pipeline.domain.errors import FieldError, OverBudget, Refusal, Unavailable
from pipeline.domain.fit import mode_of
from pipeline.domain.model import Model
from pipeline.domain.rows import INPUTS_OF_MODE
from pipeline.domain.spec import JobSpec, parse_job, refused, shortened
from pipeline.market import standings
from pipeline.services import Services
from pipeline.single import Document, taken

_BY_REQUEST = "it was chosen when this request came first"


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What an order asks of whoever makes it, beside what every order says."""

    model: str | None = None
    provider: str | None = None
    mode: str | None = None

    def fits(self, model: Model) -> bool:
        """Whether this model is asked for."""
        return self.model in {None, model.key, model.slug} and self.provider in {None, model.provider}


def order(
    services: Services,
    *,
    owner_id: UUID,
    body: Any,
    key_id: UUID | None = None,
    idempotency_key: str | None = None,
    dry_run: bool = False,
) -> Document:
    """Order a clip; ``choice`` says who makes it, why, and why nobody else does.

    Raises a Refusal where nobody can make it, OverBudget where nobody can for so little, and Unavailable where whoever
    could has no key here.
    """
    wish, wanted = _read(services, body)
    try:
        spec = parse_job(wanted.body)
        _check_mode(wish, spec)
        buffer = services.settings.video_generator_duration_buffer
        today, most = services.now().date(), spec.budget_cents
        search = Search(spec=spec, duration_buffer=buffer, today=today, wanted=wish.fits, most_cents=most)
        choice = choose(search, services.catalogue, standings(services))
        if choice.picked is None:
            raise _nobody(choice)
    except Refusal as refusal:
        raise wanted.named(refusal) from None
    made = replace(wanted, body={**wanted.body, "model": choice.picked.model.key})
    told = taken(services, owner_id, made, idempotency_key, dry_run=dry_run, key_id=key_id, said=body)
    first = _first_choice(services, told) if idempotency_key and not dry_run else None
    return {**told, "choice": _document(choice, first)}


def _read(services: Services, body: Any) -> tuple[Wish, single.Single]:
    """The wish and the order in a body. Raises a Refusal for a provider or a mode that there is not."""
    own = {"model", "provider", "mode"}
    said = {name: body[name] for name in own if body.get(name) is not None} if isinstance(body, Mapping) else {}
    keys = {name for model in services.catalogue.models.values() for name in (model.key, model.slug)}
    allowed: dict[str, set[str]] = {
        "model": keys,
        "provider": set(services.catalogue.accounts),
        "mode": {*INPUTS_OF_MODE},
    }
    problems = [
        FieldError(
            field=name, value=shortened(value), allowed=sorted(allowed[name]), message=f"there is no such {name} here"
        )
        for name, value in sorted(said.items())
        if not isinstance(value, str) or value not in allowed[name]
    ]
    if problems:
        raise refused(problems)
    rest = {name: value for name, value in body.items() if name not in own} if isinstance(body, Mapping) else body
    return Wish(**said), single.read(rest, mode=said.get("mode"))


def _check_mode(wish: Wish, spec: JobSpec) -> None:
    given = mode_of(spec.scenes[0])
    if wish.mode not in {None, given}:
        message = f"what is given is for {given}: leave out what {wish.mode} does not need, or the mode"
        raise refused([FieldError(field="mode", value=wish.mode, allowed=[given], message=message)])


def _nobody(choice: Choice) -> Refusal | Unavailable:
    """Why nobody makes it: the nearest to it speaks for all."""
    by_why: dict[Why, list[PassedOver]] = {}
    for each in choice.passed_over:
        by_why.setdefault(each.why, []).append(each)
    if dear := by_why.get(Why.OVER_BUDGET):
        message = f"every model that can make this costs more: {dear[0].model}, for one, where {dear[0].message}"
        return OverBudget(message, errors=[FieldError(field="budget_cents", message=message)])
    if away := by_why.get(Why.NOT_CONFIGURED):
        return Unavailable(f"whoever can make this has no key here: {', '.join(each.model for each in away[:5])}")
    unfit = [each.refusal for each in by_why.get(Why.UNFIT, []) if each.refusal]
    if not unfit and (over := by_why.get(Why.WITHDRAWN)):
        message = f"{over[0].model} can't be picked: {over[0].message}; take another, or name it in a job"
        return refused([FieldError(field="model", value=over[0].model, message=message)])
    if not unfit:
        return refused([FieldError(field="model", message="the provider and the model that are asked for do not meet")])
    nearest = min(unfit, key=lambda refusal: len(refusal.errors))
    return type(nearest)(f"no model here can make this; the nearest: {nearest.detail}", errors=nearest.errors)


def _first_choice(services: Services, told: Document) -> str:
    """The model that the order got when it came first."""
    job_id = UUID(told["id"])
    return services.store.jobs.clips(job_id)[job_id][0].model


def _document(choice: Choice, first: str | None) -> Document:
    picked = choice.picked
    if picked is None:
        raise ValueError("a choice without a pick is refused before")
    if first not in {None, picked.model.key}:
        return {"model": first, "why": _BY_REQUEST, "estimate_cents": None, "about_seconds": None, "passed_over": []}
    return {
        "model": picked.model.key,
        "why": choice.reason,
        "estimate_cents": picked.estimate_cents,
        "about_seconds": round(picked.wait_seconds + picked.model.usual_seconds, 1),
        "passed_over": [
            {"model": each.model, "reason": each.why, "message": each.message} for each in choice.passed_over
        ],
    }
