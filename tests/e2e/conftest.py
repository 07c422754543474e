"""A customer of the whole local stack, who orders as a program would."""

from collections.abc import Callable
from typing import Any

import pytest
import requests

from cli.stack.stack import Stack


@pytest.fixture(scope="module")
def key(stack: Stack) -> str:
    return stack.create_key(owner="the screening room")


@pytest.fixture
def submit(stack: Stack, key: str) -> Callable[[dict[str, Any]], str]:
    """Orders a job as a program would; the address of its page."""

    def order(body: dict[str, Any]) -> str:
        headers = {"Authorization": f"Bearer {key}"}
        answer = requests.post(f"{stack.addresses.api_url}/v1/jobs", json=body, headers=headers, timeout=30)
        assert answer.status_code == requests.codes.accepted, answer.text
        return stack.addresses.api_url + str(answer.json()["links"]["page"])

    return order
