"""A sector with its locks, as a damocles-worker works on it: what each of its calls begins with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction

from apps.core.live import Change, publish
from apps.core.marked_texts import gettext
from apps.core.reasons import fitted
from apps.core.transitions import advance
from apps.damocles.errors import NotDamocles, SectorEnded
from apps.damocles.services.deals import deals_refuse, is_sealing_zeros
from apps.damocles.services.hosts import damocles_host_register
from apps.sectors.models import DAMOCLES, DamoclesSector, Job, Sector, Worker
from apps.sectors.rules.params import comm_d_of
from apps.sectors.selectors.restored import lease_token_next, sectors_recovery
from apps.sectors.services.sealing.steps import job_lock, sector_retry, sector_step
from apps.sectors.services.timeline import job_event_write
from apps.sectors.states import ENDED_SECTORS, JobState
from apps.users.rules.principals import Principal
from poolsite.wire.job_reports import TEXT_MAX
from poolsite.wire.pipeline import NEXT_STAGE, Owner, SectorState, Stage, stage_rank


@dataclass(frozen=True, slots=True)
class SectorName:
    """A sector as the chain names it."""

    miner_id: int
    number: int

    def __str__(self) -> str:
        return f"s-t0{self.miner_id}-{self.number}"


@dataclass(slots=True)
class LockedSector:
    """A sector with its locks: the job's, and of what its worker told."""

    sector: Sector
    job: Job
    record: DamoclesSector
    principal: Principal
    now: datetime

    @property
    def rank(self) -> int:
        """Return how far the sector is."""
        return stage_rank(NEXT_STAGE[self.sector.state].stage)

    def is_before(self, state: str) -> bool:
        """Return whether the sector has not come to a state yet."""
        return self.rank < stage_rank(NEXT_STAGE[state].stage)

    def go_on(self) -> None:
        """Go on with a sector that was paused as its worker's thread had stopped; a person's pause stays."""
        if not self.record.is_failed_there:
            return
        self.record.is_failed_there = False
        self.record.save()
        if self.sector.paused_at is not None and not self.sector.paused_by:
            worker = self.job.sticky_worker
            sector_retry(self.sector, actor="" if worker is None else worker.name, now=self.now)
            self.job, self.sector = job_lock(self.sector.pk)

    def lease(self) -> None:
        """Lease the job to the worker while the next step is its own."""
        self.record.begun_at = self.record.begun_at or self.now
        self.record.save()
        if self.job.sticky_worker is None:  # its worker names the sector for the first time
            self.bind(self.job.worker or damocles_host_register(self.principal, now=self.now))
        until = self.now + timedelta(seconds=self.job.lease_s)
        is_its = NEXT_STAGE[self.sector.state].owner is Owner.WORKER
        if self.job.state == JobState.READY and is_its:
            advance(
                self.job,
                "CLAIM",
                worker=self.job.sticky_worker,
                lease_token=lease_token_next(),
                lease_until=until,
                heard_at=self.now,
                not_before=None,
                updated_at=self.now,
            )
        elif self.job.state == JobState.LEASED:
            Job.objects.filter(pk=self.job.pk).update(lease_until=until, heard_at=self.now)

    @property
    def holder_elsewhere(self) -> Worker | None:
        """Return the worker that has the sector, if it is not the caller: that is known by its address."""
        holder = self.job.sticky_worker or self.job.worker
        return None if holder is None or holder.host == self.principal.source[:100] else holder

    def holder_require(self, name: SectorName, worker: Worker | None = None) -> None:
        """Refuse a worker whose sector was given out again, while nothing is made of it.

        Without its name a worker is known by its address.  Raises NotDamocles.
        """
        holder = self.holder_elsewhere
        if holder is not None and holder != worker and self.sector.state == SectorState.ALLOCATED:
            raise NotDamocles(
                gettext("{name} has since been given to {host}: its files are kept").format(
                    name=name, host=holder.name
                )
            )

    def data_refusal(self, step: str) -> str:
        """Release a sector of clients' data whose worker goes on with zeros; return why, empty for others."""
        if not is_sealing_zeros(self.sector, record=self.record, step=step):
            return ""
        return deals_refuse(self.sector, job=self.job, record=self.record, now=self.now)

    def bind(self, worker: Worker) -> None:
        """Bind the sector to the worker that has its files."""
        self.job.sticky_worker = worker
        if self.job.worker_id is not None:
            self.job.worker = worker
        self.job.save(update_fields=["sticky_worker", "worker"])

    def forward(self, state: str, **outcomes: Any) -> bool:
        """Advance by the worker's steps up to a state, with the columns that they fill; not by the chain's.

        Returns whether the sector is there: a step of the chain may come before, or a pause.
        """
        single = self.rank + 1 == stage_rank(NEXT_STAGE[state].stage)
        while self.is_before(state) and self.sector.paused_at is None:
            step = NEXT_STAGE[self.sector.state]
            if step.owner is not Owner.WORKER:
                return False
            self.lease()
            data = {name: outcomes[name] for name in step.outputs if name in outcomes}
            if step.stage == Stage.TREE_D:
                data["comm_d"] = comm_d_of(self.sector)
            took_ms = (
                max(int((self.now - self.sector.stage_since).total_seconds() * 1000), 0) if single else None
            )
            worker = self.job.worker
            report = {"seq": self.job.seq + 1, "token": self.job.lease_token, "ms": took_ms, "worker": worker}
            actor = "" if worker is None else worker.name
            sector_step(
                self.sector, event=step.event, job=self.job, now=self.now, actor=actor, report=report, **data
            )
        return not self.is_before(state)

    def note(self, event: str, note: str, *, is_error: bool = False) -> None:
        """Write something into the sector's timeline that moves nothing."""
        worker = self.job.sticky_worker
        job_event_write(
            self.job,
            event=event,
            now=self.now,
            state=self.sector.state,
            actor="" if worker is None else worker.name,
            stage=self.sector.stage,
            worker=worker,
            note=fitted(note, TEXT_MAX),
            is_error=is_error,
        )
        publish(Change("sector", str(self.sector.uuid), self.sector.tenant_id))


def sector_find(principal: Principal, *, name: SectorName) -> Sector:
    """Return the row of a sector that a worker names.  Raises NotDamocles.

    A token or an address may be the wrong one, and a database an older one: what is not found here is no
    sector that is over, and its files stay.
    """
    rows = Sector.objects.select_related("miner").filter(
        tenant_id=principal.own_id, miner__actor_id=name.miner_id, number=name.number
    )
    row = rows.first() if principal.may_mine(name.miner_id) else None
    if row is None:
        raise NotDamocles(
            gettext("{name} is not a sector of this token: nothing was changed or removed").format(name=name)
        )
    return row


@contextmanager
def damocles_sector_lock(principal: Principal, *, name: SectorName, now: datetime) -> Iterator[LockedSector]:
    """Lock a sector that a damocles-worker seals.  Raises NotDamocles."""
    found = sector_find(principal, name=name)
    with transaction.atomic():
        job, sector = job_lock(found.pk)
        if _is_forgotten(job, sector):
            DamoclesSector.objects.get_or_create(sector=sector)
        record = DamoclesSector.objects.select_for_update().filter(sector=sector).first()
        if record is None or not _is_damocles_worker(job.sticky_worker):
            raise NotDamocles(gettext("{name} is not sealed by a damocles-worker").format(name=name))
        record.named_at = now
        record.save(update_fields=["named_at"])
        yield LockedSector(sector, job, record, principal, now)


def damocles_sector_read(
    principal: Principal, *, name: SectorName, now: datetime
) -> tuple[Sector, DamoclesSector]:
    """Return a sector that a damocles-worker seals, as it is, for a worker that only asks.

    Raises NotDamocles.
    """
    sector = sector_find(principal, name=name)
    rows = DamoclesSector.objects.filter(sector=sector).exclude(begun_at=None)
    record = rows.select_related("sector__job__sticky_worker").first()
    if record is None:  # after a restore a thread that waits for the chain names its sector by this alone
        with damocles_sector_lock(principal, name=name, now=now) as one:
            if one.sector.state not in ENDED_SECTORS:
                one.lease()
            return one.sector, one.record
    if not _is_damocles_worker(record.sector.job.sticky_worker):
        raise NotDamocles(gettext("{name} is not sealed by a damocles-worker").format(name=name))
    DamoclesSector.objects.filter(pk=record.pk).update(named_at=now)
    return sector, record


def _is_damocles_worker(worker: Worker | None) -> bool:
    """Return whether a sector that is bound to this host, or to none, may be a damocles-worker's."""
    return worker is None or DAMOCLES in worker.kinds


def _is_forgotten(job: Job, sector: Sector) -> bool:
    """Return whether a sector may have been given out after the backup that was read in."""
    recovery = sectors_recovery()
    is_bare = sector.state == SectorState.ALLOCATED and job.sticky_worker is None and job.worker is None
    since = None if recovery is None else recovery.restored_at
    return is_bare and since is not None and sector.created_at < since


def living_require(one: LockedSector, *, name: SectorName) -> None:
    """Raise SectorEnded for a sector that is over."""
    if one.sector.state in ENDED_SECTORS:
        raise SectorEnded(f"sector state not found: {name} is {one.sector.state.lower()}")
