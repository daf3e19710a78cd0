"""All that the signers were asked to sign, a page at a time."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from django.http import HttpRequest, HttpResponse
from django.urls import path
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from apps.dashboard.layout import page_render
from apps.dashboard.page_data import PageData
from apps.dashboard.pages.wallets.rows import record_row
from apps.dashboard.pagination import ROWS, cursor_read, page_of
from apps.dashboard.scope import scope_chosen
from apps.dashboard.sessions import sign_in_required
from apps.users.rules.principals import Principal
from apps.wallets.selectors import sign_records, sign_records_before


@require_safe
@sign_in_required
def records(request: HttpRequest, viewer: Principal) -> HttpResponse:
    """Return the list, newest first."""
    data, rows = PageData(viewer), sign_records(viewer)
    at, _space, pk = cursor_read(request.GET.get("after", ""), of="sign-records").partition(" ")
    if pk:
        rows = sign_records_before(rows, datetime.fromisoformat(at), int(pk))
    shown, pager = page_of(
        list(rows[: ROWS + 1]),
        of="sign-records",
        cursor_of=lambda row: f"{row.at.isoformat()} {row.pk}",
        query=scope_chosen(request),
        is_first=not pk,
    )
    return page_render(
        request,
        "wallets/records.html",
        title=_("Sign records"),
        section="wallets",
        data=data,
        records=[record_row(row, data=data) for row in shown],
        pager=pager,
    )


urlpatterns: Final = [path("wallets/records/", records, name="sign-records")]
