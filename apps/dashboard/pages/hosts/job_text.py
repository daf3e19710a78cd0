"""A host's jobs, kinds of work and slots in words."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from apps.core import formatting
from apps.core.languages import colon_text, list_text
from apps.dashboard.labels import JOBS, STAGES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from apps.sectors.models import Job, Worker


JOBS_NAMED: Final = 2
"""Jobs of a host that its row names one by one."""
UNITS: Final = {"sectors": _("sectors"), "rounds": _("rounds")}
"""What hosts count; another one is named as it was reported."""


def held_jobs(worker: Worker) -> list[Job]:
    """Return the jobs that `workers_visible` read along."""
    return getattr(worker, "held_jobs", [])


def job_text(job: Job) -> str:
    """`f01001 / 3: PC1`, or which deadline is proved."""
    if job.sector is not None:
        return colon_text(f"{job.miner.address} / {job.sector.number}", STAGES.get(job.stage, job.stage))
    far = progress_text(job)
    what = kind_text(job.kind)
    return colon_text(job.miner.address, list_text((what, far)) if far else what)


def jobs_texts(jobs: Sequence[Job]) -> list[str]:
    """Return each job in words; of more than two only how many there are of each stage: `4 × PC1`."""
    if len(jobs) <= JOBS_NAMED:
        return [job_text(job) for job in jobs]
    counts = Counter(STAGES.get(job.stage) or kind_text(job.kind) for job in jobs)
    return [f"{count} × {what}" for what, count in counts.items()]


def progress_text(job: Job) -> str:
    """Return how far a proof is, `5 of 20 sectors`; empty while its host has not told."""
    if not job.progress_total:
        return ""
    unit = str(UNITS.get(job.progress_unit, job.progress_unit)) or gettext("steps")
    return gettext("{progress_done} of {progress_total} {unit}").format(
        progress_done=formatting.whole(job.progress_done),
        progress_total=formatting.whole(job.progress_total),
        unit=unit,
    )


def kind_text(kind: str) -> str:
    """Return a kind of work in words."""
    return str(JOBS.get(kind.upper()) or kind.replace("_", " ").lower())
