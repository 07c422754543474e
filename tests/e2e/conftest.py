"""A customer of the whole local stack, who orders as a program would."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from cli.stack.stack import Stack
from tests.pages import order


@pytest.fixture(scope="module")
def key(stack: Stack) -> str:
    return stack.create_key(owner="the screening room")


@pytest.fixture
def submit(stack: Stack, key: str) -> Callable[[dict[str, Any]], str]:
    """Orders a job as a program would; the address of its page."""
    return partial(order, stack, key)
