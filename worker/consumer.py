"""Keep a worker alive when its broker goes away: works round a crash of Celery 5.7.0.

``Consumer.on_connection_error_after_connected`` collects the broken connection and then closes it once more; while
messages are unacknowledged, which is always so here, the second close finds no client and the process exits with
``AttributeError: 'NoneType' object has no attribute 'hostname'``. Remove this when Celery does not need it any more:
``tests/chaos`` restarts Redis under parked tasks.
"""

from typing import Any

from celery.worker.consumer import Consumer

from pipeline import logs

_LOG = logs.get(__name__)


class SafeConsumer(Consumer):
    """Celery's consumer, except that dropping a broken connection can't end the process."""

    def on_connection_error_after_connected(self, exc: Any) -> None:
        """Drop the connection; what fails while doing so is the connection's end, not ours."""
        try:
            super().on_connection_error_after_connected(exc)
        except AttributeError as error:
            _LOG.warning("broker.connection_dropped", error=str(error))
            self.connection = None
