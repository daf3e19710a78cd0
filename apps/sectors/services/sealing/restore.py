"""Sectors that were given up come back: to the list where the chain has them, to work where it never did.

The chain decides.  One that lives there is proving again, with its files where nobody was told to remove
them.  One whose number the chain has never used is sealed anew under it.  All else stays as it is, with the
reason.  Source: damocles-manager `util sealer sectors restore`, which refuses what is not aborted and,
without its force, what had deals.
"""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import uuid4

from django.db import transaction
from django.db.models import QuerySet

from apps.core.marked_texts import gettext
from apps.messages.selectors.messages import message_may_land, messages_by_ids
from apps.miners.onchain.actors import numbers_allocated
from apps.miners.states import MinerState
from apps.sectors.errors.sectors import RestoreRefused
from apps.sectors.models import DAMOCLES, ActiveSectors, Batch, Job, Sector, SectorProof, WorkerCommand
from apps.sectors.onchain.live_sectors import LiveSector, live_sectors_read
from apps.sectors.onchain.sectors import OnSector, precommits_read, sectors_proven_read
from apps.sectors.rules.params import has_data
from apps.sectors.selectors.leftovers import removals_open
from apps.sectors.selectors.restored import lease_token_next, miners_unrecovered
from apps.sectors.selectors.sealing_context import SealingContext
from apps.sectors.services.audit import sector_audit
from apps.sectors.services.files.removals import FILES_REMOVED
from apps.sectors.services.sealing.placements import waiting_pieces_place
from apps.sectors.services.sealing.steps import job_lock, sector_step
from apps.sectors.states import ENDED_SECTORS, BatchState
from apps.users.rules.principals import Principal
from poolsite.filecoin.cids import cid_parse, cid_to_commr
from poolsite.wire.commands import Operation
from poolsite.wire.pipeline import SectorEvent, SectorState

ANEW: Final[dict[str, Any]] = {
    **dict.fromkeys(("comm_d", "comm_r", "key_comm_r", "ticket", "ticket_epoch", "seed")),
    **dict.fromkeys(("seed_epoch", "precommit_batch", "commit_batch", "precommit_epoch")),
    **dict.fromkeys(("activation", "expiration", "deadline", "partition", "files_lost_at")),
    **{"pieces": [], "store": "", "lost_uid": "", "paused_at": None, "removal_asked_at": None},
}
"""Columns of a sector that is begun again from nothing."""


@dataclass(frozen=True, slots=True)
class Restoration:
    """What a restoration makes of a sector; with a refusal it stays as it is."""

    sector: Sector
    refusal: str = ""
    state: str = ""
    """Its next one."""
    has_files: bool = False
    """Whether its row goes on to name its store."""
    facts: dict[str, Any] = field(default_factory=dict)
    """Columns as the chain has them."""


def restoration_plan(sector: Sector, *, force: bool, work: SealingContext) -> Restoration:
    """Return where a sector would go, or why it stays.

    With `force` one that had clients' data is begun again without them.  Raises NodeRefused, NodeUnavailable.
    """
    miner = sector.miner
    if early := _early_refusal(sector):
        return Restoration(sector, early)
    client, key, numbers = work.client, work.head.key, [sector.number]
    live = live_sectors_read(client, miner.address, numbers, size=miner.sector_size, key=key)
    if onchain := live.get(sector.number):
        proven = sectors_proven_read(client, miner.address, numbers, key)
        return _proving(sector, onchain, proven.get(sector.number))
    if sector.state == SectorState.TERMINATED:
        return Restoration(sector, gettext("it has ended on chain: this cannot be undone"))
    if precommits_read(client, miner.address, numbers, key)[sector.number] is not None:
        reason = gettext(
            "its pre-commit is on chain, but its files were abandoned: it will expire and its deposit is lost"
        )
        return Restoration(sector, reason)
    if any(sector.number in one for one in numbers_allocated(client, miner.address, key)):
        return Restoration(sector, gettext("its number was used up on chain, without a sector"))
    refusal = _anew_refusal(sector, force=force)
    return Restoration(sector, refusal) if refusal else Restoration(sector, state=SectorState.ALLOCATED)


def _early_refusal(sector: Sector) -> str:
    """Return why a sector stays as it is, whatever the chain says; empty: the chain decides."""
    if sector.state not in ENDED_SECTORS:
        return gettext("it is neither aborted nor terminated: there is nothing to restore")
    if sector.miner.state != MinerState.ACTIVE:
        return gettext("its miner does not exist on chain")
    if sector.miner_id in miners_unrecovered():
        return gettext(
            "its sectors are being read back from the chain after a restore: wait until recovery is complete"
        )
    return _leftover_refusal(sector)


def _leftover_refusal(sector: Sector) -> str:
    """Return which host may still remove files of it, whatever lies there then; empty: none."""
    order = removals_open([sector]).get(sector.pk)
    return (
        gettext("{host} has yet to remove a leftover of it").format(host=order.worker.name)
        if order is not None
        else ""
    )


def _proving(sector: Sector, live: LiveSector, proven: OnSector | None) -> Restoration:
    """Return a sector that lives on the chain as the chain has it."""
    if proven is None:
        return Restoration(sector, gettext("the node did not return its replica: try again"))
    comm_r = cid_to_commr(cid_parse(proven.sealed_cid))
    if sector.comm_r is not None and bytes(sector.comm_r) != comm_r:
        return Restoration(sector, gettext("the chain has a different replica under its number"))
    facts: dict[str, Any] = {
        "comm_r": comm_r,
        "key_comm_r": cid_to_commr(cid_parse(proven.key_cid)) if proven.key_cid else None,
        "activation": live.activation,
        "expiration": live.expiration,
        "initial_pledge": live.pledge,
        "deadline": live.deadline,
        "partition": live.partition,
    }
    has_files = bool(sector.store) and not _were_removed(sector)
    return Restoration(sector, state=SectorState.PROVING, has_files=has_files, facts=facts)


def _removals(job: Job) -> QuerySet[WorkerCommand]:
    return WorkerCommand.objects.filter(op=Operation.REMOVE, args__job=str(job.uuid))


def _were_removed(sector: Sector) -> bool:
    """Return whether a host was told to remove its files, or has: one that was told may be about to."""
    job = sector.job
    if _removals(job).exclude(args__has_key="keeps_store").exists():
        return True
    over = job.events.filter(to_state__in=ENDED_SECTORS).order_by("-pk").values_list("pk", flat=True).first()
    return job.events.filter(event=FILES_REMOVED, pk__gt=over or 0).exists()


def _anew_refusal(sector: Sector, *, force: bool) -> str:
    """Return why a sector that the chain does not know is not begun again; empty: it is."""
    job, batch = sector.job, sector.precommit_batch
    if batch is not None and _may_land(batch):
        return gettext("its pre-commit may still land: wait for its message")
    if has_data(sector) and not force:
        return gettext(
            "it had client data, which is waiting for another sector: use force to seal it without the data"
        )
    if job.sticky_worker is not None and DAMOCLES in job.sticky_worker.kinds:
        return gettext("a damocles-worker had it, and may still have its files: pledge a new sector instead")
    open_orders = _removals(job).filter(done_at=None, worker__retired_at=None)
    if order := open_orders.select_related("worker").first():
        return gettext("{host} has yet to remove its files").format(host=order.worker.name)
    return ""


def _may_land(batch: Batch) -> bool:
    """Return whether the message of a sector's pre-commit has landed, or may."""
    message = messages_by_ids([batch.message_id]).get(batch.message_id)
    return batch.state != BatchState.FAILED or (message is not None and message_may_land(message))


def sector_restore(
    sector: Sector, *, force: bool = False, reason: str = "", by: Principal, work: SealingContext
) -> Restoration:
    """Bring a sector back as `restoration_plan` says.

    Raises RestoreRefused with the reason why not; NodeRefused, NodeUnavailable.
    """
    plan = restoration_plan(sector, force=force, work=work)
    if plan.refusal:
        raise RestoreRefused(plan.refusal, field="sector")
    with transaction.atomic():
        job, current = job_lock(sector.pk)
        # A scan that adopts the sector locks this row, too.
        Sector.objects.select_for_update(of=("self",)).only("pk").get(pk=current.pk)
        if refusal := _leftover_refusal(current):
            raise RestoreRefused(refusal, field="sector")
        if current.state != sector.state or current.tenant_id != sector.tenant_id:
            raise RestoreRefused(
                gettext("the sector changed in the meantime: reload and try again"), field="sector"
            )
        before = copy(current)
        if plan.state == SectorState.PROVING:
            plan = _prove(plan, current, job, reason=reason, by=by, work=work)
        else:
            _begin_anew(current, job, force=force, reason=reason, by=by, work=work)
        sector_audit(by, action="sector.restore", before=before, after=current, note=reason)
    return plan


def _prove(
    plan: Restoration, current: Sector, job: Job, *, reason: str, by: Principal, work: SealingContext
) -> Restoration:
    """List a sector as proving; its hosts remove nothing more of it."""
    has_files = bool(current.store) and not _were_removed(current)
    facts = plan.facts | {"removal_asked_at": None, "paused_at": None, "active": False}
    facts |= {} if has_files else {"store": "", "files_lost_at": work.now}
    pieces = list(current.pieces)
    sector_step(
        current, event=SectorEvent.RESTORE_PROVEN, job=job, now=work.now, actor=by.actor, note=reason, **facts
    )
    _removals(job).filter(done_at=None).delete()
    waiting_pieces_place(current.miner, number=current.number, column=pieces, now=work.now)
    # Whether it is active is compared at the next head.
    ActiveSectors.objects.filter(miner_id=current.miner_id).update(compared_height=None)
    return Restoration(current, state=plan.state, has_files=has_files, facts=plan.facts)


def _begin_anew(
    current: Sector, job: Job, *, force: bool, reason: str, by: Principal, work: SealingContext
) -> None:
    """Offer a sector to all hosts from its first stage on, as a job of another name.

    One that has removed its files never works on the old job again.  Raises RestoreRefused.
    """
    if refusal := _anew_refusal(current, force=force):
        raise RestoreRefused(refusal, field="sector")
    SectorProof.objects.filter(sector=current).delete()
    Job.objects.filter(pk=job.pk).update(
        uuid=uuid4(), sticky_worker=None, offered_to=None, lease_token=lease_token_next(), not_before=None
    )
    sector_step(
        current, event=SectorEvent.RESTORE, job=job, now=work.now, actor=by.actor, note=reason, **ANEW
    )
