"""Claims of the miners' verified data, by client and by end, and the DataCap that our addresses have left."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final

from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.safestring import SafeString
from django.utils.translation import gettext, pgettext_lazy
from django.utils.translation import gettext_lazy as _

from apps.chain.selectors.status import EpochClock
from apps.core import formatting
from apps.core.errors import DomainError
from apps.dashboard import cells
from apps.dashboard.csv_export import rows_in_turn
from apps.dashboard.list_page import Column, Empty, ListPage
from apps.dashboard.page_data import PageData
from apps.dashboard.pages.verified.columns import client_column, left, miner_column, size_column
from apps.dashboard.pagination import ROWS, page_in_turn
from apps.dashboard.scope import scope_chosen
from apps.miners.selectors.miners import miner_get
from apps.sectors.selectors.claims import (
    ClaimFilters,
    claims_visible,
    clients_largest,
)
from apps.sectors.selectors.sectors import sectors_by_numbers
from apps.users.rules.principals import Principal
from apps.wallets.selectors import wallets_visible

if TYPE_CHECKING:
    from apps.miners.models import Miner
    from apps.sectors.models import VerifiedClaim


@dataclass(frozen=True, slots=True)
class ClaimRow:
    """One claim in the list."""

    row: VerifiedClaim
    sector_href: str
    clock: EpochClock | None
    may_extend: bool


@dataclass(frozen=True, slots=True)
class ClientRow:
    """What the miners store of one client."""

    client: str
    count: str
    size: str
    href: str


@dataclass(frozen=True, slots=True)
class DataCapRow:
    """An address of ours that has DataCap."""

    name: str
    address: str
    client: str
    left: str


def claim_rows(rows: Sequence[VerifiedClaim], data: PageData) -> list[ClaimRow]:
    """Lay out one page of the list."""
    sectors = sectors_by_numbers(data.viewer, [(row.miner_id, row.sector_number) for row in rows])
    found, may_extend = [], data.viewer.may("sign")
    for row in rows:
        sector = sectors.get((row.miner_id, row.sector_number))
        href = "" if sector is None else reverse("sector", args=[sector.uuid])
        found.append(ClaimRow(row, href, data.clock, may_extend))
    return found


def acts(row: ClaimRow, _token: str) -> SafeString:
    """Return where a claim is extended."""
    if not row.may_extend:
        return cells.EMPTY
    href = f"{reverse('claims-extend')}?{urlencode({'claims': row.row.number})}"
    button = '<a class="btn" data-size="s" id="extend-{}" href="{}">{}</a>'
    return format_html(button, row.row.pk, href, gettext("Extend…"))


def miners_in(scope: Mapping[str, str], data: PageData) -> list[Miner]:
    """Return the viewer's miners to which the page is narrowed."""
    of_tenant = [one for one in data.miners if scope.get("tenant") in (None, one.tenant.name)]
    if "miner" not in scope:
        return of_tenant
    try:
        found = miner_get(data.viewer, scope["miner"])
    except DomainError:
        return []
    return [one for one in of_tenant if one.pk == found.pk]


def client_rows(scope: Mapping[str, str], data: PageData) -> list[ClientRow]:
    """Lay out the largest clients of the miners to which the page is narrowed."""
    return [
        ClientRow(
            client=f"f0{one.client}",
            count=formatting.whole(one.count),
            size=" ".join(formatting.size(one.size)),
            href=f"{reverse('claims')}?{urlencode({**scope, 'client': f'f0{one.client}'})}",
        )
        for one in clients_largest(miners_in(scope, data))
    ]


def data_cap_rows(viewer: Principal) -> list[DataCapRow]:
    """Lay out the viewer's addresses that have DataCap."""
    return [
        DataCapRow(
            name=wallet.label or formatting.shortened(wallet.address),
            address=wallet.address,
            client=f"f0{wallet.actor_id}",
            left=" ".join(formatting.size(wallet.data_cap)),
        )
        for wallet in wallets_visible(viewer).filter(data_cap__gt=0).order_by("-data_cap")[:ROWS]
    ]


def more(request: HttpRequest, data: PageData) -> dict[str, Any]:
    """Return what stands around the list."""
    return {
        "may_extend": data.viewer.may("sign"),
        "clients": client_rows(scope_chosen(request), data),
        "caps": data_cap_rows(data.viewer),
    }


CLAIMS: Final = ListPage(
    name="claims",
    one="claim",
    section="pieces",
    title=_("Verified claims"),
    table=_("Table of claims"),
    caption=_("Claims, the first to end on top"),
    icon="storage",
    template="verified/claims.html",
    more=more,
    rows=lambda data: claims_visible(data.viewer),
    page=page_in_turn,
    lay_out=claim_rows,
    id_of=attrgetter("row.pk"),
    tone_of=lambda _row: "",
    filters=ClaimFilters,
    search=_("Claim id or piece CID"),
    places=("client", "miner", "sector"),
    places_label=_("Filter"),
    facets=(
        ("", _("In force"), "", ""),
        ("ending", _("Ends within 30 d"), "warn", "warn"),
        ("ended", _("Ended"), "idle", "off"),
    ),
    counted=("", "ending", "ended"),
    empty=lambda _data: Empty(
        _("No verified data yet"), _("A claim is listed here within an hour of its sector's activation.")
    ),
    none=Empty(_("No matching claims"), _("No claims match these filters.")),
    columns=(
        Column(
            head=pgettext_lazy("of verified data", "Claim"),
            cell=attrgetter("row.number"),
            css="keep",
            is_name=True,
        ),
        client_column(),
        Column(
            head=_("Piece"),
            cell=lambda row: cells.short_id(formatting.shortened(row.row.piece_cid), row.row.piece_cid),
            css="keep",
            key="piece",
            by="piece_cid",
        ),
        size_column(),
        miner_column(),
        Column(
            head=_("Sector"),
            cell=lambda row: cells.link(row.sector_href, str(row.row.sector_number)),
            css="num keep",
            key="sector",
            by="sector_number",
        ),
        Column(
            head=_("Ends in"),
            cell=lambda row: left(row.clock, row.row.end_epoch, gettext("ended")),
            css="num keep",
            key="end",
            by="end_epoch",
        ),
        Column(head=_("Actions"), acts=acts, css="c-wide tight"),
    ),
    csv={
        "claim": attrgetter("number"),
        "client": lambda row: f"f0{row.client}",
        "miner": attrgetter("miner.address"),
        "sector": attrgetter("sector_number"),
        **{name: attrgetter(name) for name in ("piece_cid", "size", "term_start", "term_min", "end_epoch")},
    },
    # By key, so that a claim that is extended meanwhile stands in it once.
    csv_rows=lambda rows, _data: rows_in_turn(rows.order_by("pk")),
)
urlpatterns: Final = CLAIMS.urls
