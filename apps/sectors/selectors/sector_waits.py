"""What a sector waits for, in words."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

from django.db.models import Exists, OuterRef, Q
from django.utils.translation import gettext_lazy as _

from apps.core.local_time import clock_text
from apps.core.marked_texts import gettext
from apps.core.reasons import shown_text
from apps.miners.models import Miner
from apps.sectors.models import Job, Sector, Worker
from apps.sectors.selectors.batch_settings import batch_policy
from apps.sectors.selectors.hosts import worker_is_away
from apps.sectors.states import JobState
from poolsite.wire.jobs import JobKind
from poolsite.wire.pipeline import NEXT_STAGE, Owner, SectorState, Stage

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise


@dataclass(frozen=True, slots=True)
class SectorWait:
    """What a sector waits for, in words, with the epoch at which it goes on if that is known."""

    what: str
    until_epoch: int | None = None
    is_odd: bool = False
    """True for what does not belong to a sector's usual way: a host that is away, a stage that failed."""


ERROR_MAX: Final = 200
"""Of an error in a wait's words; the sector has the whole."""
QUEUE_MAX: Final = 10_000
"""Sectors that are counted of a queue."""
WAIT_TEXTS: Final[dict[str, StrOrPromise]] = {
    SectorState.TREE_D_BUILT: _("a ticket from the next head"),
    SectorState.PRECOMMIT_SENT: _("the pre-commit to land"),
    SectorState.COMMIT_SENT: _("the commit to land"),
}
"""Waits that end with an event of which the epoch is not known before."""


def sector_wait(
    sector: Sector, *, height: int, challenge_delay: int, seed_confidence: int, now: datetime
) -> SectorWait | None:
    """Return what a sector waits for at `height`; None if a host is at work or nothing is left to do."""
    if sector.paused_at is not None:
        return SectorWait(gettext("a decision: retry, go back or abort"))
    if sector.not_before is not None and sector.not_before > now:
        failed = shown_text(sector.error)[:ERROR_MAX]
        return SectorWait(
            gettext("its next attempt at {time}; the last one failed: {failed}").format(
                time=clock_text(sector.not_before), failed=failed
            ),
            is_odd=True,
        )
    if sector.state in WAIT_TEXTS:
        return SectorWait(str(WAIT_TEXTS[sector.state]))
    if sector.state in (SectorState.PERSISTED, SectorState.PRECOMMIT_LANDED) and not sector.is_interactive:
        return SectorWait(gettext("the next head"))
    if sector.state in (SectorState.PERSISTED, SectorState.C2_DONE):
        policy = batch_policy(sector.miner)
        waits: dict[str, int] = {
            SectorState.PERSISTED: max(policy.precommit_wait_epochs, policy.precommit_backlog_epochs),
            SectorState.C2_DONE: max(policy.commit_wait_epochs, policy.commit_backlog_epochs),
        }
        since = height if sector.ready_height is None else sector.ready_height
        return SectorWait(gettext("a batch"), since + waits[sector.state])
    if sector.state == SectorState.PRECOMMIT_LANDED and sector.precommit_epoch is not None:
        return SectorWait(gettext("the seed"), sector.precommit_epoch + challenge_delay + seed_confidence)
    if NEXT_STAGE[sector.state].owner is Owner.WORKER and sector.job.state == JobState.READY:
        if sector.job.is_portable:
            return SectorWait(gettext("any host with a free slot: the console has all its inputs"))
        return _host_wait(sector.job.sticky_worker, sector.stage, now=now)
    return None


@dataclass(frozen=True, slots=True)
class QueuePlace:
    """Where a sector that no host has begun stands among the others of its tenant."""

    before: int
    """New sectors of its miner that are begun before it, `QUEUE_MAX` at most."""
    miners: int
    """Other miners of its tenant that have new sectors, which are begun in turn with its own."""


def queue_place(sector: Sector) -> QueuePlace | None:
    """Return where a new sector stands; None for one that a host has begun, or that does not wait for one."""
    job = sector.job
    if job.state != JobState.READY or job.sticky_worker_id is not None or sector.paused_at is not None:
        return None
    waiting = Job.objects.filter(kind=JobKind.SEAL, state=JobState.READY, sticky_worker=None)
    equal, before = Q(), Q()
    for name, value in (
        ("time_sensitive__gt", job.time_sensitive),
        ("priority__gt", job.priority),
        ("rank__gt", job.rank),
        ("created_at__lt", job.created_at),
        ("pk__lt", job.pk),
    ):
        before |= equal & Q(**{name: value})
        equal &= Q(**{name.rpartition("__")[0]: value})
    first = waiting.filter(before, miner=sector.miner_id).order_by()[:QUEUE_MAX].count()
    others = Miner.objects.filter(tenant=sector.miner.tenant_id).exclude(pk=sector.miner_id)
    return QueuePlace(first, others.filter(Exists(waiting.filter(miner=OuterRef("pk")))).count())


def _host_wait(holder: Worker | None, stage: str, *, now: datetime) -> SectorWait:
    """Return which host a sector waits for: once one has its files, it is that one and no other."""
    if holder is not None and worker_is_away(holder, now=now):
        return SectorWait(
            gettext(
                "its host {host}, last seen {time}: no other has its files; retire it if it is gone"
            ).format(host=holder.name, time=clock_text(holder.seen_at)),
            is_odd=True,
        )
    if holder is not None and holder.is_paused:
        return SectorWait(
            gettext("its host {host}, which is paused: no other has its files").format(host=holder.name),
            is_odd=True,
        )
    if holder is not None and stage in (Stage.PERSIST, Stage.FINALIZE) and not holder.stores:
        return SectorWait(
            gettext(
                "a store: its host {host} can read none now; bring one back or attach another (Storage page)"
            ).format(host=holder.name),
            is_odd=True,
        )
    return SectorWait(gettext("a worker with a free slot"))
