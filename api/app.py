"""The app: every blueprint, guard and header put together around services that somebody else built."""

import time

from flask import Response, g, request
from flask.json.provider import DefaultJSONProvider
from flask_openapi3.models.info import Info
from flask_openapi3.openapi import OpenAPI
from flask_openapi3.types import SecuritySchemesDict

from api import auth, context, documented, headers, live, problems, schemas, single
from api.accounts import accounts
from api.bodies import MAX_BODY_BYTES
from api.forms import refuse
from api.health import health
from api.jobs import jobs
from api.models import models
from api.pages import pages
from api.reference import reference
from api.stream import stream
from api.webhooks import webhooks
from pipeline import logs, metrics
from pipeline.services import Services

_INFO = Info(
    title="Dailies",
    version="1",
    description="A storyboard goes in, clips from rate-limited, paid video providers come out.",
)
_SECURITY: SecuritySchemesDict = {
    "key": {"type": "http", "scheme": "bearer", "description": "An API key; `dailies keys create` makes one."},
}


class _Json(DefaultJSONProvider):
    """Documents in the order in which they were written."""

    sort_keys = False


def create_app(services: Services, *, message_queue: str | None = None, async_mode: str = "threading") -> OpenAPI:
    """The API around these services; ``message_queue`` is the Redis over which workers emit to its sockets."""
    app = OpenAPI(
        "api",
        info=_INFO,
        security_schemes=_SECURITY,
        validation_error_model=schemas.Problem,
        validation_error_callback=refuse,
        doc_ui=False,
        static_folder=None,
    )
    settings = services.settings
    app.json = _Json(app)
    app.config.update(MAX_CONTENT_LENGTH=MAX_BODY_BYTES + 1, MAX_FORM_MEMORY_SIZE=0, MAX_FORM_PARTS=0)
    context.install(app, services)
    app.before_request(_begin)
    auth.install(app, secret_key=settings.secret_key)
    problems.install(app)
    app.after_request(_end)
    headers.install(app, files_url=settings.s3_public_endpoint_url or settings.s3_endpoint_url)
    for shown in (jobs, stream, models, accounts, single.routes(services.catalogue)):
        app.register_api(shown)
    for plain in (webhooks, health, reference, pages):
        app.register_blueprint(plain)
    app.components_schemas.update(documented.bodies())
    live.install(app, message_queue=message_queue, async_mode=async_mode)
    return app


def _begin() -> None:
    g.began = time.perf_counter()
    logs.clear()
    logs.bind(request_id=context.request_id())


def _end(response: Response) -> Response:
    response.headers["X-Request-Id"] = context.request_id()
    route = request.url_rule.rule if request.url_rule else "none"
    method = request.method if request.url_rule else "any"
    seconds = time.perf_counter() - g.began
    metrics.REQUEST_SECONDS.labels(route=route, method=method, status=response.status_code).observe(seconds)
    return response
