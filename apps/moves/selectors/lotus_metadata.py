"""What lotus-miner needs to go on with a miner: sectors, the next number, the pool's last blocks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from apps.blocks.models import Block
from apps.chain.selectors.network import network_current
from apps.core.marked_texts import gettext
from apps.messages.models import Message
from apps.messages.selectors.messages import messages_by_ids
from apps.miners.models import Miner
from apps.moves.errors import MoveRefused
from apps.moves.selectors.readings import MoveReadings
from apps.pieces.models import Piece
from apps.pieces.selectors import pieces_by_sector
from apps.sectors.models import Sector, SectorNumbers
from apps.sectors.rules.params import has_data
from apps.sectors.selectors.sector_records import PlacedPiece, pieces_placed, zeros_of
from apps.users.rules.principals import Principal
from poolsite.filecoin.actors.miner_sectors import PieceActivationManifest, VerifiedAllocationKey
from poolsite.filecoin.block import BlockMsg
from poolsite.filecoin.cids import cid_parse, commd_cid, commr_cid
from poolsite.filecoin.codec import from_cbor
from poolsite.filecoin.lotus_metadata import (
    LotusPiece,
    LotusSector,
    block_entries,
    number_entries,
    sector_entry,
)
from poolsite.wire.pipeline import SectorState

PAGE: Final = 1_000
"""Sectors that are read at once."""
MAINNET: Final = "mainnet"
"""Whose addresses lotus writes with f; of every other network with t."""


def snapshot_require(miner: Miner, *, by: Principal) -> None:
    """Refuse while the pool may still assign a number or sign a block: lotus-miner would make it once more.

    Raises MoveRefused, NetworkUnknown.
    """
    read = MoveReadings(miner, by)
    until, numbers = miner.works_until, read.numbers()
    if until is None or read.epoch < until:
        raise MoveRefused(
            gettext(
                "the pool still makes {miner}'s blocks, and lotus-miner must know all of them: "
                "set a height under Move out… and wait until it is reached"
            ).format(miner=miner)
        )
    if numbers is not None and numbers.exported_at is None:
        raise MoveRefused(
            gettext("the pool still assigns {miner}'s sector numbers: give them back first").format(
                miner=miner
            )
        )


def lotus_snapshot(miner: Miner, *, is_all: bool = False) -> Iterator[bytes]:
    """Yield the entries that `lotus-shed datastore import` writes into lotus-miner's metadata.

    Sectors that the pool sealed or upgraded, and knows the ticket of; with `is_all` every proving one, for a
    repository that knows none.  What lotus-miner itself has sealed stays there as it is.
    """
    network = network_current()
    name = miner.address if network.name == MAINNET else f"t{miner.address[1:]}"
    counter = SectorNumbers.objects.filter(miner=miner).first()
    yield from number_entries(0 if counter is None else counter.next_number)
    yield from _blocks(miner, name, span=2 * network.chain_finality)
    rows = Sector.objects.filter(miner=miner, state=SectorState.PROVING).order_by("number")
    if not is_all:
        rows = rows.exclude(commit_batch=None, key_comm_r=None).exclude(ticket=None)
    after = -1
    while page := list(
        rows.filter(number__gt=after).select_related("miner", "precommit_batch", "commit_batch")[:PAGE]
    ):
        yield from map(sector_entry, _sectors(page))
        after = page[-1].number


def _blocks(miner: Miner, name: str, *, span: int) -> Iterator[bytes]:
    """Yield the guard of heights: a block of the pool that the chain lost is still one that was signed."""
    rows = Block.objects.filter(actor_id=miner.actor_id or 0).order_by("-height")
    newest = rows.values_list("height", flat=True).first()
    if newest is None:
        return
    for row in rows.filter(height__gte=newest - span):
        header = from_cbor(BlockMsg, bytes(row.signed or row.unsigned)).header
        yield from block_entries(name, header)


def _sectors(rows: Sequence[Sector]) -> Iterator[LotusSector]:
    placed = pieces_by_sector({(one.miner_id, one.number) for one in rows if has_data(one)})
    ids = {batch.message_id for row in rows for batch in (row.precommit_batch, row.commit_batch) if batch}
    messages = messages_by_ids(ids)
    for row in rows:
        yield _sector(row, placed.get((row.miner_id, row.number), ()), messages)


def _sector(row: Sector, placed: Sequence[Piece], messages: Mapping[str, Message]) -> LotusSector:
    is_upgraded = row.key_comm_r is not None
    comm_d = zeros_of(row) if is_upgraded else bytes(row.comm_d or b"")
    comm_r = bytes((row.key_comm_r if is_upgraded else row.comm_r) or b"")
    sent = [
        "" if batch is None else getattr(messages.get(batch.message_id), "cid", "")
        for batch in (row.precommit_batch, row.commit_batch)
    ]
    precommit, commit = (cid_parse(text) if text else None for text in sent)
    return LotusSector(
        number=row.number,
        seal_proof=row.seal_proof,
        created_s=int(row.created_at.timestamp()),
        pieces=tuple(_piece(one, row) for one in pieces_placed(row.pieces, placed)),
        ticket=bytes(row.ticket or b""),
        ticket_epoch=row.ticket_epoch or 0,
        seed=bytes(row.seed or b""),
        seed_epoch=row.seed_epoch or 0,
        comm_d=commd_cid(comm_d) if comm_d else None,
        comm_r=commr_cid(comm_r) if comm_r else None,
        new_comm_d=commd_cid(bytes(row.comm_d)) if is_upgraded and row.comm_d is not None else None,
        new_comm_r=commr_cid(bytes(row.comm_r)) if is_upgraded and row.comm_r is not None else None,
        precommit=precommit,
        commit=commit,
    )


def _piece(placed: PlacedPiece, sector: Sector) -> LotusPiece:
    cid, row = cid_parse(placed.cid), placed.row
    if not placed.payload_size:
        return LotusPiece(cid=cid, size=placed.size)
    key = None
    if row is not None and row.client is not None and row.allocation is not None:
        key = VerifiedAllocationKey(row.client, row.allocation)
    return LotusPiece(
        cid=cid,
        size=placed.size,
        manifest=PieceActivationManifest(cid=cid, size=placed.size, verified_allocation_key=key, notify=()),
        start=(row.start_epoch if row is not None else None) or sector.activation or 0,
        end=sector.expiration or 0,
    )
