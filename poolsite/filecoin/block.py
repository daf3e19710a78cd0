"""Blocks and tipsets: headers, the message lists beside them, their identities and order.

Source: lotus chain/types/blockheader.go, blockmsg.go, tipset.go, tipset_key.go, electionproof.go;
spec sections Block and Tipset.
"""

from __future__ import annotations

import dataclasses
import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Final

from poolsite.filecoin import cbor
from poolsite.filecoin.address import Address
from poolsite.filecoin.amounts import AttoFil
from poolsite.filecoin.amt import amt_root, amt_root_of_cids
from poolsite.filecoin.cids import Cid, cid_from_bytes, cid_from_json, cid_of_cbor, cid_to_json
from poolsite.filecoin.codec import (
    Int64,
    JsonName,
    TokenAmount,
    Uint64,
    cbor_tuple,
    from_json,
    to_cbor,
    to_json,
)
from poolsite.filecoin.kinds import CID, BadField, list_of
from poolsite.filecoin.message import Receipt, receipt_to_cbor
from poolsite.filecoin.signature import Signature

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence


CID_LEN: Final = 38
"""Bytes of a block's CID."""
BLOCK_MESSAGE_LIMIT: Final = 10_000
"""Most messages in one block."""


class BadTipset(ValueError):
    """Blocks that make no tipset together."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class Ticket:
    """A block's link in the chain of randomness."""

    vrf_proof: bytes
    """BLS signature of the drawn randomness; its blake2b-256 orders blocks."""

    @property
    def digest(self) -> bytes:
        """What tickets are compared by.  Source: Ticket.Less."""
        return hashlib.blake2b(self.vrf_proof, digest_size=32).digest()


@cbor_tuple
@dataclass(frozen=True, slots=True)
class ElectionProof:
    """The proof that a miner won an epoch."""

    win_count: Int64
    """How many times it won."""
    vrf_proof: bytes
    """BLS signature of the election randomness."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class BeaconEntry:
    """One value of the random beacon (drand)."""

    round: Uint64
    """The beacon's round."""
    data: bytes
    """The beacon's signature, base of randomness."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class PoStProof:
    """A proof of spacetime with its type."""

    post_proof: Int64
    """RegisteredPoStProof."""
    proof_bytes: bytes
    """The proof itself."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class BlockHeader:
    """A block without its messages."""

    miner: Address
    """ID address of the miner that made it."""
    ticket: Ticket | None
    """Its ticket; null only at genesis of some networks."""
    election_proof: ElectionProof | None
    """Its right to make the block."""
    beacon_entries: tuple[BeaconEntry, ...]
    """Beacon values since the parent's."""
    win_post_proof: tuple[PoStProof, ...]
    """WinningPoSt."""
    parents: tuple[Cid, ...]
    """The tipset it builds on, in ticket order."""
    parent_weight: TokenAmount
    """Weight of the chain up to the parents."""
    height: Int64
    """Its epoch."""
    parent_state_root: Cid
    """State after executing the parents."""
    parent_message_receipts: Cid
    """Root of the receipts of executing the parents."""
    messages: Cid
    """CID of the message lists' roots (MsgMeta)."""
    bls_aggregate: Signature | None
    """Sum of its BLS messages' signatures."""
    timestamp: Uint64
    """UNIX seconds; fixed by height."""
    block_sig: Signature | None
    """The worker's signature over the header without this field."""
    fork_signaling: Uint64
    """Unused, 0."""
    parent_base_fee: AttoFil
    """Base fee for executing this block's messages."""
    _cid: Cid | None = field(default=None, init=False, repr=False, compare=False)
    """The identity once it was asked for."""

    @property
    def cid(self) -> Cid:
        """The block's identity, computed once."""
        if self._cid is None:
            object.__setattr__(self, "_cid", cid_of_cbor(to_cbor(self)))
        assert self._cid is not None
        return self._cid

    @property
    def signing_bytes(self) -> bytes:
        """What the worker signs: the header with a null BlockSig."""
        return to_cbor(dataclasses.replace(self, block_sig=None))


@cbor_tuple
@dataclass(frozen=True, slots=True)
class MsgMeta:
    """The roots of a block's two message lists; its CID is BlockHeader.Messages."""

    bls_messages: Annotated[Cid, JsonName("BlsMessages")]
    """Root of the list of BLS messages' CIDs."""
    secpk_messages: Cid
    """Root of the list of the other signed messages' CIDs."""

    @property
    def cid(self) -> Cid:
        """What the header names."""
        return cid_of_cbor(to_cbor(self))


@cbor_tuple
@dataclass(frozen=True, slots=True)
class BlockMsg:
    """A block as miners pass it round: header and the CIDs of its messages."""

    header: BlockHeader
    """The block's header."""
    bls_messages: Annotated[tuple[Cid, ...], list_of(CID, limit=BLOCK_MESSAGE_LIMIT), JsonName("BlsMessages")]
    """CIDs of the unsigned BLS messages."""
    secpk_messages: Annotated[tuple[Cid, ...], list_of(CID, limit=BLOCK_MESSAGE_LIMIT)]
    """CIDs of the other signed messages."""

    @property
    def cid(self) -> Cid:
        """The block's identity."""
        return self.header.cid


@dataclass(frozen=True, slots=True)
class TipsetKey:
    """The CIDs of a tipset's blocks, in ticket order."""

    cids: tuple[Cid, ...] = ()
    """Empty means the head in RPC arguments."""

    def __bytes__(self) -> bytes:
        return b"".join(cid.data for cid in self.cids)

    def __str__(self) -> str:
        return "{" + ",".join(map(str, self.cids)) + "}"

    @property
    def is_empty(self) -> bool:
        """True for the key that means the head."""
        return not self.cids

    @property
    def cid(self) -> Cid:
        """The tipset's own CID, of the key's CBOR form."""
        return cid_of_cbor(tipset_key_to_cbor(self))


def tipset_key_to_cbor(key: TipsetKey) -> bytes:
    """A byte string of the concatenated CIDs."""
    return cbor.bytes_write(bytes(key))


def tipset_key_from_bytes(data: bytes) -> TipsetKey:
    """Read concatenated block CIDs.  Raises BadCid."""
    return TipsetKey(tuple(cid_from_bytes(data[at : at + CID_LEN]) for at in range(0, len(data), CID_LEN)))


def tipset_key_to_json(key: TipsetKey) -> list[dict[str, str] | None]:
    """The array of CIDs."""
    return [cid_to_json(cid) for cid in key.cids]


def tipset_key_from_json(value: Any) -> TipsetKey:
    """Read the array of CIDs; null and [] are the empty key.  Raises BadField, BadCid."""
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
    """Blocks of one height with the same parents, in ticket order; build it with `tipset_new`."""

    blocks: tuple[BlockHeader, ...]
    """At least one."""
    key: TipsetKey
    """Their CIDs."""

    @property
    def cids(self) -> tuple[Cid, ...]:
        """The CIDs of the blocks."""
        return self.key.cids

    @property
    def height(self) -> int:
        """The epoch."""
        return self.blocks[0].height

    @property
    def parents(self) -> TipsetKey:
        """The key of the parent tipset."""
        return TipsetKey(self.blocks[0].parents)

    @property
    def min_ticket(self) -> Ticket | None:
        """The smallest ticket, the first block's: source of chain randomness."""
        return self.blocks[0].ticket

    @property
    def min_timestamp(self) -> int:
        """The earliest time of its blocks, UNIX seconds."""
        return min(block.timestamp for block in self.blocks)

    @property
    def parent_weight(self) -> int:
        """Weight of the chain up to the parents."""
        return self.blocks[0].parent_weight

    @property
    def parent_state_root(self) -> Cid:
        """State after executing the parents."""
        return self.blocks[0].parent_state_root

    @property
    def parent_message_receipts(self) -> Cid:
        """Root of the receipts of executing the parents."""
        return self.blocks[0].parent_message_receipts

    @property
    def parent_base_fee(self) -> AttoFil:
        """Base fee for executing this tipset's messages."""
        return self.blocks[0].parent_base_fee


def tipset_new(blocks: Iterable[BlockHeader]) -> Tipset:
    """Order blocks by ticket, then by CID, and check that they belong together.

    Raises BadTipset.  Source: lotus chain/types/tipset.go NewTipSet, which names these refusals.
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
    return (block.ticket.digest if block.ticket else b"", block.cid.data)


def tipset_to_json(tipset: Tipset) -> dict[str, Any]:
    """The lotus object: Cids, Blocks, Height."""
    return {
        "Cids": tipset_key_to_json(tipset.key),
        "Blocks": [to_json(block) for block in tipset.blocks],
        "Height": tipset.height,
    }


def tipset_from_json(value: Any) -> Tipset:
    """Read the lotus object; Cids and Height follow from the blocks.  Raises BadField, BadTipset.

    A peer whose Cids differ from the CIDs of its blocks is refused: it would poison caches by CID.
    """
    if not isinstance(value, dict) or not isinstance(value.get("Blocks"), list):
        raise BadField("Blocks", "a tipset must have a list of blocks")
    tipset = tipset_new(from_json(BlockHeader, block) for block in value["Blocks"])
    claimed = value.get("Cids")
    if claimed is not None and set(tipset_key_from_json(claimed).cids) != set(tipset.cids):
        raise BadField("Cids", "do not match the blocks")
    return tipset


def header_to_json(header: BlockHeader) -> dict[str, Any]:
    """The lotus object of a header."""
    value: dict[str, Any] = to_json(header)
    return value


def header_from_json(value: Any) -> BlockHeader:
    """Read the lotus object of a header.  Raises BadField."""
    return from_json(BlockHeader, value)


def messages_root(
    bls_messages: Sequence[Cid],
    secpk_messages: Sequence[Cid],
    *,
    store: Callable[[Cid, bytes], None] | None = None,
) -> Cid:
    """BlockHeader.Messages of two lists of message CIDs; `store` gets every object made."""
    keep = store if store is not None else _forget
    meta = MsgMeta(amt_root_of_cids(bls_messages, store=keep), amt_root_of_cids(secpk_messages, store=keep))
    data = to_cbor(meta)
    cid = cid_of_cbor(data)
    keep(cid, data)
    return cid


def receipts_root(receipts: Sequence[Receipt], *, store: Callable[[Cid, bytes], None] | None = None) -> Cid:
    """BlockHeader.ParentMessageReceipts of a tipset's receipts, BLS messages first."""
    return amt_root([receipt_to_cbor(r) for r in receipts], store=store if store is not None else _forget)


def _forget(_cid: Cid, _data: bytes) -> None:
    """The store of who only wants the root."""
