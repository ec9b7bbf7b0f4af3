"""The small shop behind a real server that fails on demand, and both clients of it."""

import inspect
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import anyio
import anyio.to_thread
import pytest
from anyio.from_thread import start_blocking_portal
from werkzeug.serving import make_server
from werkzeug.test import run_wsgi_app

from catalog import api_keys, jobs
from catalog.models import utc_now
from indexer.build.delta_update import update_delta
from indexer.feed.upserts import apply_batch
from indexer.jobs.execution import claim_next
from tests import fakes
from tests.pictures import jpeg
from tests.webui.conftest import Site, running
from vsearch.client import AsyncClient, Client, async_client, sync_client

LOST = "lost"
"""The request is carried out, but the connection breaks before the answer is complete."""

WORKER = "test:1"


class Server:
    """Serves an application; `faults` says how the next requests fail: LOST, or status, headers and body."""

    def __init__(self, app: Any) -> None:
        self.app = app
        self.faults: list[Any] = []
        self.requests: list[Any] = []
        self.address = ""

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., object]) -> Any:
        self.requests.append(environ)
        fault = self.faults.pop(0) if self.faults else None
        if fault is None:
            return self.app(environ, start_response)
        if fault == LOST:
            run_wsgi_app(self.app, environ)
            fault = "200 OK", {"Content-Length": "1000"}, "{"
        status, headers, body = fault
        start_response(status, list(headers.items()))
        return [body.encode()]

    @property
    def keys(self) -> list[str | None]:
        """The idempotency keys of the requests."""
        return [environ.get("HTTP_IDEMPOTENCY_KEY") for environ in self.requests]


class Blocking:
    """An asynchronous client whose methods wait for the answer."""

    def __init__(self, client: AsyncClient, portal: Any) -> None:
        self._client = client
        self._portal = portal

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._client, name)

        async def listed(*arguments: Any, **options: Any) -> list[Any]:
            return [each async for each in method(*arguments, **options)]

        awaited = listed if inspect.isasyncgenfunction(method) else method
        return lambda *arguments, **options: self._portal.call(partial(awaited, *arguments, **options))


@contextmanager
def serving(app: Any) -> Iterator[Server]:
    server = Server(app)
    http = make_server("127.0.0.1", 0, server, threaded=True)
    http.daemon_threads = False  # server_close waits for requests in progress
    thread = threading.Thread(target=http.serve_forever)
    thread.start()
    server.address = f"http://127.0.0.1:{http.port}"
    try:
        yield server
    finally:
        http.shutdown()
        thread.join()
        http.server_close()


@pytest.fixture
def site(settings, tmp_path: Path):
    """The shop with a folder that has images of new products."""
    folder = tmp_path / "images"
    folder.mkdir()
    (folder / "new.jpg").write_bytes(jpeg())
    with running(settings.model_copy(update={"feed_images": str(folder)})) as site:
        yield site


@pytest.fixture
def server(site: Site):
    with serving(site.app) as server:
        yield server


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that clients have waited between requests; they pass at once."""
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    clock = SimpleNamespace(sleep=waits.append, monotonic=lambda: sum(waits))
    for module in (sync_client, async_client):
        monkeypatch.setattr(module, "time", clock)
    monkeypatch.setattr(async_client, "anyio", SimpleNamespace(sleep=sleep, to_thread=anyio.to_thread))
    return waits


@pytest.fixture
def key(site: Site) -> str:
    """A key that may do everything."""
    with site.sessions.begin() as session:
        return api_keys.create(session, "test", api_keys.SCOPES, by="test")[1]


@pytest.fixture(params=["sync", "async"])
def open_client(request: pytest.FixtureRequest, server: Server, waits: list[float]):
    """A function that opens a client of the server."""
    with ExitStack() as closing:
        portal = closing.enter_context(start_blocking_portal()) if request.param == "async" else None

        def open_client(key: str | None = None, address: str = server.address, **options: Any) -> Any:
            if portal is None:
                return closing.enter_context(Client(address, key, **options))
            client = AsyncClient(address, key, **options)
            closing.callback(lambda: portal.call(client.close))
            return Blocking(client, portal)

        yield open_client


@pytest.fixture
def client(open_client, key: str):
    """A client with a key that may do everything."""
    return open_client(key)


@pytest.fixture
def work(site: Site) -> Callable[..., None]:
    """A function that runs the waiting jobs of product changes, as a worker does, and loads what they added."""

    def work(*ignored: object) -> None:
        while job := claim_next(site.sessions, WORKER, utc_now()):
            if job.kind == "upsert":
                result = asdict(apply_batch(site.settings, job.arguments["batch"], sessions=site.sessions))
            else:
                assert job.kind == "update"
                update_delta(site.settings, open_encoder=fakes.FakeEncoder)
                result = {}
            with site.sessions.begin() as session:
                jobs.finish(session, job.job_id, "done", "Done.", utc_now(), worker=WORKER, result=result)
        site.engine.refresh()

    return work
