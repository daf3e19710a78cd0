"""The search of one claim for its jobs: what bars them, until one is locked."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from apps.core.disk import DiskLevel, disk_space
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
from apps.sectors.selectors.boot_ids import boot_check, boot_require
from apps.sectors.selectors.claim_rules import jobs_choose, new_sectors_filter
from apps.sectors.selectors.hosts import worker_machine
from apps.sectors.selectors.proof_forms import makes_proofs_at, makes_proofs_here
from apps.sectors.selectors.restored import (
    hosts_unreported,
    miners_unrecovered,
    must_register,
    sectors_recovery,
)
from apps.sectors.services.jobs.claim_statements import LAPSED, NEXT, PLAIN
from apps.sectors.services.jobs.free_jobs import kinds_free
from apps.sectors.services.jobs.store_rooms import store_room_reserve
from poolsite.wire.jobs import STAGED, JobKind
from poolsite.wire.sealing_rules import EVERY

if TYPE_CHECKING:
    from datetime import datetime

    from django.db.models import Q

    from apps.sectors.models import Worker
    from poolsite.wire.jobs import Claim


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
