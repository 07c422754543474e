"""Which model makes a clip when the customer leaves that to us, or when the one that was asked for can't.

Pure: what is asked, what the catalogue says and how the providers stand go in; the pick and a word on every other
model come out. The same in, the same out.

The order of preference: a provider that does not fail; a start within a minute; a row that is sure of itself (its
inputs were read at the provider, and it is not about to be withdrawn); the price; the time it takes; the name. Where
one model stands in for another, the same model elsewhere goes first, and then whoever's price is nearest.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum

from pipeline.domain.catalogue import Catalogue
from pipeline.domain.errors import Refusal
from pipeline.domain.fit import refusal
from pipeline.domain.model import Model
from pipeline.domain.order import plan_clip
from pipeline.domain.shot import Shot
from pipeline.domain.spec import JobSpec

#: Whoever waits longer than this for a slot is passed over for somebody dearer who does not.
SOON_SECONDS = 60.0


class Why(StrEnum):
    """Why a model was passed over, in the words of the API."""

    NOT_ASKED_FOR = "not_asked_for"  #: the order names another model or provider
    WITHDRAWN = "withdrawn"  #: the day has come on which its provider was to withdraw it
    UNFIT = "unfit"  #: it can't do what is asked
    NOT_CONFIGURED = "not_configured"  #: its provider has no key here
    OVER_BUDGET = "over_budget"
    FAILING = "failing"  #: orders for it are held back
    LATER = "later"  #: its provider's line is longer
    UNSURE = "unsure"  #: known at second hand only, or about to be withdrawn
    OTHER = "other"  #: the same model is to be had elsewhere
    DEARER = "dearer"  #: or, where one stands in for another, further from its price
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
class Like:
    """The model for which another is to stand in, and the price of one attempt at it."""

    model: Model
    estimate_cents: int


@dataclass(frozen=True, kw_only=True)
class Offer:
    """A model that could make the clip: how it would be asked, when it begins, and whether orders are held back."""

    model: Model
    shot: Shot
    wait_seconds: float
    failing: bool
    like: Like | None = None

    @property
    def estimate_cents(self) -> int:
        """The price of one attempt."""
        return self.shot.estimate_cents

    @property
    def rank(self) -> tuple[bool, bool, bool, bool, int, float, str]:
        """The lowest is taken; each part is a reason of ``Why``, in the order of ``_LOST_BY``."""
        late = self.wait_seconds > SOON_SECONDS
        unsure = not self.model.verified or self.model.sunset is not None
        other = self.like is not None and self.like.model.title.casefold() != self.model.title.casefold()
        cents = abs(self.estimate_cents - self.like.estimate_cents) if self.like else self.estimate_cents
        return self.failing, late, unsure, other, cents, self.model.usual_seconds, self.model.key


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


_LOST_BY = (Why.FAILING, Why.LATER, Why.UNSURE, Why.OTHER, Why.DEARER, Why.SLOWER)


@dataclass(frozen=True, kw_only=True)
class Search:
    """What is looked for: a model for this scene of a job, whatever model the job itself names.

    ``wanted`` leaves out what was not asked for, ``most_cents`` what costs more.
    """

    spec: JobSpec
    duration_buffer: float
    today: date
    index: int = 0
    wanted: Callable[[Model], bool] = lambda _: True
    most_cents: int | None = None
    like: Like | None = None


def choose(search: Search, catalogue: Catalogue, standings: Mapping[str, Standing]) -> Choice:
    """The model for a scene; a provider without a standing has no key here.

    Retired models and those that make no clips are no candidates at all.
    """
    found = [_offered(search, model, catalogue, standings) for model in catalogue.find(kind="video")]
    ranked = sorted((each for each in found if isinstance(each, Offer)), key=lambda offer: offer.rank)
    lost = (_lost(offer, ranked[0]) for offer in ranked[1:])
    unable = (each for each in found if isinstance(each, PassedOver))
    return Choice(picked=ranked[0] if ranked else None, passed_over=(*lost, *unable))


def _offered(
    search: Search, model: Model, catalogue: Catalogue, standings: Mapping[str, Standing]
) -> Offer | PassedOver:
    """What a model could do, or the first thing for which it can't be taken."""
    if not search.wanted(model):
        return PassedOver(model=model.key, why=Why.NOT_ASKED_FOR, message="the order asks for another")
    if model.ended(search.today):
        return PassedOver(model=model.key, why=Why.WITHDRAWN, message=f"it was to end on {model.sunset}")
    shot, problems = plan_clip(
        _asked_of(search, model), search.index, catalogue, duration_buffer=search.duration_buffer
    )
    if shot is None:
        refused = refusal(problems)
        return PassedOver(model=model.key, why=Why.UNFIT, message=refused.detail, refusal=refused)
    standing = standings.get(model.provider)
    if standing is None or not standing.configured:
        return PassedOver(model=model.key, why=Why.NOT_CONFIGURED, message=f"{model.provider} has no key here")
    if search.most_cents is not None and shot.estimate_cents > search.most_cents:
        return PassedOver(model=model.key, why=Why.OVER_BUDGET, message=f"it costs {shot.estimate_cents} cents")
    wait_seconds, failing = standing.wait_seconds(model.usual_seconds), model.key in standing.failing
    return Offer(model=model, shot=shot, wait_seconds=wait_seconds, failing=failing, like=search.like)


def _asked_of(search: Search, model: Model) -> JobSpec:
    """The job, with this model for the scene."""
    scenes = list(search.spec.scenes)
    scenes[search.index] = scenes[search.index].model_copy(update={"model": model.key})
    return search.spec.model_copy(update={"scenes": tuple(scenes)})


def _lost(offer: Offer, best: Offer) -> PassedOver:
    """What an offer lost by: the first part of its rank that is not the winner's."""
    parts = zip(_LOST_BY, offer.rank, best.rank, strict=False)
    why = next((why for why, own, its in parts if own != its), Why.SLOWER)
    words = {
        Why.OTHER: "the same model is to be had elsewhere",
        Why.FAILING: "orders for it are held back: it failed too often lately",
        Why.LATER: f"it starts in about {offer.wait_seconds:.0f} s",
        Why.UNSURE: "it is known at second hand only, or about to be withdrawn",
        Why.DEARER: f"it costs {offer.estimate_cents} cents",
        Why.SLOWER: f"it usually takes {offer.model.usual_seconds:.0f} s",
    }
    return PassedOver(model=offer.model.key, why=why, message=words[why])
