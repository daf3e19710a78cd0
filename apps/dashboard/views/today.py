"""The overview, the status page, and what makes live fragments fetch themselves again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from apps.dashboard.fragments.status import status_context
from apps.dashboard.fragments.today import page_context
from apps.dashboard.layout import page_render
from apps.dashboard.page_data import PageData
from apps.dashboard.sessions import sign_in_required

if TYPE_CHECKING:
    from apps.users.principals import Principal


@require_safe
@sign_in_required
def today(request: HttpRequest, viewer: Principal) -> HttpResponse:
    """Is everything well, what runs, what waits."""
    data = PageData(viewer)
    return page_render(
        request,
        "dashboard/today.html",
        title="Today",
        section="today",
        page_key="today",
        data=data,
        can_pledge=viewer.may("sign"),
        **page_context(data),
    )


@require_safe
@sign_in_required
def status(request: HttpRequest, viewer: Principal) -> HttpResponse:
    """Every check with its result."""
    data = PageData(viewer)
    return page_render(
        request,
        "dashboard/status.html",
        title="Status",
        section="today",
        page_key="status",
        data=data,
        **status_context(data),
    )


@require_safe
@sign_in_required
def resync(_request: HttpRequest, _viewer: Principal) -> HttpResponse:
    """Answer the page that asks with the request to fetch its live fragments again."""
    return HttpResponse(status=204, headers={"HX-Trigger": "resync"})
