"""Which model makes a clip when the customer leaves that to us, or when the one that was asked for can't.

Pure: what is asked, what the catalogue says and how the providers stand go in; the pick and a word on every other
model come out. The same in, the same out.

The order of preference: a provider that does not fail; a start within a minute; a row that is sure of itself (its
inputs were read at the provider, and it is not about to be withdrawn); the price; the time it takes; the name.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from pipeline.domain.catalogue import Catalogue
from pipeline.domain.errors import Refusal
from pipeline.domain.model import Model
from pipeline.domain.order import plan
from pipeline.domain.spec import JobSpec

#: Whoever waits longer than this for a slot is passed over for somebody dearer who does not.
SOON_SECONDS = 60.0


class Why(StrEnum):
    """Why a model was passed over, in the words of the API."""

    NOT_ASKED_FOR = "not_asked_for"  #: the order names another model or provider
    UNFIT = "unfit"  #: it can't do what is asked
    NOT_CONFIGURED = "not_configured"  #: its provider has no key here
    OVER_BUDGET = "over_budget"
    FAILING = "failing"  #: orders for it are held back
    LATER = "later"  #: its provider's line is longer
    UNSURE = "unsure"  #: known at second hand only, or about to be withdrawn
    DEARER = "dearer"
    SLOWER = "slower"  #: as cheap, but takes longer


@dataclass(frozen=True, kw_only=True)
class Standing:
    """How a provider stands: what of it is free, who waits, and which models fail there at every account."""

    configured: bool = True
    slots: int = 1
    free: int = 1
    waiting: int = 0
    blocked_seconds: float = 0.0
    failing: frozenset[str] = frozenset()

    def wait_seconds(self, usual_seconds: float) -> float:
        """About how long an order waits for a slot whose predictions take so long."""
        if self.free > self.waiting:
            return self.blocked_seconds
        return self.blocked_seconds + usual_seconds * (self.waiting - self.free + 1) / max(self.slots, 1)


@dataclass(frozen=True, kw_only=True)
class Offer:
    """A model that could make the clip: the price of one attempt, and when it begins and how long it takes."""

    model: Model
    estimate_cents: int
    wait_seconds: float
    failing: bool

    @property
    def rank(self) -> tuple[bool, bool, bool, int, float, str]:
        """The lowest is taken; each part is a reason of ``Why``, in the order of ``_LOST_BY``."""
        late = self.wait_seconds > SOON_SECONDS
        unsure = not self.model.verified or self.model.sunset is not None
        return self.failing, late, unsure, self.estimate_cents, self.model.usual_seconds, self.model.key


@dataclass(frozen=True, kw_only=True)
class PassedOver:
    """A model that was not taken, and why; ``refusal`` is what an order for it would have heard."""

    model: str
    why: Why
    message: str
    refusal: Refusal | None = field(default=None, compare=False)


@dataclass(frozen=True, kw_only=True)
class Choice:
    """The pick, if anybody can make it, and a word on every other model."""

    picked: Offer | None
    passed_over: tuple[PassedOver, ...]

    @property
    def reason(self) -> str:
        """Why this one, in a sentence."""
        if self.picked is None:
            return "no model can make this"
        rivals = sum(each.why in _LOST_BY for each in self.passed_over)
        start = f"starts in about {self.picked.wait_seconds:.0f} s" if self.picked.wait_seconds else "can start at once"
        among = f"the first choice of {rivals + 1} that can make this" if rivals else "the only one that can make this"
        held = ", though orders for it are held back just now" if self.picked.failing else ""
        return f"{self.picked.model.key} is {among}: {self.picked.estimate_cents} cents, {start}{held}"


_LOST_BY = (Why.FAILING, Why.LATER, Why.UNSURE, Why.DEARER, Why.SLOWER)


def choose(
    spec: JobSpec,
    catalogue: Catalogue,
    standings: Mapping[str, Standing],
    *,
    duration_buffer: float,
    wanted: Callable[[Model], bool] = lambda _: True,
    most_cents: int | None = None,
) -> Choice:
    """The model for the one scene of this job, whatever model the job itself names.

    ``wanted`` leaves out what was not asked for, ``most_cents`` what costs more; a provider without a standing has no
    key here. Retired models and those that make no clips are no candidates at all.
    """
    offers: list[Offer] = []
    passed_over: list[PassedOver] = []
    for model in catalogue.find(kind="video"):
        found = _offered(spec, model, catalogue, standings.get(model.provider), duration_buffer, wanted)
        if isinstance(found, Offer) and most_cents is not None and found.estimate_cents > most_cents:
            found = PassedOver(model=model.key, why=Why.OVER_BUDGET, message=f"it costs {found.estimate_cents} cents")
        if isinstance(found, Offer):
            offers.append(found)
        else:
            passed_over.append(found)
    ranked = sorted(offers, key=lambda offer: offer.rank)
    lost = (_lost(offer, ranked[0]) for offer in ranked[1:])
    return Choice(picked=ranked[0] if ranked else None, passed_over=(*lost, *passed_over))


def _offered(
    spec: JobSpec,
    model: Model,
    catalogue: Catalogue,
    standing: Standing | None,
    duration_buffer: float,
    wanted: Callable[[Model], bool],
) -> Offer | PassedOver:
    if not wanted(model):
        return PassedOver(model=model.key, why=Why.NOT_ASKED_FOR, message="the order asks for another")
    try:
        planned = plan(_asked_of(spec, model), catalogue, duration_buffer=duration_buffer)
    except Refusal as refusal:
        return PassedOver(model=model.key, why=Why.UNFIT, message=refusal.detail, refusal=refusal)
    if standing is None or not standing.configured:
        return PassedOver(model=model.key, why=Why.NOT_CONFIGURED, message=f"{model.provider} has no key here")
    return Offer(
        model=model,
        estimate_cents=planned.estimate_cents,
        wait_seconds=standing.wait_seconds(model.usual_seconds),
        failing=model.key in standing.failing,
    )


def _asked_of(spec: JobSpec, model: Model) -> JobSpec:
    """The same, asked of this model, whatever it may cost."""
    [scene] = spec.scenes
    return spec.model_copy(
        update={
            "model": model.key,
            "scenes": (scene.model_copy(update={"model": None}),),
            "budget_cents": None,
            "allow_fallback": False,
        }
    )


def _lost(offer: Offer, best: Offer) -> PassedOver:
    """What an offer lost by: the first part of its rank that is not the winner's."""
    parts = zip(_LOST_BY, offer.rank, best.rank, strict=False)
    why = next((why for why, own, its in parts if own != its), Why.SLOWER)
    words = {
        Why.FAILING: "orders for it are held back: it failed too often lately",
        Why.LATER: f"it starts in about {offer.wait_seconds:.0f} s",
        Why.UNSURE: "it is known at second hand only, or about to be withdrawn",
        Why.DEARER: f"it costs {offer.estimate_cents} cents",
        Why.SLOWER: f"it usually takes {offer.model.usual_seconds:.0f} s",
    }
    return PassedOver(model=offer.model.key, why=why, message=words[why])
