"""A span for each Celery task, in the trace of its sender."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any, Final

from celery.signals import before_task_publish, task_postrun, task_prerun

from poolsite.tracing import HEADER, is_traced, span, trace_header

_open: Final[dict[str, AbstractContextManager[None]]] = {}
"""Open spans by the id of their task."""


def tasks_trace() -> None:
    """Trace the tasks that this process sends or runs; do nothing while traces are off."""
    if is_traced():
        before_task_publish.connect(header_add)
        task_prerun.connect(task_begin)
        task_postrun.connect(task_end)


def header_add(headers: dict[str, Any], **_kwargs: Any) -> None:
    """Add the current span's `traceparent` to a task that is sent."""
    if header := trace_header():
        headers[HEADER] = header


def task_begin(task_id: str, task: Any, **_kwargs: Any) -> None:
    """Open the span of a task in the thread that runs it."""
    made = span(f"task {task.name}", entry=str(getattr(task.request, HEADER, None) or ""))
    made.__enter__()
    _open[task_id] = made


def task_end(task_id: str, **_kwargs: Any) -> None:
    """Close the span of a task."""
    made = _open.pop(task_id, None)
    if made is not None:
        made.__exit__(None, None, None)
