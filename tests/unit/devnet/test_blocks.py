"""Blocks of a miner outside the node: templates, submission, and every refusal in lotus' words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from poolsite.devnet.header_checks import BadBlock
from poolsite.devnet.mempool import MessageRejected
from poolsite.devnet.node import Devnet
from poolsite.devnet.production import FullBlock, Template, block_create
from poolsite.devnet.rpc.mining import miner_create_block, miner_get_base_info, sync_submit_block
from poolsite.filecoin.actors.miner_proving import ReportConsensusFaultParams
from poolsite.filecoin.amounts import FIL
from poolsite.filecoin.block import BeaconEntry, ElectionProof, PoStProof, Ticket
from poolsite.filecoin.cids import cid_of_cbor
from poolsite.filecoin.codec import to_cbor
from poolsite.filecoin.keys import key_sign
from poolsite.filecoin.message import SignedMessage, signed_message_to_cbor
from poolsite.filecoin.signature import Signature
from poolsite.filecoin.sigtypes import SIG_BLS
from poolsite.wire.jsonrpc.messages import RpcError
from tests.unit.devnet.people import OWNER, STRANGER, WORKER, chain, send, signed

PREFIX = (
    "sync to submitted block failed: collectChain failed: collectChain syncMessages: "
    "message processing failed: validating block "
)
OTHER_CID = cid_of_cbor(b"another")
BAD_VRF = key_sign(WORKER.key, b"other data").data


@pytest.fixture
def node():
    node = chain()
    node.mine(4)
    yield node
    node.close()


def good(node: Devnet, messages: Sequence[SignedMessage] = (), **changes: Any) -> FullBlock:
    """The block that the built-in miner would make now; `changes` are made before it is signed."""
    head = node.head
    full = node.miner.round(
        head, head.height + 1, messages=messages, timestamp=head.tipset.min_timestamp + node.network.epoch_s
    )
    assert full is not None
    return resigned(node, full, **changes) if changes else full


def resigned(node: Devnet, full: FullBlock, **changes: Any) -> FullBlock:
    header = replace(full.block.header, **changes)
    if "block_sig" not in changes:
        header = replace(header, block_sig=key_sign(node.key, header.signing_bytes))
    return FullBlock(replace(full.block, header=header), full.bls, full.secpk)


def submit(node, full):
    node.clock.not_before(node.head.tipset.min_timestamp + node.network.epoch_s)
    node.store.messages_put([(m.cid.data, signed_message_to_cbor(m)) for m in (*full.bls, *full.secpk)])
    return sync_submit_block(node, full.block)


def refusal(node: Devnet, full: FullBlock) -> str:
    before = node.head.key
    with pytest.raises(RpcError) as caught:
        submit(node, full)
    assert node.head.key == before
    return caught.value.message.removeprefix(f"{PREFIX}{full.block.cid}: ")


def test_a_good_block_becomes_the_head(node):
    full = good(node)

    submit(node, full)

    assert node.head.key.cids == (full.block.cid,)
    assert submit(node, full) is None, "a known block is a success"


def test_a_block_carries_messages_of_both_kinds(node):
    messages = [
        signed(node, OWNER, STRANGER.address, value=1),
        signed(node, WORKER, STRANGER.address, value=2),
    ]
    full = good(node, messages)

    submit(node, full)
    node.mine_one()

    for message in messages:
        assert node.search.find(message.cid, node.head.tipset).receipt.exit_code == 0


def test_the_node_fills_in_a_template(node):
    full = good(node)
    header = full.block.header
    template = Template(
        miner=header.miner,
        ticket=header.ticket,
        election_proof=header.election_proof,
        beacon_entries=header.beacon_entries,
        win_post_proof=header.win_post_proof,
        messages=(),
        epoch=header.height,
        timestamp=header.timestamp,
    )

    created = miner_create_block(node, (template, header.parents))

    assert created["Header"]["ParentStateRoot"] == {"/": str(node.head.root)}
    assert block_create(template, node.head, node.key).block == full.block


def test_base_info_names_the_sector_to_prove(node):
    info = miner_get_base_info(node, node.miner.address, node.head.height + 1, node.head.key.cids)

    assert info["EligibleForMining"] is True
    assert [sector["SectorNumber"] for sector in info["Sectors"]] == [0]
    assert [entry["Round"] for entry in info["BeaconEntries"]] == [node.head.height + 1]


HEADER_REFUSALS: dict[str, dict[str, Any]] = {
    "block had nil signature": {"block_sig": None},
    "block cannot have nil election proof": {"election_proof": None},
    "block had nil bls aggregate signature": {"bls_aggregate": None},
}


@pytest.mark.parametrize("reason", HEADER_REFUSALS)
def test_nothing_may_be_missing(node, reason):
    text = refusal(node, good(node, **HEADER_REFUSALS[reason]))

    assert text == f"incoming header failed basic sanity checks: {reason}"


def test_a_block_without_ticket_is_no_tipset(node):
    full = good(node, ticket=None)

    expected = f"somehow failed to make a tipset out of a single block: block {full.block.cid} has nil Ticket"
    assert refusal(node, full) == expected


def one_error(reason):
    return f"1 error occurred:\n\t* {reason}\n\n"


def test_a_wrong_signature(node):
    full = good(node, block_sig=Signature(SIG_BLS, BAD_VRF))

    assert refusal(node, full) == one_error("check block signature failed: bls signature failed to verify")


def test_no_win(node):
    proof = good(node).block.header.election_proof
    assert proof is not None

    text = refusal(node, good(node, election_proof=ElectionProof(0, proof.vrf_proof)))

    assert text == one_error("block is not claiming to be a winner")


def test_too_many_wins(node):
    proof = good(node).block.header.election_proof
    assert proof is not None
    wins = proof.win_count

    text = refusal(node, good(node, election_proof=ElectionProof(wins + 1, proof.vrf_proof)))

    assert text == one_error(f"miner claims wrong number of wins: miner: {wins + 1}, computed: {wins}")


def test_a_foreign_election_proof(node):
    text = refusal(node, good(node, election_proof=ElectionProof(1, BAD_VRF)))

    reason = "validating block election proof failed: vrf was invalid: bls signature failed to verify"
    assert text == one_error(reason)


def test_a_foreign_ticket(node):
    text = refusal(node, good(node, ticket=Ticket(BAD_VRF)))

    reason = "validating block tickets failed: vrf was invalid: bls signature failed to verify"
    assert text == one_error(reason)


def test_an_expired_ticket(node):
    """The ticket of the block before: right key, wrong epoch."""
    text = refusal(node, good(node, ticket=node.head.tipset.min_ticket))

    assert "validating block tickets failed" in text


def test_a_block_of_the_past_or_the_future(node):
    parent = node.head.tipset.min_timestamp
    delay = node.network.epoch_s

    early = refusal(node, good(node, timestamp=parent))
    late = refusal(node, good(node, timestamp=parent + 1000))

    assert early == f"block has wrong timestamp: {parent} != {parent + delay}"
    assert late == f"block was from the future (now={parent + delay}, blk={parent + 1000}): temporal error"


def test_a_block_must_be_above_its_parents(node):
    with pytest.raises(BadBlock, match="block height not greater than parent height"):
        node.block_submit(good(node, height=node.head.height))


def test_results_of_the_parents_must_be_ours(node):
    head = node.head
    empty = head.receipts_root
    cases = {
        f"parent weight different: {head.weight + 1} (header) != {head.weight} (computed)": {
            "parent_weight": head.weight + 1
        },
        one_error(
            f"base fee doesn't match: {head.next_base_fee + 1} (header) != {head.next_base_fee} (computed)"
        ): {"parent_base_fee": head.next_base_fee + 1},
        one_error(f"parent state root did not match computed state ({OTHER_CID} != {head.root})"): {
            "parent_state_root": OTHER_CID
        },
        one_error(f"parent receipts root did not match computed value ({OTHER_CID} != {empty})"): {
            "parent_message_receipts": OTHER_CID
        },
    }

    assert {refusal(node, good(node, **changes)) for changes in cases.values()} == set(cases)


def test_the_winning_proof_is_verified(node):
    proof = good(node).block.header.win_post_proof[0]
    broken = bytearray(proof.proof_bytes)
    broken[len(broken) // 2] ^= 1

    missing = refusal(node, good(node, win_post_proof=()))
    wrong = refusal(node, good(node, win_post_proof=(PoStProof(proof.post_proof, bytes(broken)),)))

    assert missing == one_error("invalid election post: No winning post proof given")
    assert wrong == one_error("invalid election post: winning post was invalid")


def test_beacon_entries_are_checked(node):
    entry = good(node).block.header.beacon_entries[0]

    none = refusal(node, good(node, beacon_entries=()))
    foreign = refusal(node, good(node, beacon_entries=(BeaconEntry(entry.round, BAD_VRF),)))

    assert "failed to validate blocks random beacon values" in none
    assert "failed to validate blocks random beacon values" in foreign


def test_messages_must_match_the_root(node):
    full = good(node, [signed(node, OWNER, STRANGER.address, value=1)])
    bare = FullBlock(replace(full.block, secpk_messages=()), (), ())

    assert "messages in full block did not match msgmeta root in header" in refusal(node, bare)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"nonce": 5}, "wrong nonce (exp: 0, got: 5)"),
        ({"gas_limit": 600_000}, "'GasLimit' field cannot be less than the cost of storing a message"),
        ({"gas_limit": 10_000_000_001}, "'GasLimit' field cannot be greater than a block's gas limit"),
    ],
)
def test_every_message_must_be_fit(node, changes, reason):
    fields = {"gas_limit": 3_000_000} | changes
    full = good(node, [signed(node, OWNER, STRANGER.address, value=1, **fields)])

    assert reason in refusal(node, full)


def test_signatures_of_messages_are_checked(node):
    secp = signed(node, OWNER, STRANGER.address, value=1)
    bls = signed(node, WORKER, STRANGER.address, value=1)
    forged = replace(secp, signature=Signature(1, bytes(65)))
    wrong = replace(bls, signature=Signature(SIG_BLS, BAD_VRF))

    assert "has invalid signature" in refusal(node, good(node, [forged]))
    assert "block had invalid bls aggregate signature" in refusal(node, good(node, [wrong]))


def test_gas_of_a_block_is_limited(node):
    messages = [
        signed(node, who, STRANGER.address, value=1, gas_limit=6_000_000_000) for who in (OWNER, WORKER)
    ]

    assert "block gas limit exceeded" in refusal(node, good(node, messages))


def test_unknown_parents(node):
    full = good(node, parents=(OTHER_CID,))

    assert refusal(node, full) == f"loading parent block: ipld: could not find {OTHER_CID}"


def report(node, first, second):
    left, right = (to_cbor(full.block.header) for full in (first, second))
    params = to_cbor(ReportConsensusFaultParams(left, right, b""))
    return send(node, STRANGER, node.miner.address, method=15, params=params, gas_limit=200_000_000)


def test_a_reported_double_block_is_punished(node):
    first = good(node)
    submit(node, first)
    again = resigned(node, first, fork_signaling=1)
    node.mine_one()
    burnt = node.chain.state_after(node.head.key).get("actors", 99).balance

    receipt = report(node, first, again)

    state = node.chain.state_after(node.head.key)
    assert receipt.exit_code == 0
    assert state.get("miners", 1000).consensus_fault_elapsed > node.head.height
    assert state.get("actors", 99).balance - burnt > 30 * FIL


def test_only_reports_of_double_blocks_may_be_longer(node):
    def is_too_big(method: int, size: int) -> bool:
        one = signed(node, STRANGER, node.miner.address, method=method, gas_limit=10**8)
        try:
            node.mempool._check(replace(one, message=replace(one.message, params=bytes(size))))
        except MessageRejected as refused:
            return "message too big" in str(refused)
        return False

    assert (is_too_big(15, 100_000), is_too_big(15, 131_072)) == (False, True)
    assert (is_too_big(6, 65_000), is_too_big(6, 65_536)) == (False, True)


def test_what_is_no_fault_is_not_punished(node):
    first = good(node)
    submit(node, first)
    node.mine_one()
    other = good(node)
    submit(node, other)
    forged = resigned(node, first, fork_signaling=1, block_sig=Signature(SIG_BLS, BAD_VRF))

    assert report(node, first, first).exit_code == 16
    assert report(node, first, other).exit_code == 16
    assert report(node, first, forged).exit_code == 16


def test_two_blocks_of_one_epoch_are_a_fault(node):
    first = good(node)
    submit(node, first)
    again = resigned(node, first, fork_signaling=1)

    with pytest.raises(RpcError, match=f"SLASH FILTER DETECTED FAULT due to witness {first.block.cid}"):
        sync_submit_block(node, again.block)
