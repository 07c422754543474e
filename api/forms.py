"""Paths and queries of requests as values: the forms that blueprints share, and how a wrong one is refused."""

from typing import Annotated, NoReturn
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pipeline.domain.errors import FieldError, NotFound, ValidationFailed
from pipeline.domain.spec import MAX_SCENES, sentence, shortened

_MAX_START = 10_000_000


class Query(BaseModel):
    """The part of an address behind the question mark; a name that nobody reads is a mistake."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class Submitting(Query):
    """How an order is submitted."""

    dry_run: bool = Field(default=False, description="Check and price it; store nothing.")


class IdempotencyHeader(BaseModel):
    """The client's own name for its request."""

    model_config = ConfigDict(extra="ignore")
    key: str | None = Field(
        default=None,
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        pattern=r"^[\x20-\x7e]*[\x21-\x7e][\x20-\x7e]*$",
        description="The same key with the same body is the same job, for at least a day.",
    )


class Page(Query):
    """Which part of a long list (R18)."""

    start: int = Field(default=0, ge=0, le=_MAX_START, description="How many to leave out.")
    limit: int = Field(default=50, ge=1, le=200, description="How many at most.")


class JobPath(BaseModel):
    """Which job."""

    job_id: UUID


class ClipPath(JobPath):
    """Which clip of a job; clips count from 0."""

    index: Annotated[int, Field(ge=0, lt=MAX_SCENES)]


def refuse(error: ValidationError) -> NoReturn:
    """Say what is wrong with a path, a query or a header. Raises NotFound for a path, else ValidationFailed."""
    if error.title.endswith("Path"):
        raise NotFound("there is nothing at this address") from None
    errors = [
        FieldError(
            field=".".join(str(part) for part in found["loc"]),
            value=shortened(found["input"]),
            allowed=found.get("ctx", {}).get("expected"),
            message=found["msg"].replace("Input should be", "this has to be"),
        )
        for found in error.errors(include_url=False)
    ]
    raise ValidationFailed(sentence(errors), errors=errors) from None
