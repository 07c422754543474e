"""How many jobs come in together, counted for all processes of the API."""

from datetime import timedelta
from importlib.resources import files

from redis import Redis
from redis.exceptions import RedisError

_KEY = "dailies:arrivals"


class Arrivals:
    """Counts jobs as they are taken in."""

    def __init__(self, redis: Redis) -> None:
        self._script = redis.register_script(files("pipeline.limits").joinpath("arrivals.lua").read_text())

    def count(self, window: timedelta) -> int:
        """How many came within the window that is open now, this one included; 0 without Redis."""
        try:
            return int(self._script(keys=[_KEY], args=[int(window.total_seconds() * 1000)]))
        except RedisError:
            return 0
