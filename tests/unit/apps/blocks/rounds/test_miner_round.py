"""One round: a win becomes a block of the chain, and each way to lose it is named."""

from __future__ import annotations

import asyncio
import time
from functools import partial
from unittest.mock import AsyncMock

import pytest

from apps.blocks.models import Block, Round
from apps.blocks.rounds.chores import chores_do
from apps.blocks.rounds.nodes import BlockNodes
from apps.blocks.rounds.providers import ProofRefused
from apps.blocks.rounds.selection import MessageSelection
from apps.blocks.services.rewards import rewards_book
from apps.blocks.services.settle import rounds_settle
from apps.blocks.states import RoundState
from apps.chain.models import Head
from apps.gateway.errors import SignerAway, SignerRefused
from poolsite.filecoin.amounts import FIL
from poolsite.filecoin.block import BlockMsg
from poolsite.filecoin.codec import from_cbor
from tests.unit.apps.blocks.won_round import STEPS, in_thread, won


def fresh(row):
    return Round.objects.select_related("block", "miner").get(pk=row.pk)


def sibling(world):
    """Another tipset at the head's height becomes the head: a later one, and with it what is built on it."""
    before = world.devnet.head.tipset
    world.devnet.head_set(world.devnet.chain.parent(before).key)
    world.clock.skip(1)
    world.devnet.mine(1)
    head = world.devnet.head.tipset
    assert head.height == before.height
    world.clock.skip(head.min_timestamp - before.min_timestamp)


@pytest.mark.parametrize("node_has_key", [True, False], ids=["lotus signs", "venus hands back unsigned"])
async def test_a_win_becomes_the_head_and_pays(world, node_has_key):
    if not node_has_key:
        world.devnet.wallet._keys.clear()

    row = await won(world)

    head = world.devnet.head.tipset
    assert (row.state, str(head.cids[0]), head.height) == (RoundState.SUBMITTED, row.block.cid, row.epoch)
    assert sorted(name for name, _, _ in row.steps) == sorted([*STEPS, "submit"])
    assert all(length >= 0 for _, _, length in row.steps)
    assert row.sector == 0
    assert 4.9 < row.expected < 5.1
    assert ("block" in [name for name, _ in world.providers.signed]) is not node_has_key

    def settled():
        rounds_settle(world.follow(), finality=20)
        world.devnet.mine(2)
        rounds_settle(world.follow(), finality=20)
        rewards_book()
        return fresh(row)

    row = await in_thread(settled)
    assert row.state == RoundState.INCLUDED
    assert row.block.penalty == 0
    assert 0 < row.block.reward < 100 * FIL


def paid(world, row):
    """Return what the miner's balance and vesting table gained by the block's tipset, as the node says."""
    call = world.service_call
    tipset = call("ChainGetTipSetByHeight", row.epoch, [])
    child = call("ChainGetTipSetAfterHeight", row.epoch + 1, [])
    balances, vestings = [], []
    for one in (tipset, child):
        state = call("StateReadState", row.miner.address, one["Cids"])
        balances.append(int(state["Balance"]))
        funds = (state["State"]["VestingFunds"] or {"Funds": []})["Funds"]
        vestings.append({fund["Epoch"]: int(fund["Amount"]) for fund in funds})
    gained = {at: amount - vestings[0].get(at, 0) for at, amount in vestings[1].items()}
    return balances[1] - balances[0], {at: amount for at, amount in gained.items() if amount}


@pytest.mark.parametrize("nulls", [0, 3])
async def test_reward_and_vesting_are_the_nodes_to_the_last_atto(world, nulls):
    row = await won(world, nulls=nulls)

    def booked():
        rounds_settle(world.follow(), finality=20)
        world.devnet.mine(2)
        rounds_settle(world.follow(), finality=20)
        assert rewards_book() == 1
        block = fresh(row).block
        return block, paid(world, row)

    block, (gained, vesting) = await in_thread(booked)
    assert block.reward - block.penalty == gained > 0
    assert dict(block.vesting) == vesting


@pytest.mark.parametrize(
    "outcome", [RoundState.NODE_AWAY, RoundState.INTERRUPTED, RoundState.LATE, RoundState.SIGNER_AWAY]
)
async def test_a_block_that_a_node_took_without_a_word_is_included(world, outcome):
    row = await won(world)
    assert row.state == RoundState.SUBMITTED

    def settled():
        Round.objects.filter(pk=row.pk).update(state=outcome, reason="no answer in time")
        world.devnet.mine(1)
        rounds_settle(world.follow(), finality=20)
        return fresh(row)

    found = await in_thread(settled)
    assert (found.state, found.reason) == (RoundState.INCLUDED, "")


async def test_slow_prover_loses_the_win_as_proof_timeout(world):
    world.providers.proof_s = 9

    row = await won(world, budget_s=0.6)

    assert (row.state, row.reason) == (RoundState.PROOF_TIMEOUT, "no answer in time")
    assert row.win_count > 0
    assert "proof" in [name for name, _, _ in row.steps]


async def test_slow_signer_loses_the_win_as_late(world):
    begin = await won(world)
    assert begin.state == RoundState.SUBMITTED
    world.providers.before["block"] = lambda: time.sleep(1.2)
    world.devnet.wallet._keys.clear()

    row = await won(world, budget_s=0.6)

    assert row.state == RoundState.LATE
    assert not await in_thread(lambda: Block.objects.get(round=row).cid)


@pytest.mark.parametrize(
    ("asked", "error", "outcome"),
    [
        ("drawrandomparam", SignerAway("f3x", "no signer"), RoundState.SIGNER_AWAY),
        ("drawrandomparam", SignerRefused("policy"), RoundState.SIGNER_REFUSED),
        ("proof", ProofRefused("sector 0 cannot be read"), RoundState.PROOF_REFUSED),
        ("block", SignerAway("f3x", "no signer"), RoundState.SIGNER_AWAY),
        ("block", SignerRefused("double-fork fault: it has another"), RoundState.SLASH_GUARD),
    ],
)
async def test_each_failure_has_its_outcome_and_words(world, asked, error, outcome):
    world.devnet.wallet._keys.clear()
    world.providers.fails[asked] = error

    row = await won(world)

    assert row.state == outcome
    assert error.reason in row.reason
    assert row.win_count == (0 if asked == "drawrandomparam" else row.win_count)


async def test_a_node_that_refuses_is_quoted(world):
    world.devnet.faults.mining = "paused"

    row = await won(world)

    assert (row.state, "mining is paused" in row.reason) == (RoundState.NODE_REFUSED, True)


async def test_a_wrong_signature_is_never_submitted(world):
    world.devnet.wallet._keys.clear()
    right = world.providers.sign

    async def wrong(worker, to_sign, *, meta_type, **options):
        if meta_type == "block":
            to_sign += b"!"
        return await right(worker, to_sign, meta_type=meta_type, **options)

    world.providers.sign = wrong
    row = await won(world)

    assert (row.state, "invalid signature" in row.reason) == (RoundState.SIGNER_REFUSED, True)


async def test_a_miner_that_was_barred_is_not_eligible(world, monkeypatch):
    monkeypatch.setattr(world.devnet.base_infos, "_is_eligible", lambda *_: False)

    row = await world.round()

    assert (row.state, row.why_not, row.is_eligible) == (RoundState.NOT_ELIGIBLE, "barred", False)
    assert world.providers.signed == []


async def test_a_killed_service_signs_the_same_header_again(world):
    world.devnet.wallet._keys.clear()
    base = await world.base()
    world.providers.fails["block"] = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        await won(world, base=base)
    reserved = await in_thread(lambda: Block.objects.get())
    del world.providers.fails["block"]
    world.clock.skip(3)

    row = await world.round(base=base, nulls=reserved.height - base.height - 1)

    assert row.state == RoundState.SUBMITTED
    assert row.block.pk == reserved.pk
    signed = from_cbor(BlockMsg, bytes(row.block.signed))
    unsigned = from_cbor(BlockMsg, bytes(reserved.unsigned))
    assert signed.header.signing_bytes == unsigned.header.signing_bytes
    assert await world.round(base=base, nulls=reserved.height - base.height - 1) == row, "and no second one"


async def test_a_block_that_was_signed_is_submitted_without_the_signer(world, monkeypatch):
    world.devnet.wallet._keys.clear()
    base = await world.base()
    with monkeypatch.context() as killed:
        killed.setattr(BlockNodes, "block_submit", AsyncMock(side_effect=KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            await won(world, base=base)
    signed = await in_thread(lambda: Block.objects.get())
    assert (bytes(signed.signed) != b"", world.devnet.head.height) == (True, base.height)
    asked = len(world.providers.signed)
    for name in ("block", "drawrandomparam"):
        world.providers.fails[name] = SignerAway("no signer of the worker is connected")

    row = await world.round(base=base, nulls=signed.height - base.height - 1)

    assert (row.state, row.reason) == (RoundState.SUBMITTED, "")
    assert str(world.devnet.head.tipset.cids[0]) == signed.cid
    assert len(world.providers.signed) == asked


@pytest.mark.parametrize("killed_at", ["sign", "submit"])
async def test_a_block_that_is_made_already_holds_up_no_other_winner(world, monkeypatch, killed_at):
    world.devnet.wallet._keys.clear()
    base = await world.base()
    submit, steps = BlockNodes.block_submit, []
    with monkeypatch.context() as killed:
        if killed_at == "submit":
            killed.setattr(BlockNodes, "block_submit", AsyncMock(side_effect=KeyboardInterrupt))
        else:
            world.providers.fails["block"] = KeyboardInterrupt()
        with pytest.raises(KeyboardInterrupt):
            await won(world, base=base)
    world.providers.fails.clear()
    made = await in_thread(lambda: Block.objects.get())

    async def noted(self, block, *, until):
        steps.append("submit")
        return await submit(self, block, until=until)

    monkeypatch.setattr(BlockNodes, "block_submit", noted)
    monkeypatch.setattr(MessageSelection, "drawn", lambda _self: steps.append("drawn"))
    row = await world.round(base=base, nulls=made.height - base.height - 1)

    assert (row.state, steps) == (RoundState.SUBMITTED, ["drawn", "submit"])


async def test_two_services_beside_each_other_make_one_block(world):
    world.devnet.wallet._keys.clear()
    base = await world.base()
    world.providers.sign_s = 0.05

    for nulls in range(10):
        rows = await asyncio.gather(*(world.round(base=base, nulls=nulls) for _ in range(3)))
        if rows[0].win_count:
            break

    headers = {to_sign for name, to_sign in world.providers.signed if name == "block"}
    assert len(headers) == 1
    assert [row.state for row in rows] == [RoundState.SUBMITTED] * 3
    assert await in_thread(Block.objects.count) == 1


async def test_no_second_block_on_the_same_parents(world):
    world.devnet.wallet._keys.clear()
    base = await world.base()
    row = await won(world, base=base)
    back = await in_thread(lambda: world.devnet.head_set(base.key))
    assert back is None

    other = await won(world, base=base, nulls=row.epoch - base.height)

    assert (other.state, "time-offset" in other.reason) == (RoundState.SLASH_GUARD, True)
    assert len([1 for name, _ in world.providers.signed if name == "block"]) == 1


async def test_no_block_on_parents_without_the_own_one(world):
    row = await won(world)

    await in_thread(sibling, world)
    assert world.devnet.head.height == row.epoch, "a sibling of the own block"

    other = await won(world)

    assert (other.state, "parent-grinding" in other.reason) == (RoundState.SLASH_GUARD, True)


async def test_a_block_that_a_program_beside_us_signed_is_built_on(world):
    world.devnet.wallet._keys.clear()
    base = await world.base()
    world.providers.fails["block"] = SignerRefused("double-fork fault: it has another")
    lost = await won(world, base=base)
    assert (lost.state, lost.block.cid) == (RoundState.SLASH_GUARD, "")

    world.devnet.null_rounds(lost.epoch - base.height - 1)
    await in_thread(world.devnet.mine, 1)  # the other program's block of the miner
    assert world.devnet.head.height == lost.epoch
    world.providers.fails.clear()
    row = await won(world)

    assert (row.state, row.reason) == (RoundState.SUBMITTED, "")
    assert world.devnet.head.tipset.blocks[0].height == row.epoch
    assert (await in_thread(fresh, lost)).block.cid == "", "ours of that height stays unsigned"


@pytest.mark.parametrize("nulls", [0, 1])
async def test_a_better_base_is_taken_before_the_block_is_made(world, nulls):
    base = await world.base()

    world.providers.before["proof"] = partial(sibling, world)
    row = await won(world, base=base, nulls=nulls)

    assert row.state == RoundState.SUBMITTED, row.reason
    block = await in_thread(lambda: from_cbor(BlockMsg, bytes(Block.objects.get().signed or b"")))
    assert block.header.parents != base.key.cids
    assert world.devnet.head.tipset.parents.cids == block.header.parents


async def test_orphaned_and_back_by_a_reorganisation(world):
    row = await won(world)
    ours = world.devnet.head.key

    def settled():
        rounds_settle(world.follow(), finality=20)
        return fresh(row).state

    assert await in_thread(settled) == RoundState.INCLUDED

    def away():
        world.devnet.head_set(world.devnet.chain.parent(world.devnet.head.tipset).key)
        world.devnet.null_rounds(2)
        world.devnet.mine(3)

    await in_thread(away)
    assert await in_thread(settled) == RoundState.ORPHANED

    def back():
        world.devnet.head_set(ours)
        world.devnet.mine(6)

    await in_thread(back)
    assert await in_thread(settled) == RoundState.INCLUDED


@pytest.mark.parametrize(("stays", "outcome"), [(True, RoundState.INCLUDED), (False, RoundState.ORPHANED)])
async def test_a_block_is_settled_after_an_outage_longer_than_a_finality(world, stays, outcome):
    row = await won(world)

    def later():
        if not stays:
            world.devnet.head_set(world.devnet.chain.parent(world.devnet.head.tipset).key)
            world.devnet.null_rounds(2)
        world.devnet.mine(world.devnet.network.chain_finality + 2)
        world.follow()
        Head.objects.filter(height__lt=world.devnet.head.height).delete()
        chores_do(sums_up=False)
        assert fresh(row).state == RoundState.SUBMITTED
        chores_do(sums_up=True)
        return fresh(row).state

    assert await in_thread(later) == outcome
