"""Fault injection: forks, null rounds, lost and foreign messages, answers that fail."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest

from poolsite.devnet.actors.fault_injection import FAIL_METHOD, FailParams
from poolsite.devnet.actors.ledger import actor_get, resolve
from poolsite.devnet.actors.miner.state_editor import Reader
from poolsite.devnet.consensus import tipset_execute
from poolsite.devnet.faults import BadFault
from poolsite.devnet.forks import NoReorg, head_back, reorg
from poolsite.devnet.mempool import MessageRejected
from poolsite.devnet.node import MAX_WAIT_S
from poolsite.devnet.rpc.dispatch import LOTUS, PERMS, Dispatcher
from poolsite.devnet.rpc.fault_injection import foreign_message
from poolsite.devnet.rpc.methods import METHODS_V1
from poolsite.devnet.rpc.mpool import mpool_push
from poolsite.devnet.service import Service
from poolsite.filecoin.address import SYSTEM_ACTOR, UNDEF
from poolsite.filecoin.amounts import FIL
from poolsite.filecoin.cids import cid_parse
from poolsite.filecoin.codec import to_cbor
from poolsite.wire.jsonrpc.server import request_handle
from tests.unit.devnet.people import OWNER, STRANGER, chain, land, signed
from tests.unit.devnet.replaying import replay_check


@pytest.fixture
def node():
    node = chain()
    node.mine(5)
    yield node
    node.close()


async def call(node, method, *params):
    with ThreadPoolExecutor(1) as executor:
        dispatcher = Dispatcher(node=node, methods=METHODS_V1, perms=frozenset(PERMS), executor=executor)
        request = {"id": 1, "method": method, "params": list(params)}
        return (await request_handle(request, dispatcher, LOTUS))[0]


def watched(node):
    seen = []
    node.watchers.add(lambda reverted, applied: seen.append((reverted, applied)))
    return seen


@pytest.mark.parametrize("depth", [1, 3, 5])
@pytest.mark.parametrize("nulls", [0, 2])
def test_a_reorg_is_one_change_from_the_old_head_to_the_new(node, depth, nulls):
    old = node.head.tipset
    seen = watched(node)

    new = reorg(node, depth, nulls=nulls)

    assert len(seen) == 1
    reverted, applied = seen[0]
    assert [tipset.height for tipset in reverted] == [old.height - at for at in range(depth)]
    assert applied[-1].key == new.key
    assert applied[0].parents == reverted[-1].parents
    assert applied[0].height == reverted[-1].height + nulls


def test_messages_of_the_old_branch_land_again_on_the_new(node):
    message = signed(node, OWNER, STRANGER.address, value=1)
    land(node, message)

    reorg(node, 3)
    assert node.search.find(message.cid, node.head.tipset) is None
    assert node.mempool.pending_of(OWNER.address) == [message]
    node.mine(2)

    assert node.search.find(message.cid, node.head.tipset) is not None
    assert node.mempool.pending_of(OWNER.address) == []


def test_apply_revert_apply_gives_the_same_state(node):
    land(node, signed(node, OWNER, STRANGER.address, value=1))
    before = node.head

    head_back(node, 4)
    assert node.head.height == before.height - 4
    node.head_set(before.key)

    assert node.chain.state_after(before.key).root() == before.root


def test_a_reorg_beyond_genesis_is_refused(node):
    with pytest.raises(NoReorg, match="fewer than 99 tipsets"):
        reorg(node, 99)


def test_null_rounds_are_skipped_heights(node):
    node.faults.set_json({"nullLeft": 3})
    before = node.head.height

    node.mine_one()

    assert node.head.height == before + 4


def test_a_dropped_message_never_lands(node):
    node.faults.set_json({"dropNext": 1})
    lost = signed(node, OWNER, STRANGER.address, value=1)

    mpool_push(node, lost)
    node.mine(3)

    assert node.mempool.pending_of(OWNER.address) == []
    assert node.search.find(lost.cid, node.head.tipset) is None


def test_hidden_messages_wait(node):
    node.faults.set_json({"hideMessages": True})
    message = signed(node, OWNER, STRANGER.address, value=1)
    node.mempool.push(message)
    node.mine(3)
    assert node.search.find(message.cid, node.head.tipset) is None

    node.faults.reset()
    node.mine(2)

    assert node.search.find(message.cid, node.head.tipset) is not None


def test_a_delayed_message_lands_later(node):
    node.faults.set_json({"inclusionDelay": 3})
    message = signed(node, OWNER, STRANGER.address, value=1)
    node.mempool.push(message)
    start = node.head.height

    while node.search.find(message.cid, node.head.tipset) is None:
        node.mine_one()

    assert node.head.height == start + 5


def test_foreign_messages_use_the_senders_nonces(node):
    node.wallet.add(OWNER.key)

    cids = foreign_message(node, OWNER.address, 2)

    assert len(cids) == 2
    assert node.mempool.next_nonce(OWNER.address) == 2
    assert len(foreign_message(node, UNDEF, 1)) == 1


def test_full_blocks_raise_the_base_fee(node):
    before = node.head.next_base_fee

    node.faults.set_json({"spikeLeft": 3})
    node.mine(3)

    assert node.head.next_base_fee > before * 1.2


def test_a_frozen_head_stays_for_clients_only(node):
    seen = watched(node)
    node.faults.set_json({"freezeHead": True})
    shown = node.shown_head

    node.mine(2)
    assert (node.shown_head, seen) == (shown, [])
    assert node.head.height == shown.height + 2

    node.faults.reset()
    assert node.shown_head == node.head.tipset


async def test_chosen_methods_fail(node):
    node.faults.set_json({"errorMethods": "ChainHead$", "errorCode": 7, "errorText": "out of order"})

    assert (await call(node, "Filecoin.ChainHead"))["error"] == {"code": 7, "message": "out of order"}
    assert "result" in await call(node, "Filecoin.StateNetworkName")


async def test_chosen_methods_answer_nonsense(node):
    node.faults.set_json({"garbageMethods": "ChainHead"})

    assert "garbage" in (await call(node, "Filecoin.ChainHead"))["result"]


async def test_another_network_name_can_be_given(node):
    node.faults.set_json({"networkName": "calibrationnet"})

    assert (await call(node, "Filecoin.StateNetworkName"))["result"] == "calibrationnet"
    assert (await call(node, "Filecoin.StateGetNetworkParams"))["result"]["NetworkName"] == "calibrationnet"


@pytest.mark.parametrize(
    ("wish", "reason"),
    [
        ({"nope": 1}, "unknown fault 'nope'"),
        ({"lagMs": "5"}, "lagMs must be a int"),
        ({"lagMs": -5}, "lagMs must not be negative"),
        ({"errorMethods": "("}, "errorMethods: "),
        ({"mining": "never"}, "mining must be auto, on-demand or paused"),
        ([], "faults must be an object"),
    ],
)
def test_a_bad_fault_sets_none(node, wish, reason):
    before = node.faults.to_json()

    with pytest.raises(BadFault, match=f"^{reason.replace('(', '[(]')}"):
        node.faults.set_json(wish)

    assert node.faults.to_json() == before


async def test_the_next_messages_that_call_a_method_land_with_the_code(node):
    cid = (await call(node, "Devnet.FailNext", 0, 19, 2))["result"]
    node.mine(2)
    assert node.search.find(cid_parse(cid["/"]), node.head.tipset).receipt.exit_code == 0

    codes = [land(node, signed(node, OWNER, STRANGER.address, value=1)).exit_code for _ in range(3)]

    assert codes == [19, 19, 0]
    replay_check(node)


async def test_a_fault_on_chain_spares_estimates_and_the_built_in_miner(node):
    await call(node, "Devnet.FailNext", 0, 16, 1)
    node.mine(2)

    message = signed(node, OWNER, STRANGER.address, value=1)
    foreign_message(node, UNDEF, 1)
    node.mine(2)
    receipt = land(node, message)

    assert message.message.gas_limit > 0, "it was estimated as if nothing were wrong"
    assert receipt.exit_code == 16
    executed = tipset_execute(node.chain, node.chain.parent(node.head.tipset).tipset, node.rules)
    assert "injected by the devnet" in executed.applied[-1].error


async def test_a_count_of_none_forgets_a_fault_on_chain(node):
    await call(node, "Devnet.FailNext", 0, 16, 5)
    await call(node, "Devnet.FailNext", 0, 16, 0)
    node.mine(2)

    assert land(node, signed(node, OWNER, STRANGER.address, value=1)).exit_code == 0


async def test_an_actor_is_left_with_little(node):
    await call(node, "Devnet.Drain", str(STRANGER.address), 3)
    node.mine(2)

    state = node.chain.state_after(node.head.key)
    number = resolve(state, STRANGER.address)
    assert number is not None
    left = actor_get(state, number)
    assert left is not None
    assert left.balance == 3 * FIL
    with pytest.raises(MessageRejected, match="not enough funds"):
        node.mempool.push(signed(node, STRANGER, OWNER.address, gas_limit=10**10, gas_fee_cap=10**10))
    replay_check(node)


async def test_only_the_owner_of_the_built_in_miner_sends_faults(node):
    params = to_cbor(FailParams(0, 16, 1))

    receipt = land(
        node, signed(node, OWNER, SYSTEM_ACTOR, method=FAIL_METHOD, params=params, gas_limit=10**9)
    )

    assert receipt.exit_code == 18
    assert (await call(node, "Devnet.Drain", "f0999999", 3))["error"]["code"] == 1
    assert (await call(node, "Devnet.FailNext", 0, 0, 3))["error"]["code"] == 1


def test_a_flapping_chain_replaces_each_new_tipset(node):
    node.faults.set_json({"flapLeft": 2})
    seen = watched(node)

    node.mine(3)

    assert [len(reverted) for reverted, _ in seen] == [0, 1, 0, 1, 0]
    message = signed(node, OWNER, STRANGER.address, value=1)
    node.faults.set_json({"flapLeft": 1})
    assert land(node, message).exit_code == 0, "messages come along"


def test_the_base_fee_rises_to_its_floor_and_stays(node):
    floor = node.head.next_base_fee * 2
    node.faults.set_json({"baseFeeFloor": floor})

    node.mine(12)
    risen = node.head.next_base_fee
    node.mine(6)

    assert risen >= floor * 7 // 8
    assert node.head.next_base_fee >= floor * 7 // 8


def test_a_lost_sector_is_declared_faulty_and_comes_back(node):
    period = node.network.proving.period
    node.faults.set_json({"loseSector": True})

    def faults():
        reader = Reader(node.chain.state_after(node.head.key), 1000, node.network)
        row = reader.sector(node.miner.sector.number)
        assert row is not None
        partition = reader.partition(row.deadline, row.partition)
        assert partition is not None
        return list(partition.faults)

    while not faults() and node.head.height < period:
        node.advance(1)
    assert faults() == [node.miner.sector.number]
    node.faults.reset()
    node.advance(2 * period)
    assert not faults()


async def test_only_methods_that_match_lag(node):
    node.faults.set_json({"lagMs": 60, "lagMethods": "StateWaitMsg"})
    loop = asyncio.get_running_loop()

    before = loop.time()
    await call(node, "Filecoin.StateWaitMsg", {"/": str(node.head.tipset.cids[0])}, 0, 1, True)
    waited = loop.time() - before

    assert waited >= 0.06
    node.faults.set_json({"lagMs": 3_600_000})
    assert "result" in await call(node, "Filecoin.ChainHead"), "others answer at once"


async def test_questions_for_randomness_wait_while_it_is_stalled(node):
    node.faults.set_json({"stallRandomness": True})
    asked = asyncio.create_task(call(node, "Filecoin.StateGetBeaconEntry", node.head.height))
    assert "result" in await call(node, "Filecoin.ChainHead")
    assert not asked.done()

    node.faults.reset()

    assert (await asked)["result"]["Round"] == node.head.height


async def test_a_late_beacon_makes_entries_and_blocks_late(node):
    node.faults.set_json({"beaconLateMs": 50})
    loop = asyncio.get_running_loop()

    before = loop.time()
    await call(node, "Filecoin.StateGetBeaconEntry", node.head.height)

    assert loop.time() - before >= 0.05
    due = node.head.tipset.min_timestamp + node.network.epoch_s
    node.clock.not_before(due + 0.5)
    node.faults.set_json({"beaconLateMs": 1000})
    assert node.due() == due + 1
    node.mine_round()
    assert node.head.tipset.min_timestamp == due, "the block has its epoch's time all the same"


def test_on_demand_a_message_gets_its_block_and_its_execution_at_once(node):
    with Service(node, mining="on-demand"):
        before = node.head.height
        message = signed(node, OWNER, STRANGER.address, value=1)
        node.mempool.push(message)
        for _ in range(3000):
            if node.search.find(message.cid, node.head.tipset) is not None:
                break
            time.sleep(0.02)

        assert node.search.find(message.cid, node.head.tipset).receipt.exit_code == 0
        assert not node.is_wanted or node.head.height < before + 20


def test_on_demand_nothing_moves_without_a_message(node):
    node.faults.set_json({"mining": "on-demand"})
    node.mine(2)

    assert not node.is_wanted
    node.mempool.push(signed(node, OWNER, STRANGER.address, nonce=7, value=1))
    assert not node.is_wanted, "a message behind a gap makes no block"


async def test_the_clock_is_set_on(node):
    later = node.head.tipset.min_timestamp + 1000 * node.network.epoch_s
    height = node.head.height

    answer = await call(node, "Devnet.SetTime", int(later))

    assert height < answer["result"] < height + 20
    assert node.head.tipset.min_timestamp >= later
    assert "cannot go backwards" in (await call(node, "Devnet.SetTime", 5))["error"]["message"]
    assert "too far" in (await call(node, "Devnet.SetTime", 10**15))["error"]["message"]


def test_paused_an_overdue_block_is_no_reason_to_look_again_soon(node, monkeypatch):
    waits: list[float] = []
    stopping = SimpleNamespace(is_set=lambda: bool(waits), wait=waits.append, set=lambda: None)
    monkeypatch.setattr(node, "_stopping", stopping)
    node.faults.set_json({"mining": "paused"})
    node.clock.skip(100 * node.network.epoch_s)
    height = node.head.height

    node.run()

    assert waits == [MAX_WAIT_S]
    assert node.head.height == height
