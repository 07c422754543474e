"""An address that only we can reach is known by its name."""

import pytest

from pipeline.domain.hosts import is_inner


@pytest.mark.parametrize(
    "url",
    [
        *(
            "http://127.0.0.1:9000",
            "http://localhost:9000",
            "http://minio:9000",
            "http://10.0.0.7",
            "http://[::1]:9000",
        ),
        *("http://192.168.1.4:9000", "http://store.local", "http://s3.eu.internal", "http://host.docker.internal:9000"),
    ],
)
def test_this_machine_and_private_nets_are_ours_alone(url: str) -> None:
    assert is_inner(url)


@pytest.mark.parametrize(
    "url", ["https://s3.eu-central-1.amazonaws.com", "https://files.studio.example", "https://8.8.8.8"]
)
def test_a_public_name_is_everybodys(url: str) -> None:
    assert not is_inner(url)
