"""Everything the world can say about an attempt: a closed list, so that no outcome is an exception.

The limiter says Granted or Busy; a provider says Accepted, Working, Finished, Refused, Busy, Silent or
Unknown; storage says Stored, Silent or Refused; the choice of models says Rerouted; the customer says Withdrawn.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any


class Reason(StrEnum):
    """Why an asset waits, in the words of the API's ``waiting.reason``."""

    SLOT = "slot"  #: every slot of the account is held by another prediction
    RATE = "rate"  #: the account may send no request just now
    BLOCKED = "blocked"  #: the provider said 429, the whole account pauses
    LEARNED_LIMIT = "learned_limit"  #: the provider takes fewer at once than the account was set to
    DAILY_LIMIT = "daily_limit"  #: the account's requests for a day are used up
    BUDGET = "budget"
    DEPENDENCY = "dependency"  #: another asset of the job has to be there first
    JOB_LIMIT = "job_limit"  #: the job makes as many of this kind as it may at once
    BREAKER = "breaker"
    REDIS_DOWN = "redis_down"  #: no permit can be had, so nothing is spent
    NEEDS_PERSON = "needs_person"  #: nobody can prove whether the prediction was paid for
    PROVIDER_QUEUE = "provider_queue"  #: accepted, and waiting inside the provider
    RETRY = "retry"  #: an attempt failed in a way that another can cure; the pause before it


#: What holds a whole line: whoever is held by it keeps a place, and is waked when its turn comes.
IN_LINE = frozenset({Reason.SLOT, Reason.RATE, Reason.BLOCKED, Reason.LEARNED_LIMIT, Reason.DAILY_LIMIT})

#: Refusals that are about the account: no order of its goes through before somebody has paid or put the key right.
OF_THE_ACCOUNT = frozenset({"no_credit", "not_authorised"})

#: What only another asset of the job can end: whoever is held by it stands in no line, and is waked by that asset.
ASIDE = (Reason.DEPENDENCY, Reason.JOB_LIMIT)


@dataclass(frozen=True, kw_only=True)
class Granted:
    """The limiter gives a slot: one prediction may be bought, with this account."""

    account: str


@dataclass(frozen=True, kw_only=True)
class Accepted:
    """The provider took the order (and will charge for it) under its own id."""

    prediction_id: str
    raw: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Working:
    """Not finished. ``progress`` is 0..100 or unknown; ``queued`` while the provider holds it back.

    ``unsigned`` when nobody vouches for it: it names the prediction, and is a reason to look, no more.
    """

    prediction_id: str | None = None
    progress: int | None = None
    queued: bool = False
    unsigned: bool = False


@dataclass(frozen=True, kw_only=True)
class Finished:
    """The prediction succeeded; ``outputs`` are the provider's links, first one first, ``words`` those of a text model.

    ``render_seconds`` is the time from its creation to its end, where the provider tells.
    """

    outputs: tuple[str, ...]
    words: str | None = None
    prediction_id: str | None = None
    render_seconds: float | None = None
    raw: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A thumbnail in the store: under the take's own name, and under that of its clip."""

    key: str
    clip_key: str
    width: int
    height: int
    size_bytes: int


@dataclass(frozen=True, kw_only=True)
class Stored:
    """The file is ours: checked, and in the object store under ``key``; with its thumbnail, if one came on the way.

    ``last_frame_key`` is a clip's last picture, where another scene starts from it. ``words`` need no file.
    """

    key: str | None
    sha256: str | None
    size_bytes: int | None
    duration_seconds: float | None
    words: str | None = None
    picture: Picture | None = None
    last_frame_key: str | None = None


@dataclass(frozen=True, kw_only=True)
class Refused:
    """A clear no. ``retryable`` when a new attempt can cure it; never for moderation, bad input or no credit.

    ``code`` is one of: rejected_input, moderated, no_credit, not_authorised, provider_error, provider_cancelled,
    lost, absent (proven never accepted), broken_file, wrong_duration, dependency_failed.
    """

    code: str
    message: str
    retryable: bool = False
    raw: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Busy:
    """Not now, and nothing was used up. ``wait_seconds`` None: whoever frees the way will wake us."""

    reason: Reason
    wait_seconds: float | None = None
    place: int | None = None
    about_seconds: float | None = None


@dataclass(frozen=True, kw_only=True)
class Silent:
    """No answer, and surely nothing happened: asking again is free. ``outage`` when the provider itself failed."""

    message: str
    outage: bool = False


@dataclass(frozen=True, kw_only=True)
class Unknown:
    """No proof either way after a paying call: it must be settled, never repeated. ``outage`` as for ``Silent``."""

    message: str
    outage: bool = False


@dataclass(frozen=True, kw_only=True)
class Rerouted:
    """An equivalent model takes over, since the one that was asked can't; ``shot`` is what it will be asked for.

    ``needs`` are the ids of the assets that it takes something from.

    ``reason``: ``failing``, ``no_credit`` or ``not_authorised``; ``refused`` is the provider's no, where it said one.
    """

    model: str
    provider: str
    account: str
    shot: Mapping[str, Any]
    needs: Sequence[str] = ()
    reason: str
    refused: Refused | None = None


@dataclass(frozen=True, kw_only=True)
class Withdrawn:
    """The customer does not want it any more; with a code when that was said beforehand, for such a case."""

    code: str = ""
    message: str = ""


Answer = Granted | Accepted | Working | Finished | Stored | Refused | Busy | Silent | Unknown | Rerouted | Withdrawn

_KINDS: dict[str, type[Answer]] = {
    kind.__name__: kind
    for kind in (Granted, Accepted, Working, Finished, Stored, Refused, Busy, Silent, Unknown, Withdrawn)
}


def to_json(answer: Answer) -> dict[str, Any]:
    """An answer as it is kept until a step reads it."""
    return {"kind": type(answer).__name__, **asdict(answer)}


def from_json(kept: Mapping[str, Any]) -> Answer:
    """The answer that ``to_json`` kept."""
    values = dict(kept)
    kind = _KINDS[values.pop("kind")]
    if "outputs" in values:
        values["outputs"] = tuple(values["outputs"])
    if "reason" in values:
        values["reason"] = Reason(values["reason"])
    if values.get("picture"):
        values["picture"] = Picture(**values["picture"])
    return kind(**values)
