"""Tipsets: the blocks of one epoch with the same parents, their key and their order.

Blocks are ordered by the hash of their tickets, which nobody can choose; the order decides whose copy of a
message is executed and whose ticket the chain draws randomness from.  A key lists the CIDs in that order.

Source: lotus chain/types/tipset.go, tipset_key.go; Filecoin spec, section Tipset.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from poolsite.filecoin import cbor
from poolsite.filecoin.block import BlockHeader, Ticket
from poolsite.filecoin.cids import Cid, cid_from_bytes, cid_from_json, cid_of_cbor, cid_to_json
from poolsite.filecoin.codec import from_json, to_json
from poolsite.filecoin.kinds import BadField

if TYPE_CHECKING:
    from poolsite.filecoin.amounts import AttoFil

CID_LEN: Final = 38
"""Length of a block's CID, bytes: version, codec, hash code and length before 32 bytes of blake2b-256."""


class BadTipset(ValueError):
    """Blocks that cannot be one tipset."""


@dataclass(frozen=True, slots=True)
class TipsetKey:
    """The CIDs that identify a tipset."""

    cids: tuple[Cid, ...] = ()
    """In ticket order; another order is another key.  Empty stands for the head in RPC parameters."""

    def __bytes__(self) -> bytes:
        """Return the CIDs one after the other, 38 bytes each."""
        return b"".join(cid.data for cid in self.cids)

    def __str__(self) -> str:
        """Return the text as Go prints it: `{baf...,baf...}`."""
        return "{" + ",".join(map(str, self.cids)) + "}"

    @property
    def is_empty(self) -> bool:
        """Return whether this is the key that stands for the head."""
        return not self.cids

    @property
    def cid(self) -> Cid:
        """Return the tipset's own CID: that of the key's CBOR form."""
        return cid_of_cbor(tipset_key_to_cbor(self))


def tipset_key_to_cbor(key: TipsetKey) -> bytes:
    """Return the CBOR form: one byte string of the concatenated CIDs."""
    return cbor.bytes_write(bytes(key))


def tipset_key_from_bytes(data: bytes) -> TipsetKey:
    """Read concatenated block CIDs.  Raises BadCid."""
    return TipsetKey(tuple(cid_from_bytes(data[at : at + CID_LEN]) for at in range(0, len(data), CID_LEN)))


def tipset_key_to_json(key: TipsetKey) -> list[dict[str, str] | None]:
    """Return the JSON array of CIDs."""
    return [cid_to_json(cid) for cid in key.cids]


def tipset_key_from_json(value: Any) -> TipsetKey:
    """Read the JSON array of CIDs; null and [] give the empty key.  Raises BadField, BadCid."""
    if value is None:
        return TipsetKey()
    if not isinstance(value, list):
        raise BadField("", "a tipset key must be a list of CIDs")
    cids = tuple(cid_from_json(item) for item in value)
    if None in cids:
        raise BadField("", "a tipset key must not hold null")
    return TipsetKey(tuple(cid for cid in cids if cid is not None))


@dataclass(frozen=True, slots=True)
class Tipset:
    """Blocks of one epoch with the same parents, in ticket order; `tipset_new` makes it."""

    blocks: tuple[BlockHeader, ...]
    """At least one."""
    key: TipsetKey
    """CIDs of the blocks, in their order."""

    @property
    def cids(self) -> tuple[Cid, ...]:
        """Return the CIDs of the blocks."""
        return self.key.cids

    @property
    def height(self) -> int:
        """Return the epoch of the blocks."""
        return self.blocks[0].height

    @property
    def parents(self) -> TipsetKey:
        """Return the key of the parent tipset."""
        return TipsetKey(self.blocks[0].parents)

    @property
    def min_ticket(self) -> Ticket | None:
        """Return the first block's ticket, from which chain randomness of this epoch is drawn."""
        return self.blocks[0].ticket

    @property
    def min_timestamp(self) -> int:
        """Return the earliest timestamp of the blocks, UNIX seconds."""
        return min(block.timestamp for block in self.blocks)

    @property
    def parent_weight(self) -> int:
        """Return the weight of the chain up to and including the parents."""
        return self.blocks[0].parent_weight

    @property
    def parent_state_root(self) -> Cid:
        """Return the state root after executing the parents."""
        return self.blocks[0].parent_state_root

    @property
    def parent_message_receipts(self) -> Cid:
        """Return the AMT root of the receipts of executing the parents."""
        return self.blocks[0].parent_message_receipts

    @property
    def parent_base_fee(self) -> AttoFil:
        """Return the base fee that this tipset's messages pay, attoFIL per gas."""
        return self.blocks[0].parent_base_fee


def tipset_new(blocks: Iterable[BlockHeader]) -> Tipset:
    """Return the tipset of blocks, ordered by ticket, then by CID.

    Raises BadTipset.  The refusals of no block, heights and parents are those of lotus chain/types/tipset.go
    NewTipSet; the others check what its block validation makes sure of (the state, receipts, weight and base
    fee follow from the parents, and two blocks of one miner are a consensus fault).
    """
    ordered = sorted(blocks, key=_block_order)
    if not ordered:
        raise BadTipset("NewTipSet called with zero length array of blocks")
    first = ordered[0]
    for block in ordered[1:]:
        if block.height != first.height:
            raise BadTipset("cannot create tipset with mismatching heights")
        if block.parents != first.parents:
            raise BadTipset("cannot create tipset with mismatching parents")
        if (block.parent_weight, block.parent_state_root, block.parent_message_receipts) != (
            first.parent_weight,
            first.parent_state_root,
            first.parent_message_receipts,
        ):
            raise BadTipset("cannot create tipset with mismatching parent weight, state or receipts")
        if block.parent_base_fee != first.parent_base_fee:
            raise BadTipset("cannot create tipset with mismatching base fees")
    if len({block.miner for block in ordered}) != len(ordered):
        raise BadTipset("cannot create tipset with two blocks of one miner")
    return Tipset(tuple(ordered), TipsetKey(tuple(block.cid for block in ordered)))


def _block_order(block: BlockHeader) -> tuple[bytes, bytes]:
    """Return what blocks of a tipset are sorted by: the ticket's hash, then the CID."""
    return (block.ticket.digest if block.ticket else b"", block.cid.data)


def tipset_to_json(tipset: Tipset) -> dict[str, Any]:
    """Return lotus' JSON object with Cids, Blocks and Height."""
    return {
        "Cids": tipset_key_to_json(tipset.key),
        "Blocks": [to_json(block) for block in tipset.blocks],
        "Height": tipset.height,
    }


def tipset_from_json(value: Any) -> Tipset:
    """Read lotus' JSON object; the height and the order follow from the blocks.

    Raises BadField, BadTipset.  An object whose Cids are not those of its blocks is refused: it would poison
    caches that are keyed by CID.
    """
    if not isinstance(value, dict) or not isinstance(value.get("Blocks"), list):
        raise BadField("Blocks", "a tipset must have a list of blocks")
    tipset = tipset_new(from_json(BlockHeader, block) for block in value["Blocks"])
    claimed = value.get("Cids")
    if claimed is not None and set(tipset_key_from_json(claimed).cids) != set(tipset.cids):
        raise BadField("Cids", "do not match the blocks")
    return tipset
