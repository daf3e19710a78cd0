"""Claims: a worker asks for work, and gets each job alone, under a token that outdates all earlier ones."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db import transaction
from django.db.models import Q

from apps.chain.selectors.heads import head_current
from apps.core.disk import DiskLevel, disk_space
from apps.core.live import Change, publish_all
from apps.core.locks import transaction_lock
from apps.messages.selectors.recovery import token_floor
from apps.messages.services.recovery.detect import (
    Identity,
    StoredIdentity,
    marker_read,
    restore_check,
    restore_is_noticed,
)
from apps.miners.selectors.roles import HostRoles, host_roles
from apps.miners.states import RoleKind
from apps.sectors.errors.hosts import WorkerReplaced
from apps.sectors.errors.sectors import SectorUnknown
from apps.sectors.models import Job, Worker
from apps.sectors.rules.params import pieces_of
from apps.sectors.selectors.boot_ids import boot_check, boot_require
from apps.sectors.selectors.claim_rules import jobs_choose, new_sectors_filter
from apps.sectors.selectors.hosts import worker_machine
from apps.sectors.selectors.jobs import job_assignment
from apps.sectors.selectors.proof_forms import makes_proofs_at, makes_proofs_here, takes_containers_at
from apps.sectors.selectors.restored import (
    hosts_unreported,
    miners_unrecovered,
    must_register,
    sectors_recovery,
)
from apps.sectors.selectors.shared_stores import shared_room, stores_are_shared
from apps.sectors.services.jobs.claim_statements import LAPSED, NEXT, PLAIN, TAKE
from apps.sectors.services.jobs.free_jobs import kinds_free
from poolsite.tracing import span
from poolsite.tracing.subjects import of_jobs
from poolsite.wire.job_inputs import SealInputs
from poolsite.wire.jobs import STAGED, Assignment, Claim, Claimed, JobKind
from poolsite.wire.pipeline import Stage
from poolsite.wire.sealing_rules import EVERY
from poolsite.wire.sums import stored_bytes

ROOM_LOCK: Final = 0x4D56
"""Lock class: of claims, or reservations, that count the same room one waits for the other."""


def store_room_reserve(worker: Worker, *, job_id: int) -> bool:
    """Return whether the stores that a host shares have room for a new sector: until it commits for it alone.

    What only this host puts into its stores it counts itself.
    """
    if not worker.stores or not stores_are_shared(worker):
        return True
    transaction_lock(ROOM_LOCK, ["shared stores"])
    room = shared_room(worker)
    size = Job.objects.values_list("sector__sector_size", flat=True).get(pk=job_id)
    return room is None or room.left_bytes >= stored_bytes(size)


@dataclass(frozen=True, slots=True)
class FoundJob:
    """A job that is locked for a claim."""

    id: int
    kind: str
    stage: str
    is_new: bool
    """It lies on no host's disk yet."""


class ClaimSearch:
    """One claim while its jobs are looked for.  Raises WorkerReplaced, WorkerRetired."""

    def __init__(self, worker: Worker, claim: Claim, *, now: datetime, among: Q | None) -> None:
        self.worker, self.claim, self.now = worker, claim, now
        self.free = dict(claim.stages)
        self.rooms = 0 if disk_space().level is DiskLevel.FULL else claim.new_sectors
        self.floor = 0
        """Tokens are given from here on."""
        self.is_plain = among is None and claim.takes == EVERY
        """No roles, no recovery, no rules: nothing of the tenant is barred."""
        self.is_begun = False
        """It got a job as a plain one."""
        self.roles: HostRoles | None = None
        self.among = among
        self.chosen: list[int] | None = None
        self.new: list[int] | None = None
        """Jobs of the new sectors that the host takes by its rules."""

    def note(self, found: FoundJob) -> None:
        """Count a job that was leased."""
        if found.kind == JobKind.SEAL:
            self.rooms -= found.is_new
        if found.kind in STAGED:
            self.free[found.stage] -= 1

    def next(self) -> FoundJob | None:
        """Lock the next job; None if there is none for this worker."""
        found = self._found()
        if found is None or found.kind != JobKind.SEAL or not found.is_new:
            return found
        if store_room_reserve(self.worker, job_id=found.id):
            return found
        self.rooms = 0
        return self._found()

    def _found(self) -> FoundJob | None:
        if self.roles is None:
            found = self._plain() if self.is_plain else None
            if found is not None:
                self.is_begun = True
            if self.is_plain or self.is_begun:  # no transaction waits for roles while it holds jobs
                return found
            self.roles = self._begin()
        return None if self.roles is None else self._next(self.roles)

    def _kinds(self) -> tuple[list[str], list[str], bool]:
        """Return other kinds than sealing, stages with free slots, and whether it seals."""
        others = [str(kind) for kind in self.claim.kinds if kind != JobKind.SEAL]
        stages = [stage for stage, count in self.free.items() if count > 0]
        return others, stages, JobKind.SEAL in self.claim.kinds

    def _plain(self) -> FoundJob | None:
        """Look for a job, and find out whether the claim is a plain one."""
        worker, (others, stages, seals) = self.worker, self._kinds()
        boot_require(worker, boot_id=self.claim.boot_id)
        marker = marker_read()
        values = [self.now, worker.tenant_id, worker.pk, others, stages, self.rooms > 0, seals]
        rows = PLAIN.rows(values)
        self.is_plain = bool(rows) and rows[0][0]
        if not self.is_plain:
            return None
        _, has_told, restored_at, network, pool, fingerprint, *identity, pk, kind, stage, is_new = rows[0]
        if restored_at is not None:
            if JobKind.SEAL in worker.kinds and not has_told:
                raise WorkerReplaced
            self.floor = int(restored_at.timestamp())
        if pk is None or not makes_proofs_at(network, worker.hardware):
            return None
        if restore_is_noticed(
            StoredIdentity(pool, json.loads(fingerprint), restored_at),
            seen=Identity(*identity),
            marker=marker,
        ):
            self.is_plain = False  # the longer way begins the recovery, and gives what it may
            return None
        return FoundJob(pk, kind, stage, is_new)

    def _begin(self) -> HostRoles | None:
        """Read what bars jobs; None if the worker may have none, whatever its roles."""
        worker = self.worker
        boot_check(worker, boot_id=self.claim.boot_id)
        if self.among is None and not self._may_find():
            return None
        if not makes_proofs_here(worker.hardware):
            return None
        self.floor = token_floor()
        roles = host_roles(tenant_id=worker.tenant_id, host=worker_machine(worker), now=self.now, lock=True)
        if self.among is not None:
            self.chosen = jobs_choose(worker, among=self.among, claim=self.claim, now=self.now)
        if self.claim.takes != EVERY and self.rooms > 0:
            self.new = jobs_choose(
                worker, among=new_sectors_filter(self.claim.takes), claim=self.claim, now=self.now
            )
        return roles

    def _may_find(self) -> bool:
        """Return whether a look is worth the locks on roles; most claims find nothing."""
        kinds = {(self.worker.tenant_id, str(kind)) for kind in self.claim.kinds}
        if not kinds.isdisjoint(kinds_free(self.now)):
            return True
        return bool(LAPSED.rows([self.now, self.worker.pk, self.worker.tenant_id]))

    def _next(self, roles: HostRoles) -> FoundJob | None:
        """Look for a job by all that may bar it."""
        others, stages, seals = self._kinds()
        recovery = sectors_recovery()
        waits_for_hosts = recovery is not None and hosts_unreported(recovery).exists()
        rows = NEXT.rows(
            [
                self.now,
                self.worker.tenant_id,
                self.worker.pk,
                others,
                stages,
                self.rooms > 0,
                [] if recovery is None else miners_unrecovered(),
                recovery.restored_at if recovery is not None and waits_for_hosts else None,
                roles.barred(RoleKind.SEAL),
                roles.barred(RoleKind.DEAL),
                roles.barred(RoleKind.WINDOW),
                roles.barred(RoleKind.WINDOW, RoleKind.BACKUP),
                seals,
                self.chosen,
                self.new,
            ]
        )
        found = FoundJob(*rows[0]) if rows else None
        return None if found is None or self._is_restored(found, roles) else found

    def _is_restored(self, found: FoundJob, roles: HostRoles) -> bool:
        """Return whether the database turns out to be a restored one, whose word the job would be given on.

        That is the case for a sector if the host has not told what it has, and for a proof if roles were read
        before that was noticed.
        """
        if found.kind not in STAGED and not roles.ruled:
            return False
        recovery = restore_check(now=self.now)
        self.floor = 0 if recovery.restored_at is None else int(recovery.restored_at.timestamp())
        if found.kind in STAGED:
            return must_register(self.worker, recovery)
        return recovery.restored_at != roles.restored_at


@transaction.atomic
def jobs_claim(worker: Worker, *, claim: Claim, now: datetime, among: Q | None = None) -> Claimed:
    """Lease up to `claim.max` jobs to `worker`, the most urgent first; `among` are those that it takes.

    A sector whose files lie on a host is offered to that host alone, but for its C2 where that host has no
    slot for it; a new one by the host's own rules (`claim.takes`); where its miner has roles, a new one and
    proofs go to hosts that hold the role, which nobody moves meanwhile.  While the console's disk is full no
    new sector begins; those in progress and proofs go on.  Two workers never get the same job: rows that
    another claim has locked are passed over.  Where the network takes proofs that the worker does not make
    there is no work.

    Raises WorkerReplaced, WorkerRetired.
    """
    search = ClaimSearch(worker, claim, now=now, among=among)
    assignments: list[Assignment] = []
    while len(assignments) < claim.max:
        found = search.next()
        assignment = None if found is None else _lease(found, worker=worker, floor=search.floor, now=now)
        if found is None or assignment is None:
            break
        search.note(found)
        assignments.append(assignment)
    return Claimed(jobs=tuple(assignments))


def _lease(found: FoundJob, *, worker: Worker, floor: int, now: datetime) -> Assignment | None:
    """Lease a job that is locked; None if a transfer has taken it away before that."""
    rows = TAKE.rows([now, worker.pk, found.id, worker.tenant_id, floor])
    if not rows:
        return None
    _, uuid, token, seq, lease_s, is_guest, actor_id, sector_uuid, *sector = rows[0]
    changes = [Change("job", found.id, worker.tenant_id)]
    if sector_uuid is not None:
        changes.insert(0, Change("sector", sector_uuid, worker.tenant_id))
    with span("job claim", about=of_jobs([uuid])):
        publish_all(changes)
    if found.kind == JobKind.SEAL and sector_uuid is not None:
        if actor_id is None:
            raise SectorUnknown(sector_uuid)
        has_no_c2 = worker.slots.get(str(Stage.C2)) == 0
        travels = has_no_c2 if found.stage == Stage.C1 else bool(is_guest)
        seal = _seal_inputs(actor_id, found.stage, sector, c1_travels=travels)
        return Assignment(id=uuid, kind=JobKind.SEAL, token=token, seq=seq, lease_s=lease_s, seal=seal)
    Job.objects.filter(pk=found.id).update(**proof_claim_columns())
    return job_assignment(Job.objects.get(pk=found.id))


def _seal_inputs(miner_id: int, stage: str, row: Sequence[Any], *, c1_travels: bool) -> SealInputs:
    """Return what a host needs for the next stage, as `job_selectors.sealing_inputs` does of the rows."""
    network, *row = row
    number, seal_proof, sector_size, state, pieces, ticket, ticket_epoch, seed, seed_epoch, comm_d, comm_r = (
        row
    )
    return SealInputs(
        miner_id=miner_id,
        number=number,
        seal_proof=seal_proof,
        sector_size=sector_size,
        state=state,
        stage=stage,
        pieces=() if pieces == "[]" else pieces_of(json.loads(pieces)),
        ticket=_bytes(ticket),
        ticket_epoch=ticket_epoch,
        seed=_bytes(seed),
        seed_epoch=seed_epoch,
        comm_d=_bytes(comm_d),
        comm_r=_bytes(comm_r),
        needs_groth16=not takes_containers_at(network),
        c1_travels=c1_travels,
    )


def _bytes(value: memoryview | None) -> bytes | None:
    return None if value is None else bytes(value)


def proof_claim_columns() -> dict[str, Any]:
    """Return the columns of a proof that is claimed: the console counts its host's progress from here."""
    head = head_current()
    height = None if head is None else head.height
    counted = {"progress_done": 0, "progress_total": 0, "progress_unit": ""}
    return {"claimed_height": height, "moved_height": height, **counted}
