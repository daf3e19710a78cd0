"""Deals: what clients proposed to the miners, and how far each is; one deal with its clocks."""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, Final

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import path, reverse
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.safestring import SafeString
from django.utils.translation import gettext, pgettext_lazy
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods, require_POST

from apps.core import formatting
from apps.core.errors import DomainError
from apps.core.formatting import plural
from apps.dashboard import cells
from apps.dashboard.cards import Fact, Verdict
from apps.dashboard.confirm_page import ConfirmPage, confirm_page_render, is_confirm_submitted
from apps.dashboard.forms import PageForm, form_render
from apps.dashboard.fragments import FragmentContext
from apps.dashboard.html_time import time_html
from apps.dashboard.list_page import Column, Empty, ListPage
from apps.dashboard.notices import notice_leave
from apps.dashboard.page_data import PageData
from apps.dashboard.pages.deals.rows import LABELS, DealRow, deal_rows, reason_text, terms_text
from apps.dashboard.pages.pieces.rows import uploader_text
from apps.dashboard.refusals import refusal_text
from apps.dashboard.registry import NavItem
from apps.dashboard.sessions import sign_in_required
from apps.dashboard.text_fields import Text
from apps.market.rules import headers_read, ulid_encode
from apps.market.selectors.deals import (
    DealFilters,
    Transfer,
    deal_get,
    deals_by_uuid,
    deals_counts,
    deals_visible,
    transfer_of,
)
from apps.market.selectors.earnings import deal_payments
from apps.market.selectors.settlements import settlements_of_deal
from apps.market.services.follow import deal_end
from apps.market.services.transfers import deal_fetch
from apps.market.states import ENDABLE, DealSource, DealState
from apps.users.rules.principals import Principal
from poolsite.filecoin.amounts import fil_format

if TYPE_CHECKING:
    from django.db.models import QuerySet

    from apps.market.models import Deal, DealSettlement

ARRIVING: Final = (DealState.ACCEPTED, DealState.TRANSFERRING)
PUBLISHING: Final = (DealState.UNPUBLISHED, DealState.PUBLISHING)
SEALING: Final = (DealState.VERIFIED, DealState.SEALING)


def counts_by_state(data: PageData) -> dict[str, int]:
    """Return how many deals are in each state."""
    return deals_counts(data.viewer)


def verdict(data: PageData) -> Verdict:
    """Return in one sentence how the deals stand."""
    counts = data.of(counts_by_state)
    arriving, publishing, sealing = (
        sum(counts.get(state, 0) for state in states) for states in (ARRIVING, PUBLISHING, SEALING)
    )
    active = counts.get(DealState.ACTIVE, 0)
    if coming := arriving + publishing + sealing:
        says = gettext(
            "{arriving} arriving, {publishing} being published, {sealing} being sealed; {active} active."
        )
        return Verdict(
            gettext("{deals} in progress:").format(deals=plural(coming, "deal")),
            says.format(arriving=arriving, publishing=publishing, sealing=sealing, active=active),
        )
    shown = gettext("{active} active.").format(active=plural(active, "deal"))
    return Verdict(gettext("Nothing is in progress:"), shown)


def changed(context: FragmentContext, keys: list[str]) -> QuerySet[Deal]:
    """Return the deals that changed."""
    return deals_by_uuid(context.viewer, keys)


def client(row: DealRow) -> SafeString:
    """Return who proposed it."""
    whole, shown = row.row.client, formatting.shortened(row.row.client)
    link = '<a class="id" href="{}" title="{}">{}</a>'
    return format_html(link, reverse("deal", args=[row.row.uuid]), whole, shown)


DEALS: Final = ListPage(
    name="deals",
    one="deal",
    title=_("Deals"),
    table=_("Table of deals"),
    caption=_("Deals, newest first"),
    icon="storage",
    rows=lambda data: deals_visible(data.viewer),
    lay_out=lambda rows, _data: deal_rows(rows),
    id_of=attrgetter("row.uuid"),
    order_of=attrgetter("row.pk"),
    tones=("bad",),
    data_of=lambda row: {"data-state": row.row.state},
    verdict=verdict,
    verdict_on=("deal",),
    live={"deal": changed},
    filters=DealFilters,
    places=("client", "miner"),
    places_label=_("Filter"),
    facets=(
        ("", _("All"), "", ""),
        *((one, DealState(one).label, LABELS[one].tone, LABELS[one].tone) for one in DealState.values),
    ),
    counts=lambda data: dict.fromkeys(DealState.values, 0) | data.of(counts_by_state),
    empty=lambda _data: Empty(
        _("No deals yet"),
        _(
            "A client proposes a deal to a miner whose market is open: Miners, a miner, Market. "
            "Its data are then received, checked and sealed like any other piece."
        ),
    ),
    none=Empty(_("No matching deals"), _("No deals match these filters.")),
    columns=(
        Column(head=_("Client"), cell=client, css="keep", is_name=True, key="client", by="client"),
        Column(
            head=_("State"),
            cell=lambda row: cells.chip(row.label),
            css="c-state tight",
            is_plain=True,
            key="state",
            by="state",
        ),
        Column(
            head=pgettext_lazy("of a deal", "Terms"),
            cell=lambda row: format_html('<span class="muted s">{}</span>', row.say),
            css="c-half c-says",
            key="terms",
        ),
        Column(
            head=_("Size"),
            cell=lambda row: " ".join(formatting.size(row.row.raw_size)),
            css="num keep",
            key="size",
            by="raw_size",
        ),
        Column(head=_("Miner"), cell=attrgetter("row.miner"), css="keep", key="miner", by="miner__actor_id"),
        Column(
            head=_("Active by epoch"),
            cell=lambda row: formatting.whole(row.row.start_epoch),
            css="num keep lo",
            key="start",
            by="start_epoch",
        ),
        Column(
            head=_("Created"),
            cell=lambda row: time_html(row.row.created_at),
            css="num keep",
            key="created",
            by="created_at",
        ),
    ),
    csv={
        "id": attrgetter("uuid"),
        "client": attrgetter("client"),
        "miner": attrgetter("miner.address"),
        "sector": attrgetter("sector_number"),
        **{name: attrgetter(name) for name in ("state", "door", "piece_cid", "padded_size", "raw_size")},
        **{name: attrgetter(name) for name in ("allocation", "chain_deal", "start_epoch", "duration")},
        "collateral_atto": lambda row: int(row.collateral),
        "lockup_atto": lambda row: int(row.lockup),
        "created": lambda row: row.created_at.isoformat(),
    },
)


class FetchForm(PageForm):
    """URL and headers of the data of an offline deal."""

    url = Text()
    headers = Text(is_secret=True)
    """One a line."""


@require_http_methods(["GET", "HEAD", "POST"])
@sign_in_required
def deal(request: HttpRequest, viewer: Principal, uuid: str) -> HttpResponse:
    """Return one deal; download the data of an offline one from a URL."""
    row, data = deal_get(viewer, uuid), PageData(viewer)
    if request.method == "POST" and not viewer.may("write"):
        raise Http404
    form = FetchForm.of(request)
    if request.method == "POST" and form.is_valid():
        with form.refusals():
            headers = headers_read(form.cleaned_data["headers"].splitlines())
            deal_fetch(row, url=form.cleaned_data["url"], headers=headers, by=viewer)
            notice_leave(request, gettext("Its data are being downloaded."))
            return redirect("deal", row.uuid)
    transfer, facts = transfer_of(row), facts_of(row, data)
    if row.piece is not None:
        name, uploader = row.piece.file_name, uploader_text(row.piece)
        facts += [Fact(_("File"), name)] if name else []
        facts += [Fact(_("Uploader"), uploader)] if uploader else []
    return form_render(
        request,
        viewer,
        "deals/detail.html",
        form,
        end_href=reverse("deal-end", args=[row.uuid]) if viewer.may("write") and row.state in ENDABLE else "",
        may_fetch=viewer.may("write")
        and row.source == DealSource.OFFLINE
        and row.state == DealState.ACCEPTED,
        title=gettext("Deal {name}").format(name=ulid_encode(row.uuid)),
        section="deals",
        data=data,
        label=LABELS[row.state],
        reason=reason_text(row.state, row.reason or ("" if transfer is None else transfer.error)),
        facts=facts,
        client_href=reverse("client", args=[row.client]),
        miner_href=reverse("miner-market", args=[row.miner.address]),
        piece_href=f"{reverse('pieces')}?{urlencode({'piece_cid': row.piece_cid})}" if row.piece else "",
    )


def facts_of(row: Deal, data: PageData) -> list[Fact]:
    """Return what was agreed on, and the deal's clocks and money: nothing that its client does not know."""
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
    if row.removes_copy:
        facts.append(Fact(_("Unsealed copy"), gettext("removed once it is active, as its client wants")))
    if row.is_published:
        number = formatting.NOTHING if row.chain_deal is None else str(row.chain_deal)
        facts += [
            Fact(_("Number on chain"), number),
            Fact(_("Miner's collateral"), fil_format(int(row.collateral))),
            Fact(_("Locked by the client"), fil_format(int(row.lockup))),
            *payment_facts(row, data),
        ]
    if (transfer := transfer_of(row)) is not None:
        facts += transfer_facts(row, transfer)
    if row.state in (DealState.ACCEPTED, DealState.TRANSFERRING):
        facts.append(Fact(_("Data may come until"), time_html(row.data_until)))
    return facts


def payment_facts(row: Deal, data: PageData) -> list[Fact]:
    """Return what the client pays, what the deal has earned, and how much of it was paid."""
    facts = [Fact(_("Price per epoch"), fil_format(int(row.price)))]
    if row.earns_from is not None and data.head is not None:
        paid = deal_payments(row, height=data.head.height)
        facts.append(Fact(_("Earned"), fil_format(paid.earned)))
        facts.append(Fact(_("Paid into the market balance"), fil_format(paid.settled)))
        facts += [Fact(_("Settled"), settlement_text(one)) for one in settlements_of_deal(row)]
    return facts


def settlement_text(row: DealSettlement) -> str:
    """Return what a settlement has paid for a deal, or how it is."""
    height = row.settlement.height
    if row.is_open:
        return gettext("being settled")
    if height is None:
        return gettext("its message was not carried out")
    text = gettext("{amount} in epoch {epoch}")
    return text.format(amount=fil_format(int(row.payment)), epoch=formatting.whole(height))


def transfer_facts(row: Deal, transfer: Transfer) -> list[Fact]:
    """Return how far a deal's data have come, and when all will be here."""
    received = gettext("{received} of {size}").format(
        received=formatting.joined_size(transfer.received), size=formatting.joined_size(row.raw_size)
    )
    facts = [Fact(_("Received"), received)]
    if transfer.rate:
        facts.append(Fact(_("Download rate"), f"{formatting.joined_size(transfer.rate)}/s"))
    if transfer.ends_at is not None:
        facts.append(Fact(_("All data here at about"), time_html(transfer.ends_at)))
    return facts


NAV: Final = NavItem("deals", _("Deals"), "storage", place=(4, 2))


@require_POST
@sign_in_required
def deal_stop(request: HttpRequest, viewer: Principal, uuid: str) -> HttpResponse:
    """Ask, then end a deal that is in no message and no sector."""
    row = deal_get(viewer, uuid)
    if not viewer.may("write"):
        raise Http404
    back = reverse("deal", args=[row.uuid])
    if is_confirm_submitted(request):
        try:
            deal_end(row, by=viewer)
            notice_leave(request, gettext("The deal is ended."))
        except DomainError as refusal:  # it went on meanwhile
            notice_leave(request, refusal_text(refusal), tone="bad")
        return redirect(back)
    name = ulid_encode(row.uuid)
    ask = ConfirmPage(
        gettext("End deal {name}").format(name=name),
        _("Its client sees that it failed, and has to propose another one. This cannot be undone."),
        _("End the deal"),
        back=back,
        page=gettext("Deal {name}").format(name=name),
        section="deals",
    )
    return confirm_page_render(request, viewer, ask)


urlpatterns: Final = [
    *DEALS.urls,
    path("deals/<str:uuid>/", deal, name="deal"),
    path("deals/<str:uuid>/end/", deal_stop, name="deal-end"),
]
LIVE: Final = DEALS.live_pages
