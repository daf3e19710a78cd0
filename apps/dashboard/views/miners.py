"""Miners: list and detail."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from apps.core.errors import NotFound
from apps.dashboard.fragments.miners import list_verdict_of, miner_detail, miner_rows
from apps.dashboard.layout import page_render
from apps.dashboard.page_data import PageData
from apps.dashboard.sessions import sign_in_required
from apps.miners.selectors import miner_get

if TYPE_CHECKING:
    from apps.users.principals import Principal


@require_safe
@sign_in_required
def miners(request: HttpRequest, viewer: Principal) -> HttpResponse:
    """The list, most power first."""
    data = PageData(viewer)
    return page_render(
        request,
        "miners/list.html",
        title="Miners",
        section="miners",
        page_key="miners",
        data=data,
        miners=miner_rows(data.miners, data),
        verdict=list_verdict_of(data),
        may_create=viewer.may("sign"),
    )


@require_safe
@sign_in_required
def miner(request: HttpRequest, viewer: Principal, address: str) -> HttpResponse:
    """One miner with its proving period, power and money."""
    data = PageData(viewer)
    try:
        detail = miner_detail(miner_get(viewer, address), data)
    except NotFound:
        raise Http404 from None
    return page_render(
        request,
        "miners/detail.html",
        title=detail.row.name,
        section="miners",
        page_key=f"miner:{address}",
        data=data,
        miner=detail,
    )
