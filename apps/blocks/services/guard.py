"""The guard of heights: one header for each miner and height, and one on the same parents, for good.

A miner that signs two blocks of one height (double fork), two on the same parents (time offset), or one whose
parents hold a sibling of its own block but not that block (parent grinding), pays a fine and is barred for a
finality.  A row is reserved before the signature is asked for; what is reserved is never given back, since
nobody knows whether the signer has signed.
Source: ref-fvm fvm/src/kernel/default.rs verify_consensus_fault; lotus chain/gen/slashfilter/slashfilter.go.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from django.db import IntegrityError, transaction

from apps.blocks.errors import SlashGuard
from apps.blocks.models import Block
from apps.chain.selectors import genesis_current
from poolsite.filecoin.block import BlockMsg
from poolsite.filecoin.codec import from_cbor, to_cbor

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from django.db.models import QuerySet

    from apps.blocks.models import Round
    from poolsite.filecoin.cids import Cid


def block_reserve(block: BlockMsg, *, round: Round, base_height: int, now: datetime) -> Block:
    """Reserve the height for a header without signature; return the row that has it, maybe of another header.

    Raise SlashGuard where a block of the miner that may be signed makes this one a fault.
    """
    header = block.header
    actor_id, height = header.miner.actor_id, header.height
    genesis = genesis_current()
    of_miner = Block.objects.filter(genesis=genesis, actor_id=actor_id)
    own = of_miner.filter(height=base_height).first()
    if own is not None and own.cid not in {str(cid) for cid in header.parents}:
        raise SlashGuard(
            f"parent-grinding fault: the parents at epoch {base_height} are without the miner's own block"
            f" {own.cid or 'there, which may have been signed'}"
        )
    parents = parents_digest(header.parents)
    try:
        with transaction.atomic():
            return Block.objects.create(
                genesis=genesis,
                actor_id=actor_id,
                height=height,
                parents=parents,
                unsigned=to_cbor(block),
                messages=len(block.bls_messages) + len(block.secpk_messages),
                round=round,
                reserved_at=now,
            )
    except IntegrityError:
        return _reserved(of_miner, height, parents)


def _reserved(of_miner: QuerySet[Block], height: int, parents: bytes) -> Block:
    """Return the row of the height.  Raise SlashGuard if it is another height's on the same parents."""
    row = of_miner.filter(height=height).first()
    if row is not None:
        return row
    other = of_miner.get(parents=parents)
    raise SlashGuard(
        f"time-offset fault: the miner has a block on these parents at height {other.height}: {other.cid}"
    )


def block_unsigned(row: Block) -> BlockMsg:
    """Return the block whose header may be signed at a height."""
    block: BlockMsg = from_cbor(BlockMsg, bytes(row.unsigned))
    return block


def block_signed(row: Block, block: BlockMsg) -> None:
    """Keep the signed block: a retry submits the same."""
    row.cid, row.signed = str(block.cid), to_cbor(block)
    row.save(update_fields=["cid", "signed"])


def parents_digest(parents: Sequence[Cid]) -> bytes:
    """Name a tipset; its blocks in another order are the same parents, as in lotus' CidArrsEqual."""
    return hashlib.sha256(b"".join(sorted({cid.data for cid in parents}))).digest()
