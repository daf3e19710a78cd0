"""Search: results while a person types."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.shortcuts import redirect
from django.urls import path
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from apps.dashboard.layout import page_render
from apps.dashboard.page_data import PageData
from apps.dashboard.pages.search.results import search_results
from apps.dashboard.sessions import sign_in_required

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse

    from apps.users.rules.principals import Principal


@require_safe
@sign_in_required
def search(request: HttpRequest, viewer: Principal) -> HttpResponse:
    """Return what fits the text; a single thing is shown at once."""
    text, data = request.GET.get("q", ""), PageData(viewer)
    found = search_results(data, text)
    if len(found) == 1:
        return redirect(found[0].href)
    return page_render(
        request,
        "search.html",
        title=_("Search"),
        section="",
        data=data,
        found=found,
        text=text.strip(),
    )


urlpatterns: Final = [
    path("search/", search, name="search"),
]
