"""Blocks: headers, the message lists beside them, their CIDs.

A header names its messages by one CID, that of a MsgMeta with the roots of two lists: BLS messages without
their signatures, which the header's aggregate covers together, and all others with theirs.  State root,
receipts and base fee in a header are of the parent tipset: a block's own messages are executed by the next.

Source: lotus chain/types/blockheader.go, blockmsg.go, electionproof.go, tipset.go (Ticket.Less);
build/buildconstants/params_shared_vals.go (limits); Filecoin spec, section Block.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Final

from poolsite.filecoin.address import Address
from poolsite.filecoin.amounts import AttoFil
from poolsite.filecoin.amt import amt_root, amt_root_of_cids
from poolsite.filecoin.cids import Cid, cid_of_cbor
from poolsite.filecoin.codec import Int64, JsonName, TokenAmount, Uint64, cbor_tuple, to_cbor, to_json
from poolsite.filecoin.kinds import CID, list_of
from poolsite.filecoin.message import Receipt, receipt_to_cbor
from poolsite.filecoin.signature import Signature

BLOCK_MESSAGE_LIMIT: Final = 10_000
"""Highest number of messages in one block."""


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
        """Return the block's CID, its signature included; computed once."""
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
    """Return BlockHeader.messages for two lists of message CIDs, in the order in which they are executed.

    `store` receives every object on the way, so that what the root names can be served: the blocks of both
    tries, then the MsgMeta.
    """
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
