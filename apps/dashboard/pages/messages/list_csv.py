"""The filtered list of messages as CSV."""

from __future__ import annotations

from typing import Final

from django.http import HttpRequest, HttpResponse
from django.urls import path
from django.views.decorators.http import require_http_methods

from apps.core.errors import BadValue
from apps.dashboard.csv_export import Download, csv_answer, rows_in_turn
from apps.dashboard.pages.messages.rows import message_why
from apps.dashboard.pages.messages.selection import selection_read
from apps.dashboard.sessions import sign_in_required
from apps.users.rules.principals import Principal

COLUMNS: Final = (
    "id",
    "tenant",
    "state",
    "kind",
    "from",
    "to",
    "method",
    "value_atto",
    "nonce",
    "cid",
    "epoch",
    "exit_code",
    "gas_limit",
    "gas_fee_cap_atto",
    "gas_premium_atto",
    "gas_used",
    "gas_cost_atto",
    "why",
    "made",
    "landed",
)
"""Of the list as CSV."""
UNSHOWN: Final = ("params", "signed", "return_data")
"""What the CSV does not show of a message, up to 64 KiB each."""


@require_http_methods(["GET", "HEAD", "POST"])
@sign_in_required
def messages_csv(request: HttpRequest, viewer: Principal) -> HttpResponse | Download:
    """Return the filtered list as CSV, or by POST the messages that were picked."""
    try:
        rows = selection_read(request.POST if request.method == "POST" else request.GET).rows(viewer)
    except BadValue as refusal:
        return HttpResponse(refusal.reason, status=422, content_type="text/plain")
    cells = (
        (
            row.push_id,
            row.tenant.name if row.tenant else "",
            row.state,
            row.kind,
            row.from_addr,
            row.to,
            row.method,
            row.value,
            row.nonce,
            row.cid,
            row.height,
            row.exit_code,
            row.gas_limit,
            row.gas_fee_cap,
            row.gas_premium,
            row.gas_used,
            row.gas_cost,
            message_why(row)[0],
            row.created_at.isoformat(),
            row.landed_at.isoformat() if row.landed_at else "",
        )
        for row in rows_in_turn(rows.defer(*UNSHOWN))
    )
    return csv_answer("messages.csv", COLUMNS, cells)


urlpatterns: Final = [
    path("messages.csv", messages_csv, name="messages-csv"),
]
