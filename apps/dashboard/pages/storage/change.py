"""Change a store's weight, room, labels, or whether it takes sectors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import path
from django.utils.translation import gettext_lazy as _

from apps.core.clock import now
from apps.dashboard.forms import PageForm, form_render
from apps.dashboard.notices import notice_leave
from apps.dashboard.number_fields import Integer, Size
from apps.dashboard.sessions import sign_in_required
from apps.dashboard.text_fields import Lines, Tick
from apps.sectors.selectors.stores import store_get
from apps.sectors.services.stores.orders import StoreChanges, store_change
from apps.users.rules.principals import Principal

if TYPE_CHECKING:
    from apps.sectors.models import Store

EDITED: Final = ("weight", "reserve_bytes", "max_bytes", "is_read_only")


class StoreForm(PageForm):
    """What can be changed of a store."""

    weight = Integer()
    reserve_bytes = Size()
    max_bytes = Size()
    labels = Lines(", ")
    is_read_only = Tick()


@sign_in_required
def change(request: HttpRequest, viewer: Principal, key: UUID) -> HttpResponse:
    """Change weight, room, labels, or whether it takes sectors."""
    row = store_get(viewer, str(key), now=now())
    if not viewer.may("sign"):
        raise Http404
    rules = row.rules
    form = StoreForm.of(
        request,
        weight=rules.get("weight", 1),
        reserve_bytes=rules.get("reserve_bytes", 0),
        max_bytes=rules.get("max_bytes", 0),
        labels=row.labels,
        is_read_only="yes" if rules.get("is_read_only") else "",
    )
    if form.is_valid():
        with form.refusals():
            if store_change(row, changes=changes_of(form, row), now=now(), by=viewer) is None:
                notice_leave(request, _("Saved."))
            else:
                late = _("A host writes the change to the store at its next heartbeat.")
                notice_leave(request, late, tone="run")
            return redirect("store", key)
    return form_render(
        request,
        viewer,
        "storage/change.html",
        form,
        title=_("Change {store}").format(store=row.name),
        section="stores",
        store=row,
    )


def changes_of(form: StoreForm, store: Store) -> StoreChanges:
    """Return what was changed in the form."""
    values = form.cleaned_data
    known = {"weight": 1, "reserve_bytes": 0, "max_bytes": 0, "is_read_only": False} | store.rules
    changed = {name: values[name] if values[name] != known[name] else None for name in EDITED}
    return StoreChanges(
        weight=changed["weight"],
        reserve_bytes=changed["reserve_bytes"],
        max_bytes=changed["max_bytes"],
        read_only=changed["is_read_only"],
        labels=list(values["labels"]),
    )


urlpatterns: Final = [
    path("storage/<uuid:key>/change/", change, name="store-change"),
]
