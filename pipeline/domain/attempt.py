"""An attempt (a take): one paid try at an asset, and what an answer means for its row."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID, uuid5

from pipeline.domain.answers import (
    Accepted,
    Answer,
    Busy,
    Finished,
    Refused,
    Rerouted,
    Silent,
    Stored,
    Unknown,
    Withdrawn,
    Working,
)
from pipeline.domain.asset import TERMINAL, Decision, State

# Attempts are named by their asset and number, so that two workers who begin the same one collide in the table.
_NAMESPACE = UUID("6f2d0c4e-7a1b-5c39-9f0e-3f1d5a0b8c77")


def attempt_id(asset_id: UUID, number: int) -> UUID:
    """The id of an asset's n-th attempt."""
    return uuid5(_NAMESPACE, f"{asset_id}:{number}")


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """What was bought, as its provider has to be asked about it; ``receipt`` is what it said when it took the order."""

    id: str
    endpoint: str = ""
    receipt: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """An attempt as a step sees it. ``input`` is what we send, word for word; with the model it is the marker."""

    id: UUID
    number: int
    model: str
    endpoint: str
    input: Mapping[str, Any]
    receipt: Mapping[str, Any]  #: what the provider has said of it last
    prediction_id: str | None
    outputs: tuple[str, ...]
    estimate_cents: int
    intent_at: datetime

    @property
    def prediction(self) -> Prediction | None:
        """What the provider has to be asked about; None while nobody knows its id."""
        if self.prediction_id is None:
            return None
        return Prediction(id=self.prediction_id, endpoint=self.endpoint, receipt=self.receipt)


@dataclass(frozen=True, kw_only=True)
class NewAttempt:
    """The intent: written, with its price, before anything is sent."""

    id: UUID
    number: int
    owner_id: UUID
    job_id: UUID
    provider: str
    account: str
    model: str
    prompt: str
    seed: int | None
    endpoint: str
    input: Mapping[str, Any]
    estimate_cents: int
    most_today_cents: int = 0  #: what its owner may spend in a day; 0: any


@dataclass(frozen=True, kw_only=True)
class AttemptChange:
    """What a step writes on the attempt's row; ``live`` False once it can cost nothing more.

    ``spend`` books the price: ``commit`` when the provider accepted, ``release`` when it surely did not.
    """

    state: State
    live: bool
    values: Mapping[str, Any] = field(default_factory=dict)
    spend: str | None = None


def consequence(before: State, answer: Answer, decision: Decision) -> AttemptChange | None:
    """What an answer means for the attempt that it is about; None when its row stays as it is."""
    after = decision.asset.state
    values = _knowledge(before, answer)
    about_an_attempt = before is not State.WAITING or isinstance(answer, Finished)
    if not about_an_attempt or (after is before and not values):
        return None
    if after is State.DONE:
        values["failure"] = None
    if after is State.FAILED and decision.asset.failure:
        values["failure"] = asdict(decision.asset.failure)
    over = after in TERMINAL or after is State.WAITING
    return AttemptChange(
        state=_how_it_ended(answer) if after is State.WAITING else after,
        live=not over,
        values=values,
        spend=_spend(before, answer, after),
    )


def _knowledge(before: State, answer: Answer) -> dict[str, Any]:
    """What the answer tells about the prediction that the row did not say yet."""
    match answer:
        case Accepted():
            known: dict[str, Any] = {"prediction_id": answer.prediction_id, "answer": dict(answer.raw)}
            return known | ({"settled_by": "list"} if before is State.UNCERTAIN else {})
        case Working() if before is State.UNCERTAIN:
            return {"prediction_id": answer.prediction_id, "settled_by": "webhook"}
        case Finished():
            found = {"prediction_id": answer.prediction_id} if answer.prediction_id else {}
            told = {"render_seconds": answer.render_seconds} if answer.render_seconds is not None else {}
            said = {"words": answer.words} if answer.words is not None else {}
            return {**found, **told, "outputs": list(answer.outputs), "answer": {**answer.raw, **said}}
        case Stored():
            return stored_values(answer)
        case Refused():
            failure = {"code": answer.code, "message": answer.message, "retryable": answer.retryable}
            return {"failure": failure, "answer": dict(answer.raw)}
        case Rerouted() if answer.refused:
            return _knowledge(before, answer.refused)
        case _:
            return {}


def stored_values(stored: Stored) -> dict[str, Any]:
    """What a take brought, by the columns that attempts and assets share."""
    return {
        "file_key": stored.key,
        "sha256": stored.sha256,
        "size_bytes": stored.size_bytes,
        "duration_seconds": stored.duration_seconds,
        "thumbnail_key": stored.picture.key if stored.picture else None,
        "last_frame_key": stored.last_frame_key,
    }


def _how_it_ended(answer: Answer) -> State:
    """An attempt that is given up while its asset goes back into line."""
    return State.CANCELLED if isinstance(answer, Busy | Silent) else State.FAILED


def _spend(before: State, answer: Answer, after: State) -> str | None:
    """Which entry of the ledger an answer proves, given what was known before."""
    match before, answer:
        case ((State.SUBMITTING | State.UNCERTAIN), (Accepted() | Working() | Finished())):
            return "commit"
        case State.WAITING, Finished():
            return "commit"
        case State.UNCERTAIN, Withdrawn() if after is State.CANCELLED:
            return "commit"
        case State.UNCERTAIN, (Silent() | Unknown() | Withdrawn()) if after is State.FAILED:
            return "commit"
        case State.SUBMITTING, (Refused() | Rerouted() | Busy() | Silent() | Withdrawn()):
            return "release"
        case State.UNCERTAIN, (Refused(code="absent") | Rerouted()):
            return "release"
        case State.UNCERTAIN, Refused():
            return "commit"
        case _:
            return None
