"""Roles of hosts: who gets which job, one holder at a time, fail-over by hand and by a lost lease."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.db import connection, transaction

from apps.miners.errors import NoStandby, RoleBusy, RoleFenced, RolesNotCombined, RoleUnable, RoleUnknown
from apps.miners.models import Miner, Role
from apps.miners.selectors.roles import roles_of
from apps.miners.selectors.winning_hosts import winning_account, winning_hosts
from apps.miners.services.role_leases import role_renew
from apps.miners.states import RoleKind, RoleState
from apps.sectors.errors.jobs import LeaseLost
from apps.sectors.models import Job, Worker
from apps.sectors.services.jobs.reports import job_progress_record
from apps.sectors.services.roles.assignments import (
    host_role_remove,
    host_roles_combine,
    host_roles_separate,
)
from apps.sectors.states import JobState
from apps.users.models import AuditEntry
from poolsite.wire.hosts import HeldJob
from poolsite.wire.job_reports import Progress
from poolsite.wire.jobs import JobKind
from tests import factories, people
from tests.killed_writes import killed_writes
from tests.unit.apps.sectors.roles import (
    BACKUP,
    SEAL,
    WINDOW,
    beat,
    fail_over,
    give,
    holder,
    later,
    machine,
    proof_job,
    prove,
)
from tests.unit.apps.sectors.sealing import DIGEST, NOON, claim

pytestmark = pytest.mark.django_db


def test_host_without_the_role_gets_no_such_job() -> None:
    miner, other = factories.miner(), factories.miner()
    a, b = machine("a"), machine("b")
    give(miner, "a", WINDOW)
    give(miner, "b", SEAL)
    factories.sector(miner)
    proof_job(miner)

    assert prove(b) == 0
    assert claim(a) == (), "new sectors go to the host that seals"
    assert prove(a) == 1
    assert len(claim(b)) == 1
    proof_job(other)
    assert prove(b) == 1, "a miner without roles is worked for by all hosts"


def test_what_no_host_was_given_every_host_does() -> None:
    miner = factories.miner()
    a, b = machine("a"), machine("b")
    give(miner, "b", SEAL)
    proof_job(miner)

    assert prove(a) == 1, "a first role for sealing stops no window's proof"
    host_role_remove(miner, host="b", kind=SEAL, principal=people.principal(), now=NOON)
    factories.sector(miner)
    assert len(claim(a)) == 1
    assert claim(b) == ()


def test_sector_with_clients_data_is_sealed_by_the_host_for_deals() -> None:
    miner = factories.miner()
    a, b = machine("a"), machine("b")
    give(miner, "a", SEAL)
    give(miner, "b", RoleKind.DEAL)
    piece = {"size": 2048, "comm_p": DIGEST.hex()}
    plain, deal = factories.sector(miner), factories.sector(miner, pieces=[piece])

    assert [job.seal.number for job in claim(a) if job.seal] == [plain.number]
    assert [job.seal.number for job in claim(b) if job.seal] == [deal.number]


def test_sector_that_a_host_has_begun_stays_its_own() -> None:
    miner, a = factories.miner(), machine("a")
    factories.sector(miner, held_by=a)
    give(miner, "b", SEAL)

    assert len(claim(a, at=later(100_000_000))) == 1


def test_backup_prover_makes_what_it_is_asked_for_by_name() -> None:
    miner = factories.miner()
    a, b = machine("a"), machine("b")
    give(miner, "a", WINDOW)
    give(miner, "b", BACKUP)

    proof_job(miner)
    assert prove(b) == 0
    proof_job(miner, offered_to=[b.pk])
    assert prove(b) == 1
    assert prove(a) == 1


def test_exclusive_role_has_one_holder_and_the_second_stands_by() -> None:
    miner = factories.miner()
    machine("a"), machine("b")

    assert give(miner, "a", WINDOW).state == RoleState.HELD
    assert give(miner, "b", WINDOW).state == RoleState.STANDBY
    assert {give(miner, name, SEAL).state for name in "ab"} == {RoleState.HELD}


def test_host_that_was_never_heard_of_stands_by_until_it_is() -> None:
    miner = factories.miner()

    assert give(miner, "a", WINDOW).state == RoleState.STANDBY
    a = machine("a")
    beat(a, at=NOON)

    assert holder(miner) == "a"


def test_standby_takes_over_a_lease_that_ran_out() -> None:
    miner = factories.miner()
    a, b = machine("a"), machine("b")
    old = give(miner, "a", WINDOW)
    give(miner, "b", WINDOW)

    beat(b, at=later(29))
    assert holder(miner) == "a"
    beat(b, at=later(31))

    new = Role.objects.get(host="b")
    assert (new.state, new.token) == (RoleState.HELD, old.token + 1)
    proof_job(miner)
    assert prove(a, at=later(32)) == 0
    beat(a, at=later(33))
    assert holder(miner) == "b", "who comes back stands by"
    with pytest.raises(RoleFenced, match="b holds window since 2026-11-20 12:00:31 UTC under token 2"):
        role_renew(miner, host="a", kind=WINDOW, token=old.token, now=later(33))


def test_lapsed_lease_that_nobody_took_goes_on_but_allows_no_claim_before() -> None:
    miner, a = factories.miner(), machine("a")
    give(miner, "a", WINDOW)
    proof_job(miner)

    assert prove(a, at=later(40)) == 0
    beat(a, at=later(41))

    assert prove(a, at=later(41)) == 1


def test_highest_priority_takes_over() -> None:
    miner = factories.miner()
    machine("a"), machine("b"), machine("c")
    give(miner, "a", WINDOW)
    give(miner, "b", WINDOW, priority=1)
    give(miner, "c", WINDOW, priority=2)

    assert fail_over(miner).host == "c"


def test_fail_over_ends_the_old_hosts_lease_and_says_why() -> None:
    miner = factories.miner()
    a, b = machine("a"), machine("b")
    give(miner, "a", WINDOW)
    give(miner, "b", WINDOW)
    job = proof_job(miner)
    (got,) = claim(a, kinds=(JobKind.WINDOW_POST,))

    fail_over(miner, to="b")

    why = f"this lease is over: role window of {miner}: failed over to b"
    progress = Progress(token=got.token, stage="WINDOW_POST", done=1, total=2)
    with pytest.raises(LeaseLost, match=why):
        job_progress_record(got.id, progress=progress, tenant_id=miner.tenant_id, now=NOON)
    lost = beat(a, at=later(1), held=(HeldJob(id=got.id, progress=progress),)).lost
    assert [one.reason for one in lost] == [why]
    assert prove(a) == 0
    assert prove(b) == 1
    job.refresh_from_db()
    assert job.worker == b


def test_fail_over_needs_a_host_on_standby_that_is_there() -> None:
    miner = factories.miner()
    machine("a")
    give(miner, "a", WINDOW)
    with pytest.raises(NoStandby, match="no other host"):
        fail_over(miner)
    with pytest.raises(RoleUnknown):
        fail_over(miner, to="b")

    give(miner, "b", WINDOW)

    with pytest.raises(NoStandby, match="b sent no heartbeat in the last 30 s"):
        fail_over(miner, to="b")
    with pytest.raises(NoStandby, match="a already holds window"):
        fail_over(miner, to="a")


def test_role_that_is_taken_away_goes_to_the_standby() -> None:
    miner = factories.miner()
    a, b = machine("a"), machine("b")
    give(miner, "a", WINDOW)
    give(miner, "b", WINDOW)
    proof_job(miner)
    claim(a, kinds=(JobKind.WINDOW_POST,))

    host_role_remove(miner, host="a", kind=WINDOW, principal=people.principal(), now=NOON)

    assert [row.host for row in roles_of(miner)] == ["b"]
    assert prove(b) == 1
    again = give(miner, "a", WINDOW)
    assert (again.state, again.token) == (RoleState.STANDBY, 1)
    assert fail_over(miner, to="a").token == 3


def test_combine_and_back() -> None:
    miner = factories.miner()
    machine("a"), machine("b")
    give(miner, "a", WINDOW)
    give(miner, "b", SEAL)
    give(miner, "b", RoleKind.WINNING)
    person = people.principal()

    host_roles_combine(miner, host="a", principal=person, now=NOON)

    held = Role.objects.filter(state=RoleState.HELD)
    assert set(held.values_list("host", flat=True)) == {"a"}
    assert set(held.values_list("kind", flat=True)) == set(RoleKind.values) - {BACKUP}
    with pytest.raises(RolesNotCombined, match="already combined on a"):
        host_roles_combine(miner, host="a", principal=person, now=NOON)
    host_roles_separate(miner, principal=person, now=NOON)

    rows = {(row.host, row.kind): row.state for row in roles_of(miner)}
    assert rows == {
        ("a", WINDOW): RoleState.HELD,
        ("b", SEAL): RoleState.HELD,
        ("b", RoleKind.WINNING): RoleState.HELD,
    }
    with pytest.raises(RolesNotCombined):
        host_roles_separate(miner, principal=person, now=NOON)


def test_combined_on_the_only_host_they_can_be_separated() -> None:
    miner, person = factories.miner(), people.principal()
    machine("a")
    give(miner, "a", WINDOW)
    host_roles_combine(miner, host="a", principal=person, now=NOON)
    host_role_remove(miner, host="a", kind=SEAL, principal=person, now=NOON)

    host_roles_separate(miner, principal=person, now=NOON)

    assert [(row.kind, row.state) for row in roles_of(miner)] == [(WINDOW, RoleState.HELD)]


def test_combine_waits_for_tasks_in_progress() -> None:
    miner = factories.miner()
    a, b = machine("a"), machine("b")
    give(miner, "a", WINDOW)
    give(miner, "b", WINDOW)
    person = people.principal()
    factories.sector(miner, state="PC1_DONE", held_by=b)

    with pytest.raises(RoleBusy, match="1 sector in progress"):
        host_roles_combine(miner, host="a", principal=person, now=NOON)
    proof_job(miner)
    prove(a)
    with pytest.raises(RoleBusy, match="1 proof, 1 sector in progress"):
        host_roles_separate(miner, principal=person, now=NOON)
    Job.objects.filter(kind=JobKind.SEAL).delete()

    host_roles_combine(miner, host="a", principal=person, now=NOON)


def test_winning_is_asked_of_the_holder_alone() -> None:
    miner = factories.miner(2001)
    machine("a"), machine("b")
    assert winning_account("alice", 2001, now=NOON) == "alice"
    give(miner, "b", SEAL)
    assert winning_hosts([miner.pk], now=NOON) == {}, "what no host was given, every host does"

    give(miner, "a", RoleKind.WINNING)

    assert winning_account("alice", 2001, now=NOON) == "alice\na"
    assert winning_hosts([miner.pk], now=later(31)) == {miner.pk: ""}


def test_each_act_is_in_the_audit_log() -> None:
    miner = factories.miner()
    machine("a"), machine("b")
    give(miner, "a", WINDOW)
    give(miner, "b", WINDOW)
    fail_over(miner)
    person = people.principal()
    host_role_remove(miner, host="b", kind=WINDOW, principal=person, now=NOON)
    host_roles_combine(miner, host="a", principal=person, now=NOON)

    actions = AuditEntry.objects.filter(action__startswith="miner.role").order_by("pk")

    assert list(actions.values_list("action", flat=True)) == [
        "miner.role-give",
        "miner.role-give",
        "miner.role-fail-over",
        "miner.role-remove",
        "miner.roles-combine",
    ]


@pytest.mark.parametrize("act", ["fail over", "lease loss", "combine"])
def test_kill_at_any_write_leaves_one_holder(act: str) -> None:
    miner = factories.miner()
    a, b = machine("a"), machine("b")
    give(miner, "a", WINDOW)
    give(miner, "b", WINDOW)
    proof_job(miner)
    prove(a)
    at = later(31)
    acts = {
        "fail over": lambda: fail_over(miner, to="b"),
        "lease loss": lambda: beat(b, at=at),
        "combine": lambda: host_roles_combine(miner, host="b", principal=people.principal(), now=at),
    }
    if act == "combine":
        Worker.objects.filter(pk=b.pk).update(seen_at=at)
    kills = 0
    while killed_writes(acts[act], after=kills):
        assert holder(miner) == "a", "it is done whole or not at all"
        assert Job.objects.get().worker == a
        kills += 1

    assert kills > 2
    assert holder(miner) == "b"
    job = Job.objects.get()
    assert act == "combine" or (job.state, job.worker) == (JobState.READY, None)


def together(*acts: Any) -> list[Any]:
    """Run acts at once, each on a connection of its own; returns what each gave or raised."""
    gate = threading.Barrier(len(acts))
    results: list[Any] = [None] * len(acts)

    def run(place: int) -> None:
        gate.wait()
        try:
            results[place] = acts[place]()
        except Exception as error:  # noqa: BLE001  # a test looks at it
            results[place] = error
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(place,)) for place in range(len(acts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return results


@pytest.mark.django_db(transaction=True)
def test_two_standbys_that_take_over_at_once_leave_one_holder() -> None:
    miner = factories.miner()
    workers = [machine(name) for name in "abcd"]
    for name in "abcd":
        give(miner, name, WINDOW)

    results = together(*(lambda one=one: beat(one, at=later(31)) for one in workers[1:]))

    assert not [one for one in results if isinstance(one, Exception)]
    rows = list(Role.objects.filter(state=RoleState.HELD))
    assert [row.token for row in rows] == [2]
    assert rows[0].host in "bcd"


@pytest.mark.django_db(transaction=True)
def test_claims_beside_a_fail_over_leave_no_lease_with_the_old_host() -> None:
    for _ in range(8):
        miner = factories.miner()
        a = machine("a")
        machine("b")
        give(miner, "a", WINDOW)
        give(miner, "b", WINDOW)
        proof_job(miner)

        results = together(lambda one=a: prove(one), lambda of=miner: fail_over(of, to="b"))

        assert not [one for one in results if isinstance(one, Exception)], results
        job = Job.objects.get(miner=miner)
        assert (job.state, job.worker) == (JobState.READY, None)


@pytest.mark.django_db(transaction=True)
def test_a_claim_does_not_wait_for_who_holds_the_row_of_its_miner() -> None:
    """It would hold the roles then, which whoever moves a role locks after the miner."""
    miner = factories.miner()
    a = machine("a")
    give(miner, "a", WINDOW)
    proof_job(miner)

    def impatient() -> int:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET LOCAL lock_timeout = '2s'")
            return prove(a)

    with transaction.atomic():
        Miner.objects.select_for_update(no_key=True).get(pk=miner.pk)
        results = together(impatient)

    assert results == [1]


@pytest.mark.django_db(transaction=True)
def test_role_given_to_two_hosts_at_once_is_held_by_one() -> None:
    miner = factories.miner()
    machine("a"), machine("b")
    people.principal()

    results = together(lambda: give(miner, "a", WINDOW), lambda: give(miner, "b", WINDOW))

    assert sorted(row.state for row in results) == [RoleState.HELD, RoleState.STANDBY]


def test_a_host_without_a_prover_gets_no_role_of_one() -> None:
    miner = factories.miner()
    machine("sealing", JobKind.SEAL), machine("proving", JobKind.WINDOW_POST)

    for kind in (WINDOW, RoleKind.WINNING, BACKUP):
        with pytest.raises(RoleUnable, match="sealing runs no prover"):
            give(miner, "sealing", kind)
    for kind in (SEAL, RoleKind.DEAL):
        with pytest.raises(RoleUnable, match="proving runs no sealer"):
            give(miner, "proving", kind)
    for host in ("sealing", "proving"):
        with pytest.raises(RoleUnable):
            host_roles_combine(miner, host=host, principal=people.principal(), now=NOON)
    assert not Role.objects.exists()
    assert give(miner, "sealing", SEAL).state == give(miner, "proving", WINDOW).state == RoleState.HELD
    assert give(miner, "unheard of", BACKUP).state == RoleState.HELD, "its prover may come later"
