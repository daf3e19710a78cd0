"""The reward actor: what each block earns.

Source: builtin-actors actors/reward/src/lib.rs award_block_reward.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from poolsite.devnet.actors.frames import implicit, inner_call, pay
from poolsite.devnet.actors.ledger import BURNT, REWARD, actor_get, transfer
from poolsite.devnet.actors.miner.funds import reward_add
from poolsite.devnet.state.miner_rows import MINERS, Miner
from poolsite.devnet.state.rows import SYSTEM
from poolsite.filecoin.actors.miner import Method as MinerMethod
from poolsite.filecoin.actors.miner_control import ApplyRewardsParams
from poolsite.filecoin.actors.reward import AwardBlockRewardParams, Method
from poolsite.filecoin.address import REWARD_ACTOR, id_address
from poolsite.filecoin.codec import to_cbor
from poolsite.filecoin.election import BLOCKS_PER_EPOCH
from poolsite.filecoin.pledge import PENALTY_MULTIPLIER

if TYPE_CHECKING:
    from poolsite.devnet.actors.call import Machine
    from poolsite.devnet.state.power_rows import RewardState

EPOCH_REWARD: Final = 36_266_260_308_195_979_333
"""attoFIL minted per epoch at the start of mainnet; the devnet keeps it."""
REWARD_VELOCITY: Final = -109_897_758_509
"""Change of the reward per epoch at the start, for the smoothed estimate."""
BASELINE_POWER: Final = 2_888_888_880_000_000_000
"""Baseline power at the start, bytes."""


def block_reward_award(
    machine: Machine, miner_id: int, *, penalty: int, gas_reward: int, win_count: int
) -> None:
    """Pay a block's reward and tips to its miner, who locks three quarters and pays the penalty."""
    params = AwardBlockRewardParams(id_address(miner_id), penalty, gas_reward, win_count)
    encoded = to_cbor(params)
    with implicit(machine, REWARD_ACTOR, Method.AWARD_BLOCK_REWARD, params=encoded):
        _award(machine, miner_id, params)


def _award(machine: Machine, miner_id: int, params: AwardBlockRewardParams) -> None:
    draft = machine.draft
    state: RewardState = draft.get(SYSTEM, "reward")
    funds = actor_get(draft, REWARD)
    block_reward = state.epoch_reward * params.win_count // BLOCKS_PER_EPOCH
    balance = 0 if funds is None else funds.balance
    block_reward = min(block_reward, max(balance - params.gas_reward, 0))
    total = block_reward + params.gas_reward
    draft.put(SYSTEM, "reward", replace(state, paid=state.paid + block_reward))
    miner: Miner | None = draft.get(MINERS, miner_id)
    if miner is None:
        pay(machine, REWARD, BURNT, total)
        return
    penalty = params.penalty * PENALTY_MULTIPLIER
    apply_params = to_cbor(ApplyRewardsParams(total, penalty))
    with inner_call(machine, params.miner, MinerMethod.APPLY_REWARDS, params=apply_params, value=total):
        transfer(draft, REWARD, miner_id, total)
        draft.put(MINERS, miner_id, reward_add(machine, miner_id, miner, reward=total, penalty=penalty))
