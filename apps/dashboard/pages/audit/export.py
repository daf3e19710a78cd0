"""The audit log as CSV and JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from django.http import HttpRequest, HttpResponse
from django.urls import path
from django.views.decorators.http import require_safe

from apps.core.errors import BadValue
from apps.dashboard.csv_export import Download, csv_answer
from apps.dashboard.pages.audit.query import found
from apps.dashboard.refusals import field_refusal_text
from apps.dashboard.sessions import sign_in_required
from apps.users.rules.principals import Principal

if TYPE_CHECKING:
    from apps.users.models import AuditEntry

COLUMNS: Final = (
    *("number", "at", "actor", "tenant", "source", "action", "target", "before", "after"),
    *("previous_hash", "entry_hash"),
)


def cells_of(row: AuditEntry) -> dict[str, Any]:
    """Return an entry as it leaves the pool: whole, so that its hash can be computed again."""
    return {
        "number": row.pk,
        "at": row.at.isoformat(),
        "actor": row.actor,
        "tenant": row.tenant.name if row.tenant is not None else None,
        "source": row.source,
        "action": row.action,
        "target": row.target,
        "before": row.before,
        "after": row.after,
        "previous_hash": row.previous_hash,
        "entry_hash": row.entry_hash,
    }


@require_safe
@sign_in_required
def audit_csv(request: HttpRequest, viewer: Principal) -> HttpResponse | Download:
    """Return the filtered list as CSV."""
    try:
        found_rows = found(request, viewer)
    except BadValue as refusal:
        return _refused(refusal)

    def text(value: Any) -> Any:
        return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else value

    rows = ([text(one) for one in cells_of(row).values()] for row in found_rows)
    return csv_answer("audit.csv", COLUMNS, rows)


@require_safe
@sign_in_required
def audit_json(request: HttpRequest, viewer: Principal) -> HttpResponse | Download:
    """Yield the filtered list as JSON."""
    try:
        rows = found(request, viewer)
    except BadValue as refusal:
        return _refused(refusal)

    def parts() -> Iterator[str]:
        mark = "["
        for row in rows:
            yield f"{mark}\n{json.dumps(cells_of(row), ensure_ascii=False)}"
            mark = ","
        yield "[]\n" if mark == "[" else "\n]\n"

    return Download("audit.json", parts(), content_type="application/json")


def _refused(refusal: BadValue) -> HttpResponse:
    return HttpResponse(field_refusal_text(refusal), status=422, content_type="text/plain")


urlpatterns: Final = [
    path("audit.csv", audit_csv, name="audit-csv"),
    path("audit.json", audit_json, name="audit-json"),
]
