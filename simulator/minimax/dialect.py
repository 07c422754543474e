"""MiniMax's HTTP dialect: two APIs for video, pictures and speech while one waits, and callbacks after a challenge."""

import json
import secrets
import time
from base64 import b64encode
from collections.abc import Mapping
from http import HTTPStatus
from http.client import HTTPException as BrokenHTTP
from pathlib import Path
from typing import Any

from flask import Blueprint, Flask, Response, g, jsonify, request
from werkzeug.exceptions import HTTPException

from simulator.desk import Desk, Sale, tell
from simulator.minimax import orders
from simulator.minimax.documents import FILE_PREFIX, OK, Problem, Words, Words2, callback, file_id_of, query, task
from simulator.outputs import Links
from simulator.parts import Parts
from simulator.predictions import Phase, Prediction
from simulator.render import file_names
from simulator.schema import Models
from simulator.stats import Why
from simulator.webhooks import exchange

NAME = "minimax"
MODELS = Path(__file__).with_name("models.toml")
LINK_SECONDS = 3600
MADE_SECONDS = 100
CHALLENGE_SECONDS = 3
LONGEST_PAGE = 100
#: Orders a minute of each kind of work, each counted for itself.
FAMILIES = {"hailuo": 5, "h3": 300, "t2a": 60, "image": 10}
H3_IN_FLIGHT = 30
COUNTED = {
    **dict.fromkeys(("video", "task", "picture", "speech"), "creates"),
    **dict.fromkeys(("query", "task_query"), "gets"),
    "file": "files",
    "task_list": "lists",
    "task_delete": "cancels",
}


def install(app: Flask, parts: Parts) -> None:
    """Add the dialect to an app, under /minimax."""
    for family, per_minute in FAMILIES.items():
        in_flight = {"max_in_flight": H3_IN_FLIGHT} if family == "h3" else {}
        parts.gate.usual_for(f"{NAME}-{family}", creates_per_minute=per_minute, **in_flight)
    pages = Blueprint(NAME, __name__, url_prefix=f"/{NAME}")
    models = Models.read(MODELS)
    first, second = _First(parts, models), _Second(parts, models)
    first.add_to(pages)
    second.add_to(pages)

    def enter() -> None:
        """Which API is meant shows in the path, and who speaks to it must be told no in its own form."""
        (second if request.path.startswith(f"/{NAME}/v2/") else first).enter()

    pages.before_request(enter)
    pages.register_error_handler(Problem, _problem_response)
    pages.register_error_handler(HTTPException, _http_problem)
    app.register_blueprint(pages)


def announce(parts: Parts, prediction: Prediction, event: str) -> None:
    """Tell of a change of status; nothing is signed. A forged report is about a task of nobody."""
    if event not in {"start", "completed"} or not prediction.order.extra.get("reported"):
        return
    is_first = prediction.order.extra["api"] == "v1"
    body = callback(prediction) if is_first else {"task": task(prediction, _link(parts.links, prediction))}
    if prediction.order.fault.webhook == "forged":
        body = json.loads(json.dumps(body).replace(prediction.id, "1" * 15))
    tell(parts, prediction, body, headers=lambda _timestamp, _body: {})


def _link(links: Links, prediction: Prediction) -> str | None:
    """A link good for an hour from now; a new one each time it is asked for."""
    if prediction.phase is not Phase.SUCCEEDED or prediction.data_removed:
        return None
    [name, *_] = file_names(prediction.order)
    return _fresh(links, prediction, name)


def _fresh(links: Links, prediction: Prediction, name: str) -> str:
    order = prediction.order
    if order.fault.output == "expired":
        return links.url(order.base_url, prediction, name)
    return links.signed(order.base_url, f"outputs/{prediction.id}/{name}", int(time.time()) + LINK_SECONDS)


def answers_challenge(url: str) -> bool:
    """Whether a callback address proves that it is the customer's, in time."""
    asked = {"challenge": secrets.token_hex(16)}
    headers = {"content-type": "application/json"}
    try:
        status, answer = exchange(url, json.dumps(asked).encode(), headers, timeout_seconds=CHALLENGE_SECONDS)
        return status == HTTPStatus.OK and json.loads(answer) == asked
    except (OSError, BrokenHTTP, ValueError):
        return False


class _Api:
    """What the two APIs share: the key, the limits of each kind of work, and how something is looked for."""

    name: str
    words: Words

    def __init__(self, parts: Parts, models: Models) -> None:
        self._parts = parts
        self._models = models
        self._desk = Desk(parts, self.words, dialect=NAME)

    def enter(self) -> None:
        """Raises Problem: a wrong key, too much, or that nothing works just now."""
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme != "Bearer" or not self._desk.knows(token):
            raise self.words.problem(1004)
        endpoint = (request.endpoint or "").rpartition(".")[2]
        family = self._family(endpoint)
        self._desk.enter(token, COUNTED.get(endpoint, "other"), limits_of=f"{NAME}-{family}" if family else None)

    def _family(self, endpoint: str) -> str | None:
        return {"video": "hailuo", "task": "h3", "picture": "image", "speech": "t2a"}.get(endpoint)

    def _own(self, task_id: str) -> Prediction | None:
        found = self._desk.own(task_id)
        return found if found and found.order.extra["api"] == self.name else None

    def _body(self) -> dict[str, Any]:
        body = request.get_json(force=True, silent=True)
        if not isinstance(body, dict):
            raise self.words.invalid("the body is not a JSON object")
        return body


class _First(_Api):
    """v1."""

    name, words = "v1", Words()

    def add_to(self, pages: Blueprint) -> None:
        pages.add_url_rule("/v1/video_generation", "video", self.video, methods=["POST"])
        pages.add_url_rule("/v1/query/video_generation", "query", self.query)
        pages.add_url_rule("/v1/files/retrieve", "file", self.file)
        pages.add_url_rule("/v1/image_generation", "picture", self.picture, methods=["POST"])
        pages.add_url_rule("/v1/t2a_v2", "speech", self.speech, methods=["POST"])

    def video(self) -> Response:
        sale = orders.video(self._models, self._body(), self.words.invalid)
        if sale.webhook and not answers_challenge(sale.webhook):
            raise self.words.invalid("callback_url did not answer the challenge")
        return self._desk.sell(_reported(sale), lambda sold: jsonify({"task_id": sold.id, "base_resp": OK}))

    def query(self) -> Response:
        prediction = self._own(request.args.get("task_id", ""))
        if prediction is None:
            raise self.words.invalid("invalid task_id")
        return self._desk.trouble("poll", prediction) or jsonify(query(prediction))

    def file(self) -> Response:
        task_id = request.args.get("file_id", "").removeprefix(FILE_PREFIX)
        prediction = self._own(task_id)
        link = _link(self._parts.links, prediction) if prediction else None
        if prediction is None or link is None:
            raise self.words.invalid("invalid file_id")
        if trouble := self._desk.trouble("poll", prediction):
            return trouble
        file = {
            "file_id": int(file_id_of(task_id)),
            "bytes": 0,
            "created_at": int(prediction.order.created_at.timestamp()),
            "filename": "output_aigc.mp4",
            "purpose": "video_generation",
            "download_url": link,
        }
        return jsonify({"file": file, "base_resp": OK})

    def picture(self) -> Response:
        return self._desk.sell(orders.picture(self._models, self._body(), self.words.invalid), self._drawn)

    def speech(self) -> Response:
        return self._desk.sell(orders.speech(self._models, self._body(), self.words.invalid), self._spoken)

    def _drawn(self, prediction: Prediction) -> Response:
        made = self._made(prediction)
        names = file_names(made.order)
        if made.order.input.get("response_format") == "base64":
            data = {"image_base64": [b64encode(self._content(made, name)).decode() for name in names]}
        else:
            data = {"image_urls": [_fresh(self._parts.links, made, name) for name in names]}
        counts = {"success_count": str(len(names)), "failed_count": "0"}
        return jsonify({"id": made.id, "data": data, "metadata": counts, "base_resp": OK})

    def _spoken(self, prediction: Prediction) -> Response:
        made = self._made(prediction)
        [name] = file_names(made.order)
        is_link = made.order.input.get("output_format", "hex") == "url"
        audio = _fresh(self._parts.links, made, name) if is_link else self._content(made, name).hex()
        extra = {
            "audio_length": int(made.order.media.seconds * 1000),
            "audio_size": len(self._content(made, name)),
            "usage_characters": len(made.order.input["text"]),
            "audio_format": "mp3",
        }
        answer = {"data": {"audio": audio, "status": 2}, "extra_info": extra, "trace_id": made.id, "base_resp": OK}
        return jsonify(answer)

    def _made(self, prediction: Prediction) -> Prediction:
        """The prediction when it is over, while the customer waits. Raises Problem when it failed."""
        self._parts.engine.wait(prediction.id, MADE_SECONDS)
        ended = self._desk.own(prediction.id) or prediction
        if ended.phase is not Phase.SUCCEEDED:
            raise Problem({"base_resp": query(ended)["base_resp"]})
        return ended

    def _content(self, prediction: Prediction, name: str) -> bytes:
        return self._parts.renderer.read(prediction.order, name) or b""


class _Second(_Api):
    """v2."""

    name, words = "v2", Words2()

    def __init__(self, parts: Parts, models: Models) -> None:
        super().__init__(parts, models)
        self._deleted: set[str] = set()

    def add_to(self, pages: Blueprint) -> None:
        pages.add_url_rule("/v2/video_generation", "task", self.create, methods=["POST"])
        pages.add_url_rule("/v2/video_generation/<task_id>", "task_delete", self.delete, methods=["DELETE"])
        pages.add_url_rule("/v2/query/video_generation", "task_list", self.page)
        pages.add_url_rule("/v2/query/video_generation/<task_id>", "task_query", self.query)

    def create(self) -> Response:
        sale = orders.task(self._models, self._body(), self.words.invalid)
        if self._parts.engine.full(g.account, self._parts.gate.limits_of(g.limited).max_in_flight):
            self._parts.stats.refuse(g.account, g.counted, Why.IN_FLIGHT)
            raise self.words.throttled(Why.IN_FLIGHT, None)
        reported = bool(sale.webhook) and answers_challenge(sale.webhook or "")
        sale = _reported(sale) if reported else sale
        return self._desk.sell(sale, lambda sold: jsonify({"task_id": sold.id}))

    def query(self, task_id: str) -> Response:
        prediction = self._own(task_id)
        return self._desk.trouble("poll", prediction) or jsonify({"task": self._task(prediction)})

    def page(self) -> Response:
        if trouble := self._desk.trouble("list", None):
            return trouble
        page, size, filters = self._asked()
        tasks = [self._task(each) for each in self._sold() if each.id not in self._deleted]
        chosen = [each for each in tasks if all(str(each[name]) in wanted for name, wanted in filters.items())]
        return jsonify({"items": chosen[(page - 1) * size : page * size], "total": len(chosen)})

    def delete(self, task_id: str) -> Response:
        prediction = self._own(task_id)
        if trouble := self._desk.trouble("cancel", prediction):
            return trouble
        if prediction.phase is Phase.QUEUED:
            self._parts.engine.cancel(task_id)
            return jsonify({"task_id": task_id, "action": "cancel", "status": "cancelled"})
        if prediction.phase not in {Phase.SUCCEEDED, Phase.FAILED}:
            raise self.words.invalid("the task can't be cancelled or deleted in its status")
        self._deleted.add(task_id)
        return jsonify({"task_id": task_id, "action": "delete", "status": "deleted"})

    def _own(self, task_id: str) -> Prediction:
        prediction = super()._own(task_id)
        if prediction is None or task_id in self._deleted:
            raise self.words.invalid("invalid task_id")
        return prediction

    def _sold(self) -> list[Prediction]:
        """The account's tasks, newest first."""
        mine = [self._desk.own(order.id) for order in reversed(self._parts.engine.orders(g.account))]
        return [each for each in mine if each and each.order.extra["api"] == self.name]

    def _task(self, prediction: Prediction) -> dict[str, Any]:
        return task(prediction, _link(self._parts.links, prediction))

    def _asked(self) -> tuple[int, int, dict[str, list[str]]]:
        """Which page, how long, and which values of which fields."""
        names = {
            "filter.status": "status",
            "filter.task_ids": "id",
            "filter.model": "model",
            "filter.task_type": "task_type",
        }
        filters = {names[key]: value.split(",") for key, value in request.args.items() if key in names}
        try:
            page, size = int(request.args.get("page_num", 1)), int(request.args.get("page_size", 20))
        except ValueError:
            page, size = 0, 0
        unknown = request.args.keys() - names.keys() - {"page_num", "page_size"}
        if unknown or page < 1 or not 0 < size <= LONGEST_PAGE:
            raise self.words.invalid("page_num, page_size or a filter")
        return page, size, filters


def _reported(sale: Sale) -> Sale:
    """The same sale, for a customer who has proven the address of his callbacks."""
    return Sale(**{**vars(sale), "extra": {**sale.extra, "reported": bool(sale.webhook)}})


def _problem_response(problem: Problem) -> Response:
    answer = jsonify(problem.body)
    answer.status_code = problem.status
    answer.headers.update(problem.headers)
    return answer


def _http_problem(error: HTTPException) -> Response:
    words: Mapping[str, Any] = {"message": error.description or ""}
    return _problem_response(Problem(words, error.code or 500))
