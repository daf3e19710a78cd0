"""Reading people: who may see them, their second factors and sessions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib.sessions.models import Session
from django.db.models import Count, Max, Q, QuerySet

from apps.users.models import Passkey, TotpDevice, User

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    from apps.users.principals import Principal


def people_visible(viewer: Principal) -> QuerySet[User]:
    """Return the people that this caller may know of."""
    people = User.objects.select_related("tenant").order_by("username")
    return people if viewer.is_operator else people.filter(tenant_id=viewer.own_id)


def people_listed(viewer: Principal) -> QuerySet[User]:
    """Return the same with what a list shows: sessions, last sight, app and passkeys."""
    return people_visible(viewer).annotate(
        sessions_count=Count("sessions", distinct=True),
        last_seen=Max("sessions__seen_at"),
        apps_count=Count("totp", filter=Q(totp__confirmed_at__isnull=False), distinct=True),
        passkeys_count=Count("passkeys", distinct=True),
    )


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
