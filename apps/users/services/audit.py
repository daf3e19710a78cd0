"""The audit log: one chained line for each action."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.db import connection, transaction

from apps.core import clock
from apps.users.models import (
    AuditEntry,
)
from apps.users.rules.principals import Principal
from apps.users.selectors.audit import audit_hash

AUDIT_LOCK: Final = 0x706F6F6C
"""Advisory lock under which the chain of audit entries grows, one at a time."""

AUDIT_LAST: Final = "SELECT entry_hash FROM users_auditentry ORDER BY id DESC LIMIT 1"


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEvent:
    """What somebody did to which object; `before` and `after` name what changed."""

    principal: Principal
    action: str
    target: str
    before: Any = None
    after: Any = None


def audit_record(
    *, principal: Principal, action: str, target: str, before: Any = None, after: Any = None
) -> AuditEntry:
    """Add one line to the audit log, chained to the line before it."""
    act = AuditEvent(principal=principal, action=action, target=target, before=before, after=after)
    return audit_entries_record([act])[0]


@transaction.atomic(savepoint=False)
def audit_entries_record(acts: Sequence[AuditEvent]) -> list[AuditEntry]:
    """Add a line for each act with one insert; each is chained to the line before it."""
    if not acts:
        return []
    with connection.cursor() as cursor:
        # Two statements: one would have read the last line before it waited for the lock.
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [AUDIT_LOCK])
        cursor.execute(AUDIT_LAST)
        last = cursor.fetchone()
    previous, entries, at = last[0] if last else "", [], clock.now()
    for act in acts:
        entry = AuditEntry(
            at=at,
            actor=act.principal.actor[:200],
            tenant_id=act.principal.tenant_id,
            source=act.principal.source[:64],
            action=act.action,
            target=act.target[:200],
            before=act.before,
            after=act.after,
            previous_hash=previous,
        )
        previous = entry.entry_hash = audit_hash(entry)
        entries.append(entry)
    return AuditEntry.objects.bulk_create(entries)
