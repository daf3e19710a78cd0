"""A block of our service on a real lotus node: base info to submission, and the reward that the node paid.

itest nodes take the bytes `valid proof` for a WinningPoSt; election, ticket, header and messages are checked.
The miner's worker key is in the node's wallet, so the node signs the block, as lotus does.
"""

from __future__ import annotations

import asyncio
import base64
import time
from typing import Any, Final

import pytest

from apps.blocks.models import Round
from apps.blocks.rounds.context import RoundContext
from apps.blocks.rounds.miner_round import MinerRound
from apps.blocks.rounds.nodes import BlockNodes
from apps.blocks.rounds.selection import MessageSelection
from apps.blocks.rounds.timing import RoundTimes
from apps.blocks.selectors.mining_miners import MiningMiner
from apps.blocks.services.rewards import paid_rewards_read
from apps.blocks.states import RoundState
from apps.chain.models import Head
from apps.chain.node.client import chain_client
from apps.chain.node.link import link_to
from poolsite.filecoin.block import PoStProof
from poolsite.filecoin.signature import Signature
from tests.real_chain.node import RealNode
from tests.unit.apps.blocks.world import drawn, in_database

pytestmark = [pytest.mark.peer, pytest.mark.xdist_group("real_chain")]

TEST_PROOF: Final = b"valid proof"
ROUNDS_MAX: Final = 12


class NodeProviders:
    """The node's wallet as the signer, and the proof that its build takes."""

    def __init__(self, node: RealNode) -> None:
        self.node = node

    async def sign(self, worker: Any, to_sign: bytes, *, meta_type: str, **_: Any) -> Signature:
        """Sign as a wallet does."""
        payload = base64.b64encode(to_sign if meta_type == "block" else drawn(to_sign)).decode()
        answer = await asyncio.to_thread(self.node.call, "WalletSign", str(worker), payload)
        return Signature(answer["Type"], base64.b64decode(answer["Data"]))

    async def prove(self, *_: Any, **__: Any) -> tuple[PoStProof, ...]:
        """Return what stands for a proof of 2 KiB."""
        return (PoStProof(0, TEST_PROOF),)


async def one_round(node: RealNode, miner: MiningMiner, *, nulls: int) -> Round:
    """Go through one round whose block may be submitted at once."""
    link = link_to(node.url, node.address.token)
    nodes = BlockNodes([link], submit=[link])
    base, now = await nodes.head(), time.time()
    epoch_s = float(node.call("Version")["BlockDelay"])
    epochs = nulls + 1
    times = RoundTimes(origin=now - epoch_s, block_time=now, sign_until=now + 60, submit_until=now + 60)
    context = RoundContext(
        epoch=base.height + epochs,
        base=base,
        times=times,
        nodes=nodes,
        providers=NodeProviders(node),  # type: ignore[arg-type]  # of the same shape
        selection=MessageSelection(nodes, drawing=1, gather_s=0.1, until=now + 60),
        network_version=int(node.call("StateNetworkVersion", [])),
    )
    row = await MinerRound(miner, context).run()
    if row is not None:
        return row
    return await asyncio.to_thread(
        in_database, lambda: Round.objects.select_related("block").get(epoch=context.epoch)
    )


async def one_win(node: RealNode, miner: MiningMiner) -> Round:
    """Make a block of the first round that is won."""
    row = await one_round(node, miner, nulls=0)
    for nulls in range(1, ROUNDS_MAX):
        if row.state == RoundState.NO_WIN:
            row = await one_round(node, miner, nulls=nulls)
    assert row.state == RoundState.SUBMITTED, (row.state, row.reason)
    return row


async def test_our_block_is_taken_by_lotus_and_its_reward_is_read(mining: Any) -> None:
    node, miner = mining

    row = await one_win(node, miner)

    head = node.call("ChainGetTipSetByHeight", row.epoch, [])
    assert {"/": row.block.cid} in head["Cids"]

    await one_win(node, miner)  # something executes it: this block, or one that the node has made since
    tipset = Head(height=row.epoch, key=" ".join(one["/"] for one in head["Cids"]))
    paid = await asyncio.to_thread(in_database, lambda: paid_rewards_read(chain_client(), tipset=tipset))
    own = dict(paid)[miner.row.actor_id]
    before, after = (
        int(node.call("StateGetActor", miner.row.address, one["Cids"])["Balance"])
        for one in (head, node.call("ChainGetTipSetAfterHeight", row.epoch + 1, []))
    )
    assert own.reward - own.penalty == after - before
