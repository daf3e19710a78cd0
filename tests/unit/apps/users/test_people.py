from __future__ import annotations

import pytest

from apps.core.errors import BadValue, Conflict, NotAllowed, NotFound
from apps.users.errors import InvitationExpired, PersonNameTaken, TenantUnknown, WeakPassword
from apps.users.models import AuditEntry, PersonSession, User
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
from apps.users.services.second_factor import has_second_factor, totp_begin
from apps.users.services.sessions import session_touch
from tests import people

pytestmark = pytest.mark.django_db

PASSWORD = "a long enough sentence"


@pytest.fixture
def admin():
    return principal_of(people.person("adam", role="TENANT_ADMIN"))


@pytest.fixture
def operator():
    return principal_of(people.operator_person())


def test_somebody_invited_comes_in_by_the_link_and_by_nothing_else(admin):
    eve = person_invite(principal=admin, username="eve", role="AUDITOR")
    assert eve.tenant is not None
    assert (eve.tenant.name, eve.role, eve.has_usable_password()) == ("alice", "AUDITOR", False)

    who, token = invitation_create(eve)
    found = invitation_read(who, token=token)
    invitation_accept(found, password=PASSWORD, principal=principal_of(found))

    assert User.objects.get(username="eve").check_password(PASSWORD)
    assert list(AuditEntry.objects.values_list("action", flat=True)) == ["person.invite", "person.password"]


def test_a_link_is_good_once(admin):
    eve = person_invite(principal=admin, username="eve", role="AUDITOR")
    who, token = invitation_create(eve)
    invitation_accept(invitation_read(who, token=token), password=PASSWORD, principal=admin)

    with pytest.raises(InvitationExpired):
        invitation_read(who, token=token)


@pytest.mark.parametrize(
    "link", [("", ""), ("MQ", "x"), ("////", "x"), ("LTE", "x"), ("OTk5OTk5OTk5OTk5OTk5OTk5OTk5", "x")]
)
def test_nonsense_is_no_link(link):
    who, token = link
    with pytest.raises(InvitationExpired):
        invitation_read(who, token=token)


def test_a_weak_password_leaves_the_link_good(admin):
    eve = person_invite(principal=admin, username="eve", role="AUDITOR")
    who, token = invitation_create(eve)

    with pytest.raises(WeakPassword):
        invitation_accept(invitation_read(who, token=token), password="12345", principal=admin)

    assert invitation_read(who, token=token) == eve


@pytest.mark.parametrize(
    ("asked", "error"),
    [
        ({"role": "OPERATOR"}, NotAllowed),
        ({"role": "KING"}, BadValue),
        ({"tenant": "bob"}, TenantUnknown),
        ({"username": ""}, BadValue),
        ({"username": "two words"}, BadValue),
        ({"username": "ADAM"}, PersonNameTaken),
    ],
)
def test_a_tenant_admin_stays_within_the_tenant(admin, asked, error):
    people.tenant("bob")

    with pytest.raises(error):
        person_invite(**{"principal": admin, "username": "eve", "role": "TENANT", **asked})


@pytest.mark.parametrize(
    ("username", "error"),
    [
        *((name, BadValue) for name in ("adam\u200b", "\u202emada", "ad\u00adam", "adam\x7f", "a\u3000b")),
        *((name, PersonNameTaken) for name in ("system", "Console", "\uff41dam", "\u017fystem")),
    ],
    ids=ascii,
)
def test_a_name_that_looks_like_another_is_refused(admin, username, error):
    with pytest.raises(error):
        person_invite(principal=admin, username=username, role="TENANT")

    assert User.objects.count() == 1


def test_the_operator_invites_for_every_tenant_that_there_is(operator):
    people.tenant("bob")

    eve = person_invite(principal=operator, username="eve", role="TENANT", tenant="bob")
    assert eve.tenant == people.tenant("bob")
    with pytest.raises(TenantUnknown):
        person_invite(principal=operator, username="eva", role="TENANT", tenant="nobody")


@pytest.mark.parametrize("role", ["TENANT", "AUDITOR"])
def test_others_care_for_nobody(role):
    somebody, other = people.person("ann", role=role), people.person("carl")
    viewer = principal_of(somebody)

    with pytest.raises(NotAllowed):
        person_invite(principal=viewer, username="eve", role="AUDITOR")
    with pytest.raises(NotAllowed):
        managed_person_find(viewer, pk=other.pk)


def test_tenant_admin_manages_own_people_only(admin, operator):
    carl, bill = people.person("carl"), people.person("bill", of="bob")
    boss = people.person("boss", role="OPERATOR")

    assert managed_person_find(admin, pk=carl.pk) == carl
    assert managed_person_find(operator, pk=bill.pk) == bill
    with pytest.raises(NotFound):
        managed_person_find(admin, pk=bill.pk)
    with pytest.raises(NotAllowed):
        managed_person_find(admin, pk=boss.pk)


def test_nobody_closes_their_own_account(admin):
    with pytest.raises(Conflict):
        managed_person_find(admin, pk=User.objects.get(username="adam").pk)


def test_a_closed_account_loses_its_sessions(admin, client, django_capture_on_commit_callbacks):
    carl = people.person("carl")
    client.force_login(carl)
    session_touch(carl, key=client.session.session_key, device="", source="", now=carl.date_joined)

    person_set_active(principal=admin, person=carl, is_open=False)

    assert client.get("/account/").status_code == 302
    assert not PersonSession.objects.exists()
    person_set_active(principal=admin, person=carl, is_open=True)
    assert User.objects.get(pk=carl.pk).is_active


def test_a_reset_takes_password_and_second_factor(admin):
    carl = people.person("carl")
    device = totp_begin(carl)
    device.confirmed_at = device.created_at
    device.save()

    person_reset(principal=admin, person=carl)

    assert not has_second_factor(carl)
    who, token = invitation_create(User.objects.get(pk=carl.pk))
    assert invitation_read(who, token=token) == carl


def test_a_role_is_changed_within_what_the_admin_may_give(admin):
    carl = people.person("carl")

    person_role_set(principal=admin, person=carl, role="AUDITOR")

    assert User.objects.get(pk=carl.pk).role == "AUDITOR"
    entry = AuditEntry.objects.get()
    assert (entry.before, entry.after) == ({"role": "TENANT"}, {"role": "AUDITOR"})
    with pytest.raises(NotAllowed):
        person_role_set(principal=admin, person=carl, role="OPERATOR")
