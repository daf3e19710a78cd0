"""Reading the allocations for our miners, and whether their data are here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils.translation import gettext

from apps.core.errors import BadValue
from apps.core.formatting import DAY_S
from apps.miners.selectors.miners import miner_get
from apps.pieces.models import Piece
from apps.pieces.states import PieceState
from apps.sectors.errors.verified import AllocationUnknown
from apps.sectors.models import Allocation, AllocationsRead
from apps.sectors.states import AllocationState
from apps.users.rules.principals import Principal
from poolsite.filecoin.address import ID, BadAddress, address_parse
from poolsite.filecoin.cids import BadCid, cid_parse

NUMBER_DIGITS: Final = 19
NEAR_S: Final = 7 * DAY_S
"""An allocation that ends sooner, and whose data are not here, needs somebody: sealing takes its time."""
NOT_HERE: Final = (PieceState.FAILED, PieceState.ENDED)
"""States of pieces that do not make an allocation's data be here."""
HERE: Final = Exists(
    Piece.objects.filter(
        allocation=OuterRef("number"),
        client=OuterRef("client"),
        miner=OuterRef("miner"),
        removal_asked_at=None,
    ).exclude(state__in=NOT_HERE)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class AllocationFilter:
    """Filters of the list; an empty field does not filter."""

    miner: str = ""
    client: str = ""
    """An f0 address."""
    q: str = ""
    """An allocation's id, or a piece CID."""
    state: str = ""
    height: int = 0
    """Height of the head; allocations that expire below it are expired."""
    after: tuple[int, int] | None = None
    """End and row number of the last row of the page before."""


def allocations_visible(viewer: Principal) -> QuerySet[Allocation]:
    """Return the allocations for the miners that this caller sees, those that end first first."""
    rows = Allocation.objects.select_related("miner__tenant").order_by("expiration", "pk")
    if viewer.miners:
        rows = rows.filter(miner__actor_id__in=viewer.miners)
    return rows if viewer.is_operator else rows.filter(miner__tenant_id=viewer.own_id)


def allocations_narrowed(viewer: Principal, wanted: AllocationFilter) -> QuerySet[Allocation]:
    """Return the caller's allocations that fit.  Raises MinerUnknown, BadValue."""
    rows = allocations_visible(viewer)
    if wanted.miner:
        rows = rows.filter(miner=miner_get(viewer, wanted.miner))
    if wanted.client:
        rows = rows.filter(client=client_read(wanted.client))
    if wanted.q:
        rows = rows.filter(_named(wanted.q))
    if wanted.state == AllocationState.HERE:
        rows = rows.filter(HERE)
    elif wanted.state == AllocationState.MISSING:
        rows = rows.filter(~HERE, expiration__gt=wanted.height)
    elif wanted.state == AllocationState.EXPIRED:
        rows = rows.filter(~HERE, expiration__lte=wanted.height)
    elif wanted.state:
        raise BadValue(gettext("there is no such state"), field="state")
    if wanted.after is not None:
        end, pk = wanted.after
        rows = rows.filter(expiration__gte=end).exclude(expiration=end, pk__lte=pk)
    return rows


def client_read(text: str) -> int:
    """Return the actor id of a client's f0 address.  Raises BadValue."""
    try:
        parsed = address_parse(text)
    except BadAddress:
        parsed = None
    if parsed is None or parsed.protocol != ID:
        raise BadValue(gettext("must be an f0 address"), field="client")
    return parsed.actor_id


def _named(text: str) -> Q:
    if text.isascii() and text.isdigit() and len(text) < NUMBER_DIGITS:
        return Q(number=int(text))
    try:
        return Q(piece_cid=str(cid_parse(text)))
    except BadCid:
        raise BadValue(gettext("is neither an allocation's id nor a piece CID"), field="q") from None


def allocation_get(viewer: Principal, number: str) -> Allocation:
    """Return an allocation by its id.  Raises AllocationUnknown."""
    is_number = number.isascii() and number.isdigit() and len(number) < NUMBER_DIGITS
    row = allocations_visible(viewer).filter(number=int(number)).first() if is_number else None
    if row is None:
        raise AllocationUnknown(number[:NUMBER_DIGITS])
    return row


def allocations_pieces(rows: Sequence[Allocation]) -> dict[int, Piece]:
    """Return the piece of each of these allocations that has one, by the allocation's id; one query.

    Of several the newest that is no failed one.
    """
    pieces = Piece.objects.filter(allocation__in=[row.number for row in rows], removal_asked_at=None)
    own = {(row.number, row.client, row.miner_id) for row in rows}
    found: dict[int, Piece] = {}
    for piece in pieces.select_related("miner__tenant").order_by("pk"):
        number = piece.allocation
        if number is None or (number, piece.client, piece.miner_id) not in own:
            continue
        if number not in found or piece.state not in NOT_HERE or found[number].state in NOT_HERE:
            found[number] = piece
    return found


def allocation_state(row: Allocation, piece: Piece | None, *, height: int) -> AllocationState:
    """Return whether an allocation's data are here, by its piece."""
    if piece is not None and piece.state not in NOT_HERE:
        return AllocationState.HERE
    return AllocationState.EXPIRED if row.expiration <= height else AllocationState.MISSING


def allocations_read_last() -> AllocationsRead | None:
    """Return when the chain was asked last; None: never."""
    return AllocationsRead.objects.first()
