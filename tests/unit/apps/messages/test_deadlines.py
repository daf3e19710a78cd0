"""Proofs from outside get their deadline from the chain, so that automatic fee bumps apply to them."""

from __future__ import annotations

import pytest

from apps.chain.errors import NodeUnavailable
from apps.chain.node.client import ChainClient
from apps.chain.node.link import NodeLink
from apps.messages.models import Message
from apps.messages.rules.push_items import Gas, SendSpec
from apps.messages.services.fee_bump import deadlines_learn, proofs_bump
from apps.messages.services.guards import auto_bump_set
from apps.messages.states import MessageState, Priority
from apps.users.rules.principals import SYSTEM
from poolsite.filecoin.actors.decode import params_encode
from poolsite.filecoin.message import Message as ChainMessage
from tests.fake_node import Refusal
from tests.messaging import Pool
from tests.people import tenant

MINER, WINDOW_POST = "f01000", 5
ROOMY = Gas(limit=1_000_000, fee_cap=10_000_000, premium=200_000)


def proof(deadline: int, *, partition: int = 0) -> bytes:
    """Parameters of a proof, as damocles sends them."""
    return params_encode(
        "miner",
        WINDOW_POST,
        {
            "Deadline": deadline,
            "Partitions": [{"Index": partition, "Skipped": []}],
            "Proofs": [{"PoStProof": 5, "ProofBytes": ""}],
            "ChainCommitEpoch": 3,
            "ChainCommitRand": "",
        },
    )


@pytest.fixture
def sender(pool: Pool) -> str:
    pool.node.kinds[MINER] = "storageminer"
    pool.node.deadlines[MINER] = (4, pool.head.height + 6)
    return pool.address()


def learn(pool: Pool) -> list[str]:
    return push_ids(deadlines_learn(client=pool.client, head=pool.head))


def push_ids(keys: list[str]) -> list[str]:
    return [Message.objects.get(pk=key).push_id for key in keys]


def test_a_proof_for_the_open_deadline_learns_when_that_closes(pool: Pool, sender: str) -> None:
    close = pool.node.deadlines[MINER][1]
    for name, deadline in (("open", 4), ("later", 5)):
        pool.push(name, sender, to=MINER, method=WINDOW_POST, params=proof(deadline))

    assert learn(pool) == ["open"]

    assert pool.row("open").urgent_epoch == close
    assert pool.row("open").priority == Priority.PROOF
    assert pool.row("later").urgent_epoch is None
    assert pool.node.calls.count("StateMinerProvingDeadline") == 1
    assert learn(pool) == []


def test_auto_bump_then_applies_to_it(pool: Pool, sender: str) -> None:
    auto_bump_set(principal=SYSTEM, tenant=tenant("alice"), is_on=True, within_epochs=10, every_epochs=1)
    pool.push("one", sender, to=MINER, method=WINDOW_POST, params=proof(4), gas=ROOMY)
    pool.choose()
    pool.node.mine(only=lambda _signed: False)
    pool.follow()
    assert proofs_bump(client=pool.client, head=pool.head, now=pool.now) == []

    learn(pool)

    assert push_ids(proofs_bump(client=pool.client, head=pool.head, now=pool.now)) == ["one"]


def test_dead_proofs_make_room_for_what_comes_after_them(pool: Pool, sender: str) -> None:
    def simulate(message: ChainMessage, _prior: list[ChainMessage]) -> int:
        if message.method == WINDOW_POST and message.params != proof(5):
            raise Refusal("message execution failed (exit=[ErrIllegalArgument(16)])", 3)
        return 1_000_000

    pool.node.simulate = simulate
    for at in range(40):
        pool.push(f"dead{at}", sender, to=MINER, method=WINDOW_POST, params=proof(4, partition=at), value=0)
    learn(pool)
    pool.push("live", sender, to=MINER, method=WINDOW_POST, params=proof(5), value=0)
    pool.push("transfer", sender)
    pool.step()
    assert pool.row("dead0").state == MessageState.UNFILLED, "its deadline is still open"

    for _ in range(8):
        pool.step()

    assert {pool.row(f"dead{at}").state for at in range(40)} == {MessageState.FAILED}
    assert pool.row("dead0").error.startswith("epoch 5 has passed; before that: ")
    assert pool.row("live").state == pool.row("transfer").state == MessageState.LANDED


def test_the_callers_own_last_epoch_of_a_proof_is_kept(pool: Pool, sender: str) -> None:
    spec = SendSpec(expire_epoch=3)
    pool.push("one", sender, to=MINER, method=WINDOW_POST, params=proof(4), spec=spec)

    learn(pool)

    assert pool.row("one").expire_epoch == 3


def test_without_a_proof_on_its_way_nobody_is_asked(pool: Pool, sender: str) -> None:
    pool.push("transfer", sender)
    pool.push("ours", sender, to=MINER, method=WINDOW_POST, params=proof(4), urgent_epoch=9)

    assert learn(pool) == []
    assert "StateMinerProvingDeadline" not in pool.node.calls


def test_a_miner_that_the_node_does_not_know_is_passed_over(pool: Pool, sender: str) -> None:
    pool.push("one", sender, to="f01999", method=WINDOW_POST, params=proof(4))
    pool.push("two", sender, to=MINER, method=WINDOW_POST, params=proof(4))

    assert learn(pool) == ["two"]


def test_without_a_node_it_is_asked_again_on_the_next_head(pool: Pool, sender: str) -> None:
    pool.push("one", sender, to=MINER, method=WINDOW_POST, params=proof(4))
    nobody = ChainClient([NodeLink("http://127.0.0.1:9/rpc/v1", "")])

    with pytest.raises(NodeUnavailable):
        deadlines_learn(client=nobody, head=pool.head)

    assert Message.objects.get().urgent_epoch is None
