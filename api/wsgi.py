"""What gunicorn serves: settings → services → app. The one module of the API that knows the workers."""

import gc

from gevent import monkey

from api.app import create_app
from pipeline import logs, settings
from pipeline.services import build
from worker.app import app as celery
from worker.dispatch import CeleryCarrier

_GREEN = monkey.is_module_patched("socket")  # gunicorn's gevent worker does so before it loads us

if _GREEN:
    from psycogreen.gevent import patch_psycopg

    patch_psycopg()

_settings = settings.read()
logs.set_up(level=_settings.log_level, form=_settings.log_format)

application = create_app(
    build(_settings, CeleryCarrier(celery)),
    message_queue=_settings.redis_url,
    async_mode="gevent" if _GREEN else "threading",
)

# A full collection of what the imports left behind stops every request for a tenth of a second; none of it ever goes.
gc.collect()
gc.freeze()
