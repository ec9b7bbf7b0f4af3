import json
import logging
import re

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from tests.webui.conftest import running
from vsearch.core import logs, tracing
from webui import request_log

SENT = "edge-2f6c8d31.7"


@pytest.fixture
def lines(caplog):
    """A function that returns the lines of the access log as JSON."""
    caplog.set_level(logging.DEBUG, logger="webui.request_log")
    return lambda: [
        json.loads(caplog.handler.format(record)) for record in caplog.records if record.name == "webui.request_log"
    ]


@pytest.fixture(autouse=True)
def json_lines(caplog, settings):
    caplog.handler.setFormatter(logs.formatter(settings.model_copy(update={"log_format": "json"})))


def test_every_response_has_an_id(site, lines):
    """Also errors and the operators' pages; ids of clients are ignored."""
    sent = {request_log.HEADER: SENT}
    responses = [
        *(site.client.get(path, headers=sent) for path in ("/", "/none", "/static/style.css", "/api/v1/none")),
        site.operator.get("/metrics", headers=sent),
    ]
    ids = [response.headers[request_log.HEADER] for response in responses]
    assert all(re.fullmatch("[0-9a-f]{16}", each) for each in ids)
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize(
    ("sent", "taken"), [(SENT, True), ("short", False), ("x" * 65, False), ("with space", False), ("naïve-id-1", False)]
)
def test_ids_of_a_trusted_proxy(settings, sent, taken):
    with running(settings.model_copy(update={"trusted_proxies": 1})) as site:
        response = site.client.get("/healthz", headers={request_log.HEADER: sent})
        assert (response.headers[request_log.HEADER] == sent) == taken


def test_error_pages_and_all_lines_have_the_id(site, monkeypatch, caplog):
    """The id on the page finds the lines that the request wrote, and only those."""

    def fail(*arguments, **options):
        logging.getLogger("elsewhere").warning("something is wrong")
        raise ZeroDivisionError

    monkeypatch.setattr(site.engine, "search_like", fail)
    caplog.set_level(logging.INFO)
    response = site.client.get("/products/P-01")
    number = response.headers[request_log.HEADER]
    assert f"error {number}" in response.text
    written = [json.loads(line) for line in caplog.text.splitlines()]
    assert [line["logger"] for line in written if line["request"] == number] == [
        "elsewhere",
        "webui.errors",
        "webui.request_log",
    ]
    assert logs.current_fields() == {}


def test_access_log(site, lines):
    """It has the steps, but nothing about the shopper."""
    location = site.upload()
    site.client.get(location, query_string={"text": "red chair"}, environ_base={"REMOTE_ADDR": "192.0.2.7"})
    line = lines()[-1]
    assert line["message"].startswith("GET /results/<id>: 200 in ")
    assert {name: line[name] for name in ("method", "path", "endpoint", "status")} == {
        "method": "GET",
        "path": "/results/<id>",
        "endpoint": "shop.show_results",
        "status": 200,
    }
    assert {"decode", "encode", "search", "hydrate"} <= set(line["steps"])
    assert line["milliseconds"] >= max(line["steps"].values())
    written = json.dumps(lines())
    for secret in (location.rpartition("/")[2], "red", "192.0.2.7"):
        assert secret not in written


def test_problems_are_logged_without_the_photo(site, caplog):
    location = site.upload()
    site.engine._serving = None
    assert site.client.get(location).status_code == 503
    assert "/results/<id>" in caplog.text
    assert location.rpartition("/")[2] not in caplog.text


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("/products/P-01%0Aforged", "/products/P-01%0Aforged"),
        ("/photos/" + 32 * "aB" + ".jpg", "/photos/<id>.jpg"),
        ("/photos/" + 20 * "a" + "/x?photo=1", "/photos/<id>/x"),
        ("/products/Stuhl%20ü", "/products/Stuhl%20%C3%BC"),
    ],
)
def test_paths(site, lines, path, shown):
    site.client.get(path)
    assert lines()[-1]["path"] == shown


def test_addresses_are_logged_only_if_wanted(settings, lines):
    with running(settings.model_copy(update={"log_addresses": True})) as site:
        site.client.get("/", environ_base={"REMOTE_ADDR": "192.0.2.7"})
        assert lines()[-1]["address"] == "192.0.2.7"
        assert "from 192.0.2.7" in lines()[-1]["message"]


def test_health_checks_are_logged_at_debug_level(site, lines):
    site.client.get("/readyz")
    site.client.get("/robots.txt")
    assert [(line["path"], line["level"]) for line in lines()] == [("/readyz", "DEBUG"), ("/robots.txt", "INFO")]


@pytest.fixture
def spans():
    """A function that returns the spans that have ended, by name."""
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracing.use(provider)
    yield lambda: {each.name: each for each in exporter.get_finished_spans()}
    tracing.use(None)


def test_traces(site, spans):
    """The steps of a search belong to its request; nothing in it is about the shopper."""
    location = site.upload()
    response = site.client.get(location, query_string={"text": "red"})
    found = spans()
    request = found["shop.show_results"]
    steps = {name for name, each in found.items() if each.parent and each.parent.span_id == request.context.span_id}
    assert {"decode", "detect", "encode", "search", "hydrate"} == steps
    assert dict(request.attributes) == {
        "http.request.method": "GET",
        "request": response.headers[request_log.HEADER],
        "http.response.status_code": 200,
    }


@pytest.mark.parametrize("proxies", [0, 1])
def test_the_trace_of_a_trusted_proxy_is_continued(settings, spans, proxies):
    with running(settings.model_copy(update={"trusted_proxies": proxies})) as site:
        site.client.get("/healthz", headers={"traceparent": f"00-{'ab' * 16}-{'cd' * 8}-01"})
        assert (spans()["health.alive"].context.trace_id == int("ab" * 16, 16)) == bool(proxies)
        site.client.get("/none")
        assert spans()["none"].attributes["http.response.status_code"] == 404
