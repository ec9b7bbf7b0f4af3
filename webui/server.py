"""Serves the page, and the operators' figures on an address of their own: one process, several threads, one engine."""

import logging
import resource
import signal
import socket
import threading
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from types import FrameType

import numpy as np
from flask import Flask

from catalog.database import engine_of, opened, sessions
from vsearch.core.errors import CatalogueMissing, SettingsError
from vsearch.core.settings import Settings
from vsearch.detection.detector import OpenDetector, open_bundled
from vsearch.models.encoder import open_encoder
from vsearch.search.engine import Engine
from vsearch.search.serving import OpenEncoder
from webui import admission, create_admin_app, create_app, examples
from webui.connections import Bounds, Server
from webui.reload import Background
from webui.services import services_of

OTHER_FILES = 256
"""Open files besides connections: catalogue, pictures, indexes."""

OnReady = Callable[[str, str | None], None]
"""Called with the page's address, and with the reason why nothing can be searched yet, if there is one."""

log = logging.getLogger(__name__)


def build(
    settings: Settings, open_encoder: OpenEncoder = open_encoder, open_detector: OpenDetector = open_bundled
) -> tuple[Flask, Engine]:
    """Return the application with its engine, which serves the current generation if there is one."""
    engine = Engine(settings, open_encoder, open_detector=open_detector)
    engine.refresh()
    if engine.problem is None:
        engine.detect(np.full((64, 64, 3), 128, np.uint8))  # loads the detector before the first shopper comes
    return create_app(settings, engine=engine, sessions=sessions(engine_of(settings.catalogue_url))), engine


def serve(
    settings: Settings,
    on_ready: OnReady,
    open_encoder: OpenEncoder = open_encoder,
    open_detector: OpenDetector = open_bundled,
) -> None:
    """Serve until SIGTERM or SIGINT; requests that run then are answered.

    Args:
        settings: address, threads, and all that the application needs.
        on_ready: called once the page can answer.
        open_encoder: makes the encoder of a checkpoint; a test gives a fake.
        open_detector: loads the detector.

    Raises:
        SettingsError: an address cannot be listened on, the folder of example photos not read, or a limit is invalid.
        CatalogueError: the catalogue cannot be reached, or its schema is another version's.
    """
    admission.check(settings)
    with ExitStack() as sockets:
        listener = sockets.enter_context(_listening(settings.host, settings.port, "page", "--host or --port"))
        operators = admin_listener(settings)
        if operators:
            sockets.enter_context(operators)
        examples.files(settings.examples)
        _check_catalogue(settings.catalogue_url)
        server: Server | None = None

        def stop(number: int, frame: FrameType | None) -> None:
            signal.signal(number, signal.SIG_DFL)  # the second time it ends at once
            if server is None:
                raise SystemExit(0)
            server.stop()

        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, stop)
        logging.getLogger("waitress.queue").setLevel(logging.ERROR)  # a warning for each request that waits
        app, engine = build(settings, open_encoder, open_detector)
        background = Background(engine, services_of(app).uploads, services_of(app).articles)
        background.start()
        admin = _serve_admin(app, operators) if operators else None
        server = Server(app, listener, threads=settings.threads, bounds=bounds_of(app, settings))
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        on_ready(f"http://{host}:{settings.port}/", str(engine.problem) if engine.problem else None)
        server.serve()
        if admin:
            admin.stop()
        background.stop()
        services_of(app).close()


def _serve_admin(app: Flask, listener: socket.socket) -> Server:
    bounds = Bounds(read_seconds=10, body_bytes=0, connections=64)
    server = Server(create_admin_app(app), listener, threads=2, bounds=bounds)
    threading.Thread(target=server.serve, name="vsearch-admin", daemon=True).start()
    return server


def _check_catalogue(url: str | Path) -> None:
    """Fail at once where every search would; a catalogue that a worker has yet to make may come while pages are served.

    Raises:
        CatalogueError: it cannot be used.
    """
    with suppress(CatalogueMissing), opened(url):
        pass


def bounds_of(app: Flask, settings: Settings) -> Bounds:
    """Return the bounds; a connection may need two open files, one of them for a body that is being read."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * Bounds.connections + OTHER_FILES
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    connections = min(Bounds.connections, max(16, (wanted - OTHER_FILES) // 2))
    return Bounds(
        read_seconds=settings.read_seconds,
        body_bytes=app.config["MAX_CONTENT_LENGTH"],
        connections=connections,
        per_client=None if settings.trusted_proxies else connections // 2,
    )


def admin_listener(settings: Settings) -> socket.socket | None:
    """Listen on the operators' address. Where only the default is taken, another page may run here: go on without."""
    if not settings.admin_bind:
        return None
    host, _, port = settings.admin_bind.rpartition(":")
    try:
        return _listening(host.strip("[]"), int(port), "operators' address", "the setting admin_bind")
    except SettingsError as error:
        if "admin_bind" in settings.model_fields_set:
            raise
        log.warning("/metrics is not served: %s", error)
        return None


def _listening(host: str, port: int, what: str, remedy: str) -> socket.socket:
    """Return a socket that listens, before anything slow is done."""
    try:
        if port > 65_535:
            raise OverflowError("there are ports up to 65535 only")  # some systems would take it modulo 65,536
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        return socket.create_server(address, family=family, backlog=1024, dualstack_ipv6=host == "::")
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise SettingsError(
            f"The {what} must be able to listen on {host} port {port}, but {reason}; choose another with {remedy}."
        ) from None
