"""The browsers in which people are signed in: shown to them, and ended by them."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from django.contrib.sessions.models import Session
from django.db import transaction

from apps.core import clock
from apps.users.models import PersonSession, User
from apps.users.services.access import access_change_publish
from apps.users.states import Factor

SEEN_EVERY: Final = timedelta(minutes=1)
"""How exact the last sight of a browser is."""


@transaction.atomic
def session_touch(user: User, *, key: str, device: str, source: str, now: datetime) -> None:
    """Note that a browser was here; one that we did not see come in is written down now."""
    PersonSession.objects.update_or_create(
        key=key,
        defaults={"user": user, "device": device[:200], "source": source[:64], "seen_at": now},
        create_defaults={
            "user": user,
            "device": device[:200],
            "source": source[:64],
            "seen_at": now,
            "started_at": now,
        },
    )


@transaction.atomic
def session_start(user: User, *, key: str, device: str, source: str, factor: str, now: datetime) -> None:
    """Note that a person came in; the rows of sessions that ended go."""
    expired = PersonSession.objects.filter(user=user).exclude(key__in=Session.objects.values("session_key"))
    expired.delete()
    session_touch(user, key=key, device=device, source=source, now=now)
    PersonSession.objects.filter(key=key).update(factor=Factor(factor))


def session_rekey(*, old: str, new: str) -> None:
    """Follow a session that got another key."""
    PersonSession.objects.filter(key=old).update(key=new)


def sessions_list(user: User) -> list[PersonSession]:
    """Return a person's open sessions, the last seen first."""
    open_keys = Session.objects.filter(expire_date__gt=clock.now()).values("session_key")
    return list(PersonSession.objects.filter(user=user, key__in=open_keys).order_by("-seen_at", "-pk"))


@transaction.atomic
def session_end(user: User, *, pk: int) -> bool:
    """End one session: its next request is nobody's, its live pages close within a second."""
    row = PersonSession.objects.filter(user=user, pk=pk).first()
    if row is None:
        return False
    Session.objects.filter(session_key=row.key).delete()
    row.delete()
    access_change_publish()
    return True


@transaction.atomic
def sessions_end(user: User, *, but: str = "") -> int:
    """End all sessions of a person, except the one with the key `but`; returns how many."""
    rows = PersonSession.objects.filter(user=user).exclude(key=but)
    keys = list(rows.values_list("key", flat=True))
    Session.objects.filter(session_key__in=keys).delete()
    rows.delete()
    access_change_publish()
    return len(keys)


@transaction.atomic
def sessions_expire(*, now: datetime, limit: int) -> int:
    """Delete sessions that are over, those of nobody too, the oldest first; returns how many."""
    over = Session.objects.filter(expire_date__lt=now).order_by("expire_date")
    keys = list(over.values_list("session_key", flat=True)[:limit])
    count = Session.objects.filter(session_key__in=keys, expire_date__lt=now).delete()[0]
    PersonSession.objects.filter(key__in=keys).delete()
    return count
