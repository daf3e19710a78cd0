"""Tipsets: their order, their key, and blocks that do not belong together."""

from __future__ import annotations

import dataclasses
import hashlib
from typing import Any

import pytest

from poolsite.filecoin.address import id_address
from poolsite.filecoin.amounts import AttoFil
from poolsite.filecoin.amt import amt_root_of_cids
from poolsite.filecoin.block import (
    BlockHeader,
    ElectionProof,
    MsgMeta,
    Ticket,
    header_to_json,
    messages_root,
    receipts_root,
)
from poolsite.filecoin.cids import BadCid, Cid, cid_of_cbor
from poolsite.filecoin.codec import from_json, to_cbor
from poolsite.filecoin.kinds import BadField
from poolsite.filecoin.message import Receipt
from poolsite.filecoin.signature import Signature
from poolsite.filecoin.tipset import (
    BadTipset,
    TipsetKey,
    tipset_from_json,
    tipset_key_from_bytes,
    tipset_key_from_json,
    tipset_new,
    tipset_to_json,
)

ROOT = cid_of_cbor(b"root")


def header(miner: int = 1000, **changes: Any) -> BlockHeader:
    """A block of miner `miner` at height 5."""
    values: dict[str, Any] = {
        "miner": id_address(miner),
        "ticket": Ticket(miner.to_bytes(2, "big")),
        "election_proof": ElectionProof(1, b"proof"),
        "beacon_entries": (),
        "win_post_proof": (),
        "parents": (ROOT,),
        "parent_weight": 77,
        "height": 5,
        "parent_state_root": ROOT,
        "parent_message_receipts": ROOT,
        "messages": ROOT,
        "bls_aggregate": Signature(2, bytes(96)),
        "timestamp": 1_700_000_000,
        "block_sig": Signature(2, b"sig"),
        "fork_signaling": 0,
        "parent_base_fee": AttoFil(100),
    }
    return BlockHeader(**(values | changes))


def test_blocks_are_ordered_by_the_hash_of_their_tickets() -> None:
    blocks = [header(miner) for miner in range(1000, 1020)]

    tipset = tipset_new(reversed(blocks))

    digests = [
        hashlib.blake2b(b.ticket.vrf_proof, digest_size=32).digest() for b in tipset.blocks if b.ticket
    ]
    assert digests == sorted(digests)
    assert tipset == tipset_new(blocks)
    assert tipset.min_ticket == tipset.blocks[0].ticket


def test_equal_tickets_are_ordered_by_cid() -> None:
    blocks = [header(miner, ticket=Ticket(b"same")) for miner in range(1000, 1005)]

    cids = [cid.data for cid in tipset_new(blocks).cids]

    assert cids == sorted(cids)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"height": 6}, "mismatching heights"),
        ({"parents": ()}, "mismatching parents"),
        ({"parent_weight": 78}, "mismatching parent weight"),
        ({"parent_state_root": cid_of_cbor(b"other")}, "state"),
        ({"parent_message_receipts": cid_of_cbor(b"other")}, "receipts"),
        ({"parent_base_fee": AttoFil(101)}, "mismatching base fees"),
        ({"miner": id_address(1000), "timestamp": 5}, "two blocks of one miner"),
    ],
)
def test_blocks_that_do_not_belong_together(change: dict[str, Any], text: str) -> None:
    with pytest.raises(BadTipset, match=text):
        tipset_new([header(1000), dataclasses.replace(header(1001), **change)])


def test_no_blocks_make_no_tipset() -> None:
    with pytest.raises(BadTipset, match="NewTipSet called with zero length array of blocks"):
        tipset_new([])


def test_a_tipset_reads_back_from_json() -> None:
    tipset = tipset_new([header(1000), header(1001, timestamp=1_699_999_999)])

    assert tipset_from_json(tipset_to_json(tipset)) == tipset
    assert tipset.min_timestamp == 1_699_999_999
    assert (tipset.height, tipset.parent_weight, tipset.parent_base_fee) == (5, 77, 100)
    assert tipset.parents == TipsetKey((ROOT,))


def test_a_peer_that_lies_about_cids_is_refused() -> None:
    value = tipset_to_json(tipset_new([header()]))
    value["Cids"] = [{"/": str(ROOT)}]

    with pytest.raises(BadField, match="do not match the blocks"):
        tipset_from_json(value)


@pytest.mark.parametrize("value", [None, [], {}, {"Blocks": None}, {"Blocks": 5}])
def test_what_is_no_tipset_is_refused(value: object) -> None:
    with pytest.raises(BadField):
        tipset_from_json(value)


def test_keys_read_back_and_the_empty_one_means_the_head() -> None:
    key = tipset_new([header(1000), header(1001)]).key

    assert tipset_key_from_bytes(bytes(key)) == key
    assert tipset_key_from_json(None) == tipset_key_from_json([]) == TipsetKey()
    assert TipsetKey().is_empty
    assert str(key) == "{" + ",".join(map(str, key.cids)) + "}"
    with pytest.raises(BadCid):
        tipset_key_from_bytes(bytes(key)[:-1])
    refused: tuple[object, ...] = ({}, "bafy", [None])
    for bad in refused:
        with pytest.raises(BadField):
            tipset_key_from_json(bad)


def test_the_signature_covers_everything_but_itself() -> None:
    block = header()
    other = dataclasses.replace(block, block_sig=None)

    assert block.signing_bytes == to_cbor(other) == other.signing_bytes
    assert block.cid != other.cid
    assert dataclasses.replace(block, timestamp=5).signing_bytes != block.signing_bytes


def test_a_copy_has_its_own_cid() -> None:
    block = header()
    first = block.cid

    assert dataclasses.replace(block, timestamp=5).cid != first
    assert block.cid is first
    assert from_json(BlockHeader, header_to_json(block)).cid == first


def test_stores_get_every_object_that_a_root_names() -> None:
    kept: dict[Cid, bytes] = {}
    bls = [cid_of_cbor(bytes((n,))) for n in range(70)]

    root = messages_root(bls, [], store=kept.__setitem__)

    meta = MsgMeta(amt_root_of_cids(bls), amt_root_of_cids([]))
    assert root == meta.cid
    assert {root, meta.bls_messages, meta.secpk_messages} <= set(kept)
    assert all(cid_of_cbor(data) == cid for cid, data in kept.items())
    assert len(kept) == 1 + 1 + (1 + 2 + 9)  # meta, empty list, and 70 links: root, 2 inner nodes, 9 leaves


def test_the_receipts_root_depends_on_order_and_version() -> None:
    one, two = Receipt(0, b"", 5), Receipt(16, b"", 7)

    roots = {receipts_root(r) for r in ([], [one], [one, two], [two, one], [Receipt(0, b"", 5, version=0)])}

    assert len(roots) == 5
