"""Kling's HTTP dialect: two families of paths over the same tasks, found by their id or the customer's."""

import secrets
from collections.abc import Mapping
from datetime import datetime
from pathlib import PurePosixPath
from typing import Any

from flask import Blueprint, Flask, Response, g, request
from werkzeug.exceptions import HTTPException

from simulator.desk import Desk, Sale, links_of, root_url, tell
from simulator.faults import FAILURES
from simulator.kling.door import KlingWords, Problem, envelope, key_of, problem_response
from simulator.kling.forms import legacy_order, new_order
from simulator.parts import Parts
from simulator.predictions import Phase, Prediction
from simulator.webhooks import may_be_called

NAME = "kling"
NEW_PRODUCTS = ("text-to-video", "image-to-video", "omni-video")
LEGACY_PATHS = (
    *("videos/text2video", "videos/image2video", "videos/multi-image2video", "videos/lip-sync"),
    "images/generations",
)
COUNTED = {"create_new": "creates", "create_legacy": "creates", "task": "gets", "tasks": "gets"}
MOST_TASKS = 500
AT_ONCE = 5
RISK = "Failure to pass the risk control system"


def install(app: Flask, parts: Parts) -> None:
    """Add the dialect to an app, under /kling. Requests are not limited, tasks at once are."""
    parts.gate.usual_for(NAME, max_in_flight=AT_ONCE, creates_per_minute=100_000, other_per_minute=1_000_000)
    pages = Blueprint(NAME, __name__, url_prefix=f"/{NAME}")
    tasks = _Tasks(parts)
    pages.before_request(tasks.enter)
    for product in NEW_PRODUCTS:
        pages.add_url_rule(f"/{product}/<model>", "create_new", tasks.create_new, methods=["POST"])
    for path in LEGACY_PATHS:
        pages.add_url_rule(f"/v1/{path}", "create_legacy", tasks.create_legacy, methods=["POST"])
        pages.add_url_rule(f"/v1/{path}", "list_legacy", tasks.list_legacy)
        pages.add_url_rule(f"/v1/{path}/<name>", "task", tasks.task)
    pages.add_url_rule("/tasks", "tasks", tasks.tasks)
    pages.register_error_handler(Problem, problem_response)
    pages.register_error_handler(HTTPException, lambda error: problem_response(_http_problem(error)))
    app.register_blueprint(pages)


def announce(parts: Parts, prediction: Prediction, event: str) -> None:
    """Call back on each change of status, with the task as a query of its family shows it, signed."""
    if event in {"start", "completed"}:
        tell(parts, prediction, _document(parts, prediction))


class _Tasks:
    """The routes of tasks."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._desk = Desk(parts, KlingWords(), dialect=NAME)

    def enter(self) -> None:
        """Raises Problem: a code of authentication, or that nothing works just now."""
        path = request.path.removeprefix(f"/{NAME}/")
        key = key_of(self._parts, self._desk, request.headers.get("Authorization", ""), legacy=path.startswith("v1/"))
        g.path = path
        self._desk.enter(key, COUNTED.get((request.endpoint or "").rpartition(".")[2], "lists"))

    def create_new(self, model: str) -> Response:  # noqa: ARG002 - the whole path names it
        return self._create(legacy=False)

    def create_legacy(self) -> Response:
        return self._create(legacy=True)

    def task(self, name: str) -> Response:
        """One task of the legacy family, by its id or the customer's."""
        path = str(PurePosixPath(g.path).parent)
        found = self._desk.own(name) or self._by_marker(name)
        if found is None or found.order.extra.get("path") != path:
            raise Problem(1203)
        return self._desk.trouble("poll", found) or envelope(_document(self._parts, found))

    def tasks(self) -> Response:
        """The tasks of some ids, or of some of the customer's; whoever is not known is left out."""
        names = [name for name in request.args.get("task_ids", "").split(",") if name]
        markers = [name for name in request.args.get("external_task_ids", "").split(",") if name]
        if not names and not markers:
            raise Problem(1201, "task_ids or external_task_ids is required")
        found = [*map(self._desk.own, names), *map(self._by_marker, markers)]
        known = [each for each in found if each is not None]
        trouble = self._desk.trouble("list" if len(names) + len(markers) > 1 else "poll", next(iter(known), None))
        return trouble or envelope([_new_document(self._parts, each) for each in known])

    def list_legacy(self) -> Response:
        """A page of a path's tasks, newest first."""
        page, size = request.args.get("pageNum", 1, type=int), request.args.get("pageSize", 30, type=int)
        if page < 1 or not 1 <= size <= MOST_TASKS:
            raise Problem(1201, "pageNum or pageSize is out of range")
        if trouble := self._desk.trouble("list", None):
            return trouble
        mine = [order for order in self._parts.engine.orders(g.account) if order.extra.get("path") == g.path]
        chosen = mine[::-1][(page - 1) * size : page * size]
        known = [each for order in chosen if (each := self._desk.own(order.id))]
        return envelope([_document(self._parts, each) for each in known])

    def _create(self, *, legacy: bool) -> Response:
        body = request.get_json(force=True, silent=True)
        if not isinstance(body, dict):
            raise Problem(1201, "the body is not a JSON object")
        model, given, options = (legacy_order if legacy else new_order)(g.path, body)
        webhook, marker = options.get("callback_url"), options.get("external_task_id")
        if webhook is not None and not may_be_called(webhook):
            raise Problem(1201, "callback_url is not valid")
        if marker and self._by_marker(marker):
            raise Problem(1201, "external_task_id is not unique")
        # Durations are words in the legacy family, and whole seconds here.
        plain = given | ({"duration": int(given["duration"])} if "duration" in given else {})
        sale = Sale(
            id=str(secrets.randbelow(9 * 10**17) + 10**17),
            model=model,
            given=plain,
            body=body,
            prompt=str(given.get("prompt", "")),
            base_url=root_url(),
            webhook=webhook,
            extra={"path": g.path, "marker": marker},
        )
        return self._desk.sell(sale, lambda sold: envelope(_document(self._parts, sold)))

    def _by_marker(self, marker: str) -> Prediction | None:
        orders = self._parts.engine.orders(g.account)
        found = next((order for order in orders if order.extra.get("marker") == marker), None)
        return self._desk.own(found.id) if found else None


def _document(parts: Parts, prediction: Prediction) -> dict[str, Any]:
    """A task in the words of the family that it was ordered in."""
    legacy = str(prediction.order.extra["path"]).startswith("v1/")
    return (_legacy_document if legacy else _new_document)(parts, prediction)


def _new_document(parts: Parts, prediction: Prediction) -> dict[str, Any]:
    created, updated = _times(prediction)
    seconds = prediction.order.media.seconds
    outputs = [{"type": "video", "url": link, "duration": f"{seconds:g}"} for link in links_of(prediction, parts.links)]
    billing = [{"charge_type": "unit", "amount": f"{prediction.order.price_cents / 14:g}", "package_type": "video"}]
    return {
        "id": prediction.id,
        "status": _status(prediction, "succeeded"),
        "create_time": created,
        "update_time": updated,
        "external_id": prediction.order.extra["marker"] or "",
        "outputs": outputs,
        "billing": billing if outputs else [],
        "message": _message(prediction),
    }


def _legacy_document(parts: Parts, prediction: Prediction) -> dict[str, Any]:
    created, updated = _times(prediction)
    links, media = links_of(prediction, parts.links), prediction.order.media
    kind = {"video": "videos", "image": "images"}[media.kind]
    entries: list[Mapping[str, Any]] = [
        {"id": f"{prediction.id}{n}", "url": link, "duration": f"{media.seconds:g}"}
        if kind == "videos"
        else {"index": n, "url": link}
        for n, link in enumerate(links)
    ]
    return {
        "task_id": prediction.id,
        "task_status": _status(prediction, "succeed"),
        "task_status_msg": _message(prediction),
        "task_info": {"external_task_id": prediction.order.extra["marker"] or ""},
        "created_at": created,
        "updated_at": updated,
        **({"task_result": {kind: entries}, "final_unit_deduction": "1"} if links else {}),
    }


def _status(prediction: Prediction, success: str) -> str:
    match prediction.phase:
        case Phase.QUEUED | Phase.STARTING:
            return "submitted"
        case Phase.PROCESSING:
            return "processing"
        case Phase.SUCCEEDED:
            return success
        case _:
            return "failed"


def _message(prediction: Prediction) -> str:
    said = prediction.error or prediction.order.fault.fail or ""
    return (RISK if said == FAILURES["moderated"] else said) if prediction.phase.ended else ""


def _times(prediction: Prediction) -> tuple[int, int]:
    """Created and last changed, in milliseconds since 1970."""
    created = prediction.order.created_at
    changed: datetime = prediction.completed_at or prediction.started_at or created
    return int(created.timestamp() * 1000), int(changed.timestamp() * 1000)


def _http_problem(error: HTTPException) -> Problem:
    return Problem(1203 if error.code in {404, 405} else 1201, error.description or "")
