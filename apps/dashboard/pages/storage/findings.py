"""What is done with the findings of a scan: adopt sectors, remove leftovers."""

from __future__ import annotations

from collections import Counter
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
from apps.core.formatting import plural
from apps.core.languages import clauses_text
from apps.dashboard.confirm_page import ConfirmPage, confirm_page_render, is_confirm_submitted
from apps.dashboard.notices import notice_leave
from apps.dashboard.pages.storage.leftovers import LeftoversForm, review_render
from apps.dashboard.pages.storage.scans import REASONS_SHOWN, REFUSED_SHOWN, finding_row
from apps.dashboard.reauthentication import reauthenticate_first
from apps.dashboard.refusals import refusal_text
from apps.dashboard.sessions import sign_in_required
from apps.sectors.selectors.sealing_context import sealing_context_read
from apps.sectors.selectors.stores import store_get
from apps.sectors.services.stores.finding_adoptions import findings_adopt
from apps.sectors.services.stores.findings import Planned, findings_select
from apps.sectors.services.stores.leftover_removals import (
    leftovers_plan,
    leftovers_remove,
    removable_leftovers_list,
)
from apps.users.rules.principals import Principal

if TYPE_CHECKING:
    from apps.sectors.models import Store


@sign_in_required
def adopt(request: HttpRequest, viewer: Principal, key: UUID) -> HttpResponse:
    """Adopt what can be of the sectors that were found here, after a confirmation."""
    if not viewer.may("sign"):
        raise Http404
    store = store_get(viewer, str(key), now=now())
    if is_confirm_submitted(request):
        try:
            plan = findings_adopt(store, uuids=None, now=now(), by=viewer)
        except DomainError as error:
            notice_leave(request, refusal_text(error), tone="warn")
        else:
            notice_leave(request, _adopt_text(plan))
        return redirect("store", key)
    return confirm_page_render(
        request,
        viewer,
        ConfirmPage(
            is_danger=False,
            title=_("Adopt sectors found in {store}").format(store=store.name),
            text=_(
                "A host compares comm_r and sizes. Sectors that match are listed in this store from then on."
            ),
            label=_("Adopt"),
            back=reverse("store", args=[key]),
            page=store.name,
            section="stores",
        ),
    )


def _adopt_text(plan: list[Planned]) -> str:
    """Return how many sectors are compared, and why the others are not."""
    refused = Counter(one.refusal for one in plan if one.refusal)
    left = refused.total()
    text = gettext("A host compares the comm_r of {sectors}").format(
        sectors=plural(len(plan) - left, "sector")
    )
    if left:
        reasons = [reason for reason, _many in refused.most_common(REASONS_SHOWN)]
        text += gettext("; {count} not adopted: {reasons}").format(
            count=formatting.whole(left), reasons=clauses_text(reasons)
        )
    return text


@sign_in_required
def leftovers(request: HttpRequest, viewer: Principal, key: UUID) -> HttpResponse:
    """Show what gets free; order a host to remove it after the second click."""
    if not viewer.may("sign"):
        raise Http404
    store, form = store_get(viewer, str(key), now=now()), LeftoversForm(request.POST or request.GET)
    if is_confirm_submitted(request) and (held := reauthenticate_first(request, viewer)) is not None:
        return held
    plan: list[Planned] = []
    wrong = "" if form.is_valid() else str(form.why)
    try:
        if not wrong:
            ids = list(form.cleaned_data["id"])
            work = sealing_context_read(is_preview=not is_confirm_submitted(request))
            if is_confirm_submitted(request):
                values = form.cleaned_data
                form.confirm_require()
                leftovers_remove(
                    store,
                    uuids=ids,
                    by=viewer,
                    work=work,
                    reason=values["reason"][:500],
                    count=values["count"],
                )
                return redirect("store", key)
            plan = (
                removable_leftovers_list(store, work=work)
                if not ids
                else leftovers_plan(findings_select(store, uuids=ids), work=work)
            )
    except DomainError as refusal:
        wrong = refusal_text(refusal)
    return _review(request, viewer, store, form, plan, wrong=wrong)


def _review(
    request: HttpRequest,
    viewer: Principal,
    store: Store,
    form: LeftoversForm,
    plan: list[Planned],
    *,
    wrong: str,
) -> HttpResponse:
    accepted = [one.finding for one in plan if not one.refusal]
    refused = [one for one in plan if one.refusal]
    return review_render(
        request,
        viewer,
        form,
        sizes={str(one.uuid): one.size for one in accepted},
        wrong=wrong,
        section="stores",
        places=_("Storage"),
        place=store.name,
        back=reverse("store", args=[store.uuid]),
        verdict=gettext(
            "A host removes them from {name} only. Sectors on chain or being sealed are kept, except second "
            "copies whose main copy was checked and is good. Removed files cannot be recovered."
        ).format(name=store.name),
        rows=[finding_row(one) | {"refusal": ""} for one in accepted]
        + [finding_row(one.finding) | {"refusal": one.refusal} for one in refused[:REFUSED_SHOWN]],
    )


urlpatterns: Final = [
    path("storage/<uuid:key>/adopt/", adopt, name="store-adopt"),
    path("storage/<uuid:key>/leftovers/", leftovers, name="store-leftovers"),
]
