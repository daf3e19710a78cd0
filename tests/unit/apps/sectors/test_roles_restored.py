"""Roles and leases after a restore: who held a role before the backup, and who since, never both work."""

from __future__ import annotations

from typing import Any

import pytest

from apps.messages.models import Recovery
from apps.messages.services.recovery.detect import restore_check
from apps.miners.errors import RoleFenced
from apps.miners.models import Miner, Role
from apps.miners.selectors.winning_hosts import winning_hosts
from apps.miners.services.role_leases import role_renew
from apps.miners.states import RoleKind, RoleState
from apps.sectors.errors.jobs import LeaseLost
from apps.sectors.models import Job, Worker
from apps.sectors.services.jobs.reports import job_progress_record
from poolsite.wire.hosts import HeldJob
from poolsite.wire.job_reports import Progress
from poolsite.wire.jobs import Assignment, JobKind
from tests import factories
from tests.unit.apps.sectors.roles import beat, fail_over, give, holder, later, machine, proof_job, prove
from tests.unit.apps.sectors.sealing import NOON, claim

pytestmark = pytest.mark.django_db

WINDOW = RoleKind.WINDOW


@pytest.fixture(autouse=True)
def first_look() -> None:
    restore_check(now=NOON)


class Backup:
    """Roles and jobs at a moment; read in, PostgreSQL's tables are others."""

    def __init__(self) -> None:
        self.roles, self.jobs = list(Role.objects.values()), list(Job.objects.values())

    def read_in(self) -> None:
        Role.objects.update(state=RoleState.STANDBY)  # the database allows one holder at any moment
        for model, rows in ((Role, self.roles), (Job, self.jobs)):
            for row in rows:
                model._default_manager.filter(pk=row["id"]).update(**row)
        Recovery.objects.update(fingerprint={"table": -1})


def prover(name: str) -> Worker:
    """The only program of a machine."""
    return machine(name, JobKind.WINDOW_POST)


def two(miner: Miner) -> tuple[Worker, Worker]:
    """Two hosts of which the first holds the role."""
    a, b = prover("a"), prover("b")
    give(miner, "a", WINDOW)
    give(miner, "b", WINDOW)
    return a, b


def taken(worker: Worker, *, at: Any = NOON) -> Assignment:
    (job,) = claim(worker, kinds=(JobKind.WINDOW_POST,), at=at)
    return job


def says(job: Assignment, miner: Miner, *, at: Any) -> None:
    progress = Progress(token=job.token, stage="WINDOW_POST", done=1, total=2)
    job_progress_record(job.id, progress=progress, tenant_id=miner.tenant_id, now=at)


def held(job: Assignment) -> tuple[HeldJob, ...]:
    return (HeldJob(id=job.id, progress=Progress(token=job.token, stage="WINDOW_POST", done=1, total=2)),)


def test_hold_of_a_backup_gives_no_work_though_its_lease_runs() -> None:
    miner = factories.miner()
    a, _ = two(miner)
    backup = Backup()
    fail_over(miner, to="b")
    proof_job(miner)

    backup.read_in()

    assert prove(a, at=later(1)) == 0, "the claim itself notices the restore"
    assert prove(a, at=later(2)) == 0


def test_neither_the_old_nor_the_newer_holder_works_on_after_a_restore() -> None:
    miner = factories.miner()
    a, b = two(miner)
    proof_job(miner)
    old = taken(a)
    backup = Backup()
    fail_over(miner, to="b")
    newer = taken(b)
    assert newer.token > old.token
    backup.read_in()

    beat(b, at=later(1), held=held(newer))
    answers = {name: beat(worker, at=later(2), held=held(job)) for name, worker, job in
               (("a", a, old), ("b", b, newer))}  # fmt: skip

    assert all(len(answer.lost) == 1 and not answer.renewed for answer in answers.values())
    for job in (old, newer):
        with pytest.raises(LeaseLost):
            says(job, miner, at=later(3))
    assert not Role.objects.filter(state=RoleState.HELD).exists()
    assert prove(a, at=later(4)) == prove(b, at=later(4)) == 0


def test_one_lease_later_one_host_holds_it_under_a_token_above_all() -> None:
    miner = factories.miner()
    a, b = two(miner)
    proof_job(miner)
    backup = Backup()
    for name in "ba" * 3:
        fail_over(miner, to=name)
    known = Role.objects.get(host="a").token
    old = taken(a)
    backup.read_in()
    for worker in (b, a):
        beat(worker, at=later(1))
    beat(b, at=later(30))
    assert not Role.objects.filter(state=RoleState.HELD).exists(), "a foreign holder's lease may still run"

    beat(b, at=later(32))
    beat(a, at=later(33))

    assert holder(miner) == "b"
    assert Role.objects.get(host="b").token > known
    new = taken(b, at=later(34))
    assert new.token > old.token
    assert fail_over(miner, to="a", at=later(35)).token > known, "also of the tokens that a had before"


def test_holder_that_names_its_token_is_refused_after_a_restore() -> None:
    miner = factories.miner()
    two(miner)
    backup = Backup()
    token = Role.objects.get(host="a").token
    newer = fail_over(miner, to="b").token
    backup.read_in()
    restore_check(now=later(1))

    for host, number in (("a", token), ("b", newer)):
        with pytest.raises(RoleFenced):
            role_renew(miner, host=host, kind=WINDOW, token=number, now=later(2))
    give(miner, "a", WINDOW, at=later(3))
    assert role_renew(
        miner, host="a", kind=WINDOW, token=Role.objects.get(host="a").token, now=later(4)
    ).state == (RoleState.HELD)


def test_wins_are_asked_of_nobody_by_a_hold_of_a_backup() -> None:
    miner = factories.miner(2001)
    prover("a"), prover("b")
    give(miner, "a", RoleKind.WINNING)
    give(miner, "b", RoleKind.WINNING)
    backup = Backup()
    fail_over(miner, RoleKind.WINNING, to="b")
    backup.read_in()
    restore_check(now=later(1))

    assert winning_hosts([miner.pk], now=later(2)) == {miner.pk: ""}
    fail_over(miner, RoleKind.WINNING, to="b", at=later(3))
    assert winning_hosts([miner.pk], now=later(4)) == {miner.pk: "b"}
