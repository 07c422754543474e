import re
from collections.abc import Iterator
from typing import Any

import pytest

from api.auth import Policy, policy_of
from pipeline.domain.spec import MAX_SCENES
from tests.web import KnownKeys, Web, settings, web


@pytest.fixture(scope="module")
def api() -> Iterator[Web]:
    with web(settings(), change=KnownKeys({}).know) as running:
        yield running


@pytest.fixture(scope="module")
def document(api: Web) -> dict[str, Any]:
    found: dict[str, Any] = api.client().get("/openapi.json").json or {}
    return found


def test_everything_that_needs_a_key_is_documented_and_says_so(api: Web, document: dict[str, Any]) -> None:
    undocumented = {"health.metrics"}
    for rule in api.app.url_map.iter_rules():
        if policy_of(api.app, rule.endpoint) is not Policy.KEY or rule.endpoint in undocumented:
            continue
        path = document["paths"][re.sub(r"<(?:[^:>]+:)?([^>]+)>", r"{\1}", rule.rule)]
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}:
            assert path[method.lower()]["security"] == [{"key": []}]


def test_every_reference_in_the_document_leads_somewhere(document: dict[str, Any]) -> None:
    named = set(re.findall(r"#/components/schemas/(\w+)", str(document)))
    assert named <= set(document["components"]["schemas"])


def test_a_job_is_documented_with_its_limits(document: dict[str, Any]) -> None:
    body = document["paths"]["/v1/jobs"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert body == {"$ref": "#/components/schemas/JobSpec"}
    scenes = document["components"]["schemas"]["JobSpec"]["properties"]["scenes"]
    assert (scenes["minItems"], scenes["maxItems"]) == (1, MAX_SCENES)


def test_operations_are_named_for_people(document: dict[str, Any]) -> None:
    names = [operation["operationId"] for path in document["paths"].values() for operation in path.values()]
    assert len(set(names)) == len(names)
    assert {"submit_job", "read_job", "retry_clip", "list_models"} <= set(names)


@pytest.mark.parametrize(
    "address",
    ["/docs", "/docs/start.js", "/docs/swagger/js/swagger-ui-bundle.js", "/docs/swagger/css/swagger-ui.css"],
)
def test_the_reference_is_read_from_this_host_alone(api: Web, address: str) -> None:
    with api.client().get(address) as told:
        assert told.status_code == 200
    with api.client().get("/docs") as page:
        assert set(re.findall(r'(?:src|href)="([^"/]*)/', page.get_data(as_text=True))) == {""}
        assert "script-src 'self';" in page.headers["Content-Security-Policy"]
