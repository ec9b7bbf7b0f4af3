"""Serves the application with gunicorn: one worker process, several threads, one engine.

TensorFlow does not survive a fork, so the engine is only made inside the worker, and whoever calls `serve` must not
have loaded TensorFlow before.
"""

import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
from flask import Flask

from catalog.database import engine_of, opened, sessions
from vsearch.encoder import open_encoder
from vsearch.engine import Engine
from vsearch.errors import CatalogueMissing, SettingsError
from vsearch.finder import OpenFinder, open_bundled
from vsearch.serving import OpenEncoder
from vsearch.settings import Settings
from webui import create_app, examples
from webui.reload import Background
from webui.services import services_of

START_SECONDS = 300
"""How long the worker may take to load its networks, and a request to be answered."""

OnReady = Callable[[str, str | None], None]
"""Called with the page's address, and with the reason why nothing can be searched yet, if there is one."""


def build(
    settings: Settings, open_encoder: OpenEncoder = open_encoder, open_finder: OpenFinder = open_bundled
) -> tuple[Flask, Engine]:
    """Return the application with its engine, which serves the current generation if there is one."""
    engine = Engine(settings, open_encoder, open_finder=open_finder)
    engine.refresh()
    if engine.problem is None:
        engine.proposals(np.full((64, 64, 3), 128, np.uint8))  # opens the finder before the first shopper comes
    return create_app(settings, engine=engine, sessions=sessions(engine_of(settings.catalogue_url))), engine


def serve(
    settings: Settings,
    on_ready: OnReady,
    open_encoder: OpenEncoder = open_encoder,
    open_finder: OpenFinder = open_bundled,
) -> None:
    """Serve until the process is told to stop.

    Args:
        settings: address, threads, and all that the application needs.
        on_ready: called in the worker once it can answer, and again should it have to be restarted.
        open_encoder: makes the encoder of a checkpoint; a test gives a fake.
        open_finder: makes what finds products in whole photos.

    Raises:
        SettingsError: the address cannot be listened on, or the folder of example photos not read.
        CatalogueError: the catalogue cannot be reached, or its schema is another version's.
    """
    from gunicorn.app.base import BaseApplication

    _check_address(settings.host, settings.port)
    examples.files(settings.examples)
    _check_catalogue(settings.catalogue_url)

    class Server(BaseApplication):  # type: ignore[misc]
        """Gunicorn, configured here and not by files or arguments."""

        engine: Engine

        def load_config(self) -> None:
            for name, value in _options(settings).items():
                self.cfg.set(name, value)
            self.cfg.set("post_worker_init", lambda worker: self._announce())

        def load(self) -> Flask:
            app, self.engine = build(settings, open_encoder, open_finder)
            Background(self.engine, services_of(app).uploads, services_of(app).articles).start()
            return app

        def _announce(self) -> None:
            problem = self.engine.problem
            on_ready(f"http://{settings.host}:{settings.port}/", str(problem) if problem else None)

    Server().run()


def _options(settings: Settings) -> dict[str, object]:
    return {
        "bind": f"{settings.host}:{settings.port}",
        "workers": 1,
        "worker_class": "gthread",
        "threads": settings.threads,
        "timeout": START_SECONDS,
        "keepalive": 15,
        "loglevel": settings.log_level.lower(),
        "control_socket_disable": True,
    }


def _check_catalogue(url: str | Path) -> None:
    """Fail at once where every search would; a catalogue that a worker has yet to make may come while pages are served.

    Raises:
        CatalogueError: it cannot be used.
    """
    with suppress(CatalogueMissing), opened(url):
        pass


def _check_address(host: str, port: int) -> None:
    """Fail at once and in one sentence where gunicorn would try for a while."""
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        raise SettingsError(
            f"The page must be able to listen on {host} port {port}, but {error.strerror or error}; "
            "choose another with --host or --port."
        ) from None
