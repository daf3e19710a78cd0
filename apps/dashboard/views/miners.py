"""Miners: list and detail."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from apps.core.errors import NotFound
from apps.dashboard.frame import page_render
from apps.dashboard.people import for_people
from apps.dashboard.regions.miners import list_verdict_of, miner_detail, miner_lines
from apps.dashboard.regions.scene import Scene
from apps.miners.selectors import miner_get

if TYPE_CHECKING:
    from apps.users.principals import Principal


@require_safe
@for_people
def miners(request: HttpRequest, viewer: Principal) -> HttpResponse:
    """The list, most power first."""
    scene = Scene(viewer)
    return page_render(
        request,
        "miners/list.html",
        title="Miners",
        section="miners",
        page_key="miners",
        scene=scene,
        miners=miner_lines(scene.miners, scene),
        verdict=list_verdict_of(scene),
        may_create=viewer.may("sign"),
    )


@require_safe
@for_people
def miner(request: HttpRequest, viewer: Principal, address: str) -> HttpResponse:
    """One miner with its proving period, power and money."""
    scene = Scene(viewer)
    try:
        detail = miner_detail(miner_get(viewer, address), scene)
    except NotFound:
        raise Http404 from None
    return page_render(
        request,
        "miners/detail.html",
        title=detail.line.name,
        section="miners",
        page_key=f"miner:{address}",
        scene=scene,
        miner=detail,
    )
