"""What a run's timeline keeps of its steps, and what pages hear of them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from apps.core.live import Change, publish
from apps.sectors.models import Job, PipelineRun
from apps.sectors.services.timeline import job_event_write


def run_event_write(
    run: PipelineRun,
    *,
    job: Job,
    event: str,
    before: str,
    stage: str,
    now: datetime,
    actor: str = "console",
    note: str = "",
    **report: Any,
) -> None:
    """Write a step or a failure of a run into the timeline of its job."""
    job_event_write(
        job,
        event=event,
        now=now,
        state=before,
        after=run.state,
        actor=actor,
        stage=stage,
        note=note,
        **report,
    )


def run_publish(run: PipelineRun) -> None:
    """Publish to open pages that the sector of a run has changed."""
    publish(Change("sector", str(run.sector.uuid), run.sector.tenant_id))
