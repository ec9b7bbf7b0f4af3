"""Serves the web pages and, on a second address, operators' metrics: one process, several threads, one engine."""

import ctypes
import logging
import os
import resource
import signal
import socket
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from types import FrameType

import numpy as np
from flask import Flask
from sqlalchemy.orm import sessionmaker

from catalog.database import create_engine, open_catalog
from vsearch.core import tracing
from vsearch.core.errors import CatalogMissing, SettingsError, VSearchError
from vsearch.core.settings import Settings
from vsearch.detection.detector import OpenDetector, open_active
from vsearch.models.encoder import Encoder
from vsearch.search.engine import Engine
from vsearch.search.serving import OpenEncoder
from webui import create_admin_app, create_app
from webui.api.idempotency import delete_expired
from webui.connections import ConnectionLimits, Server
from webui.services import Services, services_of

RESERVED_FILES = 256
"""File descriptors reserved for everything but connections: the catalog, images and indexes."""

FIRST_INHERITED = 3
"""File descriptor of the first socket that systemd passes."""

ADMIN_THREADS = 8
REFRESH_SECONDS = 5.0
_M_ARENA_MAX = -8  # of glibc's malloc.h
EXPIRE_SECONDS = 3600.0

OnReady = Callable[[str, str | None], None]
"""Called with the server's URL and, if nothing can be searched yet, the reason."""

log = logging.getLogger(__name__)


def build(
    settings: Settings, open_encoder: OpenEncoder = Encoder, open_detector: OpenDetector = open_active
) -> tuple[Flask, Engine]:
    """Create the application and its engine, which serves the current generation if there is one."""
    engine = Engine(settings, open_encoder, open_detector=open_detector)
    engine.refresh()
    if engine.problem is None:
        engine.photos.detections(np.full((64, 64, 3), 128, np.uint8))  # opens the detector before the first request
    return create_app(settings, engine=engine, sessions=sessionmaker(create_engine(settings.catalog_url))), engine


def serve(
    settings: Settings,
    on_ready: OnReady,
    open_encoder: OpenEncoder = Encoder,
    open_detector: OpenDetector = open_active,
) -> None:
    """Serve until SIGTERM or SIGINT, then finish running requests; after SIGTERM, `drain_seconds` later.

    Raises:
        SettingsError: an address, a limit or the example folder is not valid.
        CatalogError: the catalog cannot be used.
    """
    _share_arenas()
    tracing.configure(settings, "vsearch-web")
    with ExitStack() as sockets:
        inherited = inherited_sockets()
        listener = inherited[0] if inherited else _listen(settings.host, settings.port, "Settings host and port")
        sockets.enter_context(listener)
        admin_socket = inherited[1] if len(inherited) > 1 else admin_listener(settings)
        if admin_socket:
            sockets.enter_context(admin_socket)
        with suppress(CatalogMissing), open_catalog(settings.catalog_url):  # a worker may create it later
            pass
        server: Server | None = None

        def stop(number: int, frame: FrameType | None) -> None:
            signal.signal(number, signal.SIG_DFL)  # a second signal ends the process at once
            if server is None:
                raise SystemExit(0)
            services_of(app).stopping.set()
            if number == signal.SIGTERM and settings.drain_seconds:
                server.drain()
                timer = threading.Timer(settings.drain_seconds, server.stop)
                timer.daemon = True  # another signal may end the process earlier
                timer.start()
            else:
                server.stop()

        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, stop)
        logging.getLogger("waitress.queue").setLevel(logging.ERROR)  # warns about every request that waits
        app, engine = build(settings, open_encoder, open_detector)
        background = BackgroundThread(services_of(app))
        background.start()
        admin = _serve_admin(app, admin_socket) if admin_socket else None
        server = Server(app, listener, threads=settings.threads, limits=connection_limits(app, settings))
        host, port = (settings.host, settings.port) if not inherited else listener.getsockname()[:2]
        host = f"[{host}]" if ":" in host else host
        on_ready(f"http://{host}:{port}/", str(engine.problem) if engine.problem else None)
        server.serve()
        if admin:
            admin.stop()
        background.stop()
        services_of(app).close()


def inherited_sockets() -> list[socket.socket]:
    """Return the listening sockets that systemd has opened for this process (sd_listen_fds), if any.

    The first is for shoppers, a second one for operators. They stay open while one process replaces another.
    """
    process, count = (os.environ.pop(name, "") for name in ("LISTEN_PID", "LISTEN_FDS"))
    if process != str(os.getpid()):
        return []
    return [socket.socket(fileno=FIRST_INHERITED + number) for number in range(int(count))]


def _share_arenas() -> None:
    """Let all threads allocate from two arenas: glibc would keep what each of them once needed, 50 MB in total."""
    with suppress(OSError, AttributeError):  # another C library
        ctypes.CDLL("libc.so.6").mallopt(_M_ARENA_MAX, 2)


def _serve_admin(app: Flask, listener: socket.socket) -> Server:
    admin = create_admin_app(app)
    limits = ConnectionLimits(read_seconds=60, body_bytes=admin.config["MAX_CONTENT_LENGTH"], connections=64)
    server = Server(admin, listener, threads=ADMIN_THREADS, limits=limits)
    threading.Thread(target=server.serve, name="vsearch-admin", daemon=True).start()
    return server


def connection_limits(app: Flask, settings: Settings) -> ConnectionLimits:
    """Raise the soft limit on open files; return limits that stay within it, at two files per connection."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * ConnectionLimits.connections + RESERVED_FILES
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    connections = min(ConnectionLimits.connections, max(16, (wanted - RESERVED_FILES) // 2))
    return ConnectionLimits(
        read_seconds=settings.read_seconds,
        body_bytes=app.config["MAX_CONTENT_LENGTH"],
        connections=connections,
        per_client=None if settings.trusted_proxies else connections // 2,
    )


def admin_listener(settings: Settings) -> socket.socket | None:
    """Listen on the operators' address; None if it is disabled, or is the default and already in use."""
    if not settings.admin_bind:
        return None
    host, _, port = settings.admin_bind.rpartition(":")
    try:
        return _listen(host.strip("[]"), int(port), "Setting admin_bind")
    except SettingsError as error:
        if "admin_bind" in settings.model_fields_set:
            raise
        log.warning("/metrics is not served: %s", error)
        return None


def _listen(host: str, port: int, source: str) -> socket.socket:
    try:
        if port > 65_535:
            raise OverflowError("ports end at 65535")  # some systems would reduce it modulo 65,536
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        return socket.create_server(address, family=family, backlog=1024, dualstack_ipv6=host == "::")
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise SettingsError(f"{source}: cannot listen on {host} port {port} ({reason}). Choose another.") from None


class BackgroundThread:
    """Runs the recurring tasks of a process until stopped."""

    def __init__(self, services: Services, *, refresh_seconds: float = REFRESH_SECONDS) -> None:
        self._services = services
        self._refresh_seconds = refresh_seconds
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="vsearch-background", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Stop the thread after its current task."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        next_expiry = time.monotonic()
        while not self._stop.wait(self._refresh_seconds):
            _attempt(self._refresh_engine)
            _attempt(self._services.article_numbers.refresh)
            _attempt(self._read_catalog)
            _attempt(self._services.key_use.write)
            _attempt(self._services.query_log.write)
            if time.monotonic() >= next_expiry:
                next_expiry = time.monotonic() + EXPIRE_SECONDS
                _attempt(self._services.uploads.expire)
                _attempt(self._services.review_photos.delete_expired)
                _attempt(self._services.query_log.delete_expired)
                _attempt(lambda: delete_expired(self._services.sessions))

    def _read_catalog(self) -> None:
        """Read what has changed, so that the first search after an import need not wait."""
        if self._services.engine.problem is None:
            self._services.catalog.update(self._services.engine.serving.generation)

    def _refresh_engine(self) -> None:
        """Refresh the engine; log a new problem once, not every few seconds."""
        engine = self._services.engine
        previous = str(engine.problem)
        engine.refresh()
        if engine.problem and str(engine.problem) != previous:
            log.warning("the current generation cannot be served: %s", engine.problem)


def _attempt(task: Callable[[], object]) -> None:
    """Run a task; log a failure, since the thread retries the task later."""
    try:
        task()
    except VSearchError as error:
        log.warning("a background task failed and will be retried: %s", error)
    except Exception:
        log.exception("a background task failed and will be retried")
