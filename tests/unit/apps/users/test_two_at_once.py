"""Two people at one account at the same moment, each on a connection of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from apps.core.errors import Conflict, NotAllowed
from apps.miners.services.ownership import tenant_miner_grant
from apps.users.errors import InvitationExpired, PersonNameTaken
from apps.users.models import User
from apps.users.rules.principals import Principal
from apps.users.selectors.grants import miner_owner
from apps.users.selectors.principals import principal_of
from apps.users.services.people import (
    invitation_accept,
    invitation_create,
    invitation_read,
    managed_person_find,
    person_invite,
    person_reset,
    person_role_set,
    person_set_active,
)
from tests import people

pytestmark = pytest.mark.django_db(transaction=True)

PASSWORD = "a long enough sentence"


def close(by: Principal, person: User) -> None:
    person_set_active(principal=by, person=managed_person_find(by, pk=person.pk), is_open=False)


def demote(by: Principal, person: User) -> None:
    person_role_set(principal=by, person=managed_person_find(by, pk=person.pk), role="TENANT")


def reset(by: Principal, person: User) -> None:
    person_reset(principal=by, person=managed_person_find(by, pk=person.pk))


@pytest.mark.parametrize("act", [close, demote, reset])
def test_two_operators_who_remove_each_other_leave_one(
    beside: Callable[..., list[Any]], act: Callable[[Principal, User], None]
) -> None:
    olga, otto = people.operator_person(), people.operator_person("otto")
    by_olga, by_otto = principal_of(olga), principal_of(otto)

    _, refused, has_waited = beside(
        lambda: act(by_olga, otto),
        "apps.users.services.people.audit_record",
        lambda: act(by_otto, olga),
    )

    assert has_waited
    assert isinstance(refused, Conflict)
    left = User.objects.get(is_active=True, role="OPERATOR", pk=olga.pk)
    assert left.check_password(people.PASSWORD)


def test_tenant_admin_cannot_reset_somebody_made_operator_meanwhile(
    beside: Callable[..., list[Any]],
) -> None:
    operator = principal_of(people.operator_person())
    admin = principal_of(people.person("adam", role="TENANT_ADMIN"))
    carl = people.person("carl")
    seen = managed_person_find(admin, pk=carl.pk)

    _, refused, _ = beside(
        lambda: person_role_set(principal=operator, person=carl, role="OPERATOR"),
        "apps.users.services.people.audit_record",
        lambda: person_reset(principal=admin, person=seen),
    )

    assert isinstance(refused, NotAllowed)
    assert User.objects.get(pk=carl.pk).check_password(people.PASSWORD)


def test_invitation_followed_twice_at_once_sets_one_password(beside: Callable[..., list[Any]]) -> None:
    admin = principal_of(people.person("adam", role="TENANT_ADMIN"))
    who, token = invitation_create(person_invite(principal=admin, username="eve", role="AUDITOR"))
    one, two = invitation_read(who, token=token), invitation_read(who, token=token)

    _, refused, _ = beside(
        lambda: invitation_accept(one, password=PASSWORD, principal=admin),
        "apps.users.services.people.audit_record",
        lambda: invitation_accept(two, password=f"{PASSWORD} too", principal=admin),
    )

    assert isinstance(refused, InvitationExpired)
    assert User.objects.get(username="eve").check_password(PASSWORD)


def test_one_name_invited_twice_at_once_is_one_person(beside: Callable[..., list[Any]]) -> None:
    admin = principal_of(people.person("adam", role="TENANT_ADMIN"))

    _, refused, _ = beside(
        lambda: person_invite(principal=admin, username="eve", role="AUDITOR"),
        "apps.users.services.people.audit_record",
        lambda: person_invite(principal=admin, username="Eve", role="AUDITOR"),
    )

    assert isinstance(refused, PersonNameTaken)
    assert User.objects.filter(username__iexact="eve").count() == 1


def test_miner_granted_to_two_tenants_at_once_is_the_seconds(beside: Callable[..., list[Any]]) -> None:
    operator = principal_of(people.operator_person())
    alice, bob = people.tenant("alice"), people.tenant("bob")

    beside(
        lambda: tenant_miner_grant(principal=operator, tenant=alice, miner="f01000", open_mining=True),
        "apps.miners.services.ownership.audit_record",
        lambda: tenant_miner_grant(principal=operator, tenant=bob, miner="f01000", open_mining=True),
    )

    assert miner_owner(actor_id=1000) == "bob"
