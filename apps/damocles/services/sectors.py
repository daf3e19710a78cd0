"""Sectors that damocles-workers seal: each call brings the sector as far as the worker must have come.

A worker's reports may be lost, late or doubled; what it asks for names no number of a report.  So a call
never counts on an earlier one: it takes the steps that are missing, and finds those that were taken.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.db import transaction
from django.db.models import Q

from apps.core.marked_texts import gettext
from apps.core.reasons import quoted
from apps.damocles.errors import NotThatFar, SectorEnded
from apps.damocles.reasons import GIVEN_UP_ELSEWHERE, HOST_BEFORE
from apps.damocles.services.deals import deals_list, deals_note
from apps.damocles.services.hosts import damocles_host_choose, damocles_host_register
from apps.damocles.services.sector_locks import (
    LockedSector,
    SectorName,
    damocles_sector_lock,
    living_require,
)
from apps.sectors.models import DamoclesSector, Job, Sector, Worker
from apps.sectors.selectors.restored import must_register
from apps.sectors.selectors.sealing_context import SealingContext
from apps.sectors.selectors.sector_records import PlacedPiece
from apps.sectors.services.jobs.claims import jobs_claim
from apps.sectors.services.sealing.console_steps import SectorsInProgress
from apps.sectors.services.sealing.steps import sector_abort, sector_pause
from apps.sectors.services.sealing.tickets import tickets_assign
from apps.sectors.states import ENDED_SECTORS
from apps.users.rules.principals import Principal
from apps.users.services.audit import audit_record
from poolsite.filecoin.sector import RegisteredSealProof
from poolsite.wire.damocles import REACHED
from poolsite.wire.job_reports import TEXT_MAX, Level
from poolsite.wire.jobs import Claim, JobKind
from poolsite.wire.pipeline import NEXT_STAGE, Owner, SectorState, Stage

BATCH_MAX: Final = 100
"""Sectors of one call."""
HOST_CHANGED: Final = "HOST_CHANGED"
"""Event of a sector that another worker reports than before."""
INTERACTIVE: Final = [int(proof) for proof in RegisteredSealProof if proof.is_interactive]


@dataclass(frozen=True, slots=True, kw_only=True)
class AllocateSpec:
    """Which sectors a worker takes; empty: all."""

    miners: tuple[int, ...] = ()
    proof_types: tuple[int, ...] = ()
    count: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Reported:
    """A worker's word after a step, or after one that failed."""

    instance: str
    location: str
    step: str
    """The state that it is in, as PC1Done."""
    failure_level: str = ""
    failure: str = ""


def damocles_allocate(principal: Principal, *, spec: AllocateSpec, now: datetime) -> list[Sector]:
    """Lease sectors that nobody has begun to the worker that asks, with clients' data if it takes such.

    A sector is bound to nobody before a worker names it: if the answer was lost it is given out again, to
    any host, once the lease is over.  After a restore a worker gets none before all that it has is known.
    Raises WorkerRetired.
    """
    worker = damocles_host_choose(principal, now=now)
    if worker is None or must_register(worker):
        return []
    among = Q(sector__seal_proof__in=spec.proof_types or INTERACTIVE)
    among &= Q(sector__seal_proof__in=INTERACTIVE)
    if worker.refuses_data:
        among &= Q(sector__pieces=[])
    among &= Q(sector__damocles=None) | Q(sector__damocles__begun_at=None)
    for miners in filter(None, (spec.miners, principal.miners)):
        among &= Q(miner__actor_id__in=miners)
    count = min(max(spec.count, 1), BATCH_MAX)
    claim = Claim(
        worker_id=str(worker.uuid),
        boot_id=worker.boot_id,
        kinds=(JobKind.SEAL,),
        stages={Stage.ADD_PIECE: count},
        new_sectors=count,
        max=count,
    )
    with transaction.atomic():  # after a new host is audited: that log's end is locked last
        jobs = jobs_claim(worker, claim=claim, now=now, among=among).jobs
        claimed = Job.objects.filter(uuid__in=[job.id for job in jobs])
        claimed.update(sticky_worker=None)
        sectors = list(Sector.objects.filter(job__in=claimed).select_related("miner").order_by("number"))
        for sector in sectors:
            DamoclesSector.objects.get_or_create(sector=sector)
    return sectors


def damocles_deals_assign(principal: Principal, *, name: SectorName, now: datetime) -> list[PlacedPiece]:
    """Return the pieces of a sector that a worker begins with; none where it is of zeros.

    Raises SectorEnded, NotDamocles.
    """
    with damocles_sector_lock(principal, name=name, now=now) as one:
        living_require(one, name=name)
        one.holder_require(name)
        one.lease()
        deals_note(one.job, record=one.record, now=now)
        return deals_list(one.sector)


def damocles_ticket_assign(principal: Principal, *, name: SectorName, work: SealingContext) -> Sector:
    """Return a sector with its ticket; asked again, the same.

    Raises SectorEnded, NotDamocles, NotThatFar.
    """
    with damocles_sector_lock(principal, name=name, now=work.now) as one:
        living_require(one, name=name)
        one.holder_require(name)
        refusal = one.data_refusal("TicketAssigned")
        if not refusal:
            one.go_on()
            one.lease()
            one.forward(SectorState.TREE_D_BUILT)
        sector = one.sector
    if refusal:  # raised after the transaction: the sector stays released
        raise SectorEnded(f"sector state not found: {name} has clients' data; {refusal}")
    if sector.state == SectorState.TREE_D_BUILT and sector.paused_at is None:
        tickets_assign(
            SectorsInProgress([sector]),
            client=work.client,
            network=work.network,
            head=work.head,
            now=work.now,
        )
        sector.refresh_from_db()
    if sector.ticket is None:
        raise NotThatFar(
            gettext("{name} cannot get a ticket now: {error}").format(
                name=name, error=sector.error or sector.state
            )
        )
    with damocles_sector_lock(principal, name=name, now=work.now) as one:
        one.lease()
    return sector


def damocles_report(
    principal: Principal, *, name: SectorName, reported: Reported, now: datetime
) -> tuple[bool, str]:
    """Return whether a worker is to wipe the sector that it reports on, and why; record the report.

    Raises NotDamocles, WorkerRetired.
    """
    worker = damocles_host_register(principal, name=reported.instance, now=now)
    with damocles_sector_lock(principal, name=name, now=now) as one:
        sector = one.sector
        if sector.state in ENDED_SECTORS or one.record.finished_at is not None:
            if sector.state not in ENDED_SECTORS:
                return True, ""
            return True, gettext("the sector is {state}").format(state=sector.state.lower())
        if reported.step not in REACHED:  # nothing is made there yet, or it has failed at the first step
            one.holder_require(name, worker)
        _host_note(one, worker)
        if not reported.failure_level and (refusal := one.data_refusal(reported.step)):
            return True, refusal
        one.record.location, one.record.step = reported.location[:500], reported.step[:40]
        if reported.failure_level:
            one.record.save()
            _failure_note(one, reported)
            return False, ""
        one.go_on()
        one.lease()
        one.forward(REACHED.get(reported.step, SectorState.ALLOCATED))
    return False, ""


def _host_note(one: LockedSector, worker: Worker) -> None:
    """Bind a sector to the worker that reports it."""
    before = one.job.sticky_worker
    if before == worker:
        return
    one.bind(worker)
    if before is not None and one.record.location:
        one.note(
            HOST_CHANGED,
            HOST_BEFORE(host=before.name, location=one.record.location),
            is_error=True,
        )


def _failure_note(one: LockedSector, reported: Reported) -> None:
    """Note a failure; one that stops the worker's thread pauses the sector until the thread goes on.

    Where the console's step is next there is nothing to wait for, and nothing would tell when to go on: a
    worker that only polls reports no state.  Interrupts, as a worker that is stopped, come as failures too.
    """
    error = quoted(f"{reported.step}: {reported.failure}"[:TEXT_MAX], by="worker")
    one.note("FAIL", error, is_error=True)
    if NEXT_STAGE[one.sector.state].owner is not Owner.WORKER or not one.is_before(SectorState.COMMIT_LANDED):
        return
    levels = {str(level): level for level in Level}
    level = levels.get(reported.failure_level.lower(), Level.PERMANENT)
    if level in (Level.TEMPORARY, Level.ABORT) or one.sector.paused_at is not None:
        Sector.objects.filter(pk=one.sector.pk, paused_at=None).update(error=error, error_level=level)
        return
    one.record.is_failed_there = True
    one.record.save(update_fields=["is_failed_there"])
    sector_pause(one.sector, job=one.job, error=error, level=level, now=one.now)


def damocles_finish(principal: Principal, *, name: SectorName, now: datetime) -> None:
    """Note that a worker is done with a sector; it proves once the chain has its commit.

    Raises NotDamocles, NotThatFar.
    """
    with damocles_sector_lock(principal, name=name, now=now) as one:
        if one.sector.state in ENDED_SECTORS:
            return
        if one.is_before(SectorState.C2_DONE):
            raise NotThatFar(
                gettext("{name} is {state}: its proof was not submitted").format(
                    name=name, state=one.sector.state
                )
            )
        if one.record.finished_at is None:
            one.record.finished_at, one.record.reserved_store, one.record.reserved_bytes = now, "", 0
            one.record.save()
        if one.sector.state == SectorState.COMMIT_LANDED:
            one.lease()
            one.forward(SectorState.PROVING)


def damocles_sector_finalize(principal: Principal, *, name: SectorName, now: datetime) -> None:
    """Declare a worker's proving sector finished: the worker wipes its folder at its next report.

    Raises NotDamocles, and NotThatFar for one that the chain does not have yet.
    """
    with damocles_sector_lock(principal, name=name, now=now) as one:
        if one.sector.state != SectorState.PROVING:
            raise NotThatFar(
                gettext("{name} is {state}: it can be finalized once it is proving").format(
                    name=name, state=one.sector.state.lower()
                )
            )
        if one.record.finished_at is not None:
            return
        one.record.finished_at, one.record.reserved_store, one.record.reserved_bytes = now, "", 0
        one.record.save()
        target = f"{one.sector.miner} / {one.sector.number}"
        audit_record(principal=principal, action="sector.finalize", target=target)


def damocles_abort(principal: Principal, *, name: SectorName, reason: str, now: datetime) -> None:
    """Abort a sector that its worker has given up; one that the chain has already proves on.

    One that another host has stays as it is: who gives it up has lost it.

    Raises NotDamocles, CommitOnItsWay.
    """
    with damocles_sector_lock(principal, name=name, now=now) as one:
        if one.sector.state in ENDED_SECTORS:
            return
        if one.holder_elsewhere is not None:
            text = GIVEN_UP_ELSEWHERE(address=principal.source, reason=quoted(reason, by="worker"))
            one.note("REPORT_IGNORED", text, is_error=True)
            return
        if not one.is_before(SectorState.COMMIT_LANDED):
            one.record.finished_at = one.record.finished_at or now
            one.record.save()
            if one.sector.state == SectorState.COMMIT_LANDED:
                one.lease()
                one.forward(SectorState.PROVING)
            return
        worker = one.job.sticky_worker
        actor = principal.actor if worker is None else worker.name
        one.record.reserved_store, one.record.reserved_bytes = "", 0
        one.record.save()
        sector_abort(one.sector, actor=actor, reason=quoted(reason[:500], by="worker"), now=now, by=principal)
