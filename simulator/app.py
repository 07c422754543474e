"""Puts a simulator together: its parts and its routes."""

import imageio_ffmpeg
from flask import Flask
from flask.json.provider import DefaultJSONProvider

from simulator import control, outputs
from simulator.dialects import DIALECTS
from simulator.engine import Engine
from simulator.faults import FaultBook
from simulator.limits import Gate, Limits
from simulator.outputs import Links
from simulator.parts import Parts, Secrets
from simulator.render import Renderer
from simulator.scheduler import Scheduler
from simulator.settings import Settings
from simulator.shared_render import SharedRenderer
from simulator.stats import Stats
from simulator.uploads import Uploads
from simulator.webhooks import Courier

LARGEST_BODY_BYTES = 100 * 2**20


def build_parts(settings: Settings) -> Parts:
    """Start the threads and take up whatever the data folder holds."""
    settings.folder.mkdir(parents=True, exist_ok=True)
    keys = Secrets.of(settings.folder, settings.webhook_secret)
    stats, scheduler = Stats(), Scheduler()
    kind = SharedRenderer if settings.render == "shared" else Renderer
    renderer = kind(folder=settings.folder / "outputs", ffmpeg=_ffmpeg(settings), frame_height=settings.frame_height)
    engine = Engine(
        folder=settings.folder,
        scheduler=scheduler,
        renderer=renderer,
        data_seconds=settings.data_seconds,
        listener=lambda prediction, event: DIALECTS[prediction.order.dialect].announce(parts, prediction, event),
        durable=settings.fsync,
    )
    courier = Courier(secret=keys.webhook, scheduler=scheduler, count=stats.count)
    parts = Parts(
        settings=settings,
        secrets=keys,
        scheduler=scheduler,
        engine=engine,
        renderer=renderer,
        gate=Gate(_limits(settings)),
        faults=FaultBook(),
        stats=stats,
        courier=courier,
        links=Links(secret=keys.links, link_seconds=settings.link_seconds),
        uploads=Uploads(settings.folder / "uploads"),
    )
    scheduler.start()
    engine.load()
    return parts


def stop(parts: Parts) -> None:
    """End the threads and close the files; what was not finished waits on disk."""
    parts.scheduler.stop()
    parts.courier.close()
    parts.renderer.close()
    parts.engine.close()


def build_app(parts: Parts) -> Flask:
    """The routes of every dialect, of the finished files and of the control port."""
    app = Flask("simulator")
    app.config["MAX_CONTENT_LENGTH"] = LARGEST_BODY_BYTES
    if isinstance(app.json, DefaultJSONProvider):
        app.json.sort_keys = False
    for dialect in DIALECTS.values():
        dialect.install(app, parts)
    app.register_blueprint(
        outputs.blueprint(
            links=parts.links,
            renderer=parts.renderer,
            faults=parts.faults,
            find=parts.engine.find,
            count=parts.stats.count,
        )
    )
    app.register_blueprint(control.blueprint(parts))
    return app


def _limits(settings: Settings) -> Limits:
    return Limits(
        creates_per_minute=settings.creates_per_minute,
        other_per_minute=settings.other_per_minute,
        max_in_flight=settings.max_in_flight,
    )


def _ffmpeg(settings: Settings) -> str:
    return settings.ffmpeg or str(imageio_ffmpeg.get_ffmpeg_exe())
