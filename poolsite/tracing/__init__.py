"""Traces through all processes of a pool, by OpenTelemetry; off unless the environment names a collector.

All work on a message or a job is one trace, across processes and restarts: its trace id is derived from the
row's id (`subjects`), so no id is stored or passed on.  While traces are off, a span is one call that returns
the same empty context, and OpenTelemetry's packages are not loaded.
"""

from __future__ import annotations

import contextvars
import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar

import structlog

if TYPE_CHECKING:
    from poolsite.tracing.subjects import Subject

log = structlog.get_logger(__name__)
P = ParamSpec("P")
T = TypeVar("T")

ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
"""OpenTelemetry's variables for the collector's address; either turns traces on."""
DISABLED: Final = "OTEL_SDK_DISABLED"
HEADER: Final = "traceparent"
"""Header with the span of whoever sends a request or a task.  Source: W3C Trace Context."""
Facts = Mapping[str, str | int | float]
NO_FACTS: Final[Facts] = {}
NOTHING: Final[AbstractContextManager[None]] = nullcontext()

_spans: Any = None
"""The module `poolsite.tracing.spans`, once traces are on."""


def tracing_start(process: str) -> None:
    """Turn traces on in this process where the environment names a collector; after any fork.

    Without them where that fails: a variable that cannot be read, or a package that is missing, stops nobody.
    """
    global _spans  # whether this process is traced
    is_disabled = os.environ.get(DISABLED, "").lower() == "true"
    if _spans is None and not is_disabled and any(os.environ.get(name) for name in ENDPOINTS):
        try:
            module = import_module("poolsite.tracing.spans")
            module.exporter_start(process)
        except Exception:
            log.exception("not_traced")
        else:
            _spans = module


def is_traced() -> bool:
    """Return whether this process makes spans."""
    return _spans is not None


def span(
    name: str,
    *,
    about: Iterable[Subject] = (),
    begins: bool = False,
    entry: str | None = None,
    is_call: bool = False,
    facts: Facts = NO_FACTS,
) -> AbstractContextManager[None]:
    """Return a context manager that records a span, a child of the current one.

    `about`: the messages and jobs it works on; it appears in the trace of each.  `begins`: it is their first.
    `entry`: the `traceparent` of the request or task that this process received, empty without one.
    `is_call`: it calls another program.  A span without `entry`, `about` and a current span is not recorded.
    Readers of traces see the facts: no token, key, body, or URL with a query.
    """
    if _spans is None:
        return NOTHING
    made: AbstractContextManager[None] = _spans.span(
        name, about=about, begins=begins, entry=entry, is_call=is_call, facts=facts
    )
    return made


def entry_note(name: str, facts: Facts = NO_FACTS) -> None:
    """Rename the span of the current request or task, once its route is known."""
    if _spans is not None:
        _spans.entry_note(name, facts)


def trace_header() -> str:
    """Return the current span's `traceparent`, for another process; empty without a span."""
    return "" if _spans is None else str(_spans.trace_header())


def trace_carried(work: Callable[P, T]) -> Callable[P, T]:
    """Return `work` for another thread, with the current span as the parent of its spans."""
    return work if _spans is None else partial(contextvars.copy_context().run, work)
