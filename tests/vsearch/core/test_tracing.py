import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from vsearch.core import tracing
from vsearch.core.errors import SettingsError
from vsearch.core.progress import no_stages
from vsearch.core.settings import Settings


@pytest.fixture
def spans():
    """A function that returns the spans that have ended, with the names of their parents."""
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracing.use(provider)

    def ended():
        found = exporter.get_finished_spans()
        names = {each.context.span_id: each.name for each in found}
        return [(each.name, names.get(each.parent.span_id) if each.parent else None) for each in found]

    yield ended
    tracing.use(None)


def test_without_the_setting_there_are_no_spans():
    tracing.configure(Settings(), "test")
    with tracing.span("step", {"a": "b"}) as step:
        step.set_attribute("c", 1)
        assert not trace.get_current_span().get_span_context().is_valid
    assert tracing.span("one") is tracing.span("other")


def test_stages_are_spans_of_the_job(spans):
    with tracing.span("job nightly"), tracing.traced(no_stages)("encode") as advance:
        advance(1, 2)
    assert spans() == [("encode", "job nightly"), ("job nightly", None)]


def test_errors_pass_through(spans):
    with pytest.raises(ZeroDivisionError), tracing.span("step"):
        raise ZeroDivisionError
    assert spans() == [("step", None)]


def test_spans_are_sent(monkeypatch):
    """To a real collector's address, at the latest when the process ends."""
    received = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self):
            received.append((self.path, self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *arguments):
            pass

    providers = []
    monkeypatch.setattr(tracing, "use", providers.append)
    with HTTPServer(("127.0.0.1", 0), Collector) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            url = f"http://127.0.0.1:{server.server_port}/v1/traces"
            tracing.configure(Settings(traces_url=url), "vsearch-test")
            with providers[0].get_tracer("vsearch").start_as_current_span("a step"):
                pass
            providers[0].shutdown()
        finally:
            server.shutdown()
            thread.join()
    ((path, body),) = received
    assert path == "/v1/traces"
    assert b"vsearch-test" in body
    assert b"a step" in body


def test_a_share_is_traced(monkeypatch):
    providers = []
    monkeypatch.setattr(tracing, "use", providers.append)
    tracing.configure(Settings(traces_url="http://127.0.0.1:9/v1/traces", traces_share=0), "test")
    with providers[0].get_tracer("vsearch").start_as_current_span("step") as span:
        assert not span.is_recording()
    providers[0].shutdown()


def test_not_installed(monkeypatch):
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    with pytest.raises(SettingsError, match="extra otel"):
        tracing.configure(Settings(traces_url="http://127.0.0.1:4318/v1/traces"), "test")
