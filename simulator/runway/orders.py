"""Reads an order the way Runway does: strictly, nested, and with rules for what a link may be."""

import ipaddress
import math
from collections.abc import Callable, Iterator, Mapping
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

from simulator.desk import Sale
from simulator.predictions import Media
from simulator.runway.documents import invalid, issue
from simulator.schema import Complaint, Model, Models, check_input

LONGEST_LINK = 2048
HEAD_SECONDS = 3
LARGEST_DATA_URI = 5 * 2**20
EXTENSIONS = {"video": "mp4", "image": "png", "audio": "mp3"}
CHARACTERS_PER_CREDIT = 50

#: What the objects of a list may hold; in the check below their links stand for them.
ITEMS = {
    "promptImage": {"uri", "position"},
    "referenceImages": {"uri", "tag"},
    "references": {"uri", "type"},
    "keyframes": {"uri", "seconds", "at", "range"},
}
LINKS = frozenset({*ITEMS, "videoUri", "character.uri", "reference.uri"})
#: A complaint of our schema → the word that Runway has for it.
CODES = {
    "additional_property_not_allowed": "unrecognized_keys",
    "required": "invalid_type",
    "invalid_type": "invalid_type",
    "enum": "invalid_value",
    "number_gte": "too_small",
    "number_lte": "too_big",
    "string_lte": "too_big",
    "array_max_items": "too_big",
}

Flat = dict[str, Any]


def read(models: Models, endpoint: str, body: Any, knows_upload: Callable[[str], bool]) -> tuple[Model, Flat]:
    """The model of an order and its input with dotted names, lists of objects as lists of links.

    Raises Problem with everything that is wrong.
    """
    if not isinstance(body, dict):
        raise invalid([issue("invalid_type", [], "Expected object")])
    model = models.by_name.get(f"{endpoint}/{body.get('model')}")
    if model is None:
        raise invalid([issue("invalid_union", ["model"], "Invalid input: no such model at this endpoint")])
    given = {name: value for name, value in body.items() if name != "model"}
    issues = list(_issues_of_lists(model, given))
    flat = _flat(given)
    issues += [_issue(complaint) for complaint in check_input(model, flat)]
    issues += [
        issue("invalid_string", name.split("."), complaint)
        for name in flat.keys() & LINKS
        for link in (flat[name] if isinstance(flat[name], list) else [flat[name]])
        if (complaint := _complaint(link, knows_upload))
    ]
    if issues:
        raise invalid(issues)
    return model, flat


def _flat(given: Mapping[str, Any]) -> Flat:
    flat: Flat = {}
    for name, value in given.items():
        if name in ITEMS:
            items = value if isinstance(value, list) else [value]
            flat[name] = [item.get("uri") if isinstance(item, dict) else item for item in items]
        elif isinstance(value, dict):
            flat |= {f"{name}.{inner}": each for inner, each in value.items()}
        else:
            flat[name] = value
    return flat


def _issues_of_lists(model: Model, given: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """What is wrong inside of lists: names that are not known, frames in places that the model does not have."""
    for name in given.keys() & ITEMS.keys():
        items = given[name] if isinstance(given[name], list) else []
        for number, item in enumerate(items):
            if not isinstance(item, dict) or not isinstance(item.get("uri"), str):
                yield issue("invalid_type", [name, number], "Expected object with a uri")
            elif item.keys() - ITEMS[name]:
                yield issue(
                    "unrecognized_keys", [name, number], f"Unrecognized keys: {sorted(item.keys() - ITEMS[name])}"
                )
        if name == "promptImage" and name in model.input and items:
            places = [item.get("position") for item in items if isinstance(item, dict)]
            if places not in (["first"], ["first", "last"][: model.input[name].max_items]):
                yield issue("invalid_value", [name], f"Invalid positions: {places}")


def _issue(complaint: Complaint) -> dict[str, Any]:
    name = complaint.field.removeprefix("input").removeprefix(".")
    if complaint.type == "required":
        name = complaint.description.removesuffix(" is required")
    message = complaint.description.replace("input.", "")
    return issue(CODES[complaint.type], name.split(".") if name else [], message)


def _complaint(link: Any, knows_upload: Callable[[str], bool]) -> str | None:
    """What is wrong with a link: only https to a name is fetched, or plain http on this machine, for tests."""
    if not isinstance(link, str):
        return "Expected string"
    parts = urlsplit(link)
    if parts.scheme == "data":
        return None if len(link) <= LARGEST_DATA_URI else "Data URIs are limited to 5 MB"
    if parts.scheme == "runway":
        return None if knows_upload(parts.netloc) else "No such upload"
    if len(link) > LONGEST_LINK:
        return f"URLs are limited to {LONGEST_LINK} characters"
    if parts.scheme == "http" and parts.hostname in {"127.0.0.1", "localhost"}:
        return None if _answers_head(link) else "The URL does not support HEAD requests, or tells no length"
    if parts.scheme != "https" or not parts.hostname:
        return "Only HTTPS URLs are allowed"
    return "The host must be a domain name, not an IP address" if _is_address(parts.hostname) else None


def _answers_head(link: str) -> bool:
    """Whether a link on this machine tells what Runway asks before it fetches; others can't be tried from here."""
    parts = urlsplit(link)
    connection = HTTPConnection(parts.hostname or "", parts.port, timeout=HEAD_SECONDS)
    try:
        connection.request("HEAD", f"{parts.path or '/'}?{parts.query}")
        answer = connection.getresponse()
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()
    return answer.status == HTTPStatus.OK and answer.getheader("Content-Length") is not None


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def prompt_of(flat: Flat) -> str:
    """The text that an order turns on."""
    return str(flat.get("promptText") or "")


def sale_of(model: Model, flat: Flat, body: Mapping[str, Any], *, base_url: str, at_once: int | None) -> Sale:
    """The order, as the desk sells it."""
    prompt = str(flat.get("promptText") or "")
    speaks = model.kind == "audio"
    return Sale(
        id=str(uuid4()),
        model=model,
        given=flat,
        body=body,
        prompt=prompt,
        base_url=base_url,
        at_once=at_once,
        # Speech is sold by fifty characters, and a credit is a cent.
        price_cents=float(math.ceil(len(prompt) / CHARACTERS_PER_CREDIT)) if speaks else None,
        media=Media(
            kind=model.kind,
            extension=EXTENSIONS[model.kind],
            ratio=_ratio(str(flat.get("ratio") or flat.get("targetAspectRatio") or model.ratio)),
            seconds=max(1.0, round(len(prompt) / 15, 1)) if speaks else model.result_seconds(flat),
            as_list=True,
        ),
    )


def _ratio(text: str) -> float:
    width, height = (float(side) for side in text.split(":"))
    return width / height
