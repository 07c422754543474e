"""The catalogue over HTTP: what can be asked for, and what it would cost."""

from typing import Any

from flask import Response, jsonify
from pydantic import BaseModel, ConfigDict, Field

from api import documented, schemas
from api.auth import Policy, allow
from api.bodies import json_body
from api.context import services
from api.forms import Query
from pipeline.accept import estimate
from pipeline.domain.errors import NotFound, UnknownModel
from pipeline.domain.model import Model
from pipeline.domain.rows import Kind, Mode
from pipeline.domain.scene_form import form
from pipeline.domain.spec import JobSpec

models = documented.blueprint(
    "models", __name__, url_prefix="/v1", about="What can be asked for, and what it would cost."
)


class Row(BaseModel):
    """A row of the catalogue: what the model can do, what it takes, what it costs."""

    model_config = ConfigDict(extra="allow")
    model: str
    provider: str
    kind: Kind
    modes: list[Mode]
    orderable: bool
    retired: str | None
    sunset: str | None
    successor: str | None


class Models(BaseModel):
    """Rows of the catalogue."""

    models: list[Row]


class ModelPath(BaseModel):
    """Which model."""

    provider: str = Field(max_length=100)
    slug: str = Field(max_length=200)


class FormOfMode(BaseModel):
    """The ratios that a job may have in this mode, none where the video given has the shape; and its scenes."""

    aspect_ratios: list[str]
    scene: dict[str, Any]


class SceneForm(BaseModel):
    """What a scene for a model may hold: a JSON Schema for each of its modes."""

    model: str
    title: str
    orderable: bool
    modes: dict[str, FormOfMode]


class ModelsQuery(Query):
    """What the models have to be able to do, all in one and the same mode."""

    provider: str | None = Field(default=None, max_length=100)
    kind: Kind | None = Field(default=None, description="What it makes; scenes want a model of kind video.")
    mode: Mode | None = None
    aspect_ratio: str | None = Field(default=None, max_length=20, description="For example 16:9.")
    duration: float | None = Field(default=None, gt=0, description="A clip of so many seconds.")


@models.get("/models", responses={200: Models})
@allow(Policy.KEY)
def list_models(query: ModelsQuery) -> Response:
    """The models that can do all of what is asked."""
    found = services().catalogue.find(
        provider=query.provider,
        mode=query.mode,
        aspect_ratio=query.aspect_ratio,
        duration=query.duration,
        kind=query.kind,
    )
    return jsonify({"models": [model.document() for model in found]})


@models.get("/models/<provider>/<slug>", responses={200: Row})
@allow(Policy.KEY)
def read_model(path: ModelPath) -> Response:
    """One model, also when it is withdrawn."""
    return jsonify(_row(path).document())


@models.get("/models/<provider>/<slug>/schema", responses={200: SceneForm})
@allow(Policy.KEY)
def read_scene_form(path: ModelPath) -> Response:
    """What a scene for this model may hold, so that a front end can build its form."""
    return jsonify(form(_row(path)))


def _row(path: ModelPath) -> Model:
    try:
        return services().catalogue.model(f"{path.provider}/{path.slug}")
    except UnknownModel as unknown:
        raise NotFound(unknown.detail) from None


@models.post("/estimate", responses={200: schemas.Priced}, openapi_extensions=documented.body(JobSpec))
@allow(Policy.KEY)
def estimate_job() -> Response:
    """The price of a job, and what to know before paying; nothing is stored."""
    return jsonify(estimate(services(), json_body()))
