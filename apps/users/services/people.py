"""People of a tenant: invited, deactivated, activated again, and reset when they lost their factors."""

from __future__ import annotations

from typing import Final

from django.contrib.auth.tokens import default_token_generator
from django.db import transaction
from django.db.models import Q
from django.utils.encoding import force_bytes, force_str
from django.utils.http import urlsafe_base64_decode, urlsafe_base64_encode

from apps.core.errors import BadValue, Conflict, NotAllowed, NotFound
from apps.core.live import Change, publish
from apps.core.locks import transaction_lock
from apps.core.marked_texts import gettext
from apps.users.errors import (
    CompanyManaged,
    InvitationExpired,
    PersonNameTaken,
    TokenRefused,
)
from apps.users.models import CompanyAccount, User
from apps.users.rules.principals import Principal
from apps.users.selectors.people import people_visible
from apps.users.selectors.principals import principal_of
from apps.users.selectors.tenants import tenant_resolve
from apps.users.services.access import access_change_publish
from apps.users.services.audit import audit_record
from apps.users.services.passwords import password_check
from apps.users.services.second_factor import second_factor_reset
from apps.users.services.sessions import sessions_end
from apps.users.states import Role

TENANT_ROLES: Final = (Role.TENANT_ADMIN, Role.TENANT, Role.AUDITOR)
"""What a tenant's own admin may assign."""


OWN_NAMES: Final = ("system", "console")
"""Under which the pool itself acts: in the audit log and in histories nobody else is called so."""
NAME_LOCK: Final = 0x504E
"""Lock class of people's names, which differ in more than capitals."""


def can_manage_people(viewer: Principal) -> bool:
    """Return whether this caller manages people."""
    return viewer.may("admin")


def assignable_roles_list(viewer: Principal) -> tuple[Role, ...]:
    """Return the roles that this caller may assign."""
    return (Role.OPERATOR, *TENANT_ROLES) if viewer.is_operator else TENANT_ROLES


def role_check(viewer: Principal, *, role: str) -> Role:
    """Read a role.  Raises NotAllowed, BadValue."""
    if not can_manage_people(viewer):
        raise NotAllowed(gettext("this requires the level 'admin'"))
    if role not in Role.values:
        raise BadValue(gettext("{role!r} is not a role").format(role=role), field="role")
    if role not in assignable_roles_list(viewer):
        raise NotAllowed(gettext("only an operator can add or manage operators"), field="role")
    return Role(role)


def managed_person_find(viewer: Principal, *, pk: int) -> User:
    """Return a person whom this caller manages: not a tenant admin an operator, and nobody themselves.

    Raises NotFound, NotAllowed.
    """
    person = people_visible(viewer).filter(pk=pk).first()
    if person is None:
        raise NotFound(gettext("there is no such person"))
    role_check(viewer, role=person.role)
    if person.get_username() == viewer.actor:
        raise Conflict(gettext("you cannot do this to your own account: ask another admin"))
    return person


@transaction.atomic
def person_invite(*, principal: Principal, username: str, role: str, tenant: str = "") -> User:
    """Create a person without a password; they choose one through a link.

    Two names look different: none has invisible characters, or other forms of letters that are there.
    Raises NotAllowed, BadValue, PersonNameTaken, TenantUnknown.
    """
    name = User.normalize_username(username.strip())
    row = User(
        username=name, role=role_check(principal, role=role), tenant=tenant_resolve(principal, name=tenant)
    )
    if not is_name(name):
        raise BadValue(gettext("must be 1 to 150 characters without spaces"), field="username")
    name_claim(name)
    row.set_unusable_password()
    row.save()
    made = {"role": str(row.role), "tenant": row.tenant.name if row.tenant else ""}
    audit_record(principal=principal, action="person.invite", target=name, after=made)
    publish(Change("person", row.pk, row.tenant_id))
    return row


def is_name(name: str) -> bool:
    """Return whether a person may be called so."""
    return 0 < len(name) <= 150 and name.isprintable() and " " not in name


def name_claim(name: str) -> None:
    """Lock a name for a new person in a transaction.  Raises PersonNameTaken."""
    transaction_lock(NAME_LOCK, [name.lower()])  # the same name may be invited twice at once
    if name.lower() in OWN_NAMES or User.objects.filter(username__iexact=name).exists():
        raise PersonNameTaken(name)


def person_principal_lock(username: str) -> Principal:
    """Lock a person's account in a transaction and return what they may do now.

    Raises NotAllowed if they may not sign in any more.
    """
    rows = User.objects.select_for_update(of=("self",), no_key=True).select_related("tenant")
    row = rows.filter(username=username, is_active=True).first()
    if row is None:
        raise NotAllowed(gettext("this account may not sign in any more"))
    try:
        return principal_of(row)
    except TokenRefused as refused:
        raise NotAllowed(refused.reason) from None


def invitation_create(person: User) -> tuple[str, str]:
    """Return both parts of the link through which a person chooses a password; good once, for three days."""
    return urlsafe_base64_encode(force_bytes(person.pk)), default_token_generator.make_token(person)


def invitation_read(person_id: str, *, token: str) -> User:
    """Find whose link this is.  Raises InvitationExpired."""
    try:
        pk = int(force_str(urlsafe_base64_decode(person_id)))
    except (ValueError, OverflowError, UnicodeDecodeError):
        raise InvitationExpired from None
    person = User.objects.filter(pk=pk, is_active=True).first() if 0 < pk < 2**63 else None
    if person is None or not default_token_generator.check_token(person, token):
        raise InvitationExpired
    if CompanyAccount.objects.filter(user=person).exists():
        raise InvitationExpired
    return person


@transaction.atomic
def invitation_accept(person: User, *, password: str, principal: Principal) -> None:
    """Set the password that an invited person chose; the link is worthless then.

    Raises WeakPassword, InvitationExpired if the link was used, or the account changed, since it was read.
    """
    password_check(password, user=person)
    unchanged = User.objects.filter(pk=person.pk, password=person.password, is_active=True)
    if not unchanged.select_for_update(no_key=True).exists():
        raise InvitationExpired
    person.set_password(password)
    person.must_change_password = False
    person.save(update_fields=["password", "must_change_password"])
    sessions_end(person)
    publish(Change("person", person.pk, person.tenant_id))
    audit_record(principal=principal, action="person.password", target=person.get_username())


def company_refuse(person: User, *, field: str = "") -> None:
    """Refuse a change of what the company's identity provider decides.  Raises CompanyManaged."""
    if CompanyAccount.objects.filter(user=person).exists():
        raise CompanyManaged(field=field)


def _person_lock(principal: Principal, person: User, *, removes_access: bool) -> User:
    """Lock a person and all operators, and return the person as they are now.

    With `removes_access`, somebody is left who can sign in as an operator: of two who remove each other, the
    second is refused.  Raises NotFound, NotAllowed, Conflict.
    """
    wanted = User.objects.filter(Q(pk=person.pk) | Q(role=Role.OPERATOR))
    rows = {row.pk: row for row in wanted.select_for_update(of=("self",), no_key=True).order_by("pk")}
    if person.pk not in rows:
        raise NotFound(gettext("there is no such person"))
    current = rows.pop(person.pk)
    role_check(principal, role=current.role)
    if removes_access and current.role == Role.OPERATOR and current.is_active:
        others = [row for row in rows.values() if row.role == Role.OPERATOR and row.is_active]
        if not any(one.has_usable_password() or one.passkeys.exists() for one in others):
            raise Conflict(gettext("this is the last operator who can sign in: add another one first"))
    return current


@transaction.atomic
def person_set_active(*, principal: Principal, person: User, is_open: bool) -> None:
    """Deactivate an account and end its sessions, or activate it again.

    Raises NotAllowed, Conflict for the last operator.
    """
    person = _person_lock(principal, person, removes_access=not is_open)
    if person.is_active == is_open:
        return
    person.is_active = is_open
    person.save(update_fields=["is_active"])
    if not is_open:
        sessions_end(person)
    access_change_publish()
    action = "person.enable" if is_open else "person.disable"
    audit_record(principal=principal, action=action, target=person.get_username())


@transaction.atomic
def person_reset(*, principal: Principal, person: User) -> None:
    """Remove a person's password, second factor and sessions; a new link lets them choose again.

    Raises NotAllowed, Conflict for the last operator.
    """
    person = _person_lock(principal, person, removes_access=True)
    company_refuse(person)
    person.set_unusable_password()
    person.must_change_password = False
    person.save(update_fields=["password", "must_change_password"])
    second_factor_reset(person)
    sessions_end(person)
    audit_record(principal=principal, action="person.reset", target=person.get_username())


@transaction.atomic
def person_role_set(*, principal: Principal, person: User, role: str) -> None:
    """Set a person's role; their open pages notice within a second.

    Raises NotAllowed, BadValue, Conflict for the last operator.
    """
    wanted = role_check(principal, role=role)
    person = _person_lock(principal, person, removes_access=wanted != Role.OPERATOR)
    before = str(person.role)
    if wanted == before:
        return
    company_refuse(person, field="role")
    person.role = wanted
    person.save(update_fields=["role"])
    access_change_publish()
    audit_record(
        principal=principal,
        action="person.role",
        target=person.get_username(),
        before={"role": before},
        after={"role": str(wanted)},
    )
