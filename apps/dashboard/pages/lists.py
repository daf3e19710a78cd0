"""How a person likes a list: the columns that it shows, and views that are saved by name."""

from __future__ import annotations

from typing import Final

from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect
from django.urls import path, reverse
from django.utils.http import urlencode
from django.utils.translation import gettext
from django.views.decorators.http import require_POST

from apps.core.errors import BadValue, DomainError
from apps.core.languages import colon_text
from apps.dashboard.list_page import LISTS, ListPage
from apps.dashboard.page_data import PageData
from apps.dashboard.pages.account.page import person_before
from apps.dashboard.refusals import field_refusal_text, refusal_text
from apps.dashboard.sessions import sign_in_required
from apps.users.rules.principals import Principal
from apps.users.services.saved_views import saved_view_forget, saved_view_save


@require_POST
@sign_in_required
def choose(request: HttpRequest, viewer: Principal, name: str) -> HttpResponse:
    """Keep the columns that a person wants of a list, or what its address says under a name; forget that."""
    if (page := LISTS.get(name)) is None:
        raise Http404
    typed, act = request.POST.get("name", "").strip(), request.POST.get("do", "")
    # The list as it was, for what is saved of it and for the page with a refusal.
    request.GET = QueryDict(request.POST.get("query", ""))
    try:
        _choose(request, viewer, page, act=act, typed=typed)
    except DomainError as refusal:
        is_name = refusal.field == "name"
        why = colon_text(gettext("Name"), refusal_text(refusal)) if is_name else field_refusal_text(refusal)
        return page.show(request, viewer, refused=why, typed=typed)
    # The columns of an address would win over those that were just chosen.
    query = urlencode(page.query_of(request, *(["hide"] if act == "columns" else [])), doseq=True)
    return redirect(f"{reverse(page.name)}?{query}" if query else reverse(page.name))


def _choose(request: HttpRequest, viewer: Principal, page: ListPage, *, act: str, typed: str) -> None:
    person = person_before(request)
    if act == "forget":
        saved_view_forget(person, page=page.name, name=typed)
        return
    if act == "columns":
        shown = request.POST.getlist("column")
        hidden = QueryDict(mutable=True)
        hidden.setlist("hide", [one.key for one in page.choice if one.key not in shown])
        saved_view_save(person, page=page.name, name="", query=hidden.urlencode())
        return
    if not typed:
        raise BadValue(gettext("needs a name"), field="name")
    data = PageData(viewer)
    rows = page.rows(data)
    page.narrowed(request, page.wanted(request.GET, data, rows), rows, data)
    saved_view_save(person, page=page.name, name=typed, query=urlencode(page.query_of(request), doseq=True))


urlpatterns: Final = [path("lists/<str:name>/", choose, name="list-choice")]
