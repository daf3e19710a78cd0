"""Roles of groups: hosts have them by their label, the lease of an exclusive one stays in the group."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from apps.miners.errors import RoleOfGroup, RolesNotCombined, RoleUnknown
from apps.miners.models import Miner, Role, RoleGroup
from apps.miners.selectors.roles import roles_of
from apps.miners.services.role_leases import role_renew
from apps.miners.services.roles import RoleGrant, roles_forget
from apps.miners.states import RoleState
from apps.sectors.models import Worker
from apps.sectors.services.hosts.retirement import worker_retire
from apps.sectors.services.roles.assignments import (
    host_role_assign,
    host_role_remove,
    host_roles_combine,
)
from apps.sectors.services.roles.groups import (
    group_role_remove,
    group_roles_separate,
)
from apps.users.models import AuditEntry
from tests import factories, people
from tests.page_client import signed_in, text_of
from tests.unit.apps.sectors.role_groups import SEAL, WINDOW, give, label_set, labelled, states
from tests.unit.apps.sectors.roles import beat, fail_over, holder, later, machine, proof_job, prove
from tests.unit.apps.sectors.sealing import NOON

pytestmark = pytest.mark.django_db

POSTS = {"group": "posts", "role": "window", "priority": 0}


def test_one_host_of_the_group_holds_and_the_next_takes_over() -> None:
    miner = factories.miner()
    a, b, outside = labelled("a"), labelled("b"), machine("c")
    give(miner)
    assert states(miner) == {"a": RoleState.HELD, "b": RoleState.STANDBY}
    proof_job(miner)
    assert (prove(outside), prove(b)) == (0, 0)
    assert prove(a) == 1
    old = Role.objects.get(host="a")

    beat(outside, at=later(31))
    beat(b, at=later(31))

    assert holder(miner) == "b"
    assert Role.objects.get(host="b").token > old.token
    assert prove(b, at=later(31)) == 1
    with pytest.raises(Exception, match="b holds window since"):
        role_renew(miner, host="a", kind=WINDOW, token=old.token, now=later(32))


def test_fail_over_by_hand_stays_in_the_group() -> None:
    miner = factories.miner()
    labelled("a"), labelled("b"), machine("c")
    give(miner)

    assert fail_over(miner).host == "b"
    assert fail_over(miner, to="a").host == "a"
    with pytest.raises(RoleUnknown):
        fail_over(miner, to="c")


def test_a_host_that_gets_the_label_joins_and_one_that_loses_it_leaves() -> None:
    miner, late = factories.miner(), machine("late")
    first = labelled("first")
    give(miner)
    give(miner, kind=SEAL)

    label_set(late, "posts")
    assert states(miner) == {"first": RoleState.HELD, "late": RoleState.STANDBY}
    assert states(miner, SEAL) == {"first": RoleState.HELD, "late": RoleState.HELD}

    proof_job(miner)
    assert prove(first) == 1
    Role.objects.update(heard_at=datetime.now(tz=NOON.tzinfo))
    label_set(first, "other")

    assert states(miner) == {"late": RoleState.HELD}
    late.refresh_from_db()
    assert prove(late) == 1, "what the host had in hand has ended with its role"


def test_the_role_of_a_retired_host_stays_in_its_group() -> None:
    miner, first = factories.miner(), labelled("first")
    labelled("second")
    give(miner)
    assert holder(miner) == "first"

    worker_retire(first, now=NOON)

    assert states(miner) == {"second": RoleState.HELD}


def test_a_label_moves_roles_and_takes_the_right_to_sign() -> None:
    worker = labelled("a")
    people.person("ann")
    url, answers = f"/api/v1/workers/{worker.uuid}/group", {}
    for level in ("write", "sign"):
        headers = people.bearer(people.token(level, of="alice"))
        sent: dict[str, Any] = {"content_type": "application/json", "headers": headers}
        answers[level] = signed_in("ann").put(url, {"group": "others"}, **sent).status_code

    assert answers == {"write": 403, "sign": 200}


def test_a_role_of_its_own_outlives_the_label() -> None:
    miner = factories.miner()
    a = labelled("a")
    labelled("b")
    host_role_assign(miner, grant=RoleGrant(host="a", kind=WINDOW), principal=people.principal(), now=NOON)
    give(miner)
    assert {row.host: row.group for row in roles_of(miner)} == {"a": "", "b": "posts"}

    label_set(a, "")
    assert states(miner)["a"] == RoleState.HELD
    host_role_assign(miner, grant=RoleGrant(host="b", kind=WINDOW), principal=people.principal(), now=NOON)
    group_role_remove(miner, group="posts", kind=WINDOW, principal=people.principal(), now=NOON)

    assert set(states(miner)) == {"a", "b"}


def test_taking_it_from_the_group_takes_it_from_all_its_hosts() -> None:
    miner = factories.miner()
    labelled("a"), labelled("b"), machine("c")
    host_role_assign(miner, grant=RoleGrant(host="c", kind=WINDOW), principal=people.principal(), now=NOON)
    give(miner)
    with pytest.raises(RoleOfGroup, match="through group posts"):
        host_role_remove(miner, host="a", kind=WINDOW, principal=people.principal(), now=NOON)

    group_role_remove(miner, group="posts", kind=WINDOW, principal=people.principal(), now=NOON)

    assert states(miner) == {"c": RoleState.HELD}
    with pytest.raises(RoleUnknown):
        group_role_remove(miner, group="posts", kind=WINDOW, principal=people.principal(), now=NOON)
    acts = AuditEntry.objects.order_by("pk").values_list("action", "before", "after")
    assert [act for act in acts if POSTS in act[1:]] == [
        ("miner.role-give", None, POSTS),
        ("miner.role-remove", POSTS, None),
    ]


def test_while_one_host_does_everything_groups_wait() -> None:
    miner, person = factories.miner(), people.principal()
    labelled("a"), labelled("b")
    late = machine("late")
    give(miner)
    host_roles_combine(miner, host="b", principal=person, now=NOON)

    label_set(late, "posts")
    assert "late" not in states(miner)
    for act in (lambda: give(miner, kind=SEAL), lambda: take(miner)):
        with pytest.raises(RolesNotCombined, match="separate them first"):
            act()

    group_roles_separate(miner, principal=person, now=NOON)
    assert states(miner) == {"a": "HELD", "b": "STANDBY", "late": "STANDBY"}
    assert {row.group for row in roles_of(miner)} == {"posts"}


def take(miner: Miner) -> RoleGroup:
    return group_role_remove(miner, group="posts", kind=WINDOW, principal=people.principal(), now=NOON)


def test_a_host_of_another_tenant_has_no_part() -> None:
    miner = factories.miner()
    labelled("a")
    foreign = machine("foreign")
    Worker.objects.filter(pk=foreign.pk).update(group="posts", tenant=people.tenant("bob"))

    give(miner)

    assert states(miner) == {"a": RoleState.HELD}


def test_a_miner_that_goes_to_another_tenant_has_no_groups() -> None:
    miner = factories.miner()
    labelled("a")
    give(miner)

    roles_forget(miner)

    assert not RoleGroup.objects.exists()


def test_over_rest_and_on_the_pages() -> None:
    miner: Any = factories.miner(2001)
    labelled("a"), labelled("b")
    people.person("ann")
    browser = signed_in("ann")
    form = {"group": "posts", "kind": "window"}
    given = browser.post("/miners/f02001/roles/give-group/", form)
    assert (given.status_code, set(states(miner))) == (302, {"a", "b"})
    page = text_of(browser.get("/miners/f02001/roles/"))
    assert "Group roles" in page
    assert "2 hosts" in page
    assert "group posts" in " ".join(text_of(browser.get("/roles/")).split())

    url, headers = "/api/v1/miners/f02001/", people.bearer(people.token("sign", of="alice"))
    body = browser.get(f"{url}roles", headers=headers).json()
    assert body["groups"] == [{"group": "posts", "kind": "window", "priority": 0}]
    assert {one["group"] for one in body["results"]} == {"posts"}
    sent: dict[str, Any] = {"content_type": "application/json", "headers": headers}
    removed = browser.post(f"{url}role-groups:remove", form, **sent)
    assert (removed.status_code, states(miner)) == (200, {})
    again = browser.post(f"{url}role-groups", {**form, "priority": 3}, **sent)
    assert (again.status_code, again.json()["priority"]) == (201, 3)
    assert browser.post(f"{url}role-groups", {**form, "kind": "x"}, **sent).status_code == 400
