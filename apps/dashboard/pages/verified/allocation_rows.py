"""One allocation in the list: whose data, until when, and where they are here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from django.urls import reverse
from django.utils.http import urlencode
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from apps.core import formatting
from apps.core.stored_texts import stored_text
from apps.dashboard.labels import StateLabel
from apps.dashboard.pages.pieces.rows import LABELS
from apps.sectors.selectors.allocations import NEAR_S, allocation_state, allocations_pieces
from apps.sectors.selectors.sectors import sectors_by_numbers
from apps.sectors.states import AllocationState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from django_stubs_ext import StrOrPromise

    from apps.chain.selectors.status import EpochClock
    from apps.pieces.models import Piece
    from apps.sectors.models import Allocation, Sector
    from apps.users.rules.principals import Principal

DAY_S: Final = 86_400
MISSING: Final = StateLabel("idle", _("not here"), "wait")
NEAR: Final = StateLabel("warn", _("not here"), "warn")
EXPIRED: Final = StateLabel("idle", _("expired"), "off")


@dataclass(frozen=True, slots=True)
class AllocationRow:
    """One allocation in the list."""

    number: int
    client: str
    cid: str
    short: str
    size: str
    term: str
    """`180 to 540 days`."""
    end: str
    """Epoch at which it expires."""
    until: int | None
    """Time of `end` in UNIX seconds; None without a clock."""
    left: str
    miner: str
    tone: str
    word: StrOrPromise
    icon: str
    say: str
    """Why its data failed."""
    piece_href: str
    sector: str
    sector_href: str
    take_href: str
    """Address of the upload form; empty if the data are here or it has expired."""


def term_text(least: int, most: int, *, delay_s: int) -> str:
    """Return terms in days: `180 to 540 days`."""
    days = [f"{epochs * delay_s / DAY_S:.1f}".removesuffix(".0") for epochs in (least, most)]
    return gettext("{least} to {most} days").format(least=days[0], most=days[1])


def take_href(row: Allocation) -> str:
    """Return where the data of an allocation are taken."""
    return f"{reverse('pieces')}?{urlencode({'take': row.number})}#f-piece-upload"


def allocation_row(
    row: Allocation,
    piece: Piece | None,
    sector: Sector | None,
    *,
    viewer: Principal,
    clock: EpochClock | None,
) -> AllocationRow:
    """Lay out one allocation."""
    height = -1 if clock is None else clock.epoch
    state = allocation_state(row, piece, height=height)
    left_s = None if clock is None else clock.left_s(row.expiration)
    is_near = left_s is not None and left_s < NEAR_S
    label = MISSING
    if piece is not None and state != AllocationState.EXPIRED:
        label = LABELS[piece.state]
    elif state == AllocationState.EXPIRED:
        label = EXPIRED
    elif is_near:
        label = NEAR
    may_take = state == AllocationState.MISSING and viewer.may("write")
    has_sector = piece is not None and piece.sector_number is not None
    return AllocationRow(
        number=row.number,
        client=f"f0{row.client}",
        cid=row.piece_cid,
        short=formatting.shortened(row.piece_cid),
        size=" ".join(formatting.size(row.size)),
        term=formatting.NOTHING
        if clock is None
        else term_text(row.term_min, row.term_max, delay_s=clock.delay_s),
        end=gettext("epoch {epoch}").format(epoch=formatting.whole(row.expiration)),
        until=None if clock is None else clock.starts_at(row.expiration),
        left=formatting.time_left(max(left_s or 0, 0)) if state != AllocationState.EXPIRED else "",
        miner=row.miner.address,
        tone=label.tone,
        word=label.word,
        icon=label.sign,
        say="" if piece is None else stored_text(piece.error),
        piece_href=f"{reverse('pieces')}?{urlencode({'piece_cid': piece.piece_cid})}"
        if piece is not None and piece.piece_cid
        else "",
        sector=str(piece.sector_number) if piece is not None and has_sector else formatting.NOTHING,
        sector_href="" if sector is None else reverse("sector", args=[sector.uuid]),
        take_href=take_href(row) if may_take else "",
    )


def allocation_rows(
    rows: Sequence[Allocation], *, viewer: Principal, clock: EpochClock | None
) -> list[AllocationRow]:
    """Lay out one page of the list."""
    pieces = allocations_pieces(rows)
    wanted = [(one.miner_id, one.sector_number) for one in pieces.values() if one.sector_number is not None]
    sectors = sectors_by_numbers(viewer, wanted)
    found = []
    for row in rows:
        piece = pieces.get(row.number)
        sector = None if piece is None else sectors.get((piece.miner_id, piece.sector_number))
        found.append(allocation_row(row, piece, sector, viewer=viewer, clock=clock))
    return found
