"""Reads Kling's orders, strictly, in the words of the family that they come in; and its rows of models."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from simulator.kling.door import Problem
from simulator.schema import Model, Models, check_input

MODELS = Models.read(Path(__file__).with_name("models.toml"))

CONTENT_TYPES = {"prompt": "text", "first_frame": "url", "last_frame": "url", "refer_image": "url"}
NEW_BODY = {"prompt": str, "contents": list, "settings": dict, "options": dict}
OPTIONS = {"callback_url": str, "external_task_id": str, "watermark_info": dict}
LIP_SYNC = "v1/videos/lip-sync"
LEGACY_OPTIONS = {"callback_url": str, "external_task_id": str, "model_name": str, "watermark_info": dict}


def new_order(path: str, body: Mapping[str, Any]) -> tuple[Model, dict[str, Any], dict[str, Any]]:
    """The model of a path of the new family, its flat input, and the options. Raises Problem."""
    _only(body, NEW_BODY)
    options = body.get("options", {})
    _only(options, OPTIONS)
    if not path.startswith("text-to-video/") and not body.get("contents"):
        raise Problem(1201, "contents cannot be empty")
    given = {**_contents(body), **body.get("settings", {})}
    return _model(path), _checked(_model(path), given), options


def legacy_order(path: str, body: Mapping[str, Any]) -> tuple[Model, dict[str, Any], dict[str, Any]]:
    """The model that a body of the legacy family names, its input, and the options. Raises Problem."""
    if path == LIP_SYNC:
        _only(body, {"input": dict, "callback_url": str})
        return _model(path), _checked(_model(path), body.get("input", {})), dict(body)
    options = {name: value for name, value in body.items() if name in LEGACY_OPTIONS}
    _only(options, LEGACY_OPTIONS)
    given = {name: value for name, value in body.items() if name not in LEGACY_OPTIONS}
    pictures = given.get("image_list")
    if isinstance(pictures, list) and all(isinstance(each, dict) and each.keys() == {"image"} for each in pictures):
        given["image_list"] = [each["image"] for each in pictures]
    model = _model(f"{path}:{options.get('model_name', 'kling-v1')}")
    return model, _checked(model, given), options


def _contents(body: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {"prompt": body["prompt"]} if "prompt" in body else {}
    for entry in body.get("contents", []):
        field = CONTENT_TYPES.get(str(entry.get("type"))) if isinstance(entry, dict) else None
        if field is None or not entry.keys() <= {"type", "id", field} or not isinstance(entry.get(field), str):
            raise Problem(1201, "contents are malformed")
        if entry["type"] == "refer_image":
            found.setdefault("refer_image", []).append(entry[field])
        else:
            found[entry["type"]] = entry[field]
    return found


def _model(name: str) -> Model:
    model = MODELS.by_name.get(name)
    if model is None:
        raise Problem(1203, f"model {name} is not found")
    return model


def _checked(model: Model, given: dict[str, Any]) -> dict[str, Any]:
    complaints = check_input(model, given)
    if complaints:
        raise Problem(1201, "; ".join(each.description for each in complaints))
    return given


def _only(given: Mapping[str, Any], known: Mapping[str, type]) -> None:
    wrong = next((name for name, value in given.items() if not isinstance(value, known.get(name, ()))), None)
    if wrong:
        raise Problem(1201, f"invalid parameter: {wrong}")
