"""Celery's settings, loaded by name. Figures and reasons: docs/architecture.md and docs/decisions.md."""

from pipeline.domain.catalogue import load
from pipeline.domain.member import RANKS
from pipeline.services import catalogue_texts
from pipeline.settings import read
from worker.queues import CONTROL, MEDIA, queues

_settings = read()

broker_url = _settings.redis_url
result_backend = _settings.redis_url
broker_connection_retry_on_startup = True
# A publish gives up soon: a message is only a hint, and the sweeper repeats it.
broker_transport_options = {
    "visibility_timeout": _settings.broker_visibility_timeout_seconds,
    # By default a dead worker's messages come back up to 100 s after their time.
    "unacked_restore_interval": 5,
    "unacked_restore_throttle": 1,
    # 0 is served first. Only files to fetch have others; their list is named after it.
    "priority_steps": list(RANKS),
    "socket_connect_timeout": 5,
    "socket_keepalive": True,
}
_publish_patience = {"max_retries": 1, "interval_start": 0, "interval_step": 0.2, "interval_max": 0.2}
task_publish_retry_policy = _publish_patience
result_backend_transport_options = {"result_chord_ordered": True, "retry_policy": _publish_patience}
# The chord's counter lapses after the longest silence of a job; each finished clip renews it.
result_chord_expires = 14 * 86_400
result_expires = 3600

task_ignore_result = True
task_acks_late = True
task_reject_on_worker_lost = True
task_retry_on_worker_lost = False
task_serializer = "json"
result_serializer = "json"
accept_content = ["json"]
# A mistyped -Q stops the worker, instead of letting it wait for a queue that nobody fills.
task_create_missing_queues = False
task_queues = queues(load(catalogue_texts(_settings.catalogue_dir)).accounts)
task_default_queue = CONTROL
# Members name their provider's queue themselves; whatever is not named here is control.
task_routes = {"make_film": {"queue": MEDIA}, "make_thumbnail": {"queue": MEDIA}}

worker_prefetch_multiplier = 1
worker_consumer = "worker.consumer:SafeConsumer"
worker_send_task_events = True
worker_hijack_root_logger = False
worker_redirect_stdouts = False
task_send_sent_event = False
imports = ("worker.tasks",)

beat_schedule = {
    "sweep": {
        "task": "sweep",
        "schedule": _settings.sweep_seconds,
        # A sweep that nobody took before the next one is due is not worth taking.
        "options": {"expires": _settings.sweep_seconds},
    },
}
