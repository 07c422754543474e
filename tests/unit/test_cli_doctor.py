"""What the doctor wishes for: things that work without, but not as well."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from cli.doctor import _wishes
from pipeline.settings import Settings


@pytest.mark.parametrize(
    ("hidden", "told"), [(True, ["fal can't fetch files from it: set S3_PUBLIC_ENDPOINT_URL"]), (False, [])]
)
def test_a_store_that_a_provider_can_not_reach_is_named_with_the_setting(hidden: bool, told: list[str]) -> None:  # noqa: FBT001 - a row of a table
    rows = {
        "replicate": SimpleNamespace(key_variable="REPLICATE_API_TOKEN"),
        "fal": SimpleNamespace(key_variable="FAL_KEY"),
    }
    parts = SimpleNamespace(
        catalogue=SimpleNamespace(accounts=rows),
        accounts=lambda provider: (provider,) if provider == "fal" else (),
        store_is_hidden_from=lambda _: hidden,
    )
    found = list(_wishes(Settings(public_url="https://studio.example"), cast("Any", parts)))
    assert [each.words for each in found if each.part == "storage"] == told
