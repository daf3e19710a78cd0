"""What a token that is limited to miners may have signed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from apps.core.errors import NotAllowed
from apps.users.rules.principals import SYSTEM
from apps.wallets.rules.limits import bytes_check
from poolsite.filecoin.address import id_address
from poolsite.filecoin.amounts import AttoFil
from poolsite.filecoin.block import BlockHeader
from poolsite.filecoin.cids import cid_of_cbor
from poolsite.filecoin.codec import to_cbor

ROOT = cid_of_cbor(b"\x80")


def header(actor_id: int) -> bytes:
    """A header of this miner as the hub is asked to have it signed."""
    block = BlockHeader(
        miner=id_address(actor_id),
        ticket=None,
        election_proof=None,
        beacon_entries=(),
        win_post_proof=(),
        parents=(ROOT,),
        parent_weight=1,
        height=7,
        parent_state_root=ROOT,
        parent_message_receipts=ROOT,
        messages=ROOT,
        bls_aggregate=None,
        timestamp=7,
        block_sig=None,
        fork_signaling=0,
        parent_base_fee=AttoFil(100),
    )
    return to_cbor(block)


def check(to_sign: bytes, *, meta_type: str = "block") -> None:
    caller = replace(SYSTEM, miners=(1004,))
    bytes_check(caller, address="f3worker", to_sign=to_sign, meta_type=meta_type, extra=b"")


def test_header_of_the_tokens_miner_is_signed():
    check(header(1004))


def test_header_of_another_miner_with_the_same_key_is_refused():
    with pytest.raises(NotAllowed, match="may not sign blocks of f01005"):
        check(header(1005))


@pytest.mark.parametrize("data", [b"", b"\x80", bytes(32)])
def test_bytes_that_are_no_header_are_refused(data):
    with pytest.raises(NotAllowed, match="not a block header"):
        check(data)
