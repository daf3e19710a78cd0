"""The page Search: one thing leads to its page, several stand in a list."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.shortcuts import redirect
from django.views.decorators.http import require_safe

from apps.dashboard.layout import page_render
from apps.dashboard.page_data import PageData
from apps.dashboard.search import search_results
from apps.dashboard.sessions import sign_in_required

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse

    from apps.users.principals import Principal


@require_safe
@sign_in_required
def search(request: HttpRequest, viewer: Principal) -> HttpResponse:
    """What fits the text; a single thing is shown at once."""
    text, data = request.GET.get("q", ""), PageData(viewer)
    found = search_results(data, text)
    if len(found) == 1:
        return redirect(found[0].href)
    return page_render(
        request,
        "search.html",
        title="Search",
        section="",
        page_key="",
        data=data,
        found=found,
        text=text.strip(),
    )
