"""When a proof job counts as stalled although its host sends heartbeats.

A host renews its lease from a thread of its own, while its kernel, its disk or a foreign program may hang.
It is judged by the console's heads and by what it has reported, never by its clock, and against the time that
its window leaves: what takes minutes on one network takes seconds on another.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.utils.translation import gettext_noop

from apps.core.marked_texts import gettext
from apps.core.reasons import MARKED, as_reason
from apps.proving.reasons import LONG_PROVING, NO_PROGRESS, NO_PROGRESS_REPORTED, TOO_SLOW
from apps.proving.rules.proving_context import ProvingContext
from apps.sectors.models import Job
from apps.sectors.states import JobState

QUIET_MIN: Final = 2
"""Epochs: what a host reports may be late by one."""
COUNTED_SHARE: Final = 4
"""A host that counts its sectors counts as stalled after silence for this part of the time it had left."""
SILENT_SHARE: Final = 2
"""One that counts nothing, or has read them all and computes: for this part."""
SINGLE_SHARE: Final = 3
"""In the last of so many parts of the time since the claim no host proves without a backup."""
HICCUP_S: Final = 60
"""A shorter silence is no reason to throw away what a host has done, but in the last half of its time."""


@dataclass(frozen=True, slots=True)
class StallReason:
    """Why a host is no longer waited for alone."""

    text: str
    is_stalled: bool = False
    """It reports sectors and makes no progress: nothing is lost if it has to start over."""


def stall_detect(job: Job, *, context: ProvingContext, last: int) -> StallReason | None:
    """Judge a leased job whose work must be started anew by epoch `last`; None while it makes progress."""
    if job.state != JobState.LEASED or job.claimed_height is None or job.moved_height is None:
        return None
    if is_unheard(job, now=context.now):
        return None
    left = max(last - context.head.height, 0)
    quiet, held = context.head.height - job.moved_height, context.head.height - job.claimed_height
    host = job.worker.name if job.worker is not None else MARKED(text=gettext_noop("a host"))
    if _is_counting(job) and _is_used_up(quiet, left, share=COUNTED_SHARE):
        count = gettext("{progress_done} of {progress_total} {progress_unit}").format(
            progress_done=job.progress_done,
            progress_total=job.progress_total,
            progress_unit=job.progress_unit,
        )
        is_long = quiet * context.network.epoch_s >= HICCUP_S or _is_used_up(quiet, left, share=SILENT_SHARE)
        text = NO_PROGRESS(host=host, moved_height=job.moved_height, count=as_reason(count))
        return StallReason(text, is_stalled=is_long)
    if not _is_counting(job) and _is_used_up(quiet, left, share=SILENT_SHARE):
        return StallReason(NO_PROGRESS_REPORTED(host=host, moved_height=job.moved_height))
    if held >= QUIET_MIN and SINGLE_SHARE * left <= held + left:
        return StallReason(LONG_PROVING(host=host, claimed_height=job.claimed_height))
    if _is_counting(job) and _is_used_up(held, left, share=COUNTED_SHARE) and _is_too_slow(job, held, left):
        return StallReason(TOO_SLOW(host=host, claimed_height=job.claimed_height))
    return None


def is_unheard(job: Job, *, now: datetime) -> bool:
    """Return whether a job's lease has run out, so that anybody gets it with the next sweep."""
    return job.state == JobState.LEASED and job.lease_until is not None and job.lease_until <= now


def _is_counting(job: Job) -> bool:
    return bool(job.progress_unit) and job.progress_done < job.progress_total


def _is_used_up(passed: int, left: int, *, share: int) -> bool:
    """Return whether of the time that was there `passed` epochs ago one of `share` parts is over."""
    return passed >= QUIET_MIN and share * passed >= passed + left


def _is_too_slow(job: Job, held: int, left: int) -> bool:
    """Return whether a host needs longer than there is, at the pace it has had."""
    return held * (job.progress_total - job.progress_done) > left * job.progress_done
