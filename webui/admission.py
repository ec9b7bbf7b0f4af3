"""Admission control: trusted proxies and hosts, the rate limit, and the limit on concurrent searches."""

import logging
import re
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import wraps
from typing import Any
from urllib.parse import urlsplit

from flask import Flask, request
from flask_babel import gettext
from flask_limiter import ApplicationLimit, Limiter, RateLimitExceeded
from limits import parse_many
from prometheus_client import Gauge
from werkzeug.exceptions import BadRequest, Forbidden, NotFound, ServiceUnavailable, TooManyRequests, default_exceptions
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.sansio.utils import host_is_trusted
from werkzeug.wrappers import Response

from vsearch.core.errors import SettingsError
from vsearch.core.settings import Settings
from webui import errors, monitoring
from webui.authentication import API, caller
from webui.connections import REJECTED, WAITED, client_network

SEARCH_ENDPOINTS = (
    *("shop.search", "shop.show_results", "explanations.show"),
    *("api.search", "api.search_again", "api.search_many", "api.upload_photo", "api.photo"),
)
"""Endpoints that encode photos."""

LIMITED_ENDPOINTS = (*SEARCH_ENDPOINTS, "shop.search_address", "feedback.rate", "api.rate")
"""Endpoints that count towards the rate limit."""

HEALTH_ENDPOINTS = ("health.alive", "health.ready", "admin_health.alive", "admin_health.ready_details")
"""Load balancers request these by IP address."""

MAX_WAIT_SECONDS = 1.0
"""A request that waited longer for a thread is rejected: its client has probably given up or retried."""

RETRY_SECONDS = 3
CONTROL_CHARACTERS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")

log = logging.getLogger(__name__)


def check_settings(settings: Settings) -> None:
    """Raise `SettingsError` if a limit in the settings is not valid."""
    for name in ("rate_limit", "key_rate_limit"):
        try:
            parse_many(getattr(settings, name) or "1/minute")
        except ValueError:
            remedy = "Use a number per unit of time, such as 60/minute, or leave it empty for no limit."
            raise SettingsError(f"Setting {name}: {getattr(settings, name)!r} is not valid. {remedy}") from None
    widget_origins(settings)
    api_origins(settings)
    if settings.searches_in_flight and settings.searches_in_flight >= settings.threads:
        remedy = f"Leave at least one of {settings.threads} threads for other pages, or increase threads."
        raise SettingsError(f"Setting searches_in_flight: {settings.searches_in_flight} is too many. {remedy}")


def register(app: Flask, settings: Settings) -> None:
    """Apply the limits to an application whose blueprints and error handlers are registered."""
    check_settings(settings)
    hosts = [name.strip().lower() for name in settings.trusted_hosts.split(",") if name.strip()]
    check_requests(app, settings, hosts)
    _limit_searches(app, settings)


def check_requests(app: Flask, settings: Settings, hosts: Sequence[str] = ()) -> None:
    """Trust the proxies in the settings; reject requests that waited too long, are not valid, or name other hosts.

    Without `hosts`, every host name is accepted.
    """
    hops = settings.trusted_proxies
    if hops:
        app.wsgi_app = ProxyFix(  # type: ignore[method-assign]
            app.wsgi_app, x_for=hops, x_proto=hops, x_host=hops, x_port=hops, x_prefix=hops
        )
    warned = threading.Event()

    @app.before_request
    def admit() -> None:
        if REJECTED in request.environ:
            monitoring.count_turned_away("incomplete")
            raise default_exceptions[request.environ[REJECTED]]()
        if request.endpoint in HEALTH_ENDPOINTS:
            return
        if request.environ.get(WAITED, 0.0) > MAX_WAIT_SECONDS:
            monitoring.count_turned_away("waited")
            raise ServiceUnavailable(retry_after=RETRY_SECONDS)
        if hosts and not host_is_trusted(request.host.lower(), hosts):
            raise BadRequest(gettext("This host name is not served."))
        _reject_control_characters()
        if not hops and "X-Forwarded-For" in request.headers and not warned.is_set():
            warned.set()
            log.warning("X-Forwarded-* headers are ignored; if they come from a proxy, set trusted_proxies")


def _limit_searches(app: Flask, settings: Settings) -> None:
    slots = threading.BoundedSemaphore(settings.searches_in_flight or max(1, settings.threads * 3 // 4))
    for endpoint in SEARCH_ENDPOINTS:
        running = monitoring.metrics_of(app).in_flight
        app.view_functions[endpoint] = _limit_concurrency(app.view_functions[endpoint], slots, running)
    limiter = Limiter(
        lambda: client_network(request.remote_addr or ""),
        app=app,
        storage_uri="memory://",
        application_limits=list(_limits(settings)),
    )

    @app.errorhandler(RateLimitExceeded)
    def too_many(error: RateLimitExceeded) -> Response:
        monitoring.count_turned_away("rate limit")
        current = limiter.current_limit
        seconds = int(current.reset_at - time.time()) if current else RETRY_SECONDS
        return errors.handle_http(TooManyRequests(retry_after=max(1, seconds)))


def _limits(settings: Settings) -> Iterator[ApplicationLimit]:
    """Yield the limit of searches per client address without a key, and that of all requests per key of the API."""
    if settings.rate_limit:
        yield ApplicationLimit(
            settings.rate_limit, exempt_when=lambda: request.endpoint not in LIMITED_ENDPOINTS or bool(caller())
        )
    if settings.key_rate_limit:
        yield ApplicationLimit(
            settings.key_rate_limit,
            key_function=_key_number,
            exempt_when=lambda: caller() is None,
            scope=API,
        )


def _key_number() -> str:
    holder = caller()
    return str(holder.key_id) if holder else ""


def _limit_concurrency(
    view: Callable[..., Any], slots: threading.BoundedSemaphore, running: Gauge
) -> Callable[..., Any]:
    """Reject a search at once if all slots are taken: waiting would block a thread."""

    @wraps(view)
    def limited(*args: Any, **kwargs: Any) -> Any:
        if not slots.acquire(blocking=False):
            monitoring.count_turned_away("searches in flight")
            raise ServiceUnavailable(retry_after=RETRY_SECONDS)
        try:
            with running.track_inprogress():
                return view(*args, **kwargs)
        finally:
            slots.release()

    return limited


def reject_other_sites(allowed: Collection[str] = ()) -> None:
    """Refuse a request that a page of another site made, unless its origin is allowed; programs send no headers."""
    site, origin = request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin")
    foreign = origin is not None and urlsplit(origin).netloc != request.host
    if (site not in ("same-origin", "none") if site is not None else foreign) and origin not in allowed:
        raise Forbidden(gettext("This request came from another site."))


def widget_origins(settings: Settings) -> frozenset[str]:
    """Return the origins whose pages may send photos.

    Raises:
        SettingsError: one is not an origin.
    """
    return _origins("widget_origins", settings.widget_origins)


def api_origins(settings: Settings) -> frozenset[str]:
    """Return the origins whose pages may use the API; raises the same."""
    return _origins("api_origins", settings.api_origins)


def _origins(setting: str, value: str) -> frozenset[str]:
    origins = frozenset(filter(None, (name.strip().rstrip("/") for name in value.split(","))))
    for origin in origins:
        parts = urlsplit(origin)
        if parts.scheme not in ("https", "http") or not parts.netloc or f"{parts.scheme}://{parts.netloc}" != origin:
            raise SettingsError(
                f"Setting {setting}: {origin!r} is not an origin. Use one such as https://shop.example."
            )
    return origins


def _reject_control_characters() -> None:
    """Reject NUL, which PostgreSQL strings cannot contain, and control characters that no valid URL contains."""
    if CONTROL_CHARACTERS.search(request.path):
        raise NotFound
    for name, value in request.args.items(multi=True):
        if CONTROL_CHARACTERS.search(name) or CONTROL_CHARACTERS.search(value):
            raise BadRequest(gettext("Query parameters must not contain control characters."))
