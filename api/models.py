"""The catalogue over HTTP: what can be asked for, and what it would cost."""

from typing import Any

from flask import Response, jsonify
from pydantic import BaseModel, Field

from api import documented, schemas
from api.auth import Policy, allow
from api.bodies import json_body
from api.context import services
from api.forms import Query
from pipeline.accept import estimate
from pipeline.domain.rows import Mode
from pipeline.domain.spec import JobSpec

models = documented.blueprint(
    "models", __name__, url_prefix="/v1", about="What can be asked for, and what it would cost."
)


class Models(BaseModel):
    """Rows of the catalogue."""

    models: list[dict[str, Any]]


class ModelsQuery(Query):
    """What the models have to be able to do, all in one and the same mode."""

    provider: str | None = Field(default=None, max_length=100)
    mode: Mode | None = None
    aspect_ratio: str | None = Field(default=None, max_length=20, description="For example 16:9.")
    duration: float | None = Field(default=None, gt=0, description="A clip of so many seconds.")


@models.get("/models", responses={200: Models})
@allow(Policy.KEY)
def list_models(query: ModelsQuery) -> Response:
    """The models that can do all of what is asked."""
    found = services().catalogue.find(
        provider=query.provider, mode=query.mode, aspect_ratio=query.aspect_ratio, duration=query.duration
    )
    return jsonify({"models": [model.document() for model in found]})


@models.post("/estimate", responses={200: schemas.Priced}, openapi_extensions=documented.body(JobSpec))
@allow(Policy.KEY)
def estimate_job() -> Response:
    """The price of a job, and what to know before paying; nothing is stored."""
    return jsonify(estimate(services(), json_body()))
