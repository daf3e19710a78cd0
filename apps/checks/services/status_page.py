"""What the operator says on the status page: who sees it, maintenance, notes to incidents."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import transaction
from redis.exceptions import RedisError

from apps.checks.models import ComponentIncident, Maintenance, StatusSettings
from apps.checks.selectors.components import MAINTENANCES_MAX
from apps.checks.selectors.status_banners import BANNERS_KEY
from apps.checks.states import Component
from apps.core.errors import BadValue, Conflict, NotAllowed
from apps.core.live import Change, publish
from apps.core.marked_texts import gettext
from apps.core.redis_clients import redis_client
from apps.core.sanitize import sanitize_text
from apps.users.rules.principals import Principal
from apps.users.services.audit import audit_record

TEXT_MAX: Final = 1000
AHEAD_MAX: Final = timedelta(days=366)
"""So far ahead maintenance can be announced."""
LASTS_MAX: Final = timedelta(days=30)


def can_manage_status(principal: Principal) -> bool:
    """Return whether this caller says what stands on the status page, and who sees it."""
    return principal.sees_pool and principal.may("admin")


def _allowed(principal: Principal) -> None:
    if not can_manage_status(principal):
        raise NotAllowed(gettext("only the pool's operator can do this"))


def text_read(text: str, *, field: str, may_be_empty: bool = False) -> str:
    """Return a text in one paragraph.  Raises BadValue."""
    text = " ".join(sanitize_text(text).split())
    if len(text) > TEXT_MAX or not (text or may_be_empty):
        raise BadValue(
            gettext("enter a text of at most {most} characters").format(most=TEXT_MAX), field=field
        )
    return text


def _publish() -> None:
    """Publish it to open pages, and drop the banners that all pages share."""
    transaction.on_commit(_banners_forget)
    publish(Change("component", "all", None))


def _banners_forget() -> None:
    with suppress(RedisError, OSError):
        redis_client().delete(BANNERS_KEY)


@transaction.atomic
def status_visibility_set(*, principal: Principal, is_public: bool) -> None:
    """Show the status page to everybody, or only to people who signed in.  Raises NotAllowed."""
    _allowed(principal)
    StatusSettings.objects.get_or_create(pk=1)
    row = StatusSettings.objects.select_for_update().get(pk=1)
    if row.is_public == is_public:
        return
    before, row.is_public = row.is_public, is_public
    row.save(update_fields=["is_public"])
    audit_record(
        principal=principal,
        action="status.visibility",
        target="status page",
        before={"is_public": before},
        after={"is_public": is_public},
    )
    _publish()


@transaction.atomic
def maintenance_add(
    *,
    principal: Principal,
    text: str,
    components: Sequence[str],
    starts_at: datetime,
    ends_at: datetime,
    now: datetime,
) -> Maintenance:
    """Announce work that may take components away; their time is counted as it is all the same.

    Raises NotAllowed, BadValue, Conflict for one too many.
    """
    _allowed(principal)
    text = text_read(text, field="text")
    chosen = [str(one) for one in Component if one in components]
    if not chosen or len(chosen) != len(set(components)):
        raise BadValue(gettext("choose at least one component"), field="components")
    if not now < ends_at or not starts_at < ends_at:
        raise BadValue(gettext("must be in the future, and after the beginning"), field="ends_at")
    if ends_at - starts_at > LASTS_MAX:
        text = gettext("choose at most {most} days").format(most=LASTS_MAX.days)
        raise BadValue(text, field="ends_at")
    if starts_at > now + AHEAD_MAX:
        raise BadValue(gettext("choose a time within a year"), field="starts_at")
    StatusSettings.objects.get_or_create(pk=1)
    StatusSettings.objects.select_for_update().get(pk=1)  # two that come at once are counted one by one
    if Maintenance.objects.filter(ends_at__gt=now).count() >= MAINTENANCES_MAX:
        raise Conflict(gettext("{most} are announced already").format(most=MAINTENANCES_MAX))
    row = Maintenance.objects.create(
        text=text, components=chosen, starts_at=starts_at, ends_at=ends_at, created_at=now
    )
    audit_record(
        principal=principal, action="status.maintenance", target=str(row.uuid), after=_maintenance_facts(row)
    )
    _publish()
    return row


def _maintenance_facts(row: Maintenance) -> dict[str, Any]:
    """Return what the audit log holds of an announcement."""
    return {
        "text": row.text,
        "components": row.components,
        "from": row.starts_at.isoformat(timespec="seconds"),
        "to": row.ends_at.isoformat(timespec="seconds"),
    }


@transaction.atomic
def maintenance_end(*, principal: Principal, maintenance: Maintenance, now: datetime) -> None:
    """End maintenance that lasts, or withdraw what has not begun; of what is over nothing changes.

    Raises NotAllowed.
    """
    _allowed(principal)
    row = Maintenance.objects.select_for_update().filter(pk=maintenance.pk).first()
    if row is None or row.ends_at <= now:
        return
    before = _maintenance_facts(row)
    if row.starts_at >= now:
        row.delete()
    else:
        row.ends_at = now
        row.save(update_fields=["ends_at"])
    audit_record(principal=principal, action="status.maintenance.end", target=str(row.uuid), before=before)
    _publish()


@transaction.atomic
def incident_note_set(*, principal: Principal, incident: ComponentIncident, note: str, now: datetime) -> None:
    """Set what the status page says of an incident to everybody; an empty note removes it.

    Raises NotAllowed, BadValue.
    """
    _allowed(principal)
    note = text_read(note, field="note", may_be_empty=True)
    row = ComponentIncident.objects.select_for_update().get(pk=incident.pk)
    if row.note == note:
        return
    before, row.note, row.noted_at = row.note, note, now
    row.save(update_fields=["note", "noted_at"])
    audit_record(
        principal=principal,
        action="status.note",
        target=str(row.uuid),
        before={"note": before},
        after={"note": note},
    )
    _publish()
