"""One row of the catalogue: a model, what it can be asked for, what that costs and how long it takes."""

from datetime import date
from decimal import ROUND_CEILING, Decimal
from typing import Any, Literal

from pydantic import Field

from pipeline.domain.errors import UnsupportedDuration
from pipeline.domain.rows import (
    INPUTS_OF_MODE,
    AspectRatios,
    Dial,
    Inputs,
    Kind,
    Lengths,
    Mode,
    Narrowing,
    Polling,
    Positive,
    Prices,
    Range,
    Resolutions,
    Row,
    Seconds,
    Voice,
    plain,
)


class Model(Row):
    """What an account can be asked for: one model of a provider."""

    provider: str
    slug: str = Field(pattern=r"^[a-z0-9][a-z0-9.-]*$")
    title: str
    provider_model: str
    endpoints: dict[Mode, str] = Field(default={})  #: where a mode is ordered, when that is not the provider_model
    listed: bool = True  #: whether the account's list, where it has one, tells of this model's predictions
    version: str | None = None
    kind: Kind = "video"
    modes: tuple[Mode, ...] = Field(min_length=1)
    prompt_field: str = "prompt"  #: empty: the model takes no words
    prompt_max: int | None = Field(default=None, gt=0)  #: the longest prompt, in UTF-16 units; None: none is known
    aspect_ratio: AspectRatios = AspectRatios()
    duration: Lengths = Lengths(strategy="input", field="", seconds=(1,))
    resolution: Resolutions = Resolutions(default="", allowed=("",))
    fps: Dial | None = None
    motion: Dial | None = None
    steps: Dial | None = None
    inputs: Inputs = Inputs()
    voice: Voice | None = None
    seed_field: str | None = None
    negative_prompt_field: str | None = None
    always: dict[str, Any] = Field(default={})
    only: dict[Mode, Narrowing] = Field(default={})
    price: Prices
    time_limit_seconds: Positive
    hard_limit_seconds: Positive
    usual_seconds: Positive
    polling: Polling
    output_life_seconds: Positive
    doubt: Literal["person", "spent"] | None = None  #: where its account's own policy does not fit it
    legacy_paths: dict[Mode, str] = Field(default={})
    verified: bool = True  #: False: what the row says of the model's inputs was seen at second hand only
    checked: date | None = None
    sunset: date | None = None  #: the provider withdraws it on that day
    successor: str | None = None  #: the key of the model to take then
    retired: date | None = None

    @property
    def key(self) -> str:
        """The name that customers use: ``provider/slug``."""
        return f"{self.provider}/{self.slug}"

    @property
    def orderable(self) -> bool:
        """Whether a scene can name it: it makes clips, and the provider still runs it."""
        return self.retired is None and self.kind == "video"

    def ended(self, today: date) -> bool:
        """Whether the day has come on which its provider was to withdraw it, though nobody took it out here."""
        return self.sunset is not None and self.sunset <= today

    def aspect_ratios(self, mode: Mode | None = None) -> tuple[str, ...]:
        """The ratios that a scene can have in this mode, or in any."""
        if mode in self.only and self.only[mode].aspect_ratios:
            return self.only[mode].aspect_ratios
        if mode is not None and "image" in INPUTS_OF_MODE[mode] and self.aspect_ratio.from_image:
            return self.aspect_ratio.from_image
        if mode is not None and self.aspect_ratio.values:
            return tuple(self.aspect_ratio.values)
        return self.aspect_ratio.allowed

    def resolutions(self, mode: Mode | None = None) -> tuple[str, ...]:
        """The resolutions that a scene can have in this mode, or in any."""
        return (self.only[mode].resolutions if mode in self.only else ()) or self.resolution.allowed

    def default_resolution(self, mode: Mode) -> str:
        """The resolution of a scene that names none."""
        allowed = self.resolutions(mode)
        return self.resolution.default if self.resolution.default in allowed else allowed[0]

    def lengths(self, mode: Mode | None = None, resolution: str | None = None) -> Lengths:
        """The lengths that a scene can have in this mode, or in any; of a list those priced at the resolution."""
        seconds = (self.only[mode].seconds if mode in self.only else ()) or self.duration.seconds
        if resolution is not None and not isinstance(seconds, Range):
            seconds = tuple(each for each in seconds if self.price.line(each, resolution))
        return self.duration.model_copy(update={"seconds": seconds})

    def asked_seconds(
        self, target_seconds: float, buffer: float, *, mode: Mode | None = None, resolution: str | None = None
    ) -> Seconds:
        """The length to ask for, so that the target is served. Raises UnsupportedDuration above the longest."""
        return self.lengths(mode, resolution).asked(target_seconds, buffer)

    def endpoint(self, mode: Mode) -> str:
        """Where this mode is ordered, in the provider's words."""
        return self.endpoints.get(mode, self.provider_model)

    def takes_words(self, prompt: str) -> bool:
        """Whether a prompt is not too long."""
        return self.prompt_max is None or len(prompt.encode("utf-16-le")) // 2 <= self.prompt_max

    def price_cents(self, asked_seconds: Seconds, resolution: str | None = None, *, characters: int = 0) -> int:
        """The price in whole US cents, rounded up. Raises UnsupportedDuration for a length it never makes."""
        line = self.price.line(asked_seconds, resolution or self.resolution.default)
        if line is None:
            raise UnsupportedDuration(
                f"{self.key} has no price for {asked_seconds:g} s: ask for {self.duration.allowed}."
            )
        times = {"second": Decimal(str(asked_seconds)), "character": Decimal(characters), "clip": Decimal(1)}[line.per]
        return int((line.cents * times).to_integral_value(ROUND_CEILING))

    def document(self) -> dict[str, Any]:
        """The row as ``GET /v1/models`` shows it: JSON, without what only an adapter needs."""
        return {
            "model": self.key,
            "provider": self.provider,
            "slug": self.slug,
            "title": self.title,
            "kind": self.kind,
            "orderable": self.orderable,
            "retired": self.retired and self.retired.isoformat(),
            "sunset": self.sunset and self.sunset.isoformat(),
            "successor": self.successor,
            "legacy_paths": dict(self.legacy_paths),
            "modes": list(self.modes),
            "aspect_ratios": list(self.aspect_ratios()),
            "aspect_ratio_passed_as": self.aspect_ratio.field or ("image" if self.aspect_ratio.from_image else None),
            "durations": self.duration.allowed,
            "duration_strategy": self.duration.strategy,
            "by_mode": {
                mode: {
                    "aspect_ratios": list(self.aspect_ratios(mode)),
                    "durations": self.lengths(mode).allowed,
                    "resolutions": list(self.resolutions(mode)),
                    "orderable": self.orderable,
                }
                for mode in self.modes
            },
            "resolutions": list(self.resolution.allowed),
            "default_resolution": self.resolution.default,
            "fps": self.fps and self.fps.default,
            "inputs": {name: given.max for name, given in self.inputs if given},
            "prompt": bool(self.prompt_field),
            "prompt_max": self.prompt_max,
            "seed": self.seed_field is not None,
            "negative_prompt": self.negative_prompt_field is not None,
            "price": _price_document(self.price),
            "time_limit_seconds": plain(self.time_limit_seconds),
            "hard_limit_seconds": plain(self.hard_limit_seconds),
            "usual_seconds": plain(self.usual_seconds),
        }


def _price_document(price: Prices) -> dict[str, Any]:
    lines = [
        line.model_dump(exclude={"cents"}, exclude_none=True) | {"cents": float(line.cents)} for line in price.lines
    ]
    return {"lines": lines, "verified": price.verified, "checked": price.checked.isoformat()}
