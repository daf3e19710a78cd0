"""Reading people: who may see them, their second factors and sessions."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from functools import reduce
from operator import or_
from typing import Any, Final

from django.contrib.auth.hashers import UNUSABLE_PASSWORD_PREFIX
from django.contrib.sessions.models import Session
from django.db.models import Count, Exists, Max, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.utils.translation import gettext_lazy as _

from apps.core.filters import Choices, ListFilters, Words
from apps.users.models import Passkey, PersonSession, TotpDevice, User
from apps.users.rules.principals import Principal
from apps.users.states import ROLE_PERMS, Perm, Role, perms_up_to

OPEN: Final = Q(tenant=None) | Q(tenant__enabled=True, tenant__deleted_at=None)
"""Condition for people without a tenant, or whose tenant is enabled."""


def people_visible(viewer: Principal) -> QuerySet[User]:
    """Return the people that this caller may know of."""
    people = User.objects.select_related("tenant", "company").order_by("username")
    return people if viewer.is_operator else people.filter(tenant_id=viewer.own_id)


def people_listed(viewer: Principal) -> QuerySet[User]:
    """Return the visible people by name, with counts of sessions, apps and passkeys and when last seen."""

    def of_person(rows: QuerySet[Any], value: Any) -> Subquery:
        return Subquery(rows.filter(user=OuterRef("pk")).order_by().values("user").values(found=value))

    return (
        people_visible(viewer)
        .annotate(
            sessions_count=Coalesce(of_person(PersonSession.objects.all(), Count("pk")), 0),
            last_seen=of_person(PersonSession.objects.all(), Max("seen_at")),
            apps_count=Coalesce(of_person(TotpDevice.objects.exclude(confirmed_at=None), Count("pk")), 0),
            passkeys_count=Coalesce(of_person(Passkey.objects.all(), Count("pk")), 0),
        )
        .order_by("username", "pk")
    )


class PeopleFilters(ListFilters):
    """Filters of people."""

    q = Words(field_name="username", lookup_expr="icontains", label=_("Name"), about="part of the name")
    state = Choices(("active", "invited", "deactivated"), method="in_states")
    role = Choices(Role.values, lookup_expr="in", label=_("Role"))
    tenant = Words(field_name="tenant__name", about="name of the person's tenant")

    def in_states(self, rows: QuerySet[User], _name: str, value: list[str]) -> QuerySet[User]:
        """Narrow to those who may sign in, have not done so yet, or may not (any more, or their tenant)."""
        is_open = OPEN & Q(is_active=True)
        is_invited = is_open & Q(company=None, password__startswith=UNUSABLE_PASSWORD_PREFIX)
        fits = {"active": is_open & ~is_invited, "invited": is_invited, "deactivated": ~is_open}
        return rows.filter(reduce(or_, [fits[word] for word in value]))


def people_counted(viewer: Principal) -> tuple[int, int, int]:
    """Count the visible people who may sign in here, those of them without a second factor, and those whom
    the company signs in.
    """
    apps = TotpDevice.objects.filter(user=OuterRef("pk"), confirmed_at__isnull=False)
    second = Q(Exists(apps)) | Q(Exists(Passkey.objects.filter(user=OuterRef("pk"))))
    rows = people_visible(viewer).filter(OPEN, is_active=True)
    company, own = Q(company__isnull=False), ~Q(password__startswith=UNUSABLE_PASSWORD_PREFIX)
    counts = rows.order_by().aggregate(
        own=Count("pk", filter=own),
        weak=Count("pk", filter=own & ~second),
        company=Count("pk", filter=company),
    )
    return counts["own"], counts["weak"], counts["company"]


def is_company_person(user: User) -> bool:
    """Return whether the company's identity provider signs this person in; lists of people read it along."""
    return hasattr(user, "company")


def totp_confirmed(user: User) -> TotpDevice | None:
    """Return the person's authenticator app; None before its first code."""
    return TotpDevice.objects.filter(user=user, confirmed_at__isnull=False).first()


def totp_waiting(user: User) -> TotpDevice | None:
    """Return the app that waits for its first code."""
    return TotpDevice.objects.filter(user=user, confirmed_at=None).first()


def passkeys_of(user: User) -> QuerySet[Passkey]:
    """Return the person's passkeys, oldest first."""
    return Passkey.objects.filter(user=user).order_by("created_at")


def sessions_decoded(keys: Collection[str], *, now: datetime) -> dict[str, dict[str, Any]]:
    """Return what these browser sessions hold; those that are over are left out."""
    rows = Session.objects.filter(session_key__in=keys, expire_date__gt=now)
    return {row.session_key: row.get_decoded() for row in rows}


def users_active(pks: Collection[int]) -> QuerySet[User]:
    """Return those of these people who may still sign in."""
    return User.objects.select_related("tenant").filter(pk__in=pks, is_active=True)


def people_allowed(perm: Perm, *, tenant_id: int | None) -> list[str]:
    """Return the usernames of those who may sign in and have this level in a tenant, operators included.

    None is the pool itself, for which operators act.
    """
    allowed = [role for role, held in ROLE_PERMS.items() if perm in perms_up_to(held)]
    mine = Q(role=Role.OPERATOR)
    if tenant_id is not None:
        mine |= Q(tenant_id=tenant_id)
    rows = User.objects.filter(mine, is_active=True, role__in=allowed)
    return list(rows.filter(OPEN).order_by("username").values_list("username", flat=True))
