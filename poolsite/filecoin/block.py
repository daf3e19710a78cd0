"""Blocks and tipsets: headers, the message lists beside them, their CIDs and order.

Source: lotus chain/types/blockheader.go, blockmsg.go, tipset.go, tipset_key.go, electionproof.go;
build/buildconstants/params_shared_vals.go (limits); Filecoin spec, sections Block and Tipset.
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
"""Length of a block's CID, bytes: version, codec, hash code and length before 32 bytes of blake2b-256."""
BLOCK_MESSAGE_LIMIT: Final = 10_000
"""Highest number of messages in one block."""


class BadTipset(ValueError):
    """Blocks that cannot be one tipset."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class Ticket:
    """A block's link in the chain of tickets, from which chain randomness is drawn."""

    vrf_proof: bytes
    """BLS signature of the worker over the ticket randomness, 96 bytes."""

    @property
    def digest(self) -> bytes:
        """Return the blake2b-256 hash by which tickets are ordered.  Source: tipset.go Ticket.Less."""
        return hashlib.blake2b(self.vrf_proof, digest_size=32).digest()


@cbor_tuple
@dataclass(frozen=True, slots=True)
class ElectionProof:
    """The proof that a miner was elected in an epoch."""

    win_count: Int64
    """Wins, at least 1 in a valid block; each pays a fifth of the epoch's reward."""
    vrf_proof: bytes
    """BLS signature of the worker over the election randomness, 96 bytes; its hash decides the win count."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class BeaconEntry:
    """One round of the random beacon (drand)."""

    round: Uint64
    """Number of the round, by drand's own count."""
    data: bytes
    """The round's signature, from which randomness is drawn."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class PoStProof:
    """A proof of spacetime with its type."""

    post_proof: Int64
    """RegisteredPoStProof code."""
    proof_bytes: bytes
    """192 bytes for each partition of the proof."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class BlockHeader:
    """A block without its messages."""

    miner: Address
    """f0 address of the miner that made it."""
    ticket: Ticket | None
    """Null on the wire at most: lotus makes no tipset of a block without one."""
    election_proof: ElectionProof | None
    """Null on the wire at most."""
    beacon_entries: tuple[BeaconEntry, ...]
    """Beacon rounds since the parent's last, ascending; of drand quicknet one for each epoch since."""
    win_post_proof: tuple[PoStProof, ...]
    """One WinningPoSt."""
    parents: tuple[Cid, ...]
    """CIDs of the parent tipset's blocks, in ticket order."""
    parent_weight: TokenAmount
    """Weight of the chain up to and including the parents, before this block."""
    height: Int64
    """Epoch of the block."""
    parent_state_root: Cid
    """State root after executing the parent tipset's messages."""
    parent_message_receipts: Cid
    """AMT root of the receipts of executing the parent tipset's messages."""
    messages: Cid
    """CID of the MsgMeta with the block's messages."""
    bls_aggregate: Signature | None
    """Aggregate of the signatures of its BLS messages."""
    timestamp: Uint64
    """UNIX seconds; genesis time plus height times epoch duration."""
    block_sig: Signature | None
    """The worker's signature over the header with null in this place."""
    fork_signaling: Uint64
    """Unused, 0."""
    parent_base_fee: AttoFil
    """Base fee that this block's messages pay, attoFIL per gas: set by executing the parent tipset."""
    _cid: Cid | None = field(default=None, init=False, repr=False, compare=False)
    """Kept once computed."""

    @property
    def cid(self) -> Cid:
        """Return the block's CID; computed once."""
        if self._cid is None:
            object.__setattr__(self, "_cid", cid_of_cbor(to_cbor(self)))
        assert self._cid is not None
        return self._cid

    @property
    def signing_bytes(self) -> bytes:
        """Return what the worker signs: the header's CBOR with a null BlockSig."""
        return to_cbor(dataclasses.replace(self, block_sig=None))


@cbor_tuple
@dataclass(frozen=True, slots=True)
class MsgMeta:
    """Roots of a block's two message lists; its CID is BlockHeader.messages."""

    bls_messages: Annotated[Cid, JsonName("BlsMessages")]
    """AMT root of the CIDs of its BLS messages."""
    secpk_messages: Cid
    """AMT root of the CIDs of its other messages (secp256k1 and delegated), signatures included."""

    @property
    def cid(self) -> Cid:
        """Return the CID that BlockHeader.messages holds."""
        return cid_of_cbor(to_cbor(self))


@cbor_tuple
@dataclass(frozen=True, slots=True)
class BlockMsg:
    """A block as it is gossiped and submitted: the header, and the CIDs of its messages."""

    header: BlockHeader
    """With election proof, ticket and signature."""
    bls_messages: Annotated[tuple[Cid, ...], list_of(CID, limit=BLOCK_MESSAGE_LIMIT), JsonName("BlsMessages")]
    """CIDs of messages without signatures, as BLS signatures are aggregated."""
    secpk_messages: Annotated[tuple[Cid, ...], list_of(CID, limit=BLOCK_MESSAGE_LIMIT)]
    """CIDs of messages with their signatures."""

    @property
    def cid(self) -> Cid:
        """Return the block's CID."""
        return self.header.cid


@dataclass(frozen=True, slots=True)
class TipsetKey:
    """The CIDs that identify a tipset."""

    cids: tuple[Cid, ...] = ()
    """In ticket order; another order is another key.  Empty stands for the head in RPC parameters."""

    def __bytes__(self) -> bytes:
        return b"".join(cid.data for cid in self.cids)

    def __str__(self) -> str:
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


def header_to_json(header: BlockHeader) -> dict[str, Any]:
    """Return lotus' JSON object of a header."""
    value: dict[str, Any] = to_json(header)
    return value


def messages_root(
    bls_messages: Sequence[Cid],
    secpk_messages: Sequence[Cid],
    *,
    store: Callable[[Cid, bytes], None] | None = None,
) -> Cid:
    """Return BlockHeader.messages for two lists of message CIDs; `store` receives every object on the way."""
    keep = store if store is not None else _forget
    meta = MsgMeta(amt_root_of_cids(bls_messages, store=keep), amt_root_of_cids(secpk_messages, store=keep))
    data = to_cbor(meta)
    cid = cid_of_cbor(data)
    keep(cid, data)
    return cid


def receipts_root(receipts: Sequence[Receipt], *, store: Callable[[Cid, bytes], None] | None = None) -> Cid:
    """Return BlockHeader.parent_message_receipts of a tipset's receipts, in the order of execution."""
    return amt_root([receipt_to_cbor(r) for r in receipts], store=store if store is not None else _forget)


def _forget(_cid: Cid, _data: bytes) -> None:
    """Drop an object, where only the root is wanted."""
