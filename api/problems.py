"""Every way to say no, as `application/problem+json` (RFC 9457), from two tables: our errors, and Werkzeug's."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from http import HTTPStatus

from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from api.context import request_id
from pipeline import logs
from pipeline.domain import errors
from pipeline.domain.errors import FieldError, Refusal, Unavailable

_LOG = logs.get(__name__)
MIME_TYPE = "application/problem+json"


@dataclass(frozen=True, kw_only=True)
class Row:
    """How one of our errors is said over HTTP."""

    status: int
    retry_after_seconds: int | None = None


#: A row for every Refusal and for Unavailable; any other error is a bug of ours, and a 500.
TABLE: Mapping[type[errors.DailiesError], Row] = {
    errors.ValidationFailed: Row(status=422),
    errors.UnknownModel: Row(status=422),
    errors.UnsupportedAspectRatio: Row(status=422),
    errors.UnsupportedDuration: Row(status=422),
    errors.TooManyScenes: Row(status=422),
    errors.MissingInput: Row(status=422),
    errors.ModelRetired: Row(status=410),
    errors.OverBudget: Row(status=422),
    errors.IdempotencyKeyReused: Row(status=422),
    errors.Unauthorized: Row(status=401),
    errors.Forbidden: Row(status=403),
    errors.NotFound: Row(status=404),
    errors.InProgress: Row(status=409, retry_after_seconds=1),
    errors.NotInThatState: Row(status=409),
    errors.PayloadTooLarge: Row(status=413),
    errors.RateLimited: Row(status=429, retry_after_seconds=5),
    errors.Unavailable: Row(status=503, retry_after_seconds=5),
}

# What Werkzeug says itself: the status, and our stable word for it.
_HTTP = {
    400: "validation_failed",
    404: "not_found",
    405: "method_not_allowed",
    413: "payload_too_large",
    414: "payload_too_large",
    415: "unsupported_media_type",
    431: "payload_too_large",
}
_SENTENCES = {
    404: "there is no such address; GET /openapi.json lists what there is",
    405: "this address is not for that method; the header Allow names those it is for",
    413: "the body is too large: send at most 1 MB, a long storyboard as several jobs",
}
_AWAY = "a part that we need does not answer just now; try again in a few seconds"
_OUR_FAULT = "something went wrong on our side; it is logged under this request_id"


@dataclass(frozen=True, kw_only=True)
class Problem:
    """A problem before it is written down."""

    status: int
    code: str
    title: str
    detail: str
    retryable: bool = False
    retry_after_seconds: int | None = None
    errors: Sequence[FieldError] = ()


def install(app: Flask) -> None:
    """Say every error of this app as a problem."""
    app.register_error_handler(Refusal, _refused)
    app.register_error_handler(Unavailable, _unavailable)
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(Exception, _bug)


def answer(problem: Problem) -> Response:
    """A problem as a response."""
    document = {
        "type": f"urn:dailies:problem:{problem.code}",
        "title": problem.title,
        "status": problem.status,
        "detail": problem.detail,
        "code": problem.code,
        "retryable": problem.retryable,
        "actions": [],
        "request_id": request_id(),
        "errors": [asdict(error) for error in problem.errors],
    }
    response = Response(json.dumps(document, default=str), status=problem.status, content_type=MIME_TYPE)
    if problem.retry_after_seconds is not None:
        response.headers["Retry-After"] = str(problem.retry_after_seconds)
    if problem.status == HTTPStatus.UNAUTHORIZED:
        response.headers["WWW-Authenticate"] = "Bearer"
    return response


def _refused(refusal: Refusal) -> Response:
    row = TABLE[type(refusal)]
    return answer(
        Problem(
            status=row.status,
            code=refusal.code,
            title=refusal.title,
            detail=refusal.detail,
            retryable=refusal.retryable,
            retry_after_seconds=row.retry_after_seconds,
            errors=refusal.errors,
        )
    )


def _unavailable(error: Unavailable) -> Response:
    _LOG.warning("request.unavailable", endpoint=request.endpoint, error=str(error))
    row = TABLE[Unavailable]
    # An error that was translated from a library's may name our hosts; one that we said ourselves does not.
    detail = _AWAY if error.__cause__ else str(error) or _AWAY
    return answer(
        Problem(
            status=row.status,
            code=error.code,
            title="Unavailable",
            detail=detail,
            retryable=True,
            retry_after_seconds=row.retry_after_seconds,
        )
    )


def _http(error: HTTPException) -> Response | HTTPException:
    """Werkzeug's own errors; a redirect stays what it is."""
    status = error.code or HTTPStatus.INTERNAL_SERVER_ERROR
    if status < HTTPStatus.BAD_REQUEST or error.response is not None:
        return error
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return _bug(error)
    detail = _SENTENCES.get(status) or error.description or error.name
    response = answer(
        Problem(status=status, code=_HTTP.get(status, "validation_failed"), title=error.name, detail=detail)
    )
    if isinstance(error, MethodNotAllowed) and error.valid_methods:
        response.headers["Allow"] = ", ".join(sorted(error.valid_methods))
    return response


def _bug(error: Exception) -> Response:
    # The endpoint's name, never the path: the addresses of webhooks carry their own key.
    _LOG.error("request.failed", endpoint=request.endpoint, method=request.method, exc_info=error)
    return answer(Problem(status=500, code="internal_error", title="Internal error", detail=_OUR_FAULT))
