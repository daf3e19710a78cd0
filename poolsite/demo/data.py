"""Clients' data: pieces, deals in every state, verified allocations and claims."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from operator import attrgetter
from typing import Any, Final

from apps.core.marked_texts import gettext
from apps.core.reasons import as_reason
from apps.market.models import Deal, MinerMarket
from apps.market.reasons import CLIENT_WAITS, LATE
from apps.market.states import DealDoor, DealSource, DealState
from apps.pieces.models import Piece
from apps.pieces.states import PieceState
from apps.sectors.models import Allocation, AllocationsRead, ClaimsEnding, Sector, VerifiedClaim
from poolsite.demo.world import DAY_EPOCHS, HEIGHT, ONLY, PLEDGE, SECTOR_BYTES, TimesGiven, World, rows_write
from poolsite.filecoin.amounts import FIL
from poolsite.filecoin.cids import commd_cid
from poolsite.filecoin.sizes import GIB

CLIENTS: Final = (1_912_004, 1_912_377, 1_914_020, 1_915_111)
"""Actor ids of clients."""
DEALS: Final = (
    (DealState.ACTIVE, 14, ""),
    (DealState.SEALING, 3, ""),
    (DealState.VERIFIED, 3, ""),
    (DealState.PUBLISHING, 1, ""),
    (DealState.UNPUBLISHED, 2, ""),
    (DealState.TRANSFERRING, 2, ""),
    (DealState.ACCEPTED, 3, ""),
    (DealState.REFUSED, 4, CLIENT_WAITS(count=16)),
    (DealState.FAILED, 3, LATE()),
    (DealState.ENDED, 2, ""),
)
ON_MARKET: Final = (DealState.PUBLISHING, DealState.UNPUBLISHED)
"""States of deals alone that the market actor is to hold."""
PIECES: Final = (
    (PieceState.READY, 4),
    (PieceState.FETCHING, 2),
    (PieceState.RECEIVED, 1),
    (PieceState.FAILED, 2),
)


def piece_cid(text: str) -> str:
    """Return a piece commitment that belongs to no data."""
    digest = hashlib.sha256(text.encode()).digest()
    return str(commd_cid(digest[:31] + b"\x01"))


def data_make(world: World) -> None:
    """Make pieces, deals, allocations and claims."""
    verified = [one for one in world.sectors if one.active and int(one.initial_pledge) > PLEDGE]
    claims, pieces = [], []
    for place, sector in enumerate(verified):
        client, cid = CLIENTS[place % len(CLIENTS)], piece_cid(f"claim {place}")
        claims.append(
            VerifiedClaim(
                miner=sector.miner,
                number=90_000 + place,
                client=client,
                sector_number=sector.number,
                piece_cid=cid,
                size=SECTOR_BYTES,
                term_start=sector.activation or HEIGHT,
                term_min=180 * DAY_EPOCHS,
                end_epoch=(sector.activation or HEIGHT) + 540 * DAY_EPOCHS,
            )
        )
        pieces.append(
            _piece(world, sector.miner, PieceState.ACTIVE, place, sector=sector, client=client, cid=cid)
        )
    rows_write(VerifiedClaim, claims)
    takers = world.miners[:: max(len(world.miners) // 8, 1)]
    number = len(pieces)
    for state, count in PIECES:
        for _ in range(count):
            number += 1
            pieces.append(_piece(world, takers[number % len(takers)], state, number))
    with TimesGiven(Piece):
        rows_write(Piece, sorted(pieces, key=attrgetter("created_at")))
    rows_write(
        Allocation,
        [
            Allocation(
                miner=takers[place % len(takers)],
                number=95_000 + place,
                client=CLIENTS[place % len(CLIENTS)],
                piece_cid=piece_cid(f"allocation {place}"),
                size=SECTOR_BYTES >> place % 3,
                term_min=180 * DAY_EPOCHS,
                term_max=540 * DAY_EPOCHS,
                expiration=HEIGHT + (5 + 4 * place) * DAY_EPOCHS,
                seen_at=world.now - timedelta(days=place),
            )
            for place in range(9)
        ],
    )
    tomorrow = world.now + timedelta(days=1)
    AllocationsRead.objects.create(
        pk=ONLY,
        due_at=tomorrow,
        all_due_at=tomorrow,
        read_at=world.now,
        height=HEIGHT,
        is_of_all=True,
    )
    rows_write(ClaimsEnding, [ClaimsEnding(miner=one, due_at=tomorrow) for one in world.miners])
    _deals(world, [one for one in pieces if one.state == PieceState.ACTIVE], takers)


def _piece(
    world: World,
    miner: Any,
    state: str,
    number: int,
    *,
    sector: Sector | None = None,
    client: int | None = None,
    cid: str = "",
) -> Piece:
    size = SECTOR_BYTES if sector is not None else (4 << number % 4) * GIB
    raw = size * 127 // 128
    since = world.now - timedelta(hours=1 + number % 90)
    wrong = gettext("the source answered {status}")
    is_known = state not in (PieceState.FETCHING, PieceState.RECEIVED, PieceState.FAILED)
    return Piece(
        uuid=world.uuid(),
        miner=miner,
        state=state,
        state_since=since,
        created_at=since - timedelta(minutes=40),
        updated_at=since,
        piece_cid=(cid or piece_cid(f"piece {number}")) if is_known else "",
        padded_size=size,
        payload_size=raw,
        received=raw // 3 if state == PieceState.FETCHING else raw,
        source_url="https://data.example/archive"
        if state in (PieceState.FETCHING, PieceState.FAILED)
        else "",
        has_data=state in (PieceState.READY, PieceState.RECEIVED),
        client=client,
        allocation=90_000 + number if sector is not None else None,
        term_min=180 * DAY_EPOCHS if sector is not None else None,
        term_max=540 * DAY_EPOCHS if sector is not None else None,
        sector_number=sector.number if sector is not None else None,
        offset=0 if sector is not None else None,
        actor="data desk",
        error=as_reason(wrong.format(status=404)) if state == PieceState.FAILED else "",
    )


def _deals(world: World, active: list[Piece], takers: list[Any]) -> None:
    rows, place = [], 0
    for state, count, reason in DEALS:
        for _ in range(count):
            place += 1
            piece = active[place % len(active)] if state == DealState.ACTIVE and active else None
            miner = piece.miner if piece is not None else takers[place % len(takers)]
            size = piece.padded_size if piece is not None else (8 << place % 3) * GIB
            at = world.now - timedelta(hours=5 * place)
            rows.append(
                Deal(
                    uuid=world.uuid(),
                    miner=miner,
                    state=state,
                    state_since=at,
                    created_at=at - timedelta(hours=2),
                    updated_at=at,
                    door=DealDoor.MK12 if state in ON_MARKET else DealDoor.MK20,
                    digest=hashlib.sha256(f"deal {place}".encode()).hexdigest(),
                    client=world.address_secp(),
                    client_id=CLIENTS[place % len(CLIENTS)],
                    piece_cid=piece.piece_cid if piece is not None else piece_cid(f"deal {place}"),
                    padded_size=size,
                    raw_size=size * 127 // 128,
                    duration=540 * DAY_EPOCHS,
                    start_epoch=HEIGHT + 3 * DAY_EPOCHS,
                    source=DealSource.HTTP if place % 2 else DealSource.PUT,
                    data_until=world.now + timedelta(days=4),
                    piece=piece,
                    sector_number=piece.sector_number if piece is not None else None,
                    reason=reason,
                )
            )
    with TimesGiven(Deal):
        rows_write(Deal, rows[::-1])
    rows_write(
        MinerMarket,
        [MinerMarket(miner=one, is_open=True, price=FIL // 10**10, verified_price=0) for one in takers],
    )
