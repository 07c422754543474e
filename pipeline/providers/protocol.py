"""What every provider's adapter promises, and the values that cross its border."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from pipeline.domain.answers import Accepted, Busy, Finished, Refused, Silent, Unknown, Working
from pipeline.domain.attempt import Prediction
from pipeline.domain.rows import BusySign

Submitted = Accepted | Finished | Refused | Busy | Silent | Unknown
Reading = Working | Finished | Refused
Status = Reading | Busy | Silent


@dataclass(frozen=True, kw_only=True)
class Credentials:
    """Where an account lives, what opens it, and how it says that it is busy.

    The token never shows in a repr, a log or an error.
    """

    base_url: str
    token: str = field(repr=False)
    busy: tuple[BusySign, ...] = (BusySign(status=429),)
    hosts: Mapping[str, str] = field(default_factory=dict)  #: other addresses of the provider's, by what they are for
    webhook_secret: str = field(default="", repr=False)  #: the operator's, for providers that are told it with an order


@dataclass(frozen=True, kw_only=True)
class Order:
    """What is bought: the whole ``input`` word for word, our seed in it being the marker of the attempt."""

    model: str  #: the provider's own name for it, ``owner/name`` at Replicate
    input: Mapping[str, Any]
    endpoint: str = ""  #: where this mode of the model is ordered, in the provider's words; empty: its model says it
    marker: str = ""  #: our own id of the attempt, for providers that take one
    version: str | None = None  #: only for models that the provider does not keep current itself
    webhook_url: str | None = field(default=None, repr=False)  #: its path is a secret
    cancel_after_seconds: int | None = None  #: the provider's own deadline, should we lose sight of the order


@dataclass(frozen=True, kw_only=True)
class FoundPrediction:
    """A prediction of the provider's list that answers to our order, and what it has come to."""

    prediction_id: str
    answer: Reading


@dataclass(frozen=True, kw_only=True)
class Found:
    """The search of a provider's list; only a ``complete`` one can prove that a prediction is absent.

    ``certain`` when what was found has our very input; else it may be anybody's, and is never adopted.
    """

    predictions: tuple[FoundPrediction, ...]
    complete: bool
    certain: bool = True


@dataclass(frozen=True, kw_only=True)
class Survey:
    """What a provider's list tells about many predictions at once, by their ids."""

    readings: Mapping[str, Reading]


@dataclass(frozen=True, kw_only=True)
class WebhookNews:
    """A genuine webhook. ``webhook_id`` stays the same when the provider repeats itself."""

    webhook_id: str
    prediction_id: str
    answer: Reading


@dataclass(frozen=True, kw_only=True)
class Forged:
    """A webhook that must not be believed; the message is for our log, never for the sender."""

    message: str


@dataclass(frozen=True, kw_only=True)
class Hint:
    """News that nobody signed: believed as far as its secret address goes, so the prediction is asked for itself."""

    webhook_id: str
    prediction_id: str


@dataclass(frozen=True, kw_only=True)
class Challenge:
    """The provider makes sure that the address is ours: it wants this document back."""

    document: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Fetched:
    """A provider's file, whole by its stated length and on our disk; not yet proven to be playable."""

    size_bytes: int
    sha256: str


Webhook = WebhookNews | Hint | Challenge | Forged


class Provider(Protocol):
    """One account at one provider. Every outcome is a value; no method raises for what the world does."""

    def __init__(self, credentials: Credentials) -> None: ...

    def submit(self, order: Order) -> Submitted:
        """Send the paying request exactly once, on a connection of its own."""
        ...

    def status(self, prediction: Prediction) -> Status:
        """Ask what became of a prediction; free, and tried again when it fails in transit."""
        ...

    def cancel(self, prediction: Prediction) -> Status:
        """Ask the provider to stop, where it can be asked; the answer is what the prediction has become."""
        ...

    def find(self, order: Order, since: datetime) -> Found | Busy | Silent:
        """Look for the predictions of an order whose answer was lost, back to ``since``."""
        ...

    def probe(self, model: str) -> Busy | Silent | None:
        """Ask something about a model that costs nothing; None when the provider is there to answer."""
        ...

    def survey(self, prediction_ids: Collection[str], since: datetime) -> Survey | Busy | Silent:
        """Ask what became of these at once, all created after ``since``; what the list does not tell is left out."""
        ...

    def webhook_secret(self) -> str | Busy | Silent:
        """Fetch the key that the provider signs its webhooks with; empty where it signs nothing."""
        ...

    def read_webhook(self, headers: Mapping[str, str], body: bytes, *, secret: str, now: datetime) -> Webhook:
        """Check a webhook's signature over its raw bytes, where there is one, then read it."""
        ...

    def download(self, url: str, path: Path, *, max_bytes: int) -> Fetched | Refused | Silent:
        """Fetch an output to a file; ``Refused(code="lost")`` means the link is dead: ask for a fresh one."""
        ...
