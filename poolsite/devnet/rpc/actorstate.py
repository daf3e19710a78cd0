"""StateReadState: an actor's own state with lotus' member names; sub-tables are links, as on a real node."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from poolsite.devnet.actors.codes import CODES
from poolsite.devnet.actors.ledger import actor_get, address_of
from poolsite.devnet.actors.market.deals import Market
from poolsite.devnet.consensus import power_total
from poolsite.devnet.rpc import params as p
from poolsite.devnet.rpc.dispatch import Method
from poolsite.devnet.rpc.forms import actor_id_get, state_get
from poolsite.devnet.rpc.objects import object_cache
from poolsite.devnet.state.deal_rows import DEAL_EVENTS, DEAL_STATES, DEALS, PENDING_DEALS
from poolsite.devnet.state.heads import deadlines_object, table_cid
from poolsite.devnet.state.miner_rows import MINERS, Miner
from poolsite.devnet.state.power_rows import CLAIMS, PowerState, RewardState
from poolsite.devnet.state.rows import ADDRESSES, CRON, ESCROWS, MULTISIGS, SYSTEM, InitState, Multisig
from poolsite.devnet.state.sector_rows import precommits_of, sectors_of
from poolsite.filecoin.address import id_address
from poolsite.filecoin.amounts import FIL
from poolsite.filecoin.cids import cid_of_cbor, cid_to_json
from poolsite.wire.jsonrpc.messages import RpcError

if TYPE_CHECKING:
    from poolsite.devnet.node import Devnet
    from poolsite.devnet.state.tables import State
    from poolsite.filecoin.address import Address
    from poolsite.filecoin.cids import Cid

Key = tuple["Cid", ...]
SIMPLE_TOTAL: Final = 330_000_000 * FIL
BASELINE_TOTAL: Final = 770_000_000 * FIL


def state_read(node: Devnet, address: Address, key: Key) -> Any:
    state = state_get(node, key)
    actor_id = actor_id_get(state, address, prefix="getting actor: ")
    actor = actor_get(state, actor_id)
    if actor is None:
        raise RpcError("getting actor: actor not found")
    write = WRITERS.get(actor.kind)
    return {
        "Balance": str(actor.balance),
        "Code": cid_to_json(CODES.get(actor.kind)),
        "State": None if write is None else write(node, state, actor_id),
    }


def _account(_node: Devnet, state: State, actor_id: int) -> dict[str, Any]:
    return {"Address": str(address_of(state, actor_id))}


def _init(_node: Devnet, state: State, _actor_id: int) -> dict[str, Any]:
    init: InitState = state.get(SYSTEM, "init")
    return {"AddressMap": _link(state, ADDRESSES), "NextID": init.next_id, "NetworkName": init.network}


def _reward(node: Devnet, state: State, _actor_id: int) -> dict[str, Any]:
    reward: RewardState = state.get(SYSTEM, "reward")
    return {
        "CumsumBaseline": str(reward.baseline),
        "CumsumRealized": "0",
        "EffectiveNetworkTime": 0,
        "EffectiveBaselinePower": str(reward.baseline),
        "ThisEpochReward": str(reward.epoch_reward),
        "ThisEpochRewardSmoothed": {
            "PositionEstimate": str(reward.smoothed.position),
            "VelocityEstimate": str(reward.smoothed.velocity),
        },
        "ThisEpochBaselinePower": str(reward.baseline),
        "Epoch": node.head.height,
        "TotalStoragePowerReward": str(reward.paid),
        "SimpleTotal": str(SIMPLE_TOTAL),
        "BaselineTotal": str(BASELINE_TOTAL),
    }


def _power(node: Devnet, state: State, _actor_id: int) -> dict[str, Any]:
    power: PowerState = state.get(SYSTEM, "power")
    total = power_total(state, node.rules)
    raw, quality, pledge = str(total.raw), str(total.quality), str(power.pledge)
    return {
        "TotalRawBytePower": raw,
        "TotalBytesCommitted": raw,
        "TotalQualityAdjPower": quality,
        "TotalQABytesCommitted": quality,
        "TotalPledgeCollateral": pledge,
        "ThisEpochRawBytePower": raw,
        "ThisEpochQualityAdjPower": quality,
        "ThisEpochPledgeCollateral": pledge,
        "ThisEpochQAPowerSmoothed": {
            "PositionEstimate": str(power.smoothed.position),
            "VelocityEstimate": str(power.smoothed.velocity),
        },
        "MinerCount": power.miner_count,
        "MinerAboveMinPowerCount": sum(
            state.get(CLAIMS, miner).raw >= node.network.consensus_miner_min_power
            for miner in state.keys(CLAIMS)
        ),
        "RampStartEpoch": 0,
        "RampDurationEpochs": 0,
        "CronEventQueue": _link(state, CRON),
        "FirstCronEpoch": node.head.height,
        "Claims": _link(state, CLAIMS),
        "ProofValidationBatch": None,
    }


def _miner(node: Devnet, state: State, actor_id: int) -> dict[str, Any]:
    miner: Miner = state.get(MINERS, actor_id)
    info = state.row_bytes(MINERS, actor_id) or b""
    deadlines = deadlines_object(state, actor_id, node.network.proving.deadlines)
    return {
        "Info": cid_to_json(cid_of_cbor(info)),
        "PreCommitDeposits": str(miner.deposits),
        "LockedFunds": str(miner.locked),
        "VestingFunds": {
            "Funds": [{"Epoch": epoch, "Amount": str(amount)} for epoch, amount in miner.vesting]
        }
        if miner.vesting
        else None,
        "FeeDebt": str(miner.debt),
        "InitialPledge": str(miner.pledge),
        "PreCommittedSectors": _link(state, precommits_of(actor_id)),
        "PreCommittedSectorsCleanUp": _link(state, precommits_of(actor_id)),
        "AllocatedSectors": cid_to_json(cid_of_cbor(miner.allocated)),
        "Sectors": _link(state, sectors_of(actor_id)),
        "ProvingPeriodStart": miner.period_start,
        "CurrentDeadline": miner.deadline,
        "Deadlines": cid_to_json(object_cache(node, deadlines)),
        "EarlyTerminations": [0],
        "DeadlineCronActive": miner.cron_active,
    }


def _multisig(_node: Devnet, state: State, actor_id: int) -> dict[str, Any]:
    wallet: Multisig = state.get(MULTISIGS, actor_id)
    return {
        "Signers": [str(id_address(signer)) for signer in wallet.signers],
        "NumApprovalsThreshold": wallet.threshold,
        "NextTxnID": wallet.next_id,
        "InitialBalance": str(wallet.initial),
        "StartEpoch": wallet.start,
        "UnlockDuration": wallet.unlock,
        "PendingTxns": _link(state, MULTISIGS),
    }


def _market(node: Devnet, state: State, _actor_id: int) -> dict[str, Any]:
    market = Market(state).totals
    return {
        "Proposals": _link(state, DEALS),
        "States": _link(state, DEAL_STATES),
        "PendingProposals": _link(state, PENDING_DEALS),
        "EscrowTable": _link(state, ESCROWS),
        "LockedTable": _link(state, ESCROWS),
        "NextID": market.next_deal,
        "DealOpsByEpoch": _link(state, DEAL_EVENTS),
        "LastCron": node.head.height,
        "TotalClientLockedCollateral": str(market.client_collateral),
        "TotalProviderLockedCollateral": str(market.provider_collateral),
        "TotalClientStorageFee": str(market.storage_fee),
        "PendingDealAllocationIds": _link(state, DEALS),
        "ProviderSectors": _link(state, DEAL_STATES),
    }


def _link(state: State, table: str) -> dict[str, str] | None:
    return cid_to_json(table_cid(state, table))


def msig_get_pending(node: Devnet, address: Address, key: Key) -> Any:
    """Return the transactions that wait for approvals."""
    state = state_get(node, key)
    wallet: Multisig | None = state.get(MULTISIGS, actor_id_get(state, address))
    if wallet is None:
        raise RpcError(f"failed to load multisig actor state: actor code is not multisig: {address}")
    return [
        {
            "ID": entry.id,
            "To": str(entry.to),
            "Value": str(entry.value),
            "Method": entry.method,
            "Params": base64.b64encode(entry.params).decode() if entry.params else None,
            "Approved": [str(id_address(actor)) for actor in entry.approved],
        }
        for entry in wallet.pending
    ]


WRITERS: Final[dict[str, Callable[[Devnet, State, int], dict[str, Any]]]] = {
    "account": _account,
    "init": _init,
    "reward": _reward,
    "storagepower": _power,
    "storageminer": _miner,
    "multisig": _multisig,
    "storagemarket": _market,
}

METHODS: Final = (
    Method("StateReadState", "read", (p.ADDRESS, p.TIPSET_KEY), state_read),
    Method("MsigGetPending", "read", (p.ADDRESS, p.TIPSET_KEY), msig_get_pending),
)
