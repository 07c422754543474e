"""Fixtures of the simulator's own tests: one process for a module, emptied for each test, and a mailbox."""

from collections.abc import Iterator

import pytest

from tests.integration.simulator_process import QUICK, Mailbox, SimulatorProcess


@pytest.fixture(scope="module")
def simulator_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulatorProcess]:
    with SimulatorProcess(tmp_path_factory.mktemp("simulator") / "data", dict(QUICK)) as running:
        yield running
        assert running.stop() == 0
        assert "Traceback" not in running.log()


@pytest.fixture
def provider(simulator_process: SimulatorProcess) -> SimulatorProcess:
    simulator_process.control("reset", "POST")
    return simulator_process


@pytest.fixture(scope="module")
def webhook_receiver() -> Iterator[Mailbox]:
    mailbox = Mailbox()
    yield mailbox
    mailbox.close()


@pytest.fixture
def mailbox(webhook_receiver: Mailbox) -> Mailbox:
    webhook_receiver.letters.clear()
    webhook_receiver.answers.clear()
    return webhook_receiver
