"""Which requests are answered at all: from whom they come, how often, and how many searches are computed at a time."""

import logging
import re
import threading
import time
from collections.abc import Callable
from functools import wraps
from typing import Any

from flask import Flask, request
from flask_limiter import Limiter, RateLimitExceeded
from limits import parse_many
from werkzeug.exceptions import BadRequest, NotFound, ServiceUnavailable, TooManyRequests, default_exceptions
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.sansio.utils import host_is_trusted
from werkzeug.wrappers import Response

from vsearch.core.errors import SettingsError
from vsearch.core.settings import Settings
from webui import errors
from webui.connections import REFUSED, WAITED, client_network

SEARCHES = ("shop.search", "shop.show_results", "api.search")
"""Endpoints that compute: they encode photos."""

HEALTH = ("health.alive", "health.ready")
"""Endpoints that a load balancer asks by address, not by name."""

MAX_WAIT_SECONDS = 5.0
"""A request that no thread was free for during so long is not worth its work: who sent it gives up, or sends again."""

RETRY_SECONDS = 3
CONTROL_CHARACTERS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")

log = logging.getLogger(__name__)


def check(settings: Settings) -> None:
    """Check the settings of limits before anything slow is done.

    Raises:
        SettingsError: one of them is invalid.
    """
    try:
        if settings.rate_limit:
            parse_many(settings.rate_limit)
    except ValueError:
        raise SettingsError(
            f"A rate limit must be a number of searches per time, such as 60/minute, but rate_limit is "
            f"{settings.rate_limit!r}; correct the setting, or leave it empty for no limit."
        ) from None
    if settings.searches_in_flight and settings.searches_in_flight >= settings.threads:
        raise SettingsError(
            f"A thread must be left for what is no search, but searches_in_flight is {settings.searches_in_flight} "
            f"with {settings.threads} threads; make it smaller, or raise threads."
        )


def register(app: Flask, settings: Settings) -> None:
    """Make the application admit requests; after its blueprints and the handlers of errors are registered.

    Raises:
        SettingsError: a limit is invalid.
    """
    check(settings)
    hops = settings.trusted_proxies
    if hops:
        app.wsgi_app = ProxyFix(  # type: ignore[method-assign]
            app.wsgi_app, x_for=hops, x_proto=hops, x_host=hops, x_port=hops, x_prefix=hops
        )
    hosts = [name.strip().lower() for name in settings.trusted_hosts.split(",") if name.strip()]
    warned = threading.Event()

    @app.before_request
    def admit() -> None:
        if REFUSED in request.environ:
            raise default_exceptions[request.environ[REFUSED]]()
        if request.endpoint in HEALTH:
            return
        if request.environ.get(WAITED, 0.0) > MAX_WAIT_SECONDS:
            raise _busy()
        if hosts and not host_is_trusted(request.host.lower(), hosts):
            raise BadRequest("This shop has another address; follow a link to it.")
        _refuse_control_characters()
        if not hops and "X-Forwarded-For" in request.headers and not warned.is_set():
            warned.set()
            log.warning("X-Forwarded-* headers arrive but are not believed; behind a proxy, set trusted_proxies")

    _throttle(app, settings)


def _throttle(app: Flask, settings: Settings) -> None:
    slots = threading.BoundedSemaphore(settings.searches_in_flight or max(1, settings.threads * 3 // 4))
    limiter = Limiter(_client, app=app, storage_uri="memory://")
    for endpoint in SEARCHES:
        view = _in_flight(app.view_functions[endpoint], slots)
        if settings.rate_limit:
            view = limiter.shared_limit(settings.rate_limit, scope="searches")(view)
        app.view_functions[endpoint] = view

    @app.errorhandler(RateLimitExceeded)
    def too_many(error: RateLimitExceeded) -> Response:
        current = limiter.current_limit
        seconds = int(current.reset_at - time.time()) if current else RETRY_SECONDS
        message = "You have searched very often in a short time; please go on in a minute."
        return errors.answer(TooManyRequests(message, retry_after=max(1, seconds)))


def _client() -> str:
    return client_network(request.remote_addr or "")


def _in_flight(view: Callable[..., Any], slots: threading.BoundedSemaphore) -> Callable[..., Any]:
    """Refuse at once where all slots are taken: who waits in a thread keeps it from everybody else."""

    @wraps(view)
    def admitted(*arguments: Any, **named: Any) -> Any:
        if not slots.acquire(blocking=False):
            raise _busy()
        try:
            return view(*arguments, **named)
        finally:
            slots.release()

    return admitted


def _busy() -> ServiceUnavailable:
    return ServiceUnavailable(retry_after=RETRY_SECONDS)


def _refuse_control_characters() -> None:
    """PostgreSQL takes no NUL in a text, and no address of ours has any of the others."""
    if CONTROL_CHARACTERS.search(request.path):
        raise NotFound
    for name, value in request.args.items(multi=True):
        if CONTROL_CHARACTERS.search(name) or CONTROL_CHARACTERS.search(value):
            raise BadRequest("A search takes no control characters; leave them out.")
