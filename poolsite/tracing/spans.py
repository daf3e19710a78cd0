"""Record spans with OpenTelemetry's SDK and send them to the collector; loaded only if traces are on."""

from __future__ import annotations

import atexit
import os
import re
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExportResult
from opentelemetry.sdk.trace.id_generator import IdGenerator, RandomIdGenerator
from opentelemetry.sdk.trace.sampling import TraceIdRatioBased
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
)
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from poolsite.tracing import HEADER

if TYPE_CHECKING:
    from poolsite.tracing.subjects import Subject

EXPORT_S: Final = "3"
"""Longest wait for a collector, unless the environment names another: a process that ends waits so long."""
SUBJECTS_MAX: Final = 100
"""Most messages or jobs in whose traces one span appears: a head may land thousands."""

_PROPAGATOR: Final = TraceContextTextMapPropagator()
_FIRST: Final[ContextVar[Subject | None]] = ContextVar("first_span_of", default=None)
"""The message or job whose first span is being started."""


class SubjectIds(IdGenerator):
    """Random ids, except for the first span of a message or job."""

    def __init__(self) -> None:
        self.random = RandomIdGenerator()

    def generate_span_id(self) -> int:
        """Return the id of a span."""
        subject = _FIRST.get()
        return self.random.generate_span_id() if subject is None else subject.span_id

    def generate_trace_id(self) -> int:
        """Return the id of a trace."""
        subject = _FIRST.get()
        return self.random.generate_trace_id() if subject is None else subject.trace_id


@dataclass(slots=True)
class Entry:
    """The request or task that this process works on, with the messages and jobs it concerned so far."""

    span: Span
    name: str
    facts: dict[str, Any]
    subjects: dict[Subject, None] = field(default_factory=dict)


_ENTRY: Final[ContextVar[Entry | None]] = ContextVar("entry", default=None)
_tracer: trace.Tracer = trace.NoOpTracer()


class Exporter(OTLPSpanExporter):
    """Sends batches of spans; while the process ends, none after one that did not arrive."""

    is_ending = False
    has_failed = False

    def end(self) -> None:
        """Note that the process ends."""
        self.is_ending = True

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send a batch."""
        if self.is_ending and self.has_failed:
            return SpanExportResult.FAILURE
        result = super().export(spans)
        self.has_failed = result is not SpanExportResult.SUCCESS
        return result


def exporter_start(process: str) -> None:
    """Send the spans of this process to the collector that the environment names."""
    os.environ.setdefault("OTEL_EXPORTER_OTLP_TIMEOUT", EXPORT_S)
    exporter = Exporter()
    provider_set(BatchSpanProcessor(exporter), process)
    atexit.register(exporter.end)  # goes before what sends the rest: that was registered earlier


def provider_set(processor: SpanProcessor, process: str) -> TracerProvider:
    """Send the spans of this process to a processor.

    Sampling depends on the trace id alone: all processes decide alike, and a caller cannot decide.
    """
    global _tracer  # the process has one
    service = os.environ.get("OTEL_SERVICE_NAME") or f"poolsite-{re.sub(r'-[0-9]+$', '', process)}"
    machine = os.environ.get("POOLSITE_MACHINE") or os.uname().nodename.partition(".")[0]
    named = {"service.name": service, "service.instance.id": f"{machine}:{process}"}
    share = float(os.environ.get("OTEL_TRACES_SAMPLER_ARG") or 1.0)
    provider = TracerProvider(
        sampler=TraceIdRatioBased(min(max(share, 0.0), 1.0)),
        resource=Resource.create(named),
        id_generator=SubjectIds(),
    )
    provider.add_span_processor(processor)
    _tracer = provider.get_tracer("poolsite")
    return provider


@contextmanager
def span(
    name: str,
    *,
    about: Iterable[Subject],
    begins: bool,
    entry: str | None,
    is_call: bool,
    facts: dict[str, Any],
) -> Iterator[None]:
    """Record a span from enter to exit; arguments as in `poolsite.tracing.span`."""
    subjects = list(islice(about, SUBJECTS_MAX))
    here = trace.get_current_span().get_span_context()
    if entry is None and not subjects and not here.is_valid:
        yield
        return
    own = _own_start(name, subjects, here=here, entry=entry, is_call=is_call, facts=facts)
    outer = _ENTRY.get()
    if outer is not None and entry is None:
        outer.subjects.update(dict.fromkeys(subjects))
    noted = Entry(own, name, facts) if entry is not None else None
    token = _ENTRY.set(noted) if noted is not None else None
    began = time.time_ns()
    for subject in subjects if begins else ():
        _begin(subject, here)
    try:
        with trace.use_span(own, record_exception=False, set_status_on_exception=False):
            yield
    except BaseException as error:
        own.set_status(Status(StatusCode.ERROR, type(error).__name__))  # its words may hold anything
        raise
    finally:
        ended = time.time_ns()
        own.end(ended)
        if token is not None:
            _ENTRY.reset(token)
        if noted is not None:
            name, facts, subjects = noted.name, noted.facts, list(noted.subjects)[:SUBJECTS_MAX]
        _twins(name, subjects, of=own, facts=facts, kind=_kind(entry, is_call=is_call), span=(began, ended))


def _own_start(
    name: str,
    subjects: list[Subject],
    *,
    here: SpanContext,
    entry: str | None,
    is_call: bool,
    facts: dict[str, Any],
) -> Span:
    """Start a span: its parent is the caller's span, else its first subject's, else the current one."""
    kind, links, context = _kind(entry, is_call=is_call), [], None
    if entry is not None:
        context = _PROPAGATOR.extract({HEADER: entry}, Context()) if entry else None
    elif subjects and here.trace_id != subjects[0].trace_id:
        context = _below(subjects[0])
        links = [Link(here)] if here.is_valid else []
    return _tracer.start_span(name, context, kind=kind, attributes=facts, links=links)


def _kind(entry: str | None, *, is_call: bool) -> SpanKind:
    if entry is not None:
        return SpanKind.SERVER
    return SpanKind.CLIENT if is_call else SpanKind.INTERNAL


def _below(subject: Subject) -> Context:
    """Return a context with a subject's first span as parent, even if that span was never recorded."""
    flags = TraceFlags(TraceFlags.SAMPLED)
    first = SpanContext(subject.trace_id, subject.span_id, is_remote=True, trace_flags=flags)
    return trace.set_span_in_context(NonRecordingSpan(first), Context())


def _begin(subject: Subject, here: SpanContext) -> None:
    """Record the first span of a subject, without duration: nobody knows when its work will end."""
    token = _FIRST.set(subject)
    try:
        links = [Link(here)] if here.is_valid else []
        facts = {f"poolsite.{subject.kind}": subject.key}
        _tracer.start_span(subject.kind, Context(), attributes=facts, links=links).end()
    finally:
        _FIRST.reset(token)


def _twins(
    name: str,
    subjects: list[Subject],
    *,
    of: Span,
    facts: dict[str, Any],
    kind: SpanKind,
    span: tuple[int, int],
) -> None:
    """Record a copy of a span, linked to it, in the trace of each subject that has another trace."""
    own = of.get_span_context()
    for subject in subjects:
        if subject.trace_id != own.trace_id:
            twin = _tracer.start_span(
                name, _below(subject), kind=kind, attributes=facts, links=[Link(own)], start_time=span[0]
            )
            twin.end(span[1])


def entry_note(name: str, facts: dict[str, Any]) -> None:
    """Rename the span of the current request or task, and add facts to it."""
    noted = _ENTRY.get()
    if noted is not None:
        noted.name = name
        noted.facts = {**noted.facts, **facts}
        noted.span.update_name(name)
        noted.span.set_attributes(facts)


def trace_header() -> str:
    """Return the `traceparent` of the current span; empty without one."""
    carrier: dict[str, str] = {}
    _PROPAGATOR.inject(carrier)
    return carrier.get(HEADER, "")
