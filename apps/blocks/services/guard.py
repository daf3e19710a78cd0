"""The guard of heights: one header for each miner and height, and one on the same parents, for good.

A miner that signs two blocks of one height (double fork), two on the same parents (time offset), or one whose
parents hold a sibling of its own block but not that block (parent grinding), pays a fine and is barred for a
finality.  A row is reserved before the signature is asked for; what is reserved is never given back, since
nobody knows whether the signer has signed.
Source: lotus chain/vm/fvm.go VerifyConsensusFault, chain/gen/slashfilter/slashfilter.go.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.db import connection, transaction

from apps.blocks.errors import SlashGuard
from apps.blocks.models import Block, Round
from apps.blocks.selectors.mining_miners import miners_on
from apps.chain.selectors.network import genesis_current
from apps.core import clock
from apps.core.marked_texts import gettext
from apps.miners.models import Miner
from poolsite.filecoin.block import BlockMsg
from poolsite.filecoin.cids import Cid
from poolsite.filecoin.codec import from_cbor, to_cbor

SIGNED: Final = f"""
UPDATE {Block._meta.db_table} AS old SET cid = new.cid, signed = new.signed
FROM unnest(%s::bigint[], %s::text[], %s::bytea[]) AS new(id, cid, signed) WHERE old.id = new.id
"""  # noqa: S608
"""For two hundred blocks a tenth of what Django's bulk_update takes to be put together."""


@dataclass(frozen=True, slots=True)
class Reservation:
    """A header without signature for which the height is wanted."""

    block: BlockMsg
    round: Round
    base_height: int
    until: datetime
    """From then on the round has ended, and nobody waits for the row."""
    has_own: bool = False
    """Whether some block of the miner is among the parents."""


@transaction.atomic
def blocks_reserve(reservations: Sequence[Reservation]) -> list[Block | Exception]:
    """Reserve the heights for headers; return the rows that have them, maybe of other headers.

    In the place of one that a block of its miner, which may be signed, makes a fault stands SlashGuard.
    Raises TimeoutError once their round has ended: a row that nobody signs would refuse the next win.
    """
    genesis = genesis_current()
    of_miners = Block.objects.filter(
        genesis=genesis, actor_id__in=[one.block.header.miner.actor_id for one in reservations]
    )
    below = of_miners.filter(height__in={one.base_height for one in reservations}).only(
        "actor_id", "height", "cid"
    )
    own = {(row.actor_id, row.height): row for row in below}
    # A move out or a stop may have come since the round began: then another program makes the epoch's block.
    pks = [one.round.miner_id for one in reservations]
    miners = {row.pk: row for row in Miner.objects.filter(pk__in=pks)}
    wanted = miners_on(miners.values())
    results: list[Block | Exception] = [
        _moved(one, miners.get(one.round.miner_id), is_wanted=one.round.miner_id in wanted)
        or _grinding(one, own.get((one.block.header.miner.actor_id, one.base_height)))
        or _row(one, genesis)
        for one in reservations
    ]
    new = [row for row in results if isinstance(row, Block)]
    # Rows are locked in one order: a service beside us that writes the same waits, and none for the other.
    Block.objects.bulk_create(sorted(new, key=lambda row: row.actor_id), ignore_conflicts=True)
    found = of_miners.filter(height__in={row.height for row in new})
    reserved = {(row.actor_id, row.height): row for row in found}
    results = [
        (reserved.get((row.actor_id, row.height)) or _offset(row)) if isinstance(row, Block) else row
        for row in results
    ]
    if clock.now() >= min(one.until for one in reservations):  # last: the database may have kept us waiting
        raise TimeoutError
    return results


def _moved(reservation: Reservation, miner: Miner | None, *, is_wanted: bool) -> SlashGuard | None:
    """Return the fault of a block of an epoch in which another program makes, or may make, the miner's."""
    height = reservation.block.header.height
    if miner is not None and miner.works_at(height):
        if is_wanted:
            return None
        return SlashGuard(
            gettext(
                "possible double-fork fault: block production was stopped, so another program may make the"
                " miner's block of epoch {height}"
            ).format(height=height)
        )
    return SlashGuard(
        gettext("double-fork fault: another program makes the miner's block of epoch {height}").format(
            height=height
        )
    )


def _grinding(reservation: Reservation, own: Block | None) -> SlashGuard | None:
    """Return the fault of a header on parents that lack the miner's own block of their height.

    Where a program beside us has made the miner's block there, ours of which nobody knows that it was signed
    is no reason: the signer signs one header of a height, and were both signed, that would be the fault.
    """
    if own is None or own.cid in {str(cid) for cid in reservation.block.header.parents}:
        return None
    if reservation.has_own and not own.cid:
        return None
    reason = (
        gettext(
            "parent-grinding fault: the parents at epoch {epoch} do not include the miner's own block {cid}"
        ).format(epoch=reservation.base_height, cid=own.cid)
        if own.cid
        else gettext(
            "parent-grinding fault: the parents at epoch {epoch} do not include the miner's own block of that"
            " epoch, which may have been signed"
        ).format(epoch=reservation.base_height)
    )
    return SlashGuard(reason)


def _row(reservation: Reservation, genesis: str) -> Block:
    block = reservation.block
    return Block(
        genesis=genesis,
        actor_id=block.header.miner.actor_id,
        height=block.header.height,
        parents=_parents_digest(block.header.parents),
        unsigned=to_cbor(block),
        messages=len(block.bls_messages) + len(block.secpk_messages),
        round=reservation.round,
    )


def _offset(row: Block) -> SlashGuard:
    """Return the fault of a row that was not written although nothing has its height."""
    other = Block.objects.get(genesis=row.genesis, actor_id=row.actor_id, parents=row.parents)
    return SlashGuard(
        gettext("time-offset fault: the miner has a block on these parents at height {height}: {cid}").format(
            height=other.height, cid=other.cid
        )
    )


def unsigned_block_decode(row: Block) -> BlockMsg:
    """Return the block whose header may be signed at a height."""
    block: BlockMsg = from_cbor(BlockMsg, bytes(row.unsigned))
    return block


def signed_block_decode(row: Block) -> BlockMsg:
    """Return the block as it was signed, which a service that was killed may have submitted or not."""
    assert row.signed is not None
    block: BlockMsg = from_cbor(BlockMsg, bytes(row.signed))
    return block


def signed_blocks_store(signed: Sequence[tuple[Block, BlockMsg]]) -> list[None]:
    """Store signed blocks: a retry submits the same."""
    for row, block in signed:
        row.cid, row.signed = str(block.cid), to_cbor(block)
    columns = zip(*((row.pk, row.cid, row.signed) for row, _ in signed), strict=True)
    with connection.cursor() as cursor:
        cursor.execute(SIGNED, [list(column) for column in columns])
    return [None] * len(signed)


def _parents_digest(parents: Sequence[Cid]) -> bytes:
    """Name a tipset; its blocks in another order are the same parents, as in lotus' CidArrsEqual."""
    return hashlib.sha256(b"".join(sorted({cid.data for cid in parents}))).digest()
