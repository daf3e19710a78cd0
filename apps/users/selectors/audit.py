"""Reading the audit log, and what an entry's hash must be."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC

from django.db.models import QuerySet

from apps.users.models import AuditEntry
from apps.users.rules.principals import Principal


def audit_visible(viewer: Principal) -> QuerySet[AuditEntry]:
    """Return the lines of the audit log that this caller may read, newest first.

    A token for some miners or signers reads none: a line may name others before and after the change.
    """
    rows = AuditEntry.objects.select_related("tenant").order_by("-pk")
    if viewer.is_partial:
        return rows.none()
    return rows if viewer.is_operator else rows.filter(tenant_id=viewer.own_id)


def audit_hash(entry: AuditEntry) -> str:
    """Compute what an entry's hash must be."""
    fields = [
        entry.previous_hash,
        entry.at.astimezone(UTC).isoformat(),
        entry.actor,
        entry.tenant_id,
        entry.source,
        entry.action,
        entry.target,
        entry.before,
        entry.after,
    ]
    return hashlib.sha256(json.dumps(fields, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
