"""Checks of files: begun for a store or a sector, and cancelled."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import path, reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from apps.core import formatting
from apps.core.clock import now
from apps.core.errors import DomainError
from apps.core.languages import list_text
from apps.dashboard.confirm_page import ConfirmPage, confirm_page_render, is_confirm_submitted
from apps.dashboard.forms import PageForm, form_render
from apps.dashboard.notices import notice_leave
from apps.dashboard.number_fields import Size
from apps.dashboard.refusals import refusal_text
from apps.dashboard.sessions import sign_in_required
from apps.sectors.selectors.sectors import sector_get
from apps.sectors.selectors.store_checks import check_get, copies_of
from apps.sectors.selectors.stores import store_get, stores_visible
from apps.sectors.services.stores.checks import PACE, check_begin, check_cancel
from apps.users.rules.principals import Principal

if TYPE_CHECKING:
    from apps.sectors.models import Sector, Store


class CheckForm(PageForm):
    """How fast."""

    bytes_s = Size(initial=PACE)


@sign_in_required
def check(request: HttpRequest, viewer: Principal, key: UUID) -> HttpResponse:
    """Begin to check the files of all sectors in a store."""
    store = store_get(viewer, str(key), now=now())
    if not viewer.may("sign"):
        raise Http404
    form = CheckForm.of(request)
    if form.is_valid():
        with form.refusals():
            check_begin(store, bytes_s=form.cleaned_data["bytes_s"], now=now(), by=viewer)
            return redirect("store", key)
    return form_render(
        request,
        viewer,
        "storage/check.html",
        form,
        title=_("Check files"),
        section="stores",
        store=store,
    )


@sign_in_required
def cancel(request: HttpRequest, viewer: Principal, key: UUID, check: UUID) -> HttpResponse:
    """Cancel a check, after a confirmation."""
    if not viewer.may("sign"):
        raise Http404
    store = store_get(viewer, str(key), now=now())
    row, back = check_get(store, str(check)), reverse("store", args=[key])
    if is_confirm_submitted(request):
        try:
            check_cancel(row, now=now(), by=viewer)
        except DomainError as error:
            notice_leave(request, refusal_text(error), tone="warn")
        return redirect(back)
    return confirm_page_render(
        request,
        viewer,
        ConfirmPage(
            is_danger=False,
            title=_("Cancel the check of {store}").format(store=store.name),
            text=_("Results so far are kept."),
            label=_("Cancel check"),
            back=back,
            page=store.name,
            section="stores",
            facts=(
                (
                    gettext("Read"),
                    gettext("{done} of {sectors}").format(
                        done=formatting.whole(row.done), sectors=formatting.plural(row.total, "sector")
                    ),
                ),
            ),
        ),
    )


@sign_in_required
def sector_check(request: HttpRequest, viewer: Principal, key: UUID) -> HttpResponse:
    """Check one sector's files in each store that has it, after a confirmation."""
    if not viewer.may("sign"):
        raise Http404
    sector, back = sector_get(viewer, str(key)), reverse("sector", args=[key])
    stores = list(stores_with(sector, viewer))
    if is_confirm_submitted(request):
        for store in stores:
            try:
                check_begin(store, sector=sector, now=now(), by=viewer)
            except DomainError as error:
                notice_leave(request, refusal_text(error), tone="warn")
                return redirect("store", store.uuid)
        return redirect(back)
    names = list_text(store.name for store in stores) or _("none: the location of its files is unknown")
    return confirm_page_render(
        request,
        viewer,
        ConfirmPage(
            is_danger=False,
            title=_("Check the files of sector {number}").format(number=sector.number),
            text=_("A host reads the files and compares their checksums with the recorded ones."),
            label=_("Check files"),
            back=back,
            page=str(sector.number),
            section="sectors",
            facts=((gettext("Stores"), str(names)),),
        ),
    )


def stores_with(sector: Sector, viewer: Principal) -> Iterable[Store]:
    """Return the stores that have a sector's files."""
    names = {sector.store, *(copy.store.name for copy in copies_of(sector))} - {""}
    return stores_visible(viewer, now=now()).filter(tenant=sector.tenant_id, name__in=names)


urlpatterns: Final = [
    path("storage/<uuid:key>/check/", check, name="store-check"),
    path("storage/<uuid:key>/check/<uuid:check>/cancel/", cancel, name="store-check-cancel"),
    path("sectors/<uuid:key>/check-files/", sector_check, name="sector-check-files"),
]
