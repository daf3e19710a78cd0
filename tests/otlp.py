"""A collector of OpenTelemetry's protocol over HTTP that keeps the spans it is sent."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


@dataclass(frozen=True, slots=True)
class SentSpan:
    """One span as a collector has it."""

    service: str
    name: str
    trace_id: str
    span_id: str
    parent_id: str
    links: tuple[str, ...]
    """Trace ids."""
    facts: dict[str, Any]
    start_ns: int
    end_ns: int


@dataclass
class Collector:
    """What was sent."""

    url: str = ""
    spans: list[SentSpan] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)

    def take(self, body: bytes) -> None:
        """Keep what one request brings."""
        request = ExportTraceServiceRequest.FromString(body)
        self.bodies.append(body)
        for resource in request.resource_spans:
            service = {one.key: one.value.string_value for one in resource.resource.attributes}[
                "service.name"
            ]
            for scope in resource.scope_spans:
                self.spans += [_span(service, one) for one in scope.spans]

    def trace(self, trace_id: str) -> list[SentSpan]:
        """Return the spans of a trace, in their order."""
        return sorted((one for one in self.spans if one.trace_id == trace_id), key=lambda one: one.start_ns)


def _span(service: str, one: Any) -> SentSpan:
    facts = {
        fact.key: getattr(fact.value, fact.value.WhichOneof("value") or "string_value")
        for fact in one.attributes
    }
    return SentSpan(
        service=service,
        name=one.name,
        trace_id=one.trace_id.hex(),
        span_id=one.span_id.hex(),
        parent_id=one.parent_span_id.hex(),
        links=tuple(link.trace_id.hex() for link in one.links),
        facts=facts,
        start_ns=one.start_time_unix_nano,
        end_ns=one.end_time_unix_nano,
    )


@contextmanager
def collector() -> Iterator[Collector]:
    """Run a collector while the context is open."""
    kept = Collector()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            kept.take(gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    kept.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield kept
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
