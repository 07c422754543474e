"""Whatever the reference allows, and much of what it does not: never a 5xx, never an answer it does not describe."""

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, seed
from hypothesis import settings as dials
from hypothesis import strategies as some
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from api.single import word
from tests.web import Web, settings, storyboard, submitted, web

EXAMPLES = 25
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
# A stream never ends; its refusals are tested with the other routes of a job.
ENDLESS = "follow_job"


@pytest.fixture
def api(database_url: str, valkey_url: str) -> Iterator[Web]:
    with web(settings(database_url=database_url, redis_url=valkey_url)) as running:
        yield running


@pytest.mark.parametrize("mode", list(GenerationMode))
def test_no_request_that_can_be_written_down_breaks_the_api(api: Web, mode: GenerationMode) -> None:
    key = api.key("ada")
    job_id = submitted(api, key, storyboard(2)).rpartition("/")[2]
    reference = schemathesis.openapi.from_wsgi("/openapi.json", api.app)
    # One view serves every path of old: three of them will do.
    alike = [f"submit_{word(path)}" for path in api.services.catalogue.paths][3:]
    left_out = [ENDLESS, *alike]
    tried = 0
    for found in reference.exclude(operation_id=left_out).get_all_operations():
        assert isinstance(found, Ok)
        operation = found.ok()

        @seed(7)
        @dials(max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck))
        @given(case=operation.as_strategy(generation_mode=mode), real=some.booleans())
        def ask(case: "schemathesis.Case[Any]", real: bool) -> None:  # noqa: FBT001 - hypothesis gives it by name
            if real and "job_id" in case.path_parameters:
                case.path_parameters["job_id"] = job_id
            case.call_and_validate(headers={"Authorization": f"Bearer {key}"}, checks=CHECKS)

        ask()
        tried += 1
    documented = api.client().get("/openapi.json").get_json()["paths"]
    assert tried == sum(len(path) for path in documented.values()) - len(left_out)
