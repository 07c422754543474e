"""The catalogue: which models there are, on which account, and whether the data holds together.

It is built from TOML texts, one per provider; who reads the files is somebody else. A catalogue with a mistake in
it is no catalogue: ``load`` lists every complaint at once, and the process must not start.
"""

import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from difflib import get_close_matches
from functools import cached_property, lru_cache
from types import MappingProxyType
from typing import Any, TypeVar

from pydantic import ValidationError

from pipeline.domain.errors import CatalogueError, FieldError, NotFound, UnknownModel
from pipeline.domain.model import Model
from pipeline.domain.rows import INPUTS_OF_MODE, Account, Mode, Range

__all__ = ["Account", "Catalogue", "Model", "load"]

_R = TypeVar("_R", Account, Model)
_SECTIONS = {"account", "defaults", "models"}


@dataclass(frozen=True)
class Catalogue:
    """Every model by its key ``provider/slug``, and every account by its provider."""

    models: Mapping[str, Model]
    accounts: Mapping[str, Account]

    def model(self, key: str) -> Model:
        """The row of that name, also when it is retired. Raises UnknownModel, naming what comes close."""
        if key in self.models:
            return self.models[key]
        close = self.close_to(key)
        hint = f"did you mean {' or '.join(close)}?" if close else "GET /v1/models lists what there is."
        message = f"there is no model {key[:100]!r}; {hint}"
        raise UnknownModel(message, errors=[FieldError(field="model", value=key[:200], allowed=close, message=message)])

    def close_to(self, key: str) -> list[str]:
        """Up to three keys that look like this one, compared with and without the provider."""
        by_slug = {model.slug: model.key for model in self.models.values()}
        slug = key[:200].rpartition("/")[2].lower()
        names = get_close_matches(key[:200].lower(), self.models, n=3)
        slugs = [by_slug[name] for name in get_close_matches(slug, by_slug, n=3)]
        return list(dict.fromkeys((*names, *slugs)))[:3]

    def on_path(self, path: str) -> tuple[Model, Mode]:
        """The row, and the mode of it, that clients of old order on this path. Raises NotFound."""
        if path not in self.paths:
            raise NotFound("there is nothing at this address")
        return self.paths[path]

    @cached_property
    def paths(self) -> Mapping[str, tuple[Model, Mode]]:
        """Every path of old, in the order of the rows."""
        return {path: (model, mode) for model in self.models.values() for mode, path in model.legacy_paths.items()}

    def retiring(self, keys: Iterable[str], on: date) -> "Catalogue":
        """The same without these models, from that day on unless their rows say when. Raises UnknownModel."""
        gone = [self.model(key) for key in keys]
        rows = {row.key: row.model_copy(update={"retired": row.retired or row.sunset or on}) for row in gone}
        return replace(self, models=MappingProxyType({**self.models, **rows}))

    def account_for(self, model: Model) -> Account:
        """The account that pays for this model's predictions."""
        return self.accounts[model.provider]

    def find(
        self,
        *,
        provider: str | None = None,
        mode: str | None = None,
        aspect_ratio: str | None = None,
        duration: float | None = None,
        kind: str | None = None,
    ) -> list[Model]:
        """The models that are not retired and can do all of this in one and the same mode."""

        def can(model: Model, with_mode: Mode) -> bool:
            return (
                mode in {None, with_mode}
                and (aspect_ratio is None or aspect_ratio in model.aspect_ratios(with_mode))
                and (duration is None or 0 < duration <= model.lengths(with_mode).longest)
            )

        return [
            model
            for model in self.models.values()
            if provider in {None, model.provider}
            and kind in {None, model.kind}
            and model.retired is None
            and any(can(model, with_mode) for with_mode in model.modes)
        ]


def load(texts: Mapping[str, str]) -> Catalogue:
    """The catalogue of these files (name → TOML text). Raises CatalogueError with every complaint."""
    return _load(tuple(texts.items()))


@lru_cache(maxsize=4)  # to read them takes a tenth of a second, and nobody can change what was read
def _load(texts: tuple[tuple[str, str], ...]) -> Catalogue:
    complaints: list[str] = []
    accounts: list[Account] = []
    models: list[Model] = []
    for name, text in texts:
        account, rows = _read(name, text, complaints)
        accounts += [account] if account else []
        models += rows
    complaints += [
        *_repeated("provider", (account.provider for account in accounts)),
        *_repeated("account", (account.name for account in accounts)),
        *_repeated("model", (model.key for model in models)),
        *_repeated("legacy path", (path for model in models for path in model.legacy_paths.values())),
        *(f"{model.key}: {sentence}" for model in models for sentence in _contradictions(model)),
        *(f"{model.key}: there is no successor {model.successor}" for model in _without_heir(models)),
        *(sentence for account in accounts for sentence in _strangers(account, models)),
    ]
    if complaints:
        raise CatalogueError(complaints)
    return Catalogue(
        MappingProxyType({model.key: model for model in models}),
        MappingProxyType({account.provider: account for account in accounts}),
    )


def _read(name: str, text: str, complaints: list[str]) -> tuple[Account | None, list[Model]]:
    """One file; what is wrong with it is added to the complaints."""
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        complaints.append(f"{name}: not TOML: {error}")
        return None, []
    complaints += [f"{name}: there is no section {section!r}" for section in sorted(data.keys() - _SECTIONS)]
    defaults, rows = data.get("defaults", {}), data.get("models", [])
    if not rows or not isinstance(rows, list) or not all(isinstance(table, dict) for table in (defaults, *rows)):
        complaints.append(f"{name}: [defaults] is a table and [[models]] are tables, at least one")
        return None, []
    account = _row(Account, data.get("account"), f"{name}: account", complaints)
    provider = account.provider if account else "unknown"
    models = [
        _row(Model, defaults | row | {"provider": provider}, f"{name}: {row.get('slug', number)}", complaints)
        for number, row in enumerate(rows)
    ]
    return account, [model for model in models if model]


def _row(kind: type[_R], data: Any, place: str, complaints: list[str]) -> _R | None:
    try:
        return kind.model_validate(data)
    except ValidationError as error:
        complaints += [
            f"{place}.{'.'.join(str(part) for part in found['loc'])}: {found['msg']}"
            for found in error.errors(include_url=False)
        ]
        return None


def _without_heir(models: Sequence[Model]) -> list[Model]:
    keys = {model.key for model in models}
    return [model for model in models if model.successor and model.successor not in keys]


def _strangers(account: Account, models: list[Model]) -> Iterator[str]:
    """Whoever stands in a family of the account's and is none of its models."""
    known = {model.slug for model in models if model.provider == account.provider}
    for name, family in account.families.items():
        yield from (f"{account.name}: families.{name}: there is no model {slug}" for slug in {*family.models} - known)


def _repeated(what: str, names: Iterable[str]) -> list[str]:
    return [f"the {what} {name!r} stands {times} times" for name, times in Counter(names).items() if times > 1]


def _contradictions(model: Model) -> Iterator[str]:
    """Everything in which a row contradicts itself."""
    yield from _limits_that_clash(model)
    yield from _shapes_that_clash(model)
    yield from _lengths_that_clash(model)
    yield from _prices_that_lack(model)
    inputs, paths = {name for name, given in model.inputs if given}, model.legacy_paths.values()
    for mode in model.modes:
        yield from (f"mode {mode} needs inputs.{name}" for name in INPUTS_OF_MODE[mode] if name not in inputs)
    yield from (f"legacy_paths.{mode} is no mode of it" for mode in model.legacy_paths if mode not in model.modes)
    yield from (f"legacy path {path!r} does not begin with /api/" for path in paths if not path.startswith("/api/"))
    yield from (f"only.{mode} is no mode of it" for mode in model.only if mode not in model.modes)
    yield from (f"endpoints.{mode} is no mode of it" for mode in model.endpoints if mode not in model.modes)


def _limits_that_clash(model: Model) -> Iterator[str]:
    if model.time_limit_seconds >= model.hard_limit_seconds:
        yield "hard_limit_seconds is not above time_limit_seconds"
    if model.usual_seconds > model.hard_limit_seconds:
        yield "usual_seconds is above hard_limit_seconds"
    if model.polling.first_seconds > model.polling.max_seconds:
        yield "polling.first_seconds is above polling.max_seconds"
    if model.resolution.default not in model.resolution.allowed:
        yield f"resolution.default {model.resolution.default!r} is not allowed"


def _shapes_that_clash(model: Model) -> Iterator[str]:
    shapes = model.aspect_ratio
    if shapes.from_image and model.inputs.image is None:
        yield "aspect_ratio.from_image needs inputs.image"
    if shapes.field and not shapes.values:
        yield "aspect_ratio.field needs aspect_ratio.values"
    shaped_by_video = all("video" in INPUTS_OF_MODE[mode] for mode in model.modes)
    if model.kind == "video" and not shapes.allowed and not shaped_by_video:
        yield "no aspect ratio is allowed"
    if model.inputs.references and "references" not in model.modes:
        yield "inputs.references needs mode references"


def _lengths_that_clash(model: Model) -> Iterator[str]:
    lengths = model.duration.seconds
    if isinstance(lengths, Range):
        if lengths.min > lengths.max or (lengths.whole and not (lengths.min.is_integer() and lengths.max.is_integer())):
            yield "duration.seconds.min and max make no range"
        if model.duration.sent or model.duration.strategy == "discrete":
            yield "duration.sent and strategy discrete need a list of seconds"
    elif not lengths or min(lengths) <= 0:
        yield "duration.seconds needs lengths above 0"
    elif model.duration.sent and len(model.duration.sent) != len(lengths):
        yield "duration.sent needs one item for each of duration.seconds"


def _prices_that_lack(model: Model) -> Iterator[str]:
    """The default resolution has a price for every length, any other for at least one."""
    lengths = model.duration.seconds
    # a range is priced by the second: any length in it will do to find the line
    wanted = (lengths.min,) if isinstance(lengths, Range) else lengths
    for resolution in model.resolution.allowed:
        lacking = [seconds for seconds in wanted if not model.price.line(seconds, resolution)]
        if lacking and (resolution == model.resolution.default or len(lacking) == len(wanted)):
            yield from (f"no price for {seconds:g} s at {resolution}" for seconds in lacking)
    for mode in model.modes:
        for resolution in model.resolutions(mode):
            if resolution not in model.resolution.allowed:
                yield f"only.{mode}.resolutions: {resolution!r} is not allowed"
            elif not model.lengths(mode, resolution).seconds:
                yield f"no length of mode {mode} has a price at {resolution}"
