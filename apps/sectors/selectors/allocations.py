"""Reading the allocations for our miners, and whether their data are here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Any, ClassVar, Final

from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils.translation import gettext_lazy as _

from apps.chain.selectors.heads import head_current
from apps.core.clock import DAY_S
from apps.core.errors import BadValue
from apps.core.filters import Choices, Words
from apps.core.marked_texts import gettext
from apps.miners.selectors.miners import MinerFilters
from apps.pieces.models import Piece
from apps.pieces.states import PieceState
from apps.sectors.errors.verified import AllocationUnknown
from apps.sectors.models import Allocation, AllocationsRead
from apps.sectors.states import AllocationState
from apps.users.rules.principals import Principal
from poolsite.filecoin.address import ID, BadAddress, address_parse
from poolsite.filecoin.cids import BadCid, cid_parse

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

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


def allocations_visible(viewer: Principal) -> QuerySet[Allocation]:
    """Return the allocations for the miners that this caller sees, those that end first first."""
    rows = Allocation.objects.select_related("miner__tenant").order_by("expiration", "pk")
    if viewer.miners:
        rows = rows.filter(miner__actor_id__in=viewer.miners)
    return rows if viewer.is_operator else rows.filter(miner__tenant_id=viewer.own_id)


def height_known() -> int:
    """Return the head's height; -1 before the first head, when nothing has expired."""
    head = head_current()
    return -1 if head is None else head.height


def allocations_missing(viewer: Principal, *, height: int) -> QuerySet[Allocation]:
    """Return the caller's allocations whose data are not here, and can still come."""
    return allocations_visible(viewer).filter(ALLOCATION_STATES[AllocationState.MISSING](height))


class VerifiedFilters(MinerFilters):
    """Filters of verified data: whose, and which."""

    unnamed: ClassVar[StrOrPromise]
    """Why `q` names none."""
    client = Words(label=_("Client"), method="of_client", about="f0 address")

    def of_client(self, rows: QuerySet[Any], name: str, value: str) -> QuerySet[Any]:
        """Narrow to a client.  Raises BadValue."""
        try:
            parsed = address_parse(value)
        except BadAddress:
            parsed = None
        if parsed is None or parsed.protocol != ID:
            raise BadValue(gettext("must be an f0 address"), field=name)
        return rows.filter(client=parsed.actor_id)

    def named(self, rows: QuerySet[Any], name: str, value: str) -> QuerySet[Any]:
        """Find by id or piece CID.  Raises BadValue."""
        if value.isascii() and value.isdigit() and len(value) < NUMBER_DIGITS:
            return rows.filter(number=int(value))
        try:
            return rows.filter(piece_cid=str(cid_parse(value)))
        except BadCid:
            raise BadValue(str(self.unnamed), field=name) from None


ALLOCATION_STATES: Final[dict[str, Callable[[int], Q]]] = {
    AllocationState.MISSING: lambda height: ~HERE & Q(expiration__gt=height),
    AllocationState.HERE: lambda _height: Q(HERE),
    AllocationState.EXPIRED: lambda height: ~HERE & Q(expiration__lte=height),
}
"""Conditions by the height of the head; allocations that expire below it are expired."""


class AllocationFilters(VerifiedFilters):
    """Filters of the list of allocations."""

    unnamed = _("is neither an allocation's id nor a piece CID")
    q = Words(
        label=_("Allocation id or piece CID"), method="named", about="an allocation's id, or a piece CID"
    )
    state = Choices(AllocationState.values, method="of_states", refusal=_("there is no such state"))

    def of_states(self, rows: QuerySet[Allocation], _name: str, value: list[str]) -> QuerySet[Allocation]:
        """Narrow to some states."""
        if self.page is None:
            height = height_known()
        else:
            height = -1 if self.page.clock is None else self.page.clock.epoch
        return rows.filter(reduce(or_, [ALLOCATION_STATES[word](height) for word in value]))


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
