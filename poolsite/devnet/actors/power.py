"""The power actor: claims and the network's total.

Source: builtin-actors actors/power/src/lib.rs.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from poolsite.devnet.actors.frames import call_note
from poolsite.devnet.state.power_rows import CLAIMS, Claim, PowerState, Smoothed
from poolsite.devnet.state.rows import SYSTEM
from poolsite.filecoin.actors.power import Method, UpdateClaimedPowerParams, UpdatePledgeTotalParams
from poolsite.filecoin.address import POWER_ACTOR
from poolsite.filecoin.codec import to_cbor

if TYPE_CHECKING:
    from poolsite.devnet.actors.call import Machine
    from poolsite.devnet.profile import Profile
    from poolsite.devnet.state.tables import Draft, State

BUILT_IN_MINER = 1000
"""Actor id of the devnet's own miner."""
Q128 = 1 << 128


def claim_of(state: Draft | State, miner_id: int, profile: Profile) -> Claim:
    """Return a miner's power; the built-in miner's has a floor, so that the chain always moves."""
    claim: Claim | None = state.get(CLAIMS, miner_id)
    if claim is None:
        return Claim(0, 0)
    if miner_id == BUILT_IN_MINER:
        floor = profile.genesis_power
        return Claim(max(claim.raw, floor), max(claim.quality, floor))
    return claim


def claim_total(state: Draft | State, profile: Profile, *, minimum: int, minimum_miners: int) -> Claim:
    """Return the network's power: of miners with the consensus minimum, or of all while those are too few."""
    claims = [claim_of(state, miner_id, profile) for miner_id in state.keys(CLAIMS)]
    above = [claim for claim in claims if claim.raw >= minimum]
    counted = above if len(above) >= minimum_miners else claims
    return Claim(sum(claim.raw for claim in counted), sum(claim.quality for claim in counted))


def miners_above(state: Draft | State, profile: Profile, *, minimum: int) -> int:
    """Return how many miners have the consensus minimum."""
    return sum(claim_of(state, miner_id, profile).raw >= minimum for miner_id in state.keys(CLAIMS))


def claim_change(machine: Machine, miner_id: int, *, raw: int, quality: int) -> None:
    """Add to a claim."""
    if raw or quality:
        claim: Claim = machine.draft.get(CLAIMS, miner_id)
        machine.draft.put(CLAIMS, miner_id, Claim(claim.raw + raw, claim.quality + quality))
        params = to_cbor(UpdateClaimedPowerParams(raw, quality))
        call_note(machine, POWER_ACTOR, Method.UPDATE_CLAIMED_POWER, params=params)


def pledge_change(machine: Machine, amount: int) -> None:
    """Add to the network's total pledge."""
    if amount:
        state: PowerState = machine.draft.get(SYSTEM, "power")
        machine.draft.put(SYSTEM, "power", replace(state, pledge=state.pledge + amount))
        params = to_cbor(UpdatePledgeTotalParams(amount))
        call_note(machine, POWER_ACTOR, Method.UPDATE_PLEDGE_TOTAL, params=params)


def power_smooth(machine: Machine) -> None:
    """Keep the smoothed estimate at the network's power, but never below the floor of the network's row."""
    network = machine.network
    total = claim_total(
        machine.draft,
        machine.profile,
        minimum=network.consensus_miner_min_power,
        minimum_miners=network.consensus_miner_min_miners,
    )
    position = max(total.quality, network.power_estimate_floor) * Q128
    state: PowerState = machine.draft.get(SYSTEM, "power")
    if state.smoothed.position != position:
        machine.draft.put(SYSTEM, "power", replace(state, smoothed=Smoothed(position, 0)))
