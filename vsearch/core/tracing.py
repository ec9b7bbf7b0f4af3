"""OpenTelemetry traces of requests and jobs, with the setting `traces_url` and the extra `otel`; otherwise nothing.

Spans have names of steps, endpoints and kinds of jobs: no words, no ids of photos, no addresses.
"""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol

from vsearch.core.errors import SettingsError
from vsearch.core.progress import Progress, ProgressCallback
from vsearch.core.settings import Settings


class Span(Protocol):
    """A step that is being measured."""

    def set_attribute(self, key: str, value: Any) -> None:
        """Add an attribute."""


class _NoSpan(AbstractContextManager["_NoSpan"]):
    def set_attribute(self, key: str, value: Any) -> None:
        pass

    def __exit__(self, *error: object) -> None:
        pass


_NOTHING = _NoSpan()
_tracer: Any = None  # of OpenTelemetry; None if there are no traces


def configure(settings: Settings, service: str) -> None:
    """Send traces of this process, named `service`, to the address in the settings, if there is one.

    Raises:
        SettingsError: OpenTelemetry is not installed.
    """
    if not settings.traces_url:
        return
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
    except ImportError as error:
        remedy = "Install vsearch with the extra otel: pip install 'vsearch[otel]'."
        raise SettingsError(f"Setting traces_url: OpenTelemetry is not installed ({error.name}). {remedy}") from None
    sampler = ParentBased(TraceIdRatioBased(settings.traces_share))
    provider = TracerProvider(sampler=sampler, resource=Resource.create({"service.name": service}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=settings.traces_url)))
    use(provider)


def use(provider: Any) -> None:
    """Send spans to a tracer provider of OpenTelemetry; None sends none."""
    global _tracer
    _tracer = None if provider is None else provider.get_tracer("vsearch")


def span(
    name: str, attributes: Mapping[str, str] | None = None, parent: Mapping[str, str] | None = None
) -> AbstractContextManager[Span]:
    """Return a context manager that measures a step.

    Args:
        name: of the step.
        attributes: what else to record.
        parent: HTTP headers, whose `traceparent` names the trace to which the step belongs; by default it belongs to
            the step in which it runs.
    """
    if _tracer is None:
        return _NOTHING
    context = None
    if parent is not None:
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        context = TraceContextTextMapPropagator().extract({name.lower(): value for name, value in parent.items()})
    started: AbstractContextManager[Span] = _tracer.start_as_current_span(name, context=context, attributes=attributes)
    return started


def traced(progress: Progress) -> Progress:
    """Return a progress callback that also measures each stage."""

    @contextmanager
    def show(stage: str) -> Iterator[ProgressCallback]:
        with span(stage), progress(stage) as advance:
            yield advance

    return show
