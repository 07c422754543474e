"""The fixtures that every kind of test shares: real servers, started when the first test asks for them."""

import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NoReturn

import pytest
import redis
from hypothesis import HealthCheck
from hypothesis import settings as dials

from cli.stack.stack import Stack
from tests import chromium, servers
from tests.audit import BOOKS

if TYPE_CHECKING:
    from playwright.sync_api import Browser

servers.scrub()
# As in CI, where Hypothesis does so by itself: a machine that pauses is no fault of an example.
dials.register_profile("unhurried", dials.default, deadline=None, suppress_health_check=[HealthCheck.too_slow])
dials.load_profile("unhurried")

TEMPLATE = "migrated"
LONGEST_OF_A_DAY_SECONDS = 20.0  # more than any test takes that counts what a day may cost
QUICK = {"SIMULATOR_RENDER_SECONDS": "0.2", "SIMULATOR_FRAME_HEIGHT": "90", "SIMULATOR_FSYNC": "0"}


@pytest.fixture(scope="session")
def valkey_server() -> Iterator[str]:
    """The address of a Valkey that lives as long as the tests."""
    with Stack(services=("redis",)) as stack:
        yield stack.environment["REDIS_URL"]


@pytest.fixture
def valkey_url(valkey_server: str) -> str:
    """The address of an empty Valkey."""
    with redis.Redis.from_url(valkey_server) as client:
        client.flushall()
    return valkey_server


@pytest.fixture(scope="session")
def postgres() -> Iterator[servers.Postgres]:
    """A PostgreSQL with a migrated template."""
    with Stack(services=("postgres",)) as stack:
        server = servers.Postgres(url=stack.environment["DATABASE_URL"])
        server.execute(f"create database {TEMPLATE}")
        from pipeline.database.migrate import upgrade

        upgrade(server.sibling(TEMPLATE))
        yield server


@pytest.fixture(scope="session")
def used_before(postgres: servers.Postgres) -> list[str]:
    """The name of the migrated database that tests use one after the other."""
    postgres.execute(f"create database used template {TEMPLATE}")
    return ["used"]


@pytest.fixture
def database_url(postgres: servers.Postgres, used_before: list[str]) -> str:
    """The address of a migrated, empty database that nobody else uses."""
    used_before[0] = postgres.emptied(used_before[0])
    return postgres.sibling(used_before[0])


@pytest.fixture(scope="session")
def s3() -> Iterator[servers.ObjectStore]:
    """An S3 with the application's buckets, that checks signatures and expiry."""
    with Stack(services=("s3",)) as stack:
        names = [name for name in stack.environment if name.startswith("S3_")]
        yield servers.ObjectStore(settings={name: stack.environment[name] for name in names})


@pytest.fixture(scope="session")
def simulator() -> Iterator[servers.Simulator]:
    """A provider simulator that runs ten times as fast as the world."""
    with servers.simulator(SIMULATOR_SPEED="10") as running:
        yield running


@pytest.fixture(scope="session")
def running() -> Iterator[servers.Simulator]:
    """A quick simulator for tests that empty it before they use it; clips of one shape show one picture."""
    with servers.simulator(**QUICK, SIMULATOR_RENDER="shared") as simulator:
        yield simulator


@pytest.fixture(scope="session")
def painting() -> Iterator[servers.Simulator]:
    """The same for tests that tell clips from each other by what they show."""
    with servers.simulator(**{**QUICK, "SIMULATOR_RENDER_SECONDS": "0.1"}) as simulator:
        yield simulator


@pytest.fixture
def one_day() -> None:
    """The test begins and ends on the same day, in UTC: at its very end the next one is waited for."""
    now = datetime.now(UTC)
    left_seconds = (now.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1) - now).total_seconds()
    if left_seconds < LONGEST_OF_A_DAY_SECONDS:
        time.sleep(left_seconds)


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """The whole local stack, as `make up` starts it, rendering in two seconds; its logs stay in var/."""
    logs = chromium.ROOT / "var" / "test-logs"
    small = {"SIMULATOR_RENDER_SECONDS": "2", "SIMULATOR_FRAME_HEIGHT": "120", "LINKS_TO_LOOPBACK": "true"}
    with Stack(more=small, keep_logs=logs) as running:
        yield running


@pytest.fixture(scope="session")
def browser() -> "Iterator[Browser]":
    """A Chromium, driven by Playwright. Where there is none the test is skipped at home and fails in CI."""
    from playwright.sync_api import sync_playwright

    found = chromium.find() or no_browser()
    os.environ["PLAYWRIGHT_NODEJS_PATH"] = str(chromium.node())
    environment: dict[str, str | float | bool] = {**os.environ, **found.environment}
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=found.path, env=environment, chromium_sandbox=False)
        yield running
        running.close()


def no_browser() -> NoReturn:
    """Skip loudly at home; in CI it is a failure."""
    missing = "NO BROWSER: set CHROMIUM_BIN, or install chromium"
    if os.environ.get("CI"):
        pytest.fail(missing)
    pytest.skip(missing)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Both ledgers of the whole run, the providers' and ours."""
    if BOOKS.predictions:
        there, here = f"{BOOKS.cents_there} cents there", f"{BOOKS.cents_here} cents here"
        terminalreporter.write_line(f"paid for {BOOKS.predictions} predictions: {there}, {here}")
