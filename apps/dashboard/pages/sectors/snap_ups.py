"""Data into sectors that were picked in the list: what goes where and costs, then the second click."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import path, reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods

from apps.core import formatting
from apps.core.errors import DomainError
from apps.core.formatting import plural
from apps.core.languages import list_text
from apps.dashboard.confirm_page import is_confirm_submitted, verdict_facts
from apps.dashboard.layout import page_render
from apps.dashboard.page_data import PageData
from apps.dashboard.pages.sectors.change_form import ChangeForm, picked
from apps.dashboard.refusals import refusal_text
from apps.dashboard.sessions import sign_in_required
from apps.messages.services.signer_trials import Verdicts
from apps.sectors.selectors.sealing_context import sealing_context_read
from apps.sectors.services.runs.snap_up_many import (
    SNAP_UPS_MAX,
    SnapUp,
    snap_ups_begin,
    snap_ups_plan,
    snap_ups_verdicts_read,
)
from apps.users.rules.principals import Principal

if TYPE_CHECKING:
    from apps.sectors.models import Sector


@require_http_methods(["GET", "HEAD", "POST"])
@sign_in_required
def snap_ups(request: HttpRequest, viewer: Principal) -> HttpResponse:
    """Show what goes into each sector; begin after the second click."""
    if not viewer.may("sign"):
        raise Http404
    form, data = ChangeForm(request.POST or request.GET), PageData(viewer)
    plan: list[SnapUp] = []
    verdicts, has_more = Verdicts(), False
    wrong = "" if form.is_valid() else form.why
    try:
        sectors, has_more = ([], False) if wrong else _sectors(form, viewer, data)
        if sectors and is_confirm_submitted(request):
            done = snap_ups_begin(sectors, by=viewer, work=sealing_context_read())
            refused = [one for one in done if one.refusal]
            if not refused:
                one_alone = sectors[0].uuid if len(sectors) == 1 else None
                return redirect("sector", one_alone) if one_alone else redirect("sectors")
            plan = refused
            wrong = gettext("{sectors} started; the others were refused.").format(
                sectors=plural(len(done) - len(refused), "sector")
            )
        elif sectors:
            work = sealing_context_read(is_preview=True)
            plan = snap_ups_plan(sectors, work=work)
            verdicts = snap_ups_verdicts_read(plan, work=work)
    except DomainError as refusal:
        wrong = refusal_text(refusal)
    return _review(request, plan, data, verdicts=verdicts, wrong=wrong, has_more=has_more)


def _sectors(form: ChangeForm, viewer: Principal, data: PageData) -> tuple[list[Sector], bool]:
    """Return the chosen sectors, at most SNAP_UPS_MAX of a filter, and whether the filter has more."""
    sectors = picked(form, viewer, data)
    if not form.cleaned_data["all"]:
        return sectors, False
    return sectors[:SNAP_UPS_MAX], len(sectors) > SNAP_UPS_MAX


def _review(
    request: HttpRequest,
    plan: list[SnapUp],
    data: PageData,
    *,
    verdicts: Verdicts,
    wrong: str,
    has_more: bool,
) -> HttpResponse:
    """Render the plan with the button."""
    good = [one for one in plan if one.packed is not None]
    rows = [
        {
            "name": f"{one.sector.miner.address} / {one.sector.number}",
            "href": reverse("sector", args=[one.sector.uuid]),
            "pieces": plural(len(one.packed.pieces), "piece") if one.packed else "",
            "bytes": " ".join(formatting.size(one.packed.used)) if one.packed else "",
            "pledge": formatting.amount_text(one.pledge) if one.packed else "",
            "refusal": one.refusal,
        }
        for one in sorted(plan, key=lambda one: one.packed is None)
    ]
    pieces = sum(len(one.packed.pieces) for one in good if one.packed)
    size = sum(one.packed.used for one in good if one.packed)
    return page_render(
        request,
        "sectors/snap_ups.html",
        title=_("Snap up"),
        section="sectors",
        data=data,
        status=422 if wrong else 200,
        heading=gettext("Snap up {sectors}").format(sectors=plural(len(good), "sector"))
        if good
        else _("Snap up"),
        wrong=wrong,
        refused=len(plan) - len(good),
        limit=SNAP_UPS_MAX if has_more else 0,
        facts=(
            (_("Data"), list_text((plural(pieces, "piece"), " ".join(formatting.size(size))))),
            (_("Additional pledge"), formatting.amount_text(sum(one.pledge for one in good))),
            (
                _("From the miners' balances"),
                formatting.amount_text(sum(one.funds.from_balance for one in good)),
            ),
            (_("Sent with messages"), formatting.amount_text(sum(one.funds.sent for one in good))),
            (_("Gas, estimated"), formatting.amount_text(sum(one.gas for one in good))),
            *verdict_facts(verdicts),
        ),
        rows=rows,
        ids=[str(one.sector.uuid) for one in good],
    )


urlpatterns: Final = [path("sectors-snap-up/", snap_ups, name="sectors-snap-up")]
