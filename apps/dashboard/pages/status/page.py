"""Status: how each component of the pool is, its last 90 days, incidents and announced maintenance."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from django.http import JsonResponse
from django.urls import path
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from apps.checks.report.status_page import status_page_read
from apps.checks.selectors.components import status_is_public
from apps.checks.services.status_page import can_manage_status
from apps.core import clock
from apps.dashboard.fragments import FragmentContext, LivePage, fragment
from apps.dashboard.layout import page_render
from apps.dashboard.page_data import PageData
from apps.dashboard.pages.status.public import public_json, public_page
from apps.dashboard.pages.status.rows import status_shown
from apps.dashboard.registry import NavItem
from apps.dashboard.sessions import sign_in_required

if TYPE_CHECKING:
    from collections.abc import Iterable

    from django.http import HttpRequest, HttpResponse
    from django.http.response import HttpResponseBase

    from apps.users.rules.principals import Principal


@require_safe
def status(request: HttpRequest) -> HttpResponseBase:
    """Show the page to who signed in, and to everybody else if the operator wants so."""
    if not request.user.is_authenticated and status_is_public():
        return public_page(request)
    return status_signed_in(request)


@sign_in_required
def status_signed_in(request: HttpRequest, viewer: Principal) -> HttpResponse:
    """Show the page within the console."""
    data = PageData(viewer)
    return page_render(
        request,
        "status/page.html",
        title=_("Status"),
        section="status",
        page_key="status",
        data=data,
        may_manage=can_manage_status(viewer),
        is_public=status_is_public(),
        **status_context(data),
    )


@require_safe
def status_json(request: HttpRequest) -> HttpResponseBase:
    """Answer a program, as the page would."""
    if not request.user.is_authenticated:
        if status_is_public():
            return public_json(request)
        say = gettext("sign in, or call GET /api/v1/status with a token")
        return JsonResponse({"code": "not_authenticated", "message": say, "field": ""}, status=401)
    return status_json_signed_in(request)


@sign_in_required
def status_json_signed_in(_request: HttpRequest, _viewer: Principal) -> HttpResponse:
    """Answer a browser in which somebody signed in."""
    response = JsonResponse(status_page_read(clock.now()).body)
    response["Cache-Control"] = "no-store"
    return response


def status_context(data: PageData) -> dict[str, Any]:
    """Everything that changes on the page."""
    return status_shown(status_page_read(data.at))


def status_fragment(context: FragmentContext) -> Iterable[str]:
    """Yield the whole page anew, but for who sees it: that changes by a click alone."""
    shown = status_context(context.data)
    yield fragment("dashboard/_verdict.html", verdict=shown["verdict"])
    yield fragment("status/_components.html", components=shown["components"])
    may = can_manage_status(context.viewer)
    yield fragment("status/_incidents.html", incidents=shown["incidents"], may_manage=may)
    yield fragment("status/_maintenance.html", maintenances=shown["maintenances"], may_manage=may)


NAV: Final = NavItem("status", _("Status"), "info", place=(2, 7))
urlpatterns: Final = [
    path("status/", status, name="status"),
    path("status.json", status_json, name="status-json"),
]
LIVE: Final = {"status": LivePage({"component": (status_fragment,)})}
