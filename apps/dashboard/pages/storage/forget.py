"""Forgetting a lost store: what lay in it by name, then its name typed once more."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import path
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from apps.core import formatting
from apps.core.clock import now
from apps.core.formatting import plural
from apps.dashboard.forms import PageForm, form_render
from apps.dashboard.notices import notice_leave
from apps.dashboard.reauthentication import reauthenticate_first
from apps.dashboard.sessions import sign_in_required
from apps.dashboard.text_fields import Text
from apps.sectors.selectors.stores import COUNTED_MAX, store_get
from apps.sectors.services.stores.lost import lost_store, store_forget
from apps.users.rules.principals import Principal


class ForgetForm(PageForm):
    """The store's name."""

    confirm = Text()


@sign_in_required
def forget(request: HttpRequest, viewer: Principal, key: UUID) -> HttpResponse:
    """Name what is lost; forget the store after its name was typed."""
    store = store_get(viewer, str(key), now=now())
    if not viewer.may("sign") or viewer.is_partial:
        raise Http404
    form = ForgetForm.of(request)
    if request.method == "POST" and (held := reauthenticate_first(request, viewer)) is not None:
        return held
    if form.is_valid():
        with form.refusals():
            lost = store_forget(store, confirm=form.cleaned_data["confirm"], now=now(), by=viewer)
            forgotten = gettext("{store} forgotten; {sectors} left without files").format(
                store=store.name, sectors=plural(lost.proving, "proving sector")
            )
            notice_leave(request, forgotten)
            return redirect("stores")
    lost = lost_store(store, now=now(), most=COUNTED_MAX)
    return form_render(
        request,
        viewer,
        "storage/forget.html",
        form,
        title=_("Forget {store}").format(store=store.name),
        section="stores",
        store=store,
        lost=lost,
        size=" ".join(formatting.size(lost.size)),
        pledge=formatting.amount_text(lost.pledge),
        more=lost.sectors - len(lost.named),
    )


urlpatterns: Final = [path("storage/<uuid:key>/forget/", forget, name="store-forget")]
