"""Block headers that a signer is asked for, once and again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from poolsite.filecoin.address import id_address
from poolsite.filecoin.block import BlockHeader, ElectionProof, PoStProof, Ticket
from poolsite.filecoin.cids import cid_of_cbor
from poolsite.filecoin.codec import to_cbor
from poolsite.filecoin.keys import key_address
from tests.keys import fixed_key
from tests.unit.workers.signer.conftest import CHEAP, PASSWORD
from workers.signer.signing import Signer

WORKER = key_address(fixed_key("bls"))


def block(height: int, what: bytes = b"", **overrides: Any) -> BlockHeader:
    """A header; what else there is in it makes it another one."""
    fields: dict[str, Any] = {
        "miner": id_address(1000),
        "ticket": Ticket(b"\x01" * 96),
        "election_proof": ElectionProof(1, b"\x02" * 96),
        "beacon_entries": (),
        "win_post_proof": (PoStProof(0, b"\x03" * 192),),
        "parents": (cid_of_cbor(b"parent of %d" % height),),
        "parent_weight": 10**6,
        "height": height,
        "parent_state_root": cid_of_cbor(b"state"),
        "parent_message_receipts": cid_of_cbor(b"receipts"),
        "messages": cid_of_cbor(what),
        "bls_aggregate": None,
        "timestamp": 1_700_000_000,
        "block_sig": None,
        "fork_signaling": 0,
        "parent_base_fee": 100,
    }
    return BlockHeader(**{**fields, **overrides})


def sign(signer: Signer, header: BlockHeader, *, address: Any = WORKER, caller: str = "gateway a") -> Any:
    raw = to_cbor(header)
    return signer.sign(address=str(address), to_sign=raw, meta_type="block", extra=b"", caller=caller)


def again(folder: Path) -> Signer:
    """The same signer after a start."""
    signer = Signer(folder, cost=CHEAP)
    signer.store.unlock(PASSWORD)
    return signer
