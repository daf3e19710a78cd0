"""What a job's timeline keeps of each step, failure and note: the one place that writes it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from apps.sectors.models import JobEvent

if TYPE_CHECKING:
    from datetime import datetime

    from apps.sectors.models import Job, Worker


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

    `state` is the one from which it moved, to `after`; without that it moved nothing.
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
