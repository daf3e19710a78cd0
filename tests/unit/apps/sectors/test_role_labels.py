"""Labels that come and go: roles go with a machine's name, and what another label has is not disturbed."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import transaction

from apps.miners.models import Miner, Role
from apps.miners.selectors.roles import roles_of
from apps.miners.services.roles import RoleGrant
from apps.miners.states import RoleKind, RoleState
from apps.sectors.models import Job, Worker
from apps.sectors.services.hosts.heartbeats import worker_heartbeat
from apps.sectors.services.hosts.registration import worker_register
from apps.sectors.services.roles.assignments import host_role_assign, host_role_remove
from apps.sectors.services.roles.groups import GroupGrant, group_role_assign, group_role_remove
from apps.sectors.services.roles.trial import role_test
from apps.sectors.states import JobState
from apps.users.models import AuditEntry
from poolsite.wire.hosts import Heartbeat, Register
from poolsite.wire.jobs import JobKind
from poolsite.wire.pipeline import WORKER_STAGES
from tests import factories, people
from tests.unit.apps.sectors.role_groups import give, label_set, labelled, states
from tests.unit.apps.sectors.role_labels import Beside, lock_now
from tests.unit.apps.sectors.roles import beat, machine, proof_job, prove
from tests.unit.apps.sectors.sealing import NOON, host

pytestmark = pytest.mark.django_db

WINDOW, SEAL = RoleKind.WINDOW, RoleKind.SEAL
BOTH = (JobKind.SEAL, JobKind.WINDOW_POST)


def second_label(name: str, label: str) -> Worker:
    """One more worker on a machine, with a label of its own."""
    worker = host(f"w-{name}-2", host=name, kinds=BOTH)
    Worker.objects.filter(pk=worker.pk).update(group=label)
    worker.refresh_from_db()
    return worker


def proving(miner: Miner, worker: Worker) -> Role:
    """The role of a host that has a proof in hand."""
    proof_job(miner)
    assert prove(worker) == 1
    return Role.objects.get(miner=miner, kind=WINDOW, host=worker.host)


def undisturbed(role: Role, *, group: str) -> Role:
    """The same role under another group; its lease and the proof in hand have not ended."""
    row = Role.objects.get(pk=role.pk)
    assert (row.state, row.token, row.group) == (RoleState.HELD, role.token, group)
    assert Job.objects.get(kind=JobKind.WINDOW_POST).state == JobState.LEASED
    return row


def test_roles_go_along_with_a_worker_that_registers_under_another_name() -> None:
    miner, by = factories.miner(), people.principal()
    labelled("old"), labelled("other")
    give(miner)
    host_role_assign(miner, grant=RoleGrant(host="old", kind=SEAL), principal=by, now=NOON)
    register = Register(
        uid="w-old",
        boot_id="b2",
        name="w-old",
        host="new",
        version="1",
        kinds=BOTH,
        slots=dict.fromkeys(WORKER_STAGES, 9),
    )

    moved, _ = worker_register(register, tenant_id=miner.tenant_id, now=NOON, by=by)

    assert states(miner) == {"new": RoleState.STANDBY, "other": RoleState.HELD}
    assert states(miner, SEAL) == {"old": RoleState.HELD}, "its own stays with the name it was given to"
    beat(moved, at=NOON)
    assert Role.objects.get(host="new").heard_at == NOON
    changed = AuditEntry.objects.filter(action__startswith="miner.role", after__group="posts")
    last = changed.order_by("-pk").values_list("action", "after__host")[:3]
    assert set(last) == {
        ("miner.role-give", "new"),
        ("miner.role-remove", "old"),
        ("miner.role-change", "other"),
    }


def test_a_label_that_goes_leaves_what_another_one_has() -> None:
    miner, worker = factories.miner(), labelled("a")
    second_label("a", "spare")
    labelled("b")
    give(miner)
    group_role_assign(
        miner,
        grant=GroupGrant(group="spare", kind=WINDOW, priority=7),
        principal=people.principal(),
        now=NOON,
    )
    assert {row.host: row.group for row in roles_of(miner)} == {"a": "posts", "b": "posts"}
    role = proving(miner, worker)

    label_set(worker, "")

    assert undisturbed(role, group="spare").priority == 7


def test_a_label_that_changes_for_another_with_the_role_ends_nothing() -> None:
    miner, worker = factories.miner(), labelled("a")
    labelled("b", "spare")
    give(miner)
    give(miner, "spare")
    role = proving(miner, worker)

    label_set(worker, "spare")

    undisturbed(role, group="spare")


def test_a_role_taken_from_one_group_stays_by_the_other_label() -> None:
    miner, worker = factories.miner(), labelled("a")
    second_label("a", "spare")
    labelled("b")
    give(miner)
    give(miner, "spare")
    role = proving(miner, worker)

    group_role_remove(miner, group="posts", kind=WINDOW, principal=people.principal(), now=NOON)

    undisturbed(role, group="spare")
    assert states(miner) == {"a": RoleState.HELD}


def test_a_host_whose_own_role_is_removed_goes_on_by_its_label() -> None:
    miner, worker, by = factories.miner(), labelled("a"), people.principal()
    host_role_assign(miner, grant=RoleGrant(host="a", kind=WINDOW, priority=3), principal=by, now=NOON)
    labelled("b")
    give(miner)
    role = proving(miner, worker)

    host_role_remove(miner, host="a", kind=WINDOW, principal=by, now=NOON)

    assert undisturbed(role, group="posts").priority == 0
    entries = AuditEntry.objects.order_by("-pk").values_list("action", "after__group")
    assert entries.first() == ("miner.role-remove", "posts")


def test_a_group_act_writes_a_line_for_each_role_that_it_changes() -> None:
    miner, by = factories.miner(), people.principal()
    labelled("a"), labelled("b")
    host_role_assign(miner, grant=RoleGrant(host="b", kind=WINDOW, priority=1), principal=by, now=NOON)
    give(miner)
    a = {"host": "a", "role": "window", "token": 0, "group": "posts", "priority": 0}
    assert lines_of("a") == [("miner.role-give", None, {**a, "state": "STANDBY"})]

    group_role_assign(miner, grant=GroupGrant(group="posts", kind=WINDOW, priority=5), principal=by, now=NOON)
    group_role_remove(miner, group="posts", kind=WINDOW, principal=by, now=NOON)

    changed = {**a, "state": "STANDBY", "priority": 5}
    assert lines_of("a")[1:] == [
        ("miner.role-change", {**a, "state": "STANDBY"}, changed),
        ("miner.role-remove", changed, {**changed, "state": "REMOVED"}),
    ]
    assert set(AuditEntry.objects.filter(after__host="a").values_list("actor", "target")) == {
        (by.actor, miner.address)
    }


def lines_of(name: str) -> list[tuple[str, Any, Any]]:
    rows = AuditEntry.objects.filter(action__startswith="miner.role", after__host=name).order_by("pk")
    return list(rows.values_list("action", "before", "after"))


@pytest.mark.django_db(transaction=True)
def test_roles_of_several_miners_are_locked_in_the_order_of_heartbeats() -> None:
    later_miner, miner = (factories.miner(of) for of in (2002, 2001))
    if later_miner.pk < miner.pk:
        later_miner, miner = miner, later_miner
    worker = labelled("a")
    people.principal()
    give(later_miner)
    give(miner)
    first, second = Role.objects.order_by("pk")
    assert first.miner_id == later_miner.pk > second.miner_id

    with transaction.atomic():
        lock_now(Role.objects.filter(pk=first.pk))
        beside = Beside(lambda: label_set(worker, "others"))
        lock_now(Role.objects.filter(pk=second.pk))
    beside.end()

    assert not Role.objects.exclude(state=RoleState.REMOVED)


@pytest.mark.django_db(transaction=True)
def test_a_host_that_gets_the_label_while_the_group_gets_the_role_has_it() -> None:
    miner, worker = factories.miner(), machine("a")
    labelled("b")
    people.principal()

    with transaction.atomic():
        label_set(worker, "posts")
        beside = Beside(lambda: give(miner))
    beside.end()

    assert set(states(miner)) == {"a", "b"}


@pytest.mark.django_db(transaction=True)
def test_a_heartbeat_that_retires_its_worker_locks_roles_before_it() -> None:
    miner, worker = factories.miner(), labelled("a")
    people.principal()
    give(miner)
    Worker.objects.filter(pk=worker.pk).update(retire_asked_at=NOON)
    worker.refresh_from_db()

    def retire() -> None:
        beat_of = Heartbeat(boot_id=worker.boot_id, is_draining=True)
        assert worker_heartbeat(worker, heartbeat=beat_of, now=NOON).is_retired

    with transaction.atomic():
        Miner.objects.select_for_update(no_key=True).get(pk=miner.pk)
        beside = Beside(retire)
        lock_now(Worker.objects.filter(pk=worker.pk))
    beside.end()

    assert states(miner) == {}


@pytest.mark.django_db(transaction=True)
def test_a_trial_of_a_role_locks_its_miner_before_the_role() -> None:
    miner = factories.miner()
    machine("a")
    by = people.principal()
    host_role_assign(miner, grant=RoleGrant(host="a", kind=SEAL), principal=by, now=NOON)

    with transaction.atomic():
        Miner.objects.select_for_update(no_key=True).get(pk=miner.pk)
        beside = Beside(lambda: role_test(miner, host="a", allocated=[], principal=by, now=NOON))
        lock_now(Role.objects.filter(miner=miner))
    beside.end()

    assert Role.objects.get().test_pledge is not None


@pytest.mark.django_db
def test_a_trial_under_one_key_pledges_one_sector() -> None:
    miner, by = factories.miner(), people.principal()
    machine("a")
    host_role_assign(miner, grant=RoleGrant(host="a", kind=SEAL), principal=by, now=NOON)

    tried = [role_test(miner, host="a", allocated=[], principal=by, now=NOON, key=key) for key in "kkl"]

    assert [sector.number for sector in tried] == [0, 0, 1]
    assert Role.objects.get().test_highest == 0
