"""A proving sector with pieces, and what its row lacks when it was made from the chain alone."""

from __future__ import annotations

from typing import Any

from apps.pieces.models import Piece
from apps.sectors.models import Sector
from apps.sectors.rules.params import comm_d_of, pieces_column, pieces_filled
from tests import factories

KEY, NEW, TICKET = bytes([9]) * 31 + b"\0", bytes([8]) * 31 + b"\0", bytes([7]) * 32

LOST: dict[str, Any] = {
    "ticket": None,
    "ticket_epoch": None,
    "seed": None,
    "seed_epoch": None,
    "comm_d": None,
}
"""What a row that was made from the chain alone does not have."""


def sealed(*, is_upgraded: bool = False, beside: Sector | None = None) -> Sector:
    """A proving sector with two pieces of clients, whose pieces are active."""
    miner = factories.miner(2001, of="alice") if beside is None else beside.miner
    sector = factories.sector(miner, state="PROVING", active=True, comm_r=KEY, ticket=TICKET, ticket_epoch=5)
    place: dict[str, Any] = {"state": "ACTIVE", "sector_number": sector.number, "has_data": False}
    large = factories.piece(
        miner, padded_size=512, payload_size=400, client=1001, allocation=3, offset=0, **place
    )
    small = factories.piece(miner, deal=44, offset=512, **place)
    sector.pieces = pieces_column(pieces_filled([large, small], sector_size=sector.sector_size))
    sector.comm_d = comm_d_of(sector)
    sector.seed, sector.seed_epoch = TICKET[::-1], 155
    if is_upgraded:
        sector.comm_r, sector.key_comm_r = NEW, KEY
    sector.save()
    sector.refresh_from_db()
    return sector


def forget(sector: Sector) -> None:
    """Leave what the chain alone tells."""
    Piece.objects.all().delete()
    Sector.objects.filter(pk=sector.pk).update(pieces=[], key_comm_r=None, **LOST)
