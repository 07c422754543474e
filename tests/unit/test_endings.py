"""Every polite way to be ended becomes an exception, so that what was started is taken away."""

import os
import signal

import pytest

from cli.stack import endings


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_polite_signal_ends_as_an_exit_that_cleans_up(number: signal.Signals, code: int) -> None:
    before = signal.getsignal(number)
    with pytest.raises(SystemExit) as ended, endings.as_exceptions():
        os.kill(os.getpid(), number)
    assert ended.value.code == code
    assert signal.getsignal(number) is before
