"""Snap-up and rebuild on a sector's page: what can be done, the question before, the way of one under way."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import path, reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST

from apps.core import formatting
from apps.core.clock import now
from apps.core.errors import DomainError
from apps.core.formatting import plural
from apps.core.languages import list_text
from apps.dashboard.confirm_page import (
    ConfirmPage,
    confirm_page_render,
    is_confirm_submitted,
    verdict_facts,
)
from apps.dashboard.labels import RUNS
from apps.dashboard.pages.sectors.actions import sector_acted
from apps.dashboard.pages.sectors.detail import sector_page
from apps.dashboard.refusals import refusal_text
from apps.dashboard.sessions import sign_in_required
from apps.sectors.selectors.sealing_context import sealing_context_read
from apps.sectors.selectors.sectors import sector_get
from apps.sectors.services.runs.decisions import run_abort, run_open, run_retry
from apps.sectors.services.runs.rebuild import rebuild_begin, rebuild_plan, rebuild_verdicts_read
from apps.sectors.services.runs.snap_up import snap_up_begin
from apps.sectors.services.runs.snap_up_prices import snap_up_price
from apps.users.rules.principals import Principal

if TYPE_CHECKING:
    from apps.sectors.models import Sector


def _act(
    request: HttpRequest,
    viewer: Principal,
    key: uuid.UUID,
    *,
    ask: Callable[[Sector], ConfirmPage],
    action: Callable[[Sector], Any],
) -> HttpResponse:
    """Confirm first, then do it; what is refused is shown on the sector's page."""
    row = sector_get(viewer, str(key))
    if not viewer.may("sign"):
        raise Http404
    try:
        if not is_confirm_submitted(request):
            return confirm_page_render(request, viewer, ask(row))
        action(row)
    except DomainError as refusal:
        return sector_page(request, viewer, key, error=refusal_text(refusal))
    return redirect("sector", key)


def _page(row: Sector) -> dict[str, Any]:
    return {"back": reverse("sector", args=[row.uuid]), "page": _("Sector"), "section": "sectors"}


def snap_up_question(row: Sector) -> ConfirmPage:
    """Return what a snap-up takes and costs.  Raises DomainError."""
    price = snap_up_price(row, work=sealing_context_read(is_preview=True))
    pieces = price.packed.pieces
    return ConfirmPage(
        is_danger=False,
        title=gettext("Snap up sector {number}").format(number=row.number),
        text=_(
            "A host encodes the data into the replica while the sector keeps proving. The old replica is "
            "cleared once the update is final."
        ),
        label=_("Snap up"),
        facts=(
            (gettext("Pieces"), list_text(str(piece.piece_cid) for piece in pieces)),
            (
                gettext("Data"),
                list_text((plural(len(pieces), "piece"), " ".join(formatting.size(price.packed.used)))),
            ),
            (
                gettext("Verified"),
                " ".join(formatting.size(price.verified)) if price.verified else gettext("none"),
            ),
            (gettext("Additional pledge"), formatting.amount_text(price.pledge)),
            (gettext("From the miner's balance"), formatting.amount_text(price.funds.from_balance)),
            (gettext("Sent with the message"), formatting.amount_text(price.funds.sent)),
            (gettext("Gas, estimated"), formatting.amount_text(price.gas)),
            *verdict_facts(price.verdicts),
        ),
        **_page(row),
    )


@sign_in_required
def snap_up(request: HttpRequest, viewer: Principal, key: uuid.UUID) -> HttpResponse:
    """Assign waiting pieces to a committed sector, after a confirmation that says the price."""
    return _act(
        request,
        viewer,
        key,
        ask=snap_up_question,
        action=lambda row: snap_up_begin(row, by=viewer, work=sealing_context_read()),
    )


def rebuild_question(row: Sector) -> ConfirmPage:
    """Return what a rebuild does.  Raises DomainError."""
    plan = rebuild_plan(row)
    made = gettext("its ticket and zeros") if not plan.payload else gettext("its ticket and the client data")
    return ConfirmPage(
        is_danger=False,
        title=gettext("Rebuild sector {number}").format(number=row.number),
        text=_(
            "A host labels and encodes the sector again, then replaces the files in the store, but only if "
            "CommR matches the chain's. If the sector is faulty, its recovery is declared afterwards."
        ),
        label=_("Rebuild"),
        facts=(
            (gettext("Made from"), made),
            (gettext("Hosts"), list_text(plan.hosts)),
            (gettext("Store"), row.store),
            (gettext("Gas"), f"{formatting.fil(plan.gas)} FIL"),
            *verdict_facts(rebuild_verdicts_read(row)),
        ),
        **_page(row),
    )


@sign_in_required
def rebuild(request: HttpRequest, viewer: Principal, key: uuid.UUID) -> HttpResponse:
    """Make a lost replica again, after a confirmation."""
    return _act(
        request,
        viewer,
        key,
        ask=rebuild_question,
        action=lambda row: rebuild_begin(row, by=viewer, now=now()),
    )


@require_POST
@sign_in_required
def retry(request: HttpRequest, viewer: Principal, key: uuid.UUID, kind: str) -> HttpResponse:
    """Try the failed stage of a run again."""
    return sector_acted(
        request,
        viewer,
        key,
        lambda row: run_retry(run_open(row, kind=kind), by=viewer, now=now()),
        level="sign",
    )


@sign_in_required
def abort(request: HttpRequest, viewer: Principal, key: uuid.UUID, kind: str) -> HttpResponse:
    """End a run, after a confirmation; the sector stays as it is."""

    def question(row: Sector) -> ConfirmPage:
        return ConfirmPage(
            title=gettext("Abort the {lower} of sector {number}").format(
                lower=RUNS[run_open(row, kind=kind).kind].lower(), number=row.number
            ),
            text=_(
                "The sector stays as it is on chain. Pieces that were to be added wait for another sector."
            ),
            label=_("Abort"),
            **_page(row),
        )

    return _act(
        request,
        viewer,
        key,
        ask=question,
        action=lambda row: run_abort(
            run_open(row, kind=kind),
            reason=gettext("aborted by {actor}").format(actor=viewer.actor),
            by=viewer,
            now=now(),
        ),
    )


urlpatterns: Final = [
    path("sectors/<uuid:key>/snap-up/", snap_up, name="sector-snap-up"),
    path("sectors/<uuid:key>/rebuild/", rebuild, name="sector-rebuild"),
    path("sectors/<uuid:key>/run/<str:kind>/retry/", retry, name="sector-run-retry"),
    path("sectors/<uuid:key>/run/<str:kind>/abort/", abort, name="sector-run-abort"),
]
