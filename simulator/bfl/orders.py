"""Reads an order the way Black Forest Labs do: strictly, flat, sizes in steps."""

import re
from collections.abc import Iterator, Mapping
from math import ceil
from typing import Any
from uuid import uuid4

from simulator.bfl.documents import invalid, wrong
from simulator.desk import Sale
from simulator.predictions import Media
from simulator.schema import Model, Models, check_input
from simulator.webhooks import may_be_called

PIXELS = 1024 * 1024
#: Steps of width and height, and the most pixels, by the beginning of the model's name.
SIZES = (("flux-2", 16, 4 * PIXELS), ("flux-pro-1.1-ultra", 1, PIXELS), ("flux-", 32, 1440 * 1440))
#: Cents of every megapixel after the first.
MORE_PIXELS = {"flux-2-pro": 1.5, "flux-2-max": 3.0, "flux-2-flex": 5.0}
KINDS = {"required": "missing", "additional_property_not_allowed": "extra_forbidden"}
HOOKS = frozenset({"webhook_url", "webhook_secret"})


def read(models: Models, name: str, body: Any) -> tuple[Model, dict[str, Any]]:
    """The model of an order, and its input without what is only for webhooks. Raises Problem."""
    model = models.by_name.get(name)
    if not isinstance(body, dict) or model is None:
        raise invalid([wrong("model" if model is None else "body", "Input should be a valid object", "model_type")])
    given = {field: value for field, value in body.items() if field not in HOOKS}
    complaints = [
        wrong(
            _field(each.field, each.description),
            each.description.replace("input.", ""),
            KINDS.get(each.type, each.type),
        )
        for each in check_input(model, given)
    ]
    complaints += [] if complaints else _sizes(name, given)
    if "webhook_url" in body and not may_be_called(str(body["webhook_url"])):
        complaints.append(wrong("webhook_url", "URL scheme should be https", "url_scheme"))
    if complaints:
        raise invalid(complaints)
    return model, given


def _field(place: str, description: str) -> str:
    """The field of a complaint; one that lacks, or that nobody knows, stands in the words alone."""
    named = re.fullmatch(r"(?:Additional property )?(\S+) is (?:required|not allowed)", description)
    return named[1] if named else place.removeprefix("input.")


def _sizes(name: str, given: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    step, most = next((step, most) for start, step, most in SIZES if name.startswith(start))
    for side in ("width", "height"):
        if given.get(side, step) % step:
            yield wrong(side, f"Input should be a multiple of {step}", "multiple_of")
    if given.get("width", 1) * given.get("height", 1) > most:
        yield wrong("width", f"The picture is larger than {most} pixels", "too_large")


def sale_of(model: Model, given: Mapping[str, Any], body: Mapping[str, Any], base_url: str) -> Sale:
    """The order, as the desk sells it."""
    whole = model.with_defaults(given)
    extension = "mp4" if model.kind == "video" else str(whole.get("output_format", "jpeg")).replace("jpeg", "jpg")
    return Sale(
        id=str(uuid4()),
        model=model,
        given=given,
        body=given,
        prompt=str(given.get("prompt") or ""),
        base_url=base_url,
        webhook=body.get("webhook_url"),
        extra={"webhook_secret": body.get("webhook_secret"), "megapixels": megapixels(whole)},
        price_cents=model.price_cents(given) + MORE_PIXELS.get(model.name, 0) * max(0, ceil(megapixels(whole)) - 1),
        media=Media(
            kind=model.kind,
            extension=extension,
            ratio=_ratio(whole, model.ratio),
            seconds=model.result_seconds(given),
        ),
    )


def megapixels(whole: Mapping[str, Any]) -> float:
    """How large a picture is."""
    return round(float(whole.get("width", 1024)) * float(whole.get("height", 1024)) / PIXELS, 2)


def _ratio(whole: Mapping[str, Any], usual: str) -> float:
    if "width" in whole and "height" in whole:
        return float(whole["width"]) / float(whole["height"])
    told = str(whole.get("aspect_ratio", usual))
    width, _, height = (usual if told == "auto" else told).partition(":")
    return float(width) / float(height)
