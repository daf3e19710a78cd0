"""Many random events: the chain stays whole, and everybody's view of it too."""

from __future__ import annotations

import random

from poolsite.devnet.consensus import tipset_execute
from poolsite.devnet.forks import reorg
from poolsite.devnet.state.rows import ACTORS
from poolsite.filecoin.amounts import FIL, TOTAL_FILECOIN
from tests.unit.devnet.people import OWNER, STRANGER, WORKER, chain, person, signed

PEOPLE = (OWNER, WORKER, STRANGER)
FEES = {"gas_fee_cap": 10**10, "gas_premium": 100_000}


def push_many(node, count, rng):
    """Random transfers among three people and newcomers, in order of nonces."""
    for number in range(count):
        who = rng.choice(PEOPLE)
        newcomer = person(f"newcomer {number}", rng.choice(("secp256k1", "bls")))
        to = rng.choice((*PEOPLE, newcomer)).address
        message = signed(node, who, to, value=rng.randrange(FIL), gas_limit=9_000_000, **FEES)
        node.mempool.push(message)


def test_a_reorg_storm_applies_and_reverts_each_tipset_once_per_change():
    rng = random.Random(4)
    node = chain(each=100_000 * FIL)
    view = [tipset.key for tipset in node.chain.ancestors(node.head.tipset)][::-1]

    def watch(reverted, applied):
        for tipset in reverted:
            assert view.pop() == tipset.key
        for tipset in applied:
            assert tipset.parents == view[-1]
            view.append(tipset.key)

    node.watchers.add(watch)
    node.mine(25)
    push_many(node, 200, rng)

    for _ in range(50):
        if rng.random() < 0.3:
            node.null_rounds(rng.randrange(1, 4))
        node.mine(rng.randrange(1, 3))
        reorg(node, rng.randrange(1, 9), nulls=rng.randrange(3), with_messages=rng.random() < 0.5)

    assert view[::-1] == [tipset.key for tipset in node.chain.ancestors(node.head.tipset)]
    node.mine(20)
    nonces = [node.mempool.next_nonce(who.address) for who in PEOPLE]
    assert sum(nonces) == 200
    assert [node.mempool.pending_of(who.address) for who in PEOPLE] == [[], [], []]
    node.close()


def test_null_rounds_over_a_whole_challenge_do_not_stop_the_built_in_miner():
    node = chain()
    network = node.network
    node.mine(3)

    for _ in range(2 * network.proving.deadlines):
        node.null_rounds(network.proving.window + network.proving.lookback)
        node.mine(1)

    assert node.head.height > 2 * network.proving.period
    node.close()


def test_replaying_random_messages_gives_the_same_roots():
    rng = random.Random(7)
    node = chain(each=100_000 * FIL)
    for _ in range(6):
        push_many(node, 50, rng)
        node.mine(2)

    for tipset in node.chain.ancestors(node.head.tipset):
        if not tipset.parents.is_empty:
            again = tipset_execute(node.chain, tipset, node.rules).link
            assert again == node.chain.link(tipset.key)
    total = sum(actor.balance for actor in node.chain.state_after(node.head.key).records(ACTORS))
    assert total == TOTAL_FILECOIN
    node.close()
