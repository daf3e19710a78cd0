"""Signing in through the company's identity provider.

A person is issuer and subject, nothing else: an equal name or e-mail address takes no local account over.
Role and tenant follow from the groups, read anew each time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final
from urllib.parse import urlsplit

from django.db import transaction

from apps.core.errors import DomainError
from apps.core.live import Change, publish
from apps.core.locks import transaction_lock
from apps.core.marked_texts import gettext
from apps.users.errors import CompanyRefused, PersonNameTaken
from apps.users.models import CompanyAccount, User
from apps.users.rules.company_groups import GroupRole, group_role_find
from apps.users.rules.principals import SYSTEM, Principal
from apps.users.selectors.principals import principal_of
from apps.users.selectors.tenants import tenant_by_name
from apps.users.services.access import access_change_publish
from apps.users.services.audit import audit_record
from apps.users.services.people import is_name, name_claim
from apps.users.services.sessions import sessions_end
from apps.users.states import Factor

COMPANY_LOCK: Final = 0x434F
"""Lock class of issuer and subject: the first sign-in may come twice at once."""

NAMES_MAX: Final = 100
"""Accounts of one name."""
PROOF_FOR_S: Final = 300
"""How long ago somebody who confirms an act may have proved to the provider who they are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CompanyClaims:
    """Claims of the provider about a person, their signature and audience already verified."""

    issuer: str
    subject: str
    name: str
    """The person's name there; only a new account is named after it."""
    groups: tuple[str, ...]


def company_login(claims: CompanyClaims, *, rules: Mapping[str, str], provider: str, source: str) -> User:
    """Sign a person in with the role of their groups; the first time, create their account.

    Whoever is refused loses the sessions that they still had.  Raises CompanyRefused.
    """
    try:
        granted = group_role_find(claims.groups, rules=rules, provider=provider)
        return _login(claims, granted=granted, source=source)
    except CompanyRefused as refusal:
        _refusal_record(claims, reason=refusal.reason, source=source)
        raise


@transaction.atomic
def _login(claims: CompanyClaims, *, granted: GroupRole, source: str) -> User:
    """Find or create the account, give it what the groups say, and record the sign-in.

    Raises CompanyRefused.
    """
    try:
        tenant = tenant_by_name(granted.tenant)
    except DomainError as refusal:
        raise CompanyRefused(refusal.reason) from None
    if not tenant.is_open:
        raise CompanyRefused(gettext("the tenant {name} is disabled").format(name=tenant.name))
    transaction_lock(COMPANY_LOCK, [f"{claims.issuer} {claims.subject}"])
    by = replace(SYSTEM, source=source)
    person = _account_find(claims)
    after = {"role": str(granted.role), "tenant": tenant.name}
    if person is None:
        person = User(username=_name_choose(claims), role=granted.role, tenant=tenant)
        person.set_unusable_password()
        person.save()
        CompanyAccount.objects.create(user=person, issuer=claims.issuer, subject=claims.subject)
        made = after | {"provider": claims.issuer, "subject": claims.subject}
        audit_record(principal=by, action="person.create", target=person.get_username(), after=made)
        publish(Change("person", person.pk, tenant.pk))
    if not person.is_active:
        raise CompanyRefused(gettext("your account is deactivated here: ask an operator"))
    before = {"role": str(person.role), "tenant": person.tenant.name if person.tenant else ""}
    if before != after:
        person.role, person.tenant = granted.role, tenant
        person.save(update_fields=["role", "tenant"])
        access_change_publish()
        name = person.get_username()
        audit_record(principal=by, action="person.role", target=name, before=before, after=after)
    _record(principal_of(person, source=source), "login", person, claims)
    return person


def _account_find(claims: CompanyClaims) -> User | None:
    """Return the person whom the provider means, locked; None before their first sign-in."""
    rows = User.objects.select_for_update(of=("self",), no_key=True).select_related("tenant")
    return rows.filter(company__issuer=claims.issuer, company__subject=claims.subject).first()


def _name_choose(claims: CompanyClaims) -> str:
    """Return a free name for a new account: the provider's, or the same with its host where that is taken.

    A provider may make a person anew, with another subject: the second of them gets a number.

    Raises CompanyRefused.
    """
    base = User.normalize_username("".join(claims.name.split()) or claims.subject)[:100]
    longer = f"{base}@{urlsplit(claims.issuer).hostname}"
    for name in (base, longer, *(f"{longer}-{number}" for number in range(2, NAMES_MAX))):
        try:
            if is_name(name):
                name_claim(name)
                return name
        except PersonNameTaken:
            continue
    raise CompanyRefused(gettext("the name {name} is taken here: ask an operator").format(name=base))


def _record(by: Principal, action: str, person: User, claims: CompanyClaims, **more: str) -> None:
    after = {"factor": str(Factor.COMPANY), "provider": claims.issuer, "subject": claims.subject, **more}
    audit_record(principal=by, action=action, target=person.get_username(), after=after)


@transaction.atomic
def _refusal_record(claims: CompanyClaims, *, reason: str, source: str) -> None:
    """End the sessions of somebody whom the provider signs in and the pool no longer lets in."""
    person = _account_find(claims)
    if person is not None:
        sessions_end(person)
        _record(replace(SYSTEM, source=source), "login.refuse", person, claims, reason=reason)


def company_reauthenticate(
    person: User, *, claims: CompanyClaims, authenticated_at: float | None, now: datetime
) -> None:
    """Check that the provider has just seen this very person prove who they are.  Raises CompanyRefused."""
    rows = CompanyAccount.objects.filter(user=person, issuer=claims.issuer, subject=claims.subject)
    if not rows.exists():
        raise CompanyRefused(gettext("the provider signed in somebody else: nothing was confirmed"))
    if authenticated_at is None or abs(now.timestamp() - authenticated_at) > PROOF_FOR_S:
        text = gettext("the provider does not say that you just proved who you are: nothing was confirmed")
        raise CompanyRefused(text)
