"""Rounds whose blocks no chain has; of before an outage, what nodes that are away cost, or lack a tipset."""

from __future__ import annotations

import base64
from types import SimpleNamespace
from typing import Any

import pytest

from apps.blocks.models import Block, Round
from apps.blocks.services import rewards, settle
from apps.blocks.services.rounds import rounds_interrupt
from apps.blocks.services.settle import rounds_left_settle, rounds_settle
from apps.blocks.states import RoundState
from apps.chain.errors import NodeRefused, NodeUnavailable
from apps.chain.models import Head
from apps.chain.node.tipsets import TipsetFacts
from apps.core import clock
from apps.miners.models import Miner
from poolsite.filecoin.actors.miner_control import ApplyRewardsParams
from poolsite.filecoin.amounts import FIL, AttoFil
from poolsite.filecoin.codec import to_cbor
from tests import factories
from tests.killed_writes import Killed, kill

pytestmark = pytest.mark.django_db
FINALITY = 900


def submitted(miner: Miner, epoch: int) -> Round:
    """A round whose block went to the nodes."""
    at = clock.now()
    row = Round.objects.create(
        miner=miner, epoch=epoch, base_height=epoch - 1, state=RoundState.SUBMITTED, at=at
    )
    parents = bytes([epoch])
    Block.objects.create(
        round=row,
        actor_id=1000,
        height=epoch,
        parents=parents,
        cid=factories.cid(f"block {epoch}"),
    )
    return row


def test_a_block_that_no_chain_has_is_orphaned_two_epochs_later() -> None:
    row = submitted(factories.miner(1000), 98)

    assert rounds_settle(factories.head(99), finality=FINALITY) == 0
    assert rounds_settle(factories.head(100), finality=FINALITY) == 1

    row.refresh_from_db()
    assert row.state == RoundState.ORPHANED


def test_a_reward_is_read_anew_when_another_tipset_pays_it(monkeypatch: pytest.MonkeyPatch) -> None:
    row = submitted(factories.miner(1000), 98)
    block, paid = row.block.cid, iter([5 * FIL, 4 * FIL])
    client = SimpleNamespace(call=lambda *_: {"PeriodStart": 17})
    monkeypatch.setattr(rewards, "chain_client", lambda: client)
    monkeypatch.setattr(
        rewards,
        "paid_rewards_read",
        lambda *_, **__: [(1000, ApplyRewardsParams(reward=AttoFil(next(paid)), penalty=AttoFil(0)))],
    )

    def follow(key: str, cids: list[str]) -> int | None:
        """Follow the chain to a child of this tipset; returns the reward that is known then."""
        Head.objects.update(is_canonical=False)
        factories.head(98, key=key, cids=cids, is_canonical=True)
        child = factories.head(99, key=f"child of {key}", parent_key=key, is_canonical=True)
        rounds_settle(child, finality=FINALITY)
        rewards.rewards_book()
        reward = Block.objects.get().reward
        return None if reward is None else int(reward)

    assert follow("narrow", [block]) == 5 * FIL
    assert follow("narrow", [block]) == 5 * FIL
    assert follow("wide", [block, factories.cid("another's")]) == 4 * FIL
    assert follow("other", [factories.cid("another's")]) is None
    row.refresh_from_db()
    assert row.state == RoundState.ORPHANED


@pytest.mark.parametrize(
    ("error", "asked"),
    [(NodeUnavailable("no response"), [99]), (NodeRefused(1, "gone"), [99, 98])],
)
def test_nodes_that_are_away_are_asked_of_one_round_alone(
    error: Exception, asked: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    miner, heights = factories.miner(1000), []
    for epoch in (98, 99):
        submitted(miner, epoch)

    def tipset(height: int, _key: Any) -> None:
        heights.append(height)
        raise error

    client = SimpleNamespace(chain_get_tipset_by_height=tipset)
    monkeypatch.setattr("apps.blocks.services.settle.chain_client", lambda: client)

    network: Any = SimpleNamespace(chain_finality=FINALITY)
    assert rounds_left_settle(factories.head(1200), network=network) == 0

    assert heights == asked
    assert set(Round.objects.values_list("state", flat=True)) == {RoundState.SUBMITTED}


class Archive:
    """A node with old tipsets, and with their state if `computes`."""

    def __init__(self, *, computes: bool) -> None:
        self.computes = computes

    def chain_get_tipset_by_height(self, height: int, _key: str) -> TipsetFacts:
        return TipsetFacts(height, (factories.cid(f"block {height}"),), ("b1",), 0, 100)

    def call(self, method: str, *_params: Any) -> Any:
        if not self.computes:
            raise NodeRefused(1, "state is gone")
        if method == "StateMinerProvingDeadline":
            return {"PeriodStart": 17}
        params = base64.b64encode(to_cbor(ApplyRewardsParams(reward=5 * FIL, penalty=3))).decode()
        paid = {"Msg": {"To": "f01000", "Method": 14, "Params": params}}
        award = {"To": "f02", "Method": 2}
        return {"Trace": [{"Msg": award, "ExecutionTrace": {"Subcalls": [paid]}}]}


@pytest.mark.parametrize("computes", [True, False])
def test_block_of_a_long_outage_gets_its_reward_if_a_node_computes_it(
    computes: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = submitted(factories.miner(1000), 99)
    monkeypatch.setattr("apps.blocks.services.settle.chain_client", lambda: Archive(computes=computes))

    head = factories.head(1200)
    network: Any = SimpleNamespace(chain_finality=FINALITY)
    with monkeypatch.context() as patch:
        patch.setattr(settle, "old_reward_book", kill)
        with pytest.raises(Killed):
            rounds_left_settle(head, network=network)
    assert rounds_left_settle(head, network=network) == 1

    row.refresh_from_db()
    booked = (row.block.reward, row.block.penalty, row.block.vesting_offset)
    assert row.state == RoundState.INCLUDED
    assert booked == ((5 * FIL, 3, 17) if computes else (None, None, None))


@pytest.mark.parametrize(("cid", "state"), [("signed", RoundState.INCLUDED), ("", RoundState.INTERRUPTED)])
def test_win_left_at_a_kill_before_a_long_outage_is_looked_for(
    cid: str, state: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The block may have gone out before the kill, and its tipset is too old to be among the pool's heads."""
    row = submitted(factories.miner(1000), 99)
    Round.objects.update(state=RoundState.WON)
    if not cid:
        Block.objects.update(cid="")
    monkeypatch.setattr("apps.blocks.services.settle.chain_client", lambda: Archive(computes=True))
    head, network = factories.head(1200), SimpleNamespace(chain_finality=FINALITY)

    rounds_interrupt(before=head.height - 1, final=head.height - FINALITY)
    rounds_left_settle(head, network=network)  # type: ignore[arg-type]

    row.refresh_from_db()
    assert row.state == state
    assert row.block.reward == (5 * FIL if cid else None)
