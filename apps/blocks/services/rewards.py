"""What a block brought: the reward that the chain paid for it, its penalty, and when it vests.

It is read from the trace of the tipset's execution: null rounds, tips and penalties are the chain's own.
Source: builtin-actors actors/reward award_block_reward, actors/miner apply_rewards; lotus
chain/consensus/compute_state.go ApplyBlocks, whose trace api/api_full.go StateCompute returns.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final

from apps.blocks.models import Block, Round
from apps.blocks.states import RoundState
from apps.chain.models import Head
from apps.chain.node.client import ChainClient, chain_client
from apps.chain.node.tipsets import TipsetFacts, key_to_json
from apps.core.compiled import Compiled
from apps.core.errors import DomainError
from poolsite.filecoin.actors.method import params_read
from poolsite.filecoin.actors.miner import Method as MinerMethod
from poolsite.filecoin.actors.miner_control import ApplyRewardsParams
from poolsite.filecoin.actors.reward import Method as RewardMethod
from poolsite.filecoin.address import REWARD_ACTOR, address_parse

Json = Any
BOOKED_AT_ONCE: Final = 20


DUE: Final[Compiled[Round]] = Compiled(
    "rewards_due",
    lambda: (
        Round.objects.select_related("block", "miner")
        .only("epoch", "miner__actor_id", "block__cid")
        .filter(state=RoundState.INCLUDED, block__reward=None, block__isnull=False)
        .order_by("-epoch")[:BOOKED_AT_ONCE]
    ),
)


def rewards_book() -> int:
    """Write the reward of included blocks whose tipset was executed; return how many."""
    due = DUE.rows()
    if not due:
        return 0
    client, booked = chain_client(), 0
    traces: dict[int, list[ApplyRewards]] = {}
    for row in due:
        tipset = Head.objects.filter(is_canonical=True, height=row.epoch).first()
        if tipset is None or not Head.objects.filter(is_canonical=True, parent_key=tipset.key).exists():
            continue
        try:
            if row.epoch not in traces:
                traces[row.epoch] = paid_rewards_read(client, tipset=tipset)
            booked += _book(row, traces[row.epoch], tipset=tipset, client=client)
        except (DomainError, KeyError, TypeError, ValueError):
            continue  # retried with the next head
    return booked


def old_reward_book(row: Round, *, tipset: TipsetFacts, client: ChainClient) -> None:
    """Write the reward of a block in a tipset that the pool did not follow, if a node still computes it."""
    # Most nodes have thrown that state away, and say so in many forms; the figure stays unknown then.
    with suppress(DomainError, KeyError, TypeError, ValueError):
        _book(row, paid_rewards_read(client, tipset=tipset), tipset=tipset, client=client)


ApplyRewards = tuple[int, ApplyRewardsParams]
"""Number of the miner's actor, and what it was paid."""


def paid_rewards_read(client: ChainClient, *, tipset: Head | TipsetFacts) -> list[ApplyRewards]:
    """Return what the execution of a tipset paid to the miners of its blocks, in their order.

    Raises DomainError where no node computes it, ValueError or its kin for an answer that cannot be read.
    """
    key = key_to_json(tipset.key)
    calls = client.call("StateCompute", tipset.height, [], key)["Trace"]
    return [
        paid
        for call in calls
        if _is_call(call["Msg"], REWARD_ACTOR.actor_id, RewardMethod.AWARD_BLOCK_REWARD)
        for paid in _applied(call["ExecutionTrace"]["Subcalls"] or ())
    ]


def _is_call(message: Json, actor_id: int, method: int) -> bool:
    to = address_parse(message["To"])
    return bool(to.protocol == 0 and to.actor_id == actor_id and message["Method"] == method)


def _applied(calls: Sequence[Json]) -> list[ApplyRewards]:
    found: list[ApplyRewards] = []
    for call in calls:
        message = call["Msg"]
        if message["Method"] == MinerMethod.APPLY_REWARDS:
            params: ApplyRewardsParams = params_read(ApplyRewardsParams, base64.b64decode(message["Params"]))
            found.append((address_parse(message["To"]).actor_id, params))
    return found


def _book(
    row: Round, paid: Sequence[ApplyRewards], *, tipset: Head | TipsetFacts, client: ChainClient
) -> int:
    """Write one block's reward; return how many rows changed.  Raises ValueError if the chain paid none."""
    params = next((one for actor_id, one in paid if actor_id == row.miner.actor_id), None)
    if params is None:
        raise ValueError("the chain paid nothing for the block")
    period = client.call("StateMinerProvingDeadline", row.miner.address, key_to_json(tipset.key))
    return Block.objects.filter(pk=row.block.pk).update(
        reward=params.reward,
        penalty=params.penalty,
        vesting_offset=int(period["PeriodStart"]),
        reward_key=tipset.key,
    )


def reward_reset(row: Round) -> None:
    """Remove the reward of a block whose tipset has left the chain; it is read anew once another pays it."""
    Block.objects.filter(round=row).update(reward=None, penalty=None, vesting_offset=None, reward_key="")
