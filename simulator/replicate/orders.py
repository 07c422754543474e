"""Reads an order the way Replicate does: strictly, and with complaints in its words."""

import math
import random
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from simulator.faults import Fault, split_prompt
from simulator.predictions import Media, Order
from simulator.replicate.documents import bad_version, invalid, new_id, not_found
from simulator.schema import Complaint, Model, Models, check_input
from simulator.webhooks import may_be_called

EVENTS = ("start", "output", "logs", "completed")
USUAL_EVENTS = ("output", "completed")
PROPERTIES = {"input": dict, "webhook": str, "webhook_events_filter": list, "stream": bool}
PREFER = re.compile(r"wait(?:=([1-9]|[1-5][0-9]|60))?")
CANCEL_AFTER = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?|(\d+)")
LONGEST_WAIT_SECONDS = 60
SHORTEST_DEADLINE_SECONDS = 5
EXTENSIONS = {"video": "mp4", "image": "jpg", "audio": "mp3", "text": "txt"}


@dataclass(frozen=True, kw_only=True)
class Wishes:
    """What the headers of a create ask for."""

    wait_seconds: int | None = None
    cancel_after_seconds: int | None = None
    preference: str = ""

    @classmethod
    def of(cls, preference: str, cancel_after: str) -> "Wishes":
        """Read ``Prefer`` and ``Cancel-After``. Raises Problem."""
        match = PREFER.fullmatch(preference)
        if preference and not match:
            raise _complaint("pattern", "Prefer", "Does not match pattern '^wait(=([1-9]|[1-9][0-9]|60))?$'")
        wait = int(match[1] or LONGEST_WAIT_SECONDS) if match else None
        return cls(
            wait_seconds=wait,
            preference=f"wait={wait}" if wait else "",
            cancel_after_seconds=_cancel_after(cancel_after),
        )


def _cancel_after(text: str) -> int | None:
    if not text:
        return None
    match = CANCEL_AFTER.fullmatch(text)
    if not match:
        raise _complaint("pattern", "Cancel-After", "Is not a duration such as 30s, 5m, 1h30m45s or 90")
    hours, minutes, seconds, bare = (int(group or 0) for group in match.groups())
    total = hours * 3600 + minutes * 60 + seconds + bare
    if total < SHORTEST_DEADLINE_SECONDS:
        raise _complaint("number_gte", "Cancel-After", "Must be at least 5 seconds")
    return total


def _complaint(kind: str, field: str, description: str) -> Exception:
    return invalid([Complaint(type=kind, field=field, description=description)])


def find_model(models: Models, body: Mapping[str, Any], name: str | None) -> Model:
    """The model that a create is for: by its own path, or by ``version``. Raises Problem."""
    if name is not None:
        model = models.by_name.get(name)
        if model is None or model.version is not None:
            raise not_found()
        return model
    version = body.get("version")
    if not isinstance(version, str):
        raise _complaint("required", "(root)", "version is required")
    model = models.by_version(version)
    if model is None:
        raise bad_version()
    return model


def check_body(model: Model, body: Mapping[str, Any], *, generic: bool) -> None:
    """Raises Problem with everything that is wrong."""
    known = PROPERTIES | ({"version": str} if generic else {})
    complaints = [_unknown(name) for name in body if name not in known]
    complaints += [
        Complaint(type="invalid_type", field=name, description=f"Invalid type. Expected: {_json_name(kind)}")
        for name, kind in known.items()
        if name in body and not isinstance(body[name], kind)
    ]
    if "input" not in body:
        complaints.append(Complaint(type="required", field="(root)", description="input is required"))
    if not complaints:
        complaints = [*check_input(model, body["input"]), *_webhook_complaints(body)]
    if complaints:
        raise invalid(complaints)


def _unknown(name: str) -> Complaint:
    description = f"Additional property {name} is not allowed"
    return Complaint(type="additional_property_not_allowed", field="(root)", description=description)


def _json_name(kind: type) -> str:
    return {dict: "object", str: "string", list: "array", bool: "boolean"}[kind]


def _webhook_complaints(body: Mapping[str, Any]) -> list[Complaint]:
    complaints = []
    if "webhook" in body and not may_be_called(body["webhook"]):
        complaints.append(Complaint(type="format", field="webhook", description="Must be a valid HTTPS URL"))
    events = body.get("webhook_events_filter", [])
    if not all(event in EVENTS for event in events):
        allowed = ", ".join(f'"{event}"' for event in EVENTS)
        description = f"webhook_events_filter must contain only the following: {allowed}"
        complaints.append(Complaint(type="enum", field="webhook_events_filter", description=description))
    return complaints


def prompt_of(given: Mapping[str, Any]) -> str:
    """The text that an input turns on, wherever the model has it."""
    return str(given.get("prompt") or given.get("text") or "")


@dataclass(frozen=True, kw_only=True)
class Buyer:
    """Who orders, and under which address the simulator was reached."""

    account: str
    base_url: str


def make_order(
    number: int,
    model: Model,
    body: Mapping[str, Any],
    *,
    buyer: Buyer,
    render_seconds: float,
    fault: Fault,
    wishes: Wishes,
) -> Order:
    """The order as it will stand in the ledger."""
    given = body["input"]
    created_at = datetime.now(UTC)
    after = wishes.cancel_after_seconds
    return Order(
        id=new_id(),
        number=number,
        account=buyer.account,
        model=model.name,
        version=model.version or "hidden",
        input=given,
        price_cents=model.price_cents(given),
        created_at=created_at,
        render_seconds=render_seconds,
        media=_media(model, given),
        caption=caption_of(model, given),
        base_url=buyer.base_url,
        webhook=body.get("webhook"),
        webhook_events=tuple(body.get("webhook_events_filter") or USUAL_EVENTS),
        deadline=created_at + timedelta(seconds=after) if after else None,
        fault=fault,
    )


def _media(model: Model, given: Mapping[str, Any]) -> Media:
    whole = model.with_defaults(given)
    extension = whole.get("output_format") or whole.get("audio_format") or EXTENSIONS[model.kind]
    return Media(
        kind=model.kind,
        extension=str(extension),
        count=0 if model.kind == "text" else int(whole.get("num_outputs", 1)),
        ratio=_ratio(str(whole.get("aspect_ratio") or whole.get("size") or model.ratio)),
        seconds=model.result_seconds(given),
        as_list=model.output == "uris",
    )


def _ratio(text: str) -> float:
    width, height = (float(side) for side in re.split(r"[:*x]", text))
    return width / height


def caption_of(model: Model, given: Mapping[str, Any]) -> str:
    """The last paragraph of the prompt: what is particular to this one comes last."""
    text = split_prompt(prompt_of(given))[0]
    return text.rsplit("\n\n", 1)[-1] or model.name


def spread_factor(caption: str, sigma: float) -> float:
    """How much longer than usual this one takes: log-normal, and always the same for the same caption."""
    dice = random.Random(caption)  # noqa: S311  # repeatable, not secret
    return math.exp(sigma * dice.gauss(0, 1)) if sigma else 1.0
