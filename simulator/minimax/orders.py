"""Reads orders the way MiniMax does: strictly, each kind in a form of its own; a sale is made of all of them."""

import secrets
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from simulator.desk import Sale, root_url
from simulator.schema import Model, Models, check_input
from simulator.webhooks import may_be_called

#: Cents for a clip of v1 by resolution and seconds, where the model's own figure is not the one.
CLIP_CENTS = {
    "MiniMax-Hailuo-2.3": {("768P", 6): 28, ("768P", 10): 56, ("1080P", 6): 49},
    "MiniMax-Hailuo-2.3-Fast": {("768P", 6): 19, ("768P", 10): 32, ("1080P", 6): 33},
    "MiniMax-Hailuo-02": {
        ("512P", 6): 10,
        ("512P", 10): 15,
        ("768P", 6): 28,
        ("768P", 10): 56,
        ("1080P", 6): 49,
    },
}
ROLES = {
    "image_url": ("first_frame", "last_frame", "reference_image"),
    "video_url": ("reference_video",),
    "audio_url": ("reference_audio",),
}
MOST_PARTS = {"image_url": 9, "video_url": 3, "audio_url": 3}
MOST_OF_ALL = 12
AT_ONCE = 10  #: how many tasks of v2 an account has rendered together; nobody tells the figure

Refuse = Callable[[str], Exception]


def new_task_id() -> str:
    """Fifteen digits."""
    return str(10**14 + secrets.randbelow(9 * 10**14))


def video(models: Models, body: Mapping[str, Any], refuse: Refuse) -> Sale:
    """An order of v1's video: flat fields, and subjects in a list."""
    model = _model(models, body, "video", "v1", refuse)
    given = _flat(body, refuse, subject="image")
    _check(model, given, refuse)
    prices = CLIP_CENTS.get(model.name)
    whole = model.with_defaults(given)
    cents = prices.get((whole["resolution"], whole["duration"])) if prices else model.cents
    if cents is None:
        raise refuse(f"{model.name} does not support {whole['duration']} s at {whole['resolution']}")
    if not given.get("prompt") and not given.get("first_frame_image"):
        raise refuse("prompt or first_frame_image is required")
    return _sale(model, given, body, price_cents=cents, webhook=_callback(body, refuse), extra={"api": "v1"})


def task(models: Models, body: Mapping[str, Any], refuse: Refuse) -> Sale:
    """An order of v2: its parts in ``content``."""
    model = _model(models, body, "video", "v2", refuse)
    parts = body.get("content")
    if not isinstance(parts, list) or not parts:
        raise refuse("content is required")
    given = {name: value for name, value in body.items() if name not in {"model", "content", "callback_url"}}
    given |= dict(_read_parts(parts, refuse))
    _check(model, given, refuse)
    shown = any(role in given for roles in ROLES.values() for role in roles)
    if not shown and given.get("ratio", "adaptive") == "adaptive":
        raise refuse("ratio is required for text to video, and can't be adaptive")
    if given.get("ratio", "adaptive") != "adaptive":
        given["aspect_ratio"] = given["ratio"]
    return _sale(model, given, body, webhook=_callback(body, refuse), extra={"api": "v2"}, at_once=AT_ONCE)


def picture(models: Models, body: Mapping[str, Any], refuse: Refuse) -> Sale:
    """An order of pictures."""
    model = _model(models, body, "image", "v1", refuse)
    given = _flat(body, refuse, subject="image_file")
    _check(model, given, refuse)
    cents = model.cents * int(model.with_defaults(given)["n"])
    return _sale(model, given, body, price_cents=cents, extra={"api": "v1"})


def speech(models: Models, body: Mapping[str, Any], refuse: Refuse) -> Sale:
    """An order of speech: settings of the voice and of the sound are objects of their own."""
    model = _model(models, body, "audio", "v1", refuse)
    given = dict(_without(body, "model"))
    for name in ("voice_setting", "audio_setting"):
        inner = given.pop(name, {})
        if not isinstance(inner, dict):
            raise refuse(f"{name} must be an object")
        given |= inner
    _check(model, given, refuse)
    cents = model.cents * len(given["text"])
    sold = {name: value for name, value in given.items() if name != "output_format"}
    return _sale(model, sold, body, price_cents=cents, extra={"api": "v1"})


def _model(models: Models, body: Mapping[str, Any], kind: str, api: str, refuse: Refuse) -> Model:
    model = models.by_name.get(str(body.get("model")))
    of_second = model is not None and model.name.startswith("MiniMax-H3")
    if model is None or model.kind != kind or of_second != (api == "v2"):
        raise refuse(f"unknown model {body.get('model')}")
    return model


def _without(body: Mapping[str, Any], *names: str) -> Iterator[tuple[str, Any]]:
    return ((name, value) for name, value in body.items() if name not in names)


def _flat(body: Mapping[str, Any], refuse: Refuse, *, subject: str) -> dict[str, Any]:
    """The fields of an order, with the pictures of a subject as a list of links."""
    given = dict(_without(body, "model", "callback_url"))
    if "subject_reference" not in given:
        return given
    try:
        [one] = given["subject_reference"]
        shown = one.pop(subject) if (one := dict(one)).pop("type") == "character" else None
    except (KeyError, TypeError, ValueError):
        shown = None
    links = [shown] if isinstance(shown, str) else shown
    if not isinstance(links, list) or one:
        raise refuse("subject_reference")
    return given | {"subject_reference": links}


def _read_parts(parts: list[Any], refuse: Refuse) -> Iterator[tuple[str, Any]]:
    """The parts as flat inputs, by their roles."""
    found: dict[str, list[str]] = {}
    counts: Counter[str] = Counter()
    for part in parts:
        kind = part.get("type") if isinstance(part, dict) else None
        if kind == "text" and part.keys() == {"type", "text"}:
            yield "prompt", part["text"]
            continue
        if kind not in ROLES or part.keys() != {"type", kind, "role"} or part["role"] not in ROLES[kind]:
            raise refuse("content")
        counts[kind] += 1
        found.setdefault(part["role"], []).append(part[kind].get("url"))
    if _too_many(counts) or _mixed(found) or (counts["audio_url"] and len(counts) == 1):
        raise refuse("content: too many parts, or roles that do not go together")
    yield from ((role, links if role.startswith("reference") else links[0]) for role, links in found.items())


def _too_many(counts: Counter[str]) -> bool:
    return counts.total() > MOST_OF_ALL or any(counts[kind] > most for kind, most in MOST_PARTS.items())


def _mixed(found: Mapping[str, list[str]]) -> bool:
    frames = [role for role in found if role.endswith("frame")]
    return bool(frames and len(frames) < len(found)) or any(len(found[role]) > 1 for role in frames)


def _check(model: Model, given: Mapping[str, Any], refuse: Refuse) -> None:
    complaints = check_input(model, given)
    if complaints:
        raise refuse("; ".join(each.description for each in complaints))


def _callback(body: Mapping[str, Any], refuse: Refuse) -> str | None:
    url = body.get("callback_url")
    if url is not None and not (isinstance(url, str) and may_be_called(url)):
        raise refuse("callback_url")
    return url


def _sale(model: Model, given: Mapping[str, Any], body: Mapping[str, Any], **more: Any) -> Sale:
    stated = dict(_without(body, "callback_url"))
    prompt = str(given.get("prompt") or given.get("text") or "")
    return Sale(id=new_task_id(), model=model, given=given, body=stated, prompt=prompt, base_url=root_url(), **more)
