"""A store is declared again: what is known of it, and whether rows of missing sectors go on to name it."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import path
from django.utils.translation import gettext_lazy as _

from apps.core.clock import now
from apps.core.errors import DomainError
from apps.dashboard.forms import PageForm, form_render
from apps.dashboard.pages.storage.detail import count_text
from apps.dashboard.reauthentication import reauthenticate_first
from apps.dashboard.refusals import refusal_text
from apps.dashboard.sessions import sign_in_required
from apps.dashboard.text_fields import MultiChoice, Text
from apps.sectors.selectors.stores import COUNTED_MAX, store_get
from apps.sectors.services.stores.redeclarations import redeclaration_begin, redeclaration_plan
from apps.users.rules.principals import Principal


class RedeclareForm(PageForm):
    """Whether what is missing is dropped, and the store's name then."""

    drop_missing = MultiChoice()
    confirm = Text()


@sign_in_required
def redeclare(request: HttpRequest, viewer: Principal, key: UUID) -> HttpResponse:
    """Show what is known; order it with the second click."""
    store = store_get(viewer, str(key), now=now())
    if not viewer.may("sign") or viewer.is_partial:
        raise Http404
    form = RedeclareForm.of(request)
    drops = bool(request.POST.getlist("drop_missing"))
    if drops and (held := reauthenticate_first(request, viewer)) is not None:
        return held
    if form.is_valid():
        with form.refusals():
            redeclaration_begin(
                store, drops_missing=drops, confirm=form.cleaned_data["confirm"], now=now(), by=viewer
            )
            return redirect("store", key)
    plan, sectors, refusal = None, "", ""
    try:
        plan = redeclaration_plan(store, now=now(), most=COUNTED_MAX)
        sectors = count_text(plan.sectors)
    except DomainError as error:
        refusal = refusal_text(error)
    return form_render(
        request,
        viewer,
        "storage/redeclare.html",
        form,
        title=_("Redeclare {store}").format(store=store.name),
        section="stores",
        store=store,
        plan=plan,
        sectors=sectors,
        refusal=refusal,
        drops=drops,
    )


urlpatterns: Final = [path("storage/<uuid:key>/redeclare/", redeclare, name="store-redeclare")]
