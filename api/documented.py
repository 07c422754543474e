"""How operations come into `/openapi.json`: their blueprints, bodies and refusals."""

from typing import Any

from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.schema import Schema
from flask_openapi3.models.tag import Tag
from flask_openapi3.types import ResponseDict
from pydantic import BaseModel

from api.problems import MIME_TYPE
from api.schemas import Problem
from pipeline.domain.spec import JobSpec
from pipeline.steer import Changes, Choice

_REFERENCE = "#/components/schemas/{model}"

#: The bodies that are documented here and parsed by the use cases.
_BODIES: tuple[type[BaseModel], ...] = (JobSpec, Changes, Choice, Problem)


def bodies() -> dict[str, Schema]:
    """The components that ``body`` and ``refusals`` refer to."""
    found: dict[str, Schema] = {}
    for model in _BODIES:
        schema = model.model_json_schema(ref_template=_REFERENCE)
        parts = schema.pop("$defs", {}) | {model.__name__: schema}
        found |= {name: Schema(**part) for name, part in parts.items()}
    return found


def body(model: type[BaseModel], *, required: bool = True) -> dict[str, Any]:
    """An operation's request body, for the documentation alone."""
    schema = {"schema": {"$ref": _REFERENCE.format(model=model.__name__)}}
    return {"requestBody": {"required": required, "content": {"application/json": schema}}}


def blueprint(name: str, import_name: str, *, url_prefix: str, about: str) -> APIBlueprint:
    """A blueprint whose operations stand in the documentation, each under its function's name."""
    return APIBlueprint(
        name,
        import_name,
        url_prefix=url_prefix,
        abp_tags=[Tag(name=name, description=about)],
        abp_security=[{"key": []}],
        abp_responses=_refusals(),
        operation_id_callback=_operation_id,
    )


def _operation_id(*, name: str, path: str, method: str) -> str:  # noqa: ARG001 - flask-openapi3 passes all three
    return name


def _refusals() -> ResponseDict:
    """How every operation says no."""
    content = {MIME_TYPE: {"schema": {"$ref": _REFERENCE.format(model=Problem.__name__)}}}
    return {
        "422": {"description": "What was asked can't be done; nothing was stored.", "content": content},
        "default": {"description": "Any other refusal.", "content": content},
    }
