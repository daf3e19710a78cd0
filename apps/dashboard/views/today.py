"""The overview, the status page, and what makes live regions fetch themselves again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from apps.dashboard.frame import page_render
from apps.dashboard.people import for_people
from apps.dashboard.regions.scene import Scene
from apps.dashboard.regions.status import status_context
from apps.dashboard.regions.today import page_context

if TYPE_CHECKING:
    from apps.users.principals import Principal


@require_safe
@for_people
def today(request: HttpRequest, viewer: Principal) -> HttpResponse:
    """Is everything well, what runs, what waits."""
    scene = Scene(viewer)
    return page_render(
        request,
        "dashboard/today.html",
        title="Today",
        section="today",
        page_key="today",
        scene=scene,
        can_pledge=viewer.may("sign"),
        **page_context(scene),
    )


@require_safe
@for_people
def status(request: HttpRequest, viewer: Principal) -> HttpResponse:
    """Every check with its result."""
    scene = Scene(viewer)
    return page_render(
        request,
        "dashboard/status.html",
        title="Status",
        section="today",
        page_key="status",
        scene=scene,
        **status_context(scene),
    )


@require_safe
@for_people
def resync(_request: HttpRequest, _viewer: Principal) -> HttpResponse:
    """Tell the page that asks to fetch its live regions again."""
    return HttpResponse(status=204, headers={"HX-Trigger": "resync"})
