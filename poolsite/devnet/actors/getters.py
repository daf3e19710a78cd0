"""Methods that only read: of accounts, the power actor and the reward actor."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from poolsite.devnet.actors.actor_errors import bad_argument, illegal_state, not_found
from poolsite.devnet.actors.frames import call_note
from poolsite.devnet.actors.ledger import actor_get
from poolsite.devnet.actors.power import claim_of, claim_total, miners_above
from poolsite.devnet.state.power_rows import CLAIMS, PowerState, RewardState
from poolsite.devnet.state.rows import SYSTEM
from poolsite.filecoin.actors.account import AuthenticateMessageParams
from poolsite.filecoin.actors.power import (
    CurrentTotalPowerReturn,
    Method,
    MinerCountReturn,
    MinerPowerParams,
    MinerPowerReturn,
    MinerRawPowerReturn,
    NetworkRawPowerReturn,
)
from poolsite.filecoin.actors.reward import Method as RewardMethod
from poolsite.filecoin.actors.reward import ThisEpochRewardReturn
from poolsite.filecoin.actors.smoothing import FilterEstimate
from poolsite.filecoin.address import BLS, POWER_ACTOR, REWARD_ACTOR, address_to_bytes
from poolsite.filecoin.cbor import bool_write, bytes_write
from poolsite.filecoin.codec import to_cbor
from poolsite.filecoin.signature import BadSignature, Signature, signature_verify
from poolsite.filecoin.sigtypes import SIG_BLS, SIG_SECP256K1

if TYPE_CHECKING:
    from poolsite.devnet.actors.call import Call, Machine
    from poolsite.devnet.state.power_rows import Claim


def pubkey_address(call: Call) -> bytes:
    """account.PubkeyAddress."""
    actor = actor_get(call.draft, call.receiver)
    if actor is None or actor.address is None:
        raise illegal_state("account has no key")
    return bytes_write(address_to_bytes(actor.address))


def authenticate_message(call: Call) -> bytes:
    """account.AuthenticateMessage: whether the account's key made a signature.  Raises ActorError 16, 20."""
    params = call.read(AuthenticateMessageParams)
    actor = actor_get(call.draft, call.receiver)
    if actor is None or actor.address is None:
        raise illegal_state("account has no key")
    kind = SIG_BLS if actor.address.protocol == BLS else SIG_SECP256K1
    try:
        signature_verify(Signature(kind, params.signature), actor.address, params.message)
    except BadSignature as error:
        raise bad_argument(f"failed to authenticate message: {error}") from None
    return bool_write(True)


def _total(machine: Machine) -> Claim:
    """Return the network's power."""
    return claim_total(
        machine.draft,
        machine.profile,
        minimum=machine.network.consensus_miner_min_power,
        minimum_miners=machine.network.consensus_miner_min_miners,
    )


def current_total_power(call: Call) -> bytes:
    """power.CurrentTotalPower."""
    return _power_return(call.machine)


def _power_return(machine: Machine) -> bytes:
    total = _total(machine)
    state: PowerState = machine.draft.get(SYSTEM, "power")
    return to_cbor(
        CurrentTotalPowerReturn(
            raw_byte_power=total.raw,
            quality_adj_power=total.quality,
            pledge_collateral=state.pledge,
            quality_adj_power_smoothed=FilterEstimate(state.smoothed.position, state.smoothed.velocity),
            ramp_start_epoch=0,
            ramp_duration_epochs=0,
        )
    )


def this_epoch_reward(call: Call) -> bytes:
    """reward.ThisEpochReward."""
    return _reward_return(call.machine)


def _reward_return(machine: Machine) -> bytes:
    state: RewardState = machine.draft.get(SYSTEM, "reward")
    estimate = FilterEstimate(state.smoothed.position, state.smoothed.velocity)
    return to_cbor(ThisEpochRewardReturn(estimate, state.baseline))


def economy_queries_note(machine: Machine) -> None:
    """Note that the actor that runs asks for the reward and the network's power, as it does once."""
    frame = machine.frame
    if frame is None or any(inner.to == REWARD_ACTOR for inner in frame.inner):
        return
    call_note(machine, REWARD_ACTOR, RewardMethod.THIS_EPOCH_REWARD, returned=_reward_return(machine))
    call_note(machine, POWER_ACTOR, Method.CURRENT_TOTAL_POWER, returned=_power_return(machine))


def _miners_above(call: Call) -> int:
    """Return how many miners have the consensus minimum."""
    minimum = call.network.consensus_miner_min_power
    return miners_above(call.draft, call.machine.profile, minimum=minimum)


def network_raw_power(call: Call) -> bytes:
    """power.NetworkRawPower."""
    return to_cbor(NetworkRawPowerReturn(_total(call.machine).raw))


def miner_raw_power(call: Call) -> bytes:
    """power.MinerRawPower, and whether it is enough to mine.  Raises ActorError 16."""
    miner_id = call.read(MinerPowerParams).actor_id
    if call.draft.get(CLAIMS, miner_id) is None:
        raise bad_argument(f"no claim for actor: {miner_id}")
    network, raw = call.network, claim_of(call.draft, miner_id, call.machine.profile).raw
    is_enough = raw >= network.consensus_miner_min_power
    if not is_enough and _miners_above(call) < network.consensus_miner_min_miners:
        is_enough = raw > 0
    return to_cbor(MinerRawPowerReturn(raw, is_enough))


def miner_count(call: Call) -> bytes:
    """power.MinerCount."""
    state: PowerState = call.draft.get(SYSTEM, "power")
    return to_cbor(MinerCountReturn(state.miner_count))


def miner_consensus_count(call: Call) -> bytes:
    """power.MinerConsensusCount."""
    return to_cbor(MinerCountReturn(_miners_above(call)))


def miner_power(call: Call) -> bytes:
    """power.MinerPower.  Raises ActorError 17."""
    miner_id = call.read(MinerPowerParams).actor_id
    if call.draft.get(CLAIMS, miner_id) is None:
        raise not_found("miner not found")
    claim = claim_of(call.draft, miner_id, call.machine.profile)
    return to_cbor(MinerPowerReturn(claim.raw, claim.quality))


POWER_METHODS: Final[dict[int, Callable[[Call], bytes]]] = {
    Method.CURRENT_TOTAL_POWER: current_total_power,
    Method.CURRENT_TOTAL_POWER_NETWORK_RAW_POWER_EXPORTED: network_raw_power,
    Method.CURRENT_TOTAL_POWER_MINER_RAW_POWER_EXPORTED: miner_raw_power,
    Method.CURRENT_TOTAL_POWER_MINER_COUNT_EXPORTED: miner_count,
    Method.CURRENT_TOTAL_POWER_MINER_CONSENSUS_COUNT_EXPORTED: miner_consensus_count,
    Method.MINER_POWER_EXPORTED: miner_power,
}
"""The power actor's handlers that only read."""
