"""What a block brought: its share of the epoch's reward with the tips, less the penalties of its messages.

Source: builtin-actors actors/reward award_block_reward; lotus chain/consensus/compute_state.go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from apps.blocks.models import Block, Round
from apps.blocks.states import RoundState
from apps.chain.client import chain_client
from apps.chain.models import Head
from apps.chain.tipsets import key_to_json
from apps.core.errors import DomainError
from poolsite.filecoin.election import BLOCKS_PER_EPOCH
from poolsite.filecoin.gas import gas_outputs

if TYPE_CHECKING:
    from collections.abc import Iterable

    from apps.chain.client import ChainClient

REWARD_ACTOR: Final = "f02"
BOOKED_AT_ONCE: Final = 20


def rewards_book() -> int:
    """Write the reward of included blocks whose messages were executed; return how many."""
    rows = (
        Round.objects.select_related("block")
        .only("epoch", "win_count", "block__cid")
        .filter(state=RoundState.INCLUDED, block__reward=None, block__isnull=False)
    )
    due = list(rows.order_by("epoch")[:BOOKED_AT_ONCE])
    if not due:
        return 0
    client, booked = chain_client(), 0
    for row in due:
        tipset = Head.objects.filter(is_canonical=True, height=row.epoch).first()
        child = tipset and Head.objects.filter(is_canonical=True, parent_key=tipset.key).first()
        if tipset is None or child is None:
            continue
        try:
            reward, penalty = block_reward(row, tipset=tipset, child=child, client=client)
        except (DomainError, KeyError, TypeError, ValueError):
            continue  # with the next head
        booked += Block.objects.filter(pk=row.block.pk).update(reward=reward, penalty=penalty)
    return booked


def block_reward(row: Round, *, tipset: Head, child: Head, client: ChainClient) -> tuple[int, int]:
    """Return reward with tips, and penalty, in attoFIL.  Raise DomainError where a node does not answer."""
    state = client.call("StateReadState", REWARD_ACTOR, key_to_json(tipset.key))["State"]
    reward = int(state["ThisEpochReward"]) * row.win_count // BLOCKS_PER_EPOCH
    own = _first_in(row.block.cid, tipset.cids, client)
    executed = zip(
        client.chain_get_parent_messages(child.cids[0]),
        client.chain_get_parent_receipts(child.cids[0]),
        strict=True,
    )
    penalty = 0
    for (cid, message), receipt in executed:
        if str(cid) in own:
            paid = gas_outputs(
                gas_used=receipt.gas_used,
                gas_limit=message.gas_limit,
                base_fee=int(tipset.base_fee),
                fee_cap=message.gas_fee_cap,
                premium=message.gas_premium,
            )
            reward += paid.miner_tip
            penalty += paid.miner_penalty
    return reward, penalty


def _first_in(block: str, cids: Iterable[str], client: ChainClient) -> set[str]:
    """Return the messages that no block before this one in the tipset has: those pay this one."""
    earlier: set[str] = set()
    for cid in cids:
        found = _message_cids(client.call("ChainGetBlockMessages", {"/": cid}))
        if cid == block:
            return found - earlier
        earlier |= found
    return set()


def _message_cids(answer: Any) -> set[str]:
    return {one["/"] for one in answer["Cids"] or ()}
