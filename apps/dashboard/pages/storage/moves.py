"""Move sectors from one store to another, and cancel that."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import path
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST

from apps.core.clock import now
from apps.dashboard.forms import PageForm, form_render
from apps.dashboard.number_fields import Integer
from apps.dashboard.pickers import tenant_picker
from apps.dashboard.sessions import sign_in_required
from apps.dashboard.text_fields import Text
from apps.sectors.selectors.stores import store_get, store_named
from apps.sectors.services.stores.moves import moves_begin, moves_cancel
from apps.users.rules.principals import Principal


class MoveForm(PageForm):
    """Where to, and how many."""

    to = Text()
    count = Integer()


@sign_in_required
def move(request: HttpRequest, viewer: Principal, key: UUID) -> HttpResponse:
    """Move sectors to another store."""
    row = store_get(viewer, str(key), now=now())
    if not viewer.may("sign"):
        raise Http404
    form = MoveForm.of(request)
    if form.is_valid():
        with form.refusals():
            typed, tenant_id = form.cleaned_data["to"], row.tenant_id
            target = store_named(viewer, typed, tenant_id=tenant_id, now=now())
            moves_begin(row, target=target, numbers=form.cleaned_data["count"], now=now(), by=viewer)
            return redirect("store", key)
    return form_render(
        request,
        viewer,
        "storage/move.html",
        form,
        title=_("Move sectors"),
        section="stores",
        store=row,
        others=tenant_picker(
            viewer, "store", tenant=row.tenant.name, value=form.typed["to"], omit=str(row.uuid)
        ),
    )


@require_POST
@sign_in_required
def cancel(request: HttpRequest, viewer: Principal, key: UUID) -> HttpResponse:  # noqa: ARG001  # a form's button
    """Cancel the moves out of a store that have not begun."""
    if not viewer.may("sign"):
        raise Http404
    moves_cancel(store_get(viewer, str(key), now=now()), by=viewer, now=now())
    return redirect("store", key)


urlpatterns: Final = [
    path("storage/<uuid:key>/move/", move, name="store-move"),
    path("storage/<uuid:key>/move/cancel/", cancel, name="store-moves-cancel"),
]
