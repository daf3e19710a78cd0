"""Claims of the miners' verified data, by client and by end, and the DataCap that our addresses have left."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import path, reverse
from django.utils.http import urlencode
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from apps.chain.selectors.status import EpochClock
from apps.core import formatting
from apps.core.errors import DomainError
from apps.core.formatting import DAY_S
from apps.dashboard.csv_export import Download, csv_answer, rows_in_turn
from apps.dashboard.layout import page_render
from apps.dashboard.page_data import PageData
from apps.dashboard.pages.verified.list_page import VerifiedList, verified_page
from apps.dashboard.pagination import ROWS
from apps.dashboard.sessions import sign_in_required
from apps.sectors.selectors.claims import ClaimFilter, claims_narrowed, claims_visible, clients_largest
from apps.sectors.selectors.sectors import sectors_by_numbers
from apps.users.rules.principals import Principal
from apps.wallets.selectors import wallets_visible

if TYPE_CHECKING:
    from apps.sectors.models import VerifiedClaim

SOON_S: Final = 30 * DAY_S
"""A sector can drop a claim in its last 30 days; as the check `claims_ending`."""
STATES: Final = (
    ("", _("In force"), "", ""),
    ("ending", _("Ends within 30 d"), "warn", "warn"),
    ("ended", _("Ended"), "idle", "off"),
)
"""Filters of the list: key, label, tone, icon."""
CLAIMS: Final = VerifiedList(
    "claims",
    _("Verified claims"),
    region=_("Table of claims"),
    table="f-claim-table",
    none=_("No matching claims"),
    no_match=_("No claims match these filters."),
    end="end_epoch",
    states=STATES,
    places=(
        ("q", _("Claim id or piece CID")),
        ("client", _("Client")),
        ("miner", _("Miner")),
        ("sector", _("Sector")),
    ),
)
COLUMNS: Final = (
    *("claim", "client", "miner", "sector", "piece_cid", "size", "term_start", "term_min", "end_epoch"),
)
"""Of the list as CSV."""


@dataclass(frozen=True, slots=True)
class ClaimRow:
    """One claim in the list."""

    key: int
    number: int
    client: str
    cid: str
    short: str
    size: str
    miner: str
    sector: int
    sector_href: str
    end: str
    """Epoch at which it ends."""
    until: int | None
    """Time of `end` in UNIX seconds; None without a clock."""
    left: str
    """Empty once it has ended."""
    extend_href: str
    """Empty for whoever may not."""


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


def found_of(
    viewer: Principal,
    wanted: dict[str, str],
    clock: EpochClock | None,
    *,
    after: tuple[int, int] | None = None,
) -> tuple[QuerySet[VerifiedClaim], str]:
    """Return the claims that fit, and why none does where a filter cannot be read."""
    named = {name: text for name, text in wanted.items() if name != "state"}
    start, stop = 0, None
    if clock is not None:
        start, stop = span_of(wanted.get("state", ""), clock)
    try:
        return claims_narrowed(viewer, ClaimFilter(**named, start=start, stop=stop, after=after)), ""
    except DomainError as refusal:
        return claims_visible(viewer).none(), refusal.reason


def span_of(state: str, clock: EpochClock) -> tuple[int, int | None]:
    """Return the epochs between which the claims of a state end."""
    if state == "ended":
        return 0, clock.epoch - 1
    return clock.epoch, clock.epoch + SOON_S // clock.delay_s if state == "ending" else None


def claim_rows(
    rows: Sequence[VerifiedClaim], *, viewer: Principal, clock: EpochClock | None
) -> list[ClaimRow]:
    """Lay out one page of the list."""
    sectors = sectors_by_numbers(viewer, [(row.miner_id, row.sector_number) for row in rows])
    found = []
    for row in rows:
        sector = sectors.get((row.miner_id, row.sector_number))
        left_s = None if clock is None else clock.left_s(row.end_epoch)
        found.append(
            ClaimRow(
                key=row.pk,
                number=row.number,
                client=f"f0{row.client}",
                cid=row.piece_cid,
                short=formatting.shortened(row.piece_cid),
                size=" ".join(formatting.size(row.size)),
                miner=row.miner.address,
                sector=row.sector_number,
                sector_href="" if sector is None else reverse("sector", args=[sector.uuid]),
                end=gettext("epoch {epoch}").format(epoch=formatting.whole(row.end_epoch)),
                until=None if clock is None else clock.starts_at(row.end_epoch),
                left=formatting.time_left(left_s) if left_s is not None and left_s > 0 else "",
                extend_href=extend_href([row]) if viewer.may("sign") else "",
            )
        )
    return found


def extend_href(rows: Sequence[VerifiedClaim]) -> str:
    """Return where these claims are extended."""
    query = urlencode({"claims": " ".join(str(row.number) for row in rows)})
    return f"{reverse('claims-extend')}?{query}"


def client_rows(data: PageData) -> list[ClientRow]:
    """Lay out the miners' largest clients."""
    return [
        ClientRow(
            client=f"f0{one.client}",
            count=formatting.whole(one.count),
            size=" ".join(formatting.size(one.size)),
            href=f"{reverse('claims')}?{urlencode({'client': f'f0{one.client}'})}",
        )
        for one in clients_largest(data.miners)
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


@require_safe
@sign_in_required
def claims(request: HttpRequest, viewer: Principal) -> HttpResponse:
    """Return the list, those that end first first."""
    data, wanted = PageData(viewer), CLAIMS.wanted_of(request)
    page = verified_page(request, CLAIMS, lambda after: found_of(viewer, wanted, data.clock, after=after))
    return page_render(
        request,
        "verified/claims.html",
        title=CLAIMS.title,
        section="pieces",
        data=data,
        page=page,
        rows=claim_rows(page.shown, viewer=viewer, clock=data.clock),
        extend=extend_href(page.shown) if page.shown and viewer.may("sign") else "",
        clients=client_rows(data),
        caps=data_cap_rows(viewer),
    )


@require_safe
@sign_in_required
def claims_csv(request: HttpRequest, viewer: Principal) -> Download:
    """Return the filtered list as CSV, by key: a claim that is extended meanwhile stands in it once."""
    rows, _wrong = found_of(viewer, CLAIMS.wanted_of(request), PageData(viewer).clock)
    cells = (
        (
            row.number,
            f"f0{row.client}",
            row.miner.address,
            row.sector_number,
            row.piece_cid,
            row.size,
            row.term_start,
            row.term_min,
            row.end_epoch,
        )
        for row in rows_in_turn(rows.order_by("pk"))
    )
    return csv_answer("claims.csv", COLUMNS, cells)


urlpatterns: Final = [
    path("claims/", claims, name="claims"),
    path("claims.csv", claims_csv, name="claims-csv"),
]
