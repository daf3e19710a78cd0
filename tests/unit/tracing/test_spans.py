"""Spans: one trace for each message and job, whoever works on it; nothing where traces are off."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import poolsite.tracing
from poolsite.tracing import entry_note, span, spans, trace_carried, trace_header, tracing_start
from poolsite.tracing.requests import TracedRequests
from poolsite.tracing.subjects import of_jobs, of_messages
from tests.integration.pools import SITE

CALLER = "00-11111111111111111111111111111111-2222222222222222-01"
ONE, TWO = of_messages(["one", "two"])


def parent_of(made: ReadableSpan) -> int:
    """Return the id of the span above one; 0 for none."""
    return made.parent.span_id if made.parent else 0


class Kept:
    """Spans that ended."""

    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()

    def of(self, trace_id: int) -> list[ReadableSpan]:
        """Return the spans of a trace, in the order in which they ended."""
        return [one for one in self.exporter.get_finished_spans() if one.context.trace_id == trace_id]

    def names(self, trace_id: int) -> list[str]:
        """Return their names."""
        return [one.name for one in self.of(trace_id)]


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> Iterator[Kept]:
    made = Kept()
    monkeypatch.setattr(spans, "_tracer", spans._tracer)
    monkeypatch.setattr(poolsite.tracing, "_spans", spans)
    provider = spans.provider_set(SimpleSpanProcessor(made.exporter), "web-1")
    yield made
    provider.shutdown()


def test_a_message_is_one_trace_in_processes_that_know_only_its_id(kept: Kept) -> None:
    with span("message push", about=[ONE], begins=True):
        pass
    with span("message choose", about=of_messages(["one"])), span("node StateGetActor", is_call=True):
        header = trace_header()

    with span("signer WalletSign", entry=header):
        pass

    made = {one.name: one for one in kept.of(ONE.trace_id)}
    assert set(made) == {
        "message",
        "message push",
        "message choose",
        "node StateGetActor",
        "signer WalletSign",
    }
    first = made["message"].context.span_id
    assert first == ONE.span_id
    assert made["message"].parent is None
    assert made["message"].attributes == {"poolsite.message": "one"}
    assert parent_of(made["message push"]) == parent_of(made["message choose"]) == first
    assert parent_of(made["node StateGetActor"]) == made["message choose"].context.span_id
    assert parent_of(made["signer WalletSign"]) == made["node StateGetActor"].context.span_id


def test_work_for_several_is_in_the_trace_of_each(kept: Kept) -> None:
    with span("message choose", about=[ONE, TWO]), span("node GasBatch", is_call=True):
        pass

    assert kept.names(ONE.trace_id) == ["node GasBatch", "message choose"]
    twin = kept.of(TWO.trace_id)[0]
    own = kept.of(ONE.trace_id)[1]
    assert twin.name == "message choose"
    assert twin.links[0].context.span_id == own.context.span_id
    for at in ("start_time", "end_time"):
        assert abs(getattr(twin, at) - getattr(own, at)) < 10_000_000


def test_a_request_is_in_its_callers_trace_and_in_the_messages(kept: Kept) -> None:
    with span("POST", entry=CALLER):
        with span("message push", about=[ONE], begins=True):
            pass
        entry_note("POST api:messages", {"http.route": "api:messages"})

    (asked,) = kept.of(int("1" * 32, 16))
    assert (asked.name, parent_of(asked)) == ("POST api:messages", int("2" * 16, 16))
    twin = next(one for one in kept.of(ONE.trace_id) if one.name == "POST api:messages")
    assert parent_of(twin) == ONE.span_id
    assert twin.attributes == {"http.route": "api:messages"}
    assert twin.links[0].context.trace_id == asked.context.trace_id


def test_a_call_within_nothing_is_left_out(kept: Kept) -> None:
    with span("node ChainHead", is_call=True):
        assert trace_header() == ""

    assert kept.exporter.get_finished_spans() == ()


def test_an_error_is_told_by_its_type_alone(kept: Kept) -> None:
    with pytest.raises(ValueError, match="secret"), span("job claim", about=of_jobs(["a"])):
        raise ValueError("the secret is 1234")

    (made,) = kept.exporter.get_finished_spans()
    assert (made.status.is_ok, made.status.description, made.events) == (False, "ValueError", ())
    assert "1234" not in made.to_json()


def test_threads_go_on_with_the_span(kept: Kept) -> None:
    found: list[str] = []
    with span("message publish", about=[ONE]):
        work = trace_carried(lambda: found.append(trace_header()))
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()

    own = kept.of(ONE.trace_id)[0].context
    assert found == [f"00-{own.trace_id:032x}-{own.span_id:016x}-01"]


def test_all_processes_keep_the_same_share_of_traces(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", "0.5")
    counts = []
    for process in ("web-1", "signer"):
        exporter = InMemorySpanExporter()
        spans.provider_set(SimpleSpanProcessor(exporter), process)
        for subject in of_messages(map(str, range(200))):
            with span("message choose", about=[subject]):
                pass
        counts.append({one.context.trace_id for one in exporter.get_finished_spans()})

    assert counts[0] == counts[1]
    assert 70 < len(counts[0]) < 130


def test_requests_have_a_span_without_query_or_headers(kept: Kept) -> None:
    async def app(_scope: object, _receive: object, _send: object) -> None:
        entry_note("GET page")

    scope = {
        "type": "http",
        "method": "GET",
        "path": "/x",
        "query_string": b"token=hidden",
        "headers": [(b"traceparent", CALLER.encode()), (b"authorization", b"Bearer hidden")],
    }
    for path in ("/x", "/healthz"):
        asyncio.run(TracedRequests(app)(scope | {"path": path}, None, None))

    (made,) = kept.exporter.get_finished_spans()
    assert (made.name, made.context.trace_id) == ("GET page", int("1" * 32, 16))
    assert "hidden" not in made.to_json()


def test_a_header_that_is_none_begins_a_trace(kept: Kept) -> None:
    with span("POST", entry="nonsense"):
        pass

    (made,) = kept.exporter.get_finished_spans()
    assert made.parent is None


@pytest.mark.parametrize(
    "named",
    [{}, {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_SDK_DISABLED": "true"}],
    ids=["no collector", "disabled"],
)
def test_off_nothing_is_made_or_sent(monkeypatch: pytest.MonkeyPatch, named: dict[str, str]) -> None:
    for name in poolsite.tracing.ENDPOINTS:
        monkeypatch.delenv(name, raising=False)
    for name, value in named.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(poolsite.tracing, "_spans", None)

    tracing_start("web-1")

    assert span("message push", about=[ONE], begins=True) is span("GET", entry="")
    assert trace_header() == ""
    assert trace_carried(print) is print


@pytest.mark.parametrize(
    ("name", "value"),
    [("OTEL_TRACES_SAMPLER_ARG", "most"), ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "1000000")],
)
def test_a_process_whose_traces_cannot_be_set_up_goes_on_without(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
    monkeypatch.setenv(name, value)
    monkeypatch.setattr(poolsite.tracing, "_spans", None)

    tracing_start("signer")

    assert not poolsite.tracing.is_traced()


def test_a_process_that_ends_tries_a_collector_that_hangs_once(monkeypatch: pytest.MonkeyPatch) -> None:
    tries, answers = [], SpanExportResult.FAILURE

    def export(_self: OTLPSpanExporter, _batch: object) -> SpanExportResult:
        tries.append(answers)
        return answers

    monkeypatch.setattr(OTLPSpanExporter, "export", export)
    exporter = spans.Exporter(endpoint="http://127.0.0.1:1")
    for _ in range(2):
        assert exporter.export([]) is SpanExportResult.FAILURE
    exporter.end()

    assert exporter.export([]) is SpanExportResult.FAILURE
    assert len(tries) == 2

    answers = SpanExportResult.SUCCESS
    again = spans.Exporter(endpoint="http://127.0.0.1:1")
    again.end()
    for _ in range(2):
        assert again.export([]) is SpanExportResult.SUCCESS


def test_off_the_packages_are_not_loaded() -> None:
    """A signer is the process that should load least."""
    code = (
        "import sys; import workers.signer.run_command, poolsite.tracing.tasks, poolsite.tracing.requests;"
        "from poolsite.tracing import tracing_start; tracing_start('signer');"
        "sys.exit(sum(name.partition('.')[0] in ('opentelemetry', 'google') for name in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=SITE, check=False, env={"PATH": "/usr/bin"})
    assert done.returncode == 0
