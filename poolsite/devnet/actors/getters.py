"""Methods that only read: of accounts, the power actor and the reward actor."""

from __future__ import annotations

from typing import TYPE_CHECKING

from poolsite.devnet.actors.exits import bad_argument, illegal_state
from poolsite.devnet.actors.ledger import actor_get
from poolsite.devnet.actors.power import claim_total
from poolsite.devnet.state.rows import SYSTEM, PowerState, RewardState
from poolsite.filecoin.actors.account import AUTHENTICATE_MESSAGE_PARAMS
from poolsite.filecoin.actors.power import CURRENT_TOTAL_POWER_RETURN, CurrentTotalPowerReturn
from poolsite.filecoin.actors.reward import THIS_EPOCH_REWARD_RETURN, ThisEpochRewardReturn
from poolsite.filecoin.actors.smoothing import FilterEstimate
from poolsite.filecoin.address import BLS, address_to_bytes
from poolsite.filecoin.cbor import bool_write, bytes_write
from poolsite.filecoin.signature import BadSignature, Signature, signature_verify
from poolsite.filecoin.sigtypes import SIG_BLS, SIG_SECP256K1

if TYPE_CHECKING:
    from poolsite.devnet.actors.call import Call


def pubkey_address(call: Call) -> bytes:
    """account.PubkeyAddress."""
    actor = actor_get(call.draft, call.receiver)
    if actor is None or actor.address is None:
        raise illegal_state("account has no key")
    return bytes_write(address_to_bytes(actor.address))


def authenticate_message(call: Call) -> bytes:
    """account.AuthenticateMessage: whether the account's key made a signature.  Raises ActorError 16, 20."""
    params = call.read(AUTHENTICATE_MESSAGE_PARAMS)
    actor = actor_get(call.draft, call.receiver)
    if actor is None or actor.address is None:
        raise illegal_state("account has no key")
    kind = SIG_BLS if actor.address.protocol == BLS else SIG_SECP256K1
    try:
        signature_verify(Signature(kind, params.signature), actor.address, params.message)
    except BadSignature as error:
        raise bad_argument(f"failed to authenticate message: {error}") from None
    return bool_write(True)


def current_total_power(call: Call) -> bytes:
    """power.CurrentTotalPower."""
    network = call.network
    total = claim_total(
        call.draft,
        call.machine.profile,
        minimum=network.consensus_miner_min_power,
        minimum_miners=network.consensus_miner_min_miners,
    )
    state: PowerState = call.draft.get(SYSTEM, "power")
    return CURRENT_TOTAL_POWER_RETURN.encode(
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
    state: RewardState = call.draft.get(SYSTEM, "reward")
    estimate = FilterEstimate(state.smoothed.position, state.smoothed.velocity)
    return THIS_EPOCH_REWARD_RETURN.encode(ThisEpochRewardReturn(estimate, state.baseline))
