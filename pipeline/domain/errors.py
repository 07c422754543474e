"""Every error that Dailies raises itself.

DailiesError
├── Refusal                    what was asked can't be done; becomes problem+json, nothing was stored
│   ├── ValidationFailed         ├── UnsupportedAspectRatio   ├── Forbidden
│   ├── UnknownModel             ├── UnsupportedDuration      ├── IdempotencyKeyReused
│   ├── TooManyScenes            ├── NotFound                 ├── InProgress
│   ├── MissingInput             ├── Unauthorized             ├── NotInThatState
│   ├── PayloadTooLarge          ├── OverBudget               ├── RateLimited
│   └── ModelRetired
├── Unavailable                a part that we need (database, Redis, storage) does not answer
├── DayIsSpent                 an owner's or a key's money for today is spent or reserved
├── BrokenMedia                a file is not the whole, playable thing it should be
├── StaleClaim                 a fenced write came too late and changed nothing
├── ImpossibleAnswer           our own bug: an answer that can't be said in that state
├── CatalogueError             the operator's catalogue contradicts itself; the process must not start
└── SettingsError              a setting is missing or makes no sense; the process must not start
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar


@dataclass(frozen=True, kw_only=True)
class FieldError:
    """One field of a request that can't be accepted: where, what it was, what would be."""

    field: str
    message: str
    value: Any = None
    allowed: Any = None


class DailiesError(Exception):
    """The root of every error that Dailies raises itself."""


class Refusal(DailiesError):
    """What was asked can't be done; the sentence says what to do next."""

    code: ClassVar[str] = "validation_failed"
    title: ClassVar[str] = "The request can't be accepted"
    retryable: ClassVar[bool] = False

    def __init__(self, detail: str, *, errors: Sequence[FieldError] = ()) -> None:
        super().__init__(detail)
        self.detail = detail
        self.errors = tuple(errors)


class ValidationFailed(Refusal):
    """A field has a wrong type, range or form."""


class UnknownModel(Refusal):
    """The catalogue has no model of that name."""

    code = "unknown_model"
    title = "Unknown model"


class UnsupportedAspectRatio(Refusal):
    """The model can't make that aspect ratio."""

    code = "unsupported_aspect_ratio"
    title = "Unsupported aspect ratio"


class UnsupportedDuration(Refusal):
    """The model can't make a clip of that length."""

    code = "unsupported_duration"
    title = "Unsupported duration"


class TooManyScenes(Refusal):
    """A storyboard has more scenes than one job may carry."""

    code = "too_many_scenes"
    title = "Too many scenes"


class MissingInput(Refusal):
    """The model needs an input that the scene does not give."""

    code = "missing_input"
    title = "Missing input"


class NotFound(Refusal):
    """There is no such thing, or it is somebody else's: the answer is the same."""

    code = "not_found"
    title = "Not found"


class Unauthorized(Refusal):
    """No key, or a key that does not count."""

    code = "unauthorized"
    title = "Unauthorized"


class Forbidden(Refusal):
    """The key is good, but not for this."""

    code = "forbidden"
    title = "Forbidden"


class IdempotencyKeyReused(Refusal):
    """The same Idempotency-Key came with another body."""

    code = "idempotency_key_reused"
    title = "Idempotency key reused"


class InProgress(Refusal):
    """The first request with this Idempotency-Key is still being answered."""

    code = "in_progress"
    title = "Still in progress"
    retryable = True


class NotInThatState(Refusal):
    """The thing is not in a state where this makes sense."""

    code = "not_in_that_state"
    title = "Not in that state"


class OverBudget(Refusal):
    """The estimate is above the budget that was set."""

    code = "over_budget"
    title = "Over budget"


class RateLimited(Refusal):
    """Too many requests to us."""

    code = "rate_limited"
    title = "Too many requests"
    retryable = True


class PayloadTooLarge(Refusal):
    """The body is larger than we read."""

    code = "payload_too_large"
    title = "Payload too large"


class ModelRetired(Refusal):
    """The provider withdrew the model."""

    code = "model_retired"
    title = "Model retired"


class Unavailable(DailiesError):
    """A part that we need does not answer just now; try again."""

    code = "unavailable"


class DayIsSpent(DailiesError):
    """An owner's or a key's money for today (UTC) is spent or reserved; tomorrow there is more."""

    def __init__(self, wait_seconds: float) -> None:
        super().__init__(f"the money for today is spent; more in {wait_seconds:.0f} s")
        self.wait_seconds = wait_seconds


class BrokenMedia(DailiesError):
    """A file is not the whole, playable thing it should be."""


class StaleClaim(DailiesError):
    """A fenced write came too late: somebody else holds the row now, and nothing was changed."""


class ImpossibleAnswer(DailiesError):
    """Our own bug: an answer that can't be said of an asset in its state."""


@dataclass
class CatalogueError(DailiesError):
    """The catalogue contradicts itself; every complaint is listed, and the process must not start."""

    complaints: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return "the catalogue can't be used:\n- " + "\n- ".join(self.complaints)


class SettingsError(DailiesError):
    """A setting is missing or makes no sense; the process must not start."""
