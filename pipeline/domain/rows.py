"""The pieces that rows of the catalogue are made of: limits, shapes, lengths, inputs, prices.

A row is data from a TOML file and nothing else: what differs between providers stands in the row, so that the code
which reads it never asks which provider it is.
"""

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from math import ceil, floor
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from pipeline.domain.errors import UnsupportedDuration

Mode = Literal["text", "image", "references", "first_last_frame", "video", "lip_sync", "character"]
#: What a model makes: clips, keyframes, narrations, or words about pictures.
Kind = Literal["video", "image", "audio", "text"]
Bucket = Literal["create", "daily", "status"]
Seconds = int | float

#: The inputs that each mode can't do without.
INPUTS_OF_MODE: dict[Mode, tuple[str, ...]] = {
    "text": (),
    "image": ("image",),
    "references": ("references",),
    "first_last_frame": ("image", "last_frame"),
    "video": ("video",),
    "lip_sync": ("video", "audio"),
    "character": ("video", "character"),
}

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Cents = Annotated[Decimal, Field(gt=0)]


class Row(BaseModel):
    """A frozen piece of the catalogue; a key that nobody reads is a mistake."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())


class Window(Row):
    """At most so many requests in so many seconds."""

    requests: int = Field(gt=0)
    seconds: Positive


class FamilyWindow(Window):
    """A window that counts the orders of some models alone, by their slugs."""

    models: tuple[str, ...] = Field(min_length=1)


class Settle(Row):
    """How long doubt about a paying call lasts: when the provider's list shows it, when absence is proven."""

    list_lag_seconds: Positive
    absent_after_seconds: Positive


class BusySign(Row):
    """What in an answer says "not now": its status, what a field of its JSON body holds, or both.

    A field may be a path (``base_resp.status_code``). ``calls = "free"`` is for what an order that was taken says too,
    ``calls = "orders"`` for what is said to orders alone.
    ``reason`` says what is used up, ``wait_seconds`` how long to stay away where the answer does not.
    """

    status: int | None = Field(default=None, ge=100, le=599)
    field: str | None = Field(default=None, min_length=1)
    values: tuple[int | str, ...] = ()
    words: tuple[str, ...] = ()
    calls: Literal["all", "free", "orders"] = "all"
    wait_field: str = "retry_after"
    wait_seconds: Positive | None = None
    reason: Literal["blocked", "daily_limit"] = "blocked"

    @model_validator(mode="after")
    def _says_enough(self) -> Self:
        if bool(self.field) != bool(self.values or self.words):
            raise ValueError("a field needs values or words, and these need a field")
        if self.field is None and (self.status is None or self.status < 400):  # noqa: PLR2004 - what HTTP calls an error
            raise ValueError("without a field the status must be an error, or every success would be busy")
        return self

    def fits(self, status: int, document: Mapping[str, Any]) -> bool:
        """Whether an answer bears this sign."""
        if self.status not in {None, status}:
            return False
        if self.field is None:
            return True
        said = str(at(document, self.field))
        return said in map(str, self.values) or any(word.lower() in said.lower() for word in self.words)


class Account(Row):
    """One set of credentials at a provider, with its limits.

    ``windows``: ``create`` and ``daily`` count paying requests, ``status`` all others. ``lists`` where one request
    tells of many predictions; ``reports`` where the provider calls us when one ends. An order whose fate nobody can
    prove is put before a person, or with ``doubt = "spent"`` booked as spent after ``doubt_seconds``.
    """

    name: str = Field(min_length=1)
    provider: str = Field(pattern=r"^[a-z0-9-]+$")
    shared_secret: bool = False  #: its webhooks are signed with a secret that its customer was told
    key_variable: str = Field(pattern=r"^[A-Z][A-Z0-9_]+$")  #: where its users keep its key
    base_url: str = Field(pattern=r"^https?://[^/]+$")
    max_in_flight: int = Field(default=3, gt=0)
    min_in_flight: int = Field(default=1, gt=0)  #: what is learned never goes below
    gap_seconds: float = Field(default=0, ge=0)  #: between any two orders
    windows: dict[Bucket, Window]
    families: dict[str, FamilyWindow] = Field(default={})  #: where the provider counts some models for themselves
    busy: tuple[BusySign, ...] = Field(default=(BusySign(status=429),), min_length=1)
    blocked_default_seconds: Positive
    settle: Settle | None = None  #: None where nothing ever proves that an order did not arrive
    doubt: Literal["person", "spent"] = "person"
    doubt_seconds: Positive = 900  #: at least as long as the order, if it arrived, holds a place at the provider
    lists: bool = False
    reports: bool = False
    hosts: dict[str, str] = Field(default={})  #: other addresses of the provider's, by what they are for


def _sent_as_it_is(values: Any) -> Any:
    return {value: value for value in values} if isinstance(values, list) else values


SentAs = Annotated[dict[str, str | dict[str, int]], BeforeValidator(_sent_as_it_is)]


class AspectRatios(Row):
    """The shapes a model makes, and how it is told.

    ``values`` maps a ratio to what is sent in ``field`` (a ratio, a size, a resolution; no field: nothing is sent, but
    for a table, whose names are fields themselves: ``{ width = 1280, height = 720 }``).
    ``from_image`` lists the ratios of a scene with an image when the image's shape counts and the field is left out.
    """

    field: str | None = None
    values: SentAs = Field(default={})
    from_image: tuple[str, ...] = ()

    @property
    def allowed(self) -> tuple[str, ...]:
        """Every ratio that some scene can have, in the order of the row."""
        return tuple(dict.fromkeys((*self.values, *self.from_image)))


class Range(Row):
    """Any length from ``min`` to ``max`` seconds, in whole seconds or not."""

    min: Positive
    max: Positive
    whole: bool = True


class Lengths(Row):
    """The lengths a model makes.

    discrete: the smallest allowed length that serves. continuous: the target times a buffer, capped at the longest,
    and where only some lengths exist the nearest of them that is not below the target. input: the length of the
    video that is given. ``sent`` replaces the seconds, item by item, where the provider has its own words; with an
    empty field nothing is sent.
    """

    strategy: Literal["discrete", "continuous", "input"]
    field: str = "duration"
    seconds: tuple[Seconds, ...] | Range
    sent: tuple[str | int | float, ...] = ()

    @property
    def longest(self) -> Seconds:
        """The longest clip in seconds."""
        return plain(self.seconds.max) if isinstance(self.seconds, Range) else max(self.seconds)

    @property
    def allowed(self) -> Any:
        """The allowed lengths as JSON: a list, or ``{"min", "max"}``."""
        if isinstance(self.seconds, Range):
            return {"min": plain(self.seconds.min), "max": plain(self.seconds.max)}
        return list(self.seconds)

    def asked(self, target_seconds: float, buffer: float) -> Seconds:
        """What to ask for, so that the target is served. Raises UnsupportedDuration above the longest."""
        if target_seconds > self.longest:
            raise UnsupportedDuration(f"{target_seconds:g} s is more than {self.longest:g} s: split the scene in two.")
        if self.strategy != "continuous":
            return self._nearest(target_seconds, target_seconds)
        return self._nearest(target_seconds, min(target_seconds * buffer, self.longest))

    def _nearest(self, target_seconds: float, wish_seconds: float) -> Seconds:
        """The allowed length nearest to the wish, never below the target; of two equally near the longer."""
        if not isinstance(self.seconds, Range):
            return min((s for s in self.seconds if s >= target_seconds), key=lambda s: (abs(s - wish_seconds), -s))
        seconds = max(self.seconds.min, target_seconds, wish_seconds)
        return max(ceil(target_seconds), floor(seconds + 0.5)) if self.seconds.whole else plain(seconds)

    def value(self, asked_seconds: Seconds) -> str | int | float:
        """What is sent for a length that was chosen by ``asked``."""
        if self.sent and not isinstance(self.seconds, Range):
            return self.sent[self.seconds.index(asked_seconds)]
        return asked_seconds


class Resolutions(Row):
    """The resolutions a model makes; without a field the default is not sent, it just is."""

    default: str
    field: str | None = None
    allowed: tuple[str, ...] = Field(min_length=1)


class Dial(Row):
    """A number of the model (frames per second, motion, steps); without a field it is fixed and never sent."""

    default: int | float
    field: str | None = None
    min: int | float | None = None
    max: int | float | None = None


class Voice(Row):
    """Who speaks: the provider's name for the choice, and whom it takes where nobody chose."""

    field: str
    default: str | None = None


class Input(Row):
    """An input that the model takes: the provider's name for it, and how many."""

    field: str
    max: int = Field(default=1, gt=0)


class Inputs(Row):
    """The pictures, videos and sounds that a model takes, each under the provider's name."""

    image: Input | None = None
    last_frame: Input | None = None
    references: Input | None = None
    video: Input | None = None
    audio: Input | None = None
    character: Input | None = None


class Price(Row):
    """One line of the price list: US cents per second, clip (or picture) or character, for one resolution or all."""

    cents: Cents
    per: Literal["second", "clip", "character"]
    resolution: str | None = None
    seconds: Seconds | None = None

    def fits(self, asked_seconds: Seconds, resolution: str) -> bool:
        """Whether this line is the one for such a clip."""
        return self.resolution in {None, resolution} and self.seconds in {None, asked_seconds}


class Prices(Row):
    """A price list, with the day it was read and whether the provider itself said so."""

    lines: tuple[Price, ...] = Field(min_length=1)
    verified: bool
    checked: date

    def line(self, asked_seconds: Seconds, resolution: str) -> Price | None:
        """The line for such a clip; None for one that is never made."""
        return next((line for line in self.lines if line.fits(asked_seconds, resolution)), None)


class Polling(Row):
    """When to ask for a prediction: first, then each time ``factor`` later, up to a longest wait.

    ``min_seconds`` is for providers that want time between two looks, however likely the end is.
    """

    first_seconds: Positive
    factor: float = Field(ge=1)
    max_seconds: Positive
    min_seconds: float = Field(default=0, ge=0)


class Narrowing(Row):
    """What one mode allows when it is less than the model's other modes do."""

    aspect_ratios: tuple[str, ...] = ()
    seconds: tuple[Seconds, ...] = ()
    resolutions: tuple[str, ...] = ()


def at(document: Mapping[str, Any], path: str) -> Any:
    """What stands in a document at a path of names and dots; None where nothing does."""
    found: Any = document
    for name in path.split("."):
        found = found.get(name) if isinstance(found, Mapping) else None
    return found


def plain(number: float) -> Seconds:
    """5 rather than 5.0."""
    return int(number) if number == int(number) else number
