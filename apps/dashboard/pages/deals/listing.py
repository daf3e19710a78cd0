"""Deals: what clients proposed to the miners, and how far each is; one deal with its clocks."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from django.http import HttpRequest, HttpResponse
from django.urls import path, reverse
from django.utils.http import urlencode
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from apps.core import formatting
from apps.core.formatting import plural
from apps.core.stored_texts import stored_text
from apps.dashboard.cards import Fact, Verdict
from apps.dashboard.fragments import FragmentContext, LivePage, fragment
from apps.dashboard.html_time import time_html
from apps.dashboard.layout import page_render
from apps.dashboard.page_data import PageData
from apps.dashboard.pages.deals.rows import LABELS, deal_row, deal_rows, terms_text
from apps.dashboard.pagination import ROWS, Facet, cursor_read, page_of
from apps.dashboard.registry import NavItem
from apps.dashboard.sessions import sign_in_required
from apps.market.rules import ulid_encode
from apps.market.selectors import DealFilter, deal_get, deals_by_uuid, deals_counts, deals_page
from apps.market.states import DealState
from apps.users.rules.principals import Principal
from poolsite.filecoin.amounts import fil_format

if TYPE_CHECKING:
    from apps.market.models import Deal

COMING: Final = (
    *(DealState.ACCEPTED, DealState.TRANSFERRING, DealState.UNPUBLISHED, DealState.PUBLISHING),
    *(DealState.VERIFIED, DealState.SEALING),
)
"""Accepted, and not active yet."""


def verdict_of(data: PageData) -> Verdict:
    """Return in one sentence how the deals stand."""
    counts = deals_counts(data.viewer)
    coming = sum(counts.get(state, 0) for state in COMING)
    active = gettext("{active} active.").format(active=plural(counts.get(DealState.ACTIVE, 0), "deal"))
    if coming:
        return Verdict(gettext("{deals} in progress:").format(deals=plural(coming, "deal")), active)
    return Verdict(gettext("Nothing is in progress:"), active)


def list_verdict(context: FragmentContext) -> Iterable[str]:
    yield fragment("dashboard/_verdict.html", verdict=verdict_of(context.data))


def rows(context: FragmentContext, keys: list[str]) -> Iterable[str]:
    """Render the changed rows; a page shows those that it has."""
    for row in deal_rows(deals_by_uuid(context.viewer, keys)):
        yield fragment("deals/_row.html", deal=row)


@require_safe
@sign_in_required
def deals(request: HttpRequest, viewer: Principal) -> HttpResponse:
    """Return the list, newest first."""
    state = request.GET.get("state", "")
    cursor = cursor_read(request.GET.get("after", ""), of="deals")
    data = PageData(viewer)
    # one that is no state matches nothing, as the empty list then says
    wanted = DealFilter(state=state, before=int(cursor) if cursor else None)
    shown, pager = page_of(
        deals_page(viewer, wanted, limit=ROWS + 1),
        of="deals",
        cursor_of=lambda row: str(row.pk),
        query=request.GET.dict(),
        is_first=not cursor,
    )
    return page_render(
        request,
        "deals/list.html",
        title=_("Deals"),
        section="deals",
        page_key="deals",
        data=data,
        page_href=request.get_full_path(),
        deals=deal_rows(shown),
        pager=pager,
        verdict=verdict_of(data),
        facets=facets(state),
        filtered=bool(state),
        oldest=None if state else pager.oldest([row.pk for row in shown]),
        here=reverse("deals"),
    )


def facets(state: str) -> list[Facet]:
    """Return the list's filters with their addresses."""
    here = reverse("deals")
    kinds = [("", _("All"), ""), *((one, DealState(one).label, LABELS[one].tone) for one in DealState.values)]
    return [
        Facet(
            key=str(key),
            label=label,
            href=f"{here}?{urlencode({'state': key})}" if key else here,
            on=key == state,
            tone=tone,
            icon=tone,
        )
        for key, label, tone in kinds
    ]


@require_safe
@sign_in_required
def deal(request: HttpRequest, viewer: Principal, uuid: str) -> HttpResponse:
    """Return one deal."""
    row, data = deal_get(viewer, uuid), PageData(viewer)
    return page_render(
        request,
        "deals/detail.html",
        title=gettext("Deal {name}").format(name=ulid_encode(row.uuid)),
        section="deals",
        data=data,
        deal=deal_row(row),
        reason=stored_text(row.reason),
        facts=facts_of(row, data),
        miner_href=reverse("miner-market", args=[row.miner.address]),
        piece_href=f"{reverse('pieces')}?{urlencode({'piece_cid': row.piece_cid})}" if row.piece else "",
    )


def facts_of(row: Deal, data: PageData) -> list[Fact]:
    """Return what was agreed on, and the deal's clocks."""
    start = formatting.NOTHING if row.start_epoch is None else formatting.whole(row.start_epoch)
    if row.start_epoch is not None and data.clock is not None and data.clock.left_s(row.start_epoch) > 0:
        left = formatting.time_left(data.clock.left_s(row.start_epoch))
        start = gettext("{epoch}, in {left}").format(epoch=start, left=left)
    facts = [
        Fact(_("Client"), row.client, mono=True),
        Fact(_("Miner"), str(row.miner), mono=True),
        Fact(_("Proposed over"), str(row.get_door_display())),
        Fact(_("Piece"), row.piece_cid, mono=True),
        Fact(_("Size"), " ".join(formatting.size(row.raw_size)).strip()),
        Fact(_("In sector"), " ".join(formatting.size(row.padded_size)).strip()),
        Fact(_("Terms"), terms_text(row)),
        Fact(_("Active by epoch"), start),
        Fact(_("Data"), str(row.get_source_display())),
        Fact(_("Sector"), formatting.NOTHING if row.sector_number is None else str(row.sector_number)),
        Fact(_("Proposed"), time_html(row.created_at)),
        Fact(_("In this state since"), time_html(row.state_since)),
    ]
    if row.is_published:
        number = formatting.NOTHING if row.chain_deal is None else str(row.chain_deal)
        facts += [
            Fact(_("Number on chain"), number),
            Fact(_("Miner's collateral"), fil_format(int(row.collateral))),
            Fact(_("Locked by the client"), fil_format(int(row.lockup))),
        ]
    if row.state in (DealState.ACCEPTED, DealState.TRANSFERRING):
        facts.append(Fact(_("Data may come until"), time_html(row.data_until)))
    return facts


NAV: Final = NavItem("deals", _("Deals"), "storage", place=(4, 2))
urlpatterns: Final = [path("deals/", deals, name="deals"), path("deals/<str:uuid>/", deal, name="deal")]
LIVE: Final = {"deals": LivePage({"deal": (list_verdict,)}, rows={"deal": rows}, findings=list_verdict)}
