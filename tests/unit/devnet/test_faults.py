"""The knobs: forks, null rounds, lost and foreign messages, answers that fail."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from poolsite.devnet.access import ALL_PERMS
from poolsite.devnet.faults import BadKnob
from poolsite.devnet.forks import NoReorg, head_back, reorg
from poolsite.devnet.rpc.dispatch import Session, request_answer
from poolsite.devnet.rpc.lab import foreign_message
from poolsite.devnet.rpc.methods import METHODS_V1
from poolsite.devnet.rpc.mpool import mpool_push
from poolsite.filecoin.address import UNDEF
from tests.unit.devnet.people import OWNER, STRANGER, chain, land, signed


@pytest.fixture
def node():
    node = chain()
    node.mine(5)
    yield node
    node.close()


async def call(node, method, *params):
    with ThreadPoolExecutor(1) as executor:
        session = Session(node=node, methods=METHODS_V1, perms=ALL_PERMS, executor=executor)
        answer = await request_answer(session, {"id": 1, "method": method, "params": list(params)})
    return answer.body


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
        ({"nope": 1}, "no knob 'nope'"),
        ({"lagMs": "5"}, "lagMs must be a int"),
        ({"lagMs": -5}, "lagMs must not be negative"),
        ({"errorMethods": "("}, "errorMethods: "),
        ({"mining": "never"}, "mining must be auto or paused"),
        ([], "knobs must be an object"),
    ],
)
def test_a_bad_knob_turns_none(node, wish, reason):
    before = node.faults.to_json()

    with pytest.raises(BadKnob, match=f"^{reason.replace('(', '[(]')}"):
        node.faults.set_json(wish)

    assert node.faults.to_json() == before
