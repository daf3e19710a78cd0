"""Write a job's timeline: its steps, failures and notes."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from apps.sectors.models import Job, JobEvent, Worker


def job_event_write(
    job: Job,
    *,
    event: str,
    now: datetime,
    state: str = "",
    after: str | None = None,
    actor: str = "console",
    worker: Worker | None = None,
    **columns: Any,
) -> None:
    """Write one line of a job's timeline.

    `state` is the state before, `after` the state after; without `after` the line is no step.
    """
    JobEvent.objects.create(
        job=job,
        event=event,
        from_state=state,
        to_state=state if after is None else after,
        at=now,
        actor=actor,
        worker=worker,
        **columns,
    )
