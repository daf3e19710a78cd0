"""The page Find: one thing leads to its page, several stand in a list."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.shortcuts import redirect
from django.views.decorators.http import require_safe

from apps.dashboard.finds import finds
from apps.dashboard.frame import page_render
from apps.dashboard.people import for_people
from apps.dashboard.regions.scene import Scene

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse

    from apps.users.principals import Principal


@require_safe
@for_people
def find(request: HttpRequest, viewer: Principal) -> HttpResponse:
    """What fits the words; a single thing is shown at once."""
    words, scene = request.GET.get("q", ""), Scene(viewer)
    found = finds(scene, words)
    if len(found) == 1:
        return redirect(found[0].href)
    return page_render(
        request,
        "find.html",
        title="Find",
        section="",
        page_key="",
        scene=scene,
        found=found,
        words=words.strip(),
    )
