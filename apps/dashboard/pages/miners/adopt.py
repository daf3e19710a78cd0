"""Adopting sectors that the chain has and the pool no row for: counted, reviewed, ordered, followed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import path, reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods

from apps.core import formatting
from apps.core.clock import now
from apps.core.formatting import plural
from apps.core.languages import clauses_text, list_text
from apps.dashboard.confirm_page import ConfirmPage, confirm_page_render, is_confirm_submitted
from apps.dashboard.forms import PageForm, form_render
from apps.dashboard.fragments import FragmentContext, LivePage, fragment
from apps.dashboard.labels import StateLabel
from apps.dashboard.page_data import PageData
from apps.dashboard.sessions import sign_in_required
from apps.dashboard.text_fields import Text
from apps.miners.errors import MinerUnknown
from apps.miners.selectors.miners import miner_get
from apps.miners.states import MinerState
from apps.sectors.selectors.adoptions import adoption_get, adoptions_of
from apps.sectors.selectors.sealing_context import sealing_context_read
from apps.sectors.services.adoptions.plans import AdoptionPlan, adoption_begin, adoption_cancel, adoption_plan
from apps.sectors.services.reservations import numbers_format, numbers_parse
from apps.sectors.states import OPEN_ADOPTIONS, AdoptionState
from apps.users.rules.principals import Principal

if TYPE_CHECKING:
    from apps.miners.models import Miner
    from apps.sectors.models import SectorAdoption

SHOWN: Final = 10
"""Adoptions on the page, the newest first."""
STATES: Final = {
    AdoptionState.ROWS: StateLabel("run", _("adding sectors")),
    AdoptionState.FILES: StateLabel("run", _("finding files")),
    AdoptionState.DONE: StateLabel("ok", _("done")),
    AdoptionState.CANCELLED: StateLabel("idle", _("cancelled")),
}


class AdoptForm(PageForm):
    """Which sectors; or which adoption is cancelled."""

    numbers = Text()
    cancel = Text()


def adoption_text(row: SectorAdoption) -> str:
    """Return how far an adoption is."""
    parts = [
        gettext("{written} of {sectors} added").format(
            written=formatting.whole(row.written), sectors=plural(row.total, "sector")
        )
    ]
    if row.absent:
        parts.append(
            gettext("{count} ended on chain, or were added, in the meantime").format(
                count=formatting.whole(row.absent)
            )
        )
    if row.unplaced:
        parts.append(
            gettext("files of {sectors} of the miner not found in the stores that were read").format(
                sectors=plural(row.unplaced, "sector")
            )
        )
    if row.unread:
        parts.append(gettext("stores not read: {stores}").format(stores=list_text(row.unread[:SHOWN])))
    return clauses_text(parts)


def adoption_row(row: SectorAdoption, *, may_cancel: bool) -> dict[str, object]:
    """Lay out one adoption."""
    return {
        "uuid": str(row.uuid),
        "label": STATES[AdoptionState(row.state)],
        "text": adoption_text(row),
        "by": row.actor,
        "at": row.created_at,
        "may_cancel": may_cancel and row.state in OPEN_ADOPTIONS,
    }


def adoption_rows(miner: Miner, viewer: Principal) -> list[dict[str, object]]:
    """Lay out the newest adoptions of a miner."""
    rows = adoptions_of(miner).defer("runs", "scans")[:SHOWN]
    return [adoption_row(row, may_cancel=viewer.may("sign")) for row in rows]


def unlisted_text(miner: Miner) -> str:
    """Return how many sectors have no row."""
    if not miner.unlisted_sectors:
        return gettext("Every live sector on chain is in the database.")
    return gettext("{sectors} on chain not in the database, as of the last count.").format(
        sectors=plural(miner.unlisted_sectors, "live sector")
    )


def state_of(miner: Miner, viewer: Principal) -> dict[str, object]:
    """Return what changes on the page by itself."""
    return {
        "miner": miner,
        "tone": "warn" if miner.unlisted_sectors else "ok",
        "say": unlisted_text(miner),
        "rows": adoption_rows(miner, viewer),
    }


@require_http_methods(["GET", "HEAD", "POST"])
@sign_in_required
def adopt(request: HttpRequest, viewer: Principal, address: str) -> HttpResponse:
    """Show how many there are and what is under way; review, order or cancel an adoption."""
    miner = miner_get(viewer, address)
    if miner.state != MinerState.ACTIVE or (request.method == "POST" and not viewer.may("sign")):
        raise Http404
    form = AdoptForm.of(request)
    if request.method == "POST" and form.is_valid():
        with form.refusals():
            if key := form.cleaned_data["cancel"]:
                adoption_cancel(miner, row=adoption_get(miner, key), by=viewer, now=now())
                return redirect("miner-adopt", address)
            text = form.cleaned_data["numbers"]
            wanted, work = numbers_parse(text) if text else None, sealing_context_read()
            if is_confirm_submitted(request):
                adoption_begin(miner, numbers=wanted, work=work, by=viewer)
                return redirect("miner-adopt", address)
            plan = adoption_plan(miner, numbers=wanted, work=work)
            if plan.numbers:
                return review(request, viewer, miner, plan, numbers=text)
            # Called for its refusal: it raises the reason why nothing can be adopted.
            adoption_begin(miner, numbers=wanted, work=work, by=viewer)
    return form_render(
        request,
        viewer,
        "miners/adopt.html",
        form,
        title=_("Adopt sectors"),
        section="miners",
        page_key=f"miner-adopt:{address}",
        data=PageData(viewer),
        name=f"{miner.name} {miner.address}".strip(),
        back=reverse("miner", args=[miner.address]),
        may_change=viewer.may("sign"),
        **state_of(miner, viewer),
    )


def review(
    request: HttpRequest, viewer: Principal, miner: Miner, plan: AdoptionPlan, *, numbers: str
) -> HttpResponse:
    """Show what an adoption would write; the second click orders it."""
    facts = [(gettext("Sectors"), formatting.whole(len(plan.numbers)))]
    facts.append((gettext("Numbers"), numbers_format(plan.numbers)))
    if plan.listed:
        facts.append((gettext("Already in the database"), formatting.whole(plan.listed)))
    if plan.absent:
        facts.append((gettext("Not live on chain"), numbers_format(plan.absent)))
    ask = ConfirmPage(
        is_danger=False,
        title=gettext("Adopt {sectors} of {miner}").format(
            sectors=plural(len(plan.numbers), "sector"), miner=miner.address
        ),
        text=_(
            "Each is added with its data on chain, and its number is never assigned again. Then the stores "
            "are scanned; a store is recorded for a sector once a host has compared its comm_r."
        ),
        label=_("Adopt"),
        back=reverse("miner-adopt", args=[miner.address]),
        page=_("Adopt sectors"),
        section="miners",
        hidden_fields=(("numbers", numbers),),
        facts=tuple(facts),
    )
    return confirm_page_render(request, viewer, ask)


def adoptions_fragment(context: FragmentContext) -> Iterable[str]:
    """Yield what changes on the page: how many are left, and how far the adoptions are."""
    try:
        miner = miner_get(context.viewer, context.key)
    except MinerUnknown:
        return
    yield fragment("miners/_adoptions.html", **state_of(miner, context.viewer))


urlpatterns: Final = [path("miners/<str:address>/adopt/", adopt, name="miner-adopt")]
LIVE: Final = {"miner-adopt": LivePage({"miner": (adoptions_fragment,)})}
