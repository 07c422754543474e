"""Orders of one clip over HTTP: a route for every path of old that the catalogue has, all of them one view."""

import re
from datetime import UTC, date, datetime, time
from functools import lru_cache
from typing import Any, NamedTuple
from uuid import UUID

from flask import Response, request
from flask_openapi3.blueprint import APIBlueprint
from pydantic import BaseModel
from werkzeug.http import http_date

from api import documented, schemas
from api.auth import Policy, allow, caller
from api.bodies import json_body
from api.context import services
from api.forms import IdempotencyHeader, JobPath, Query, Submitting
from api.replies import reply, taken_in
from pipeline import canvas, single
from pipeline.domain.catalogue import Catalogue
from pipeline.domain.choice import Why
from pipeline.domain.job import Status
from pipeline.domain.single import JOB_NAMES, SCENE_NAMES

_NAMES = (*SCENE_NAMES.values(), *JOB_NAMES.values())
_FIELDS = {first: {"description": f"Also: {', '.join(others)}"} if others else {} for first, *others in _NAMES}
_ABOUT = "One clip per order, under the paths and with the words that older clients use."


class Taken(schemas.Accepted):
    """A job of one clip that was taken in. `sunset`: from that day its provider does not make it any more."""

    task_id: str
    model: str
    sunset: str | None
    successor: str | None


class PassedOver(BaseModel):
    """A model that was not taken, and why."""

    model: str
    reason: Why
    message: str


class Choice(BaseModel):
    """Who makes the clip, why, and why no other model does. `about_seconds`: its wait for a slot and its rendering."""

    model: str
    why: str
    estimate_cents: int | None
    about_seconds: float | None
    passed_over: list[PassedOver]


class Chosen(schemas.Accepted):
    """A job of one clip whose model we chose."""

    task_id: str
    choice: Choice


class PricedChoice(schemas.Priced):
    """What a clip would cost, made by the model that we would choose; nothing was stored."""

    choice: Choice


class Standing(BaseModel):
    """How an order of one clip stands."""

    id: str
    clip_id: str
    status: Status
    progress: int
    url: str | None
    thumbnail_url: str | None
    duration: float | None
    provider: str
    model: str
    cost_cents: int
    error: schemas.ClipError | None
    error_message: str | None
    waiting: schemas.Waiting | None
    retry_after_ms: int
    created_at: str
    finished_at: str | None
    links: schemas.Links


class TaskQuery(Query):
    """Which order, as clients of a provider call it."""

    task_id: UUID


class _Old(NamedTuple):
    """A path of old in the documentation."""

    path: str
    summary: str
    deprecated: bool


def routes(catalogue: Catalogue) -> APIBlueprint:
    """A route for every path of the catalogue's rows, and those that tell how an order stands."""
    return _routes(
        tuple(
            _Old(path, f"{model.title}, from {mode.replace('_', ' ')}", bool(model.sunset or model.retired))
            for path, (model, mode) in catalogue.paths.items()
        )
    )


@lru_cache(maxsize=4)  # to document them takes a third of a second; as every blueprint they can stand in many apps
def _routes(paths: tuple[_Old, ...]) -> APIBlueprint:
    found = documented.blueprint("single", __name__, url_prefix="/api", about=_ABOUT)
    for path, summary, deprecated in paths:
        submitting = found.post(
            path.removeprefix("/api"),
            endpoint=f"submit_{word(path)}",
            operation_id=f"submit_{word(path)}",
            summary=summary,
            responses={200: schemas.Priced, 202: Taken},
            deprecated=deprecated or None,
            openapi_extensions=_body(_FIELDS),
        )
        submitting(submit)
    found.post(
        "/canvas/generate-video",
        responses={200: PricedChoice, 202: Chosen},
        openapi_extensions=_body({**_FIELDS, "provider": {}, "model": {}, "mode": {}}),
    )(generate_video)
    for path, told in (("/runway/status/<job_id>", read_status), ("/minimax/video/status", read_task)):
        found.get(path, responses={200: Standing})(told)
    return found


@allow(Policy.KEY)
def submit(query: Submitting, header: IdempotencyHeader) -> Response:
    """Order one clip: a job of one scene, made from the row of the catalogue that has this path."""
    document = single.submit(
        services(),
        owner_id=caller().owner_id,
        key_id=caller().key_id,
        path=request.path,
        body=json_body(),
        idempotency_key=header.key,
        dry_run=query.dry_run,
    )
    response = taken_in(document)
    return _with_its_end(response, document)


@allow(Policy.KEY)
def generate_video(query: Submitting, header: IdempotencyHeader) -> Response:
    """Order one clip, and leave it to us who makes it."""
    document = canvas.order(
        services(),
        owner_id=caller().owner_id,
        key_id=caller().key_id,
        body=json_body(),
        idempotency_key=header.key,
        dry_run=query.dry_run,
    )
    return taken_in(document)


@allow(Policy.KEY)
def read_status(path: JobPath) -> Response:
    """How an order of one clip stands."""
    return reply(single.status(services(), caller().owner_id, path.job_id))


@allow(Policy.KEY)
def read_task(query: TaskQuery) -> Response:
    """How an order of one clip stands."""
    return reply(single.status(services(), caller().owner_id, query.task_id))


def _with_its_end(response: Response, document: dict[str, Any]) -> Response:
    """The day on which the model goes, as RFC 8594 has it, and where to go then."""
    if document["sunset"]:
        ends_at = datetime.combine(date.fromisoformat(document["sunset"]), time(), UTC)
        response.headers["Sunset"] = http_date(ends_at)
        if document["successor"]:
            response.headers["Link"] = f'</v1/models/{document["successor"]}>; rel="successor-version"'
    return response


def word(path: str) -> str:
    """A path as a name."""
    return re.sub(r"\W+", "_", path.removeprefix("/api/").removesuffix("/submit")).strip("_")


def _body(properties: dict[str, Any]) -> dict[str, Any]:
    """A request body that has no class of its own: what stands in it depends on the row."""
    schema = {"schema": {"type": "object", "properties": properties}}
    return {"requestBody": {"required": True, "content": {"application/json": schema}}}
