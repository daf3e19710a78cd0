"""Leader election: who may make a block at an epoch, how often they won, and what the block weighs.

A miner signs the epoch's randomness; the hash of that signature is its draw from the Poisson distribution
whose mean is its share of the power times `BLOCKS_PER_EPOCH`.  All nodes must agree on the result to the last
bit, so the arithmetic is lotus' fixed point, with its order of operations and its rounding.

Source: lotus chain/types/electionproof.go, chain/consensus/filcns/weight.go, miner/miner.go; Filecoin spec,
section Expected Consensus.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from poolsite.filecoin.fixed_point import polynomial
from poolsite.filecoin.randomness import Tag, draw_randomness, miner_entropy
from poolsite.filecoin.signature import BadSignature, bls_verify

if TYPE_CHECKING:
    from poolsite.filecoin.address import Address

BLOCKS_PER_EPOCH: Final = 5
"""Expected number of wins of the whole network in one epoch."""
MAX_WIN_COUNT: Final = 3 * BLOCKS_PER_EPOCH
"""Most wins of one miner in one epoch."""
WEIGHT_RATIO_NUM: Final = 1
"""Numerator of the ratio 1/2: with all its expected wins a tipset weighs so much of its power's logarithm
more."""
WEIGHT_RATIO_DEN: Final = 2
"""Denominator of that ratio."""
PRECISION: Final = 256
"""Bits behind the point in Q.256 numbers."""

_ONE: Final = 1 << PRECISION
"""1.0 in Q.256; also the number of hashes that a draw can have."""
# e^-x as a quotient of two polynomials, in whole numbers: floating point would differ between machines, and
# with it who has won.  The coefficients are lotus', in Q.128.
_EXP_NUM: Final = tuple(
    coefficient << 128
    for coefficient in (
        -648770010757830093818553637600,
        67469480939593786226847644286976,
        -3197587544499098424029388939001856,
        89244641121992890118377641805348864,
        -1579656163641440567800982336819953664,
        17685496037279256458459817590917169152,
        -115682590513835356866803355398940131328,
        340282366920938463463374607431768211456,
    )
)
"""Numerator of the quotient of polynomials that stands for e^-x: Q.256, highest power first."""
_EXP_DEN: Final = tuple(
    coefficient << 128
    for coefficient in (
        1225524182432722209606361,
        114095592300906098243859450,
        5665570424063336070530214243,
        194450132448609991765137938448,
        5068267641632683791026134915072,
        104716890604972796896895427629056,
        1748338658439454459487681798864896,
        23704654329841312470660182937960448,
        259380097567996910282699886670381056,
        2250336698853390384720606936038375424,
        14978272436876548034486263159246028800,
        72144088983913131323343765784380833792,
        224599776407103106596571252037123047424,
        340282366920938463463374607431768211456,
    )
)
"""Its denominator, likewise."""


class BadElection(ValueError):
    """An election, ticket or eligibility that the chain does not accept; the text is lotus'."""


def exp_negative(x: int) -> int:
    """Return e^-x for 0 <= x in 2^-256, as the chain computes it.

    lotus states its error as below 3.4e-30 for x under 1.725 and below 4.6e-15 for x under 5, the largest
    mean that one miner can have.  Source: electionproof.go expneg.
    """
    numerator = polynomial(_EXP_NUM, x, precision=PRECISION)
    return (numerator << PRECISION) // polynomial(_EXP_DEN, x, precision=PRECISION)


def win_count(vrf_proof: bytes, power: int, total_power: int) -> int:
    """Return how often a miner with `power` of `total_power` (quality-adjusted) wins with this proof.

    The hash of the proof, as a fraction of 2^256, is compared with the chance of more than 0, 1, 2, ... wins;
    each that it lies below is a win, up to `MAX_WIN_COUNT`.  Source: electionproof.go ComputeWinCount.
    """
    chance = int.from_bytes(hashlib.blake2b(vrf_proof, digest_size=32).digest(), "big")
    expected = (power * BLOCKS_PER_EPOCH << PRECISION) // total_power
    probability = exp_negative(expected)
    remaining = _ONE - probability
    wins = 0
    while chance < remaining and wins < MAX_WIN_COUNT:
        wins += 1
        # Divided first, as lotus does: the other order rounds elsewhere, and may count another win.
        probability = (probability // wins) * expected >> PRECISION
        remaining -= probability
    return wins


def election_randomness(beacon: bytes, round: int, miner: Address) -> bytes:
    """Return the bytes that a miner signs to learn whether it is elected at epoch `round`."""
    return draw_randomness(beacon, Tag.ELECTION_PROOF_PRODUCTION, round, miner_entropy(miner))


def ticket_randomness(beacon: bytes, round: int, *, miner: Address, parent_ticket: bytes) -> bytes:
    """Return the bytes that a miner signs for the ticket of its block at epoch `round`.

    They are drawn at round - 1.  `parent_ticket` is the VRF proof of the parent tipset's smallest ticket.
    Source: miner.go computeTicket with TicketRandomnessLookback 1 (after the Smoke upgrade).
    """
    entropy = miner_entropy(miner) + parent_ticket
    return draw_randomness(beacon, Tag.TICKET_PRODUCTION, round - 1, entropy)


def winning_post_randomness(beacon: bytes, round: int, miner: Address) -> bytes:
    """Return the seed of the WinningPoSt challenges of a block at epoch `round`."""
    return draw_randomness(beacon, Tag.WINNING_POST_CHALLENGE_SEED, round, miner_entropy(miner))


def vrf_verify(worker: Address, randomness: bytes, proof: bytes) -> None:
    """Raise BadElection unless the worker's key made the VRF proof of a ticket or an election."""
    if worker.protocol != 3:
        raise BadElection("miner worker address was not a BLS key")
    try:
        bls_verify(worker.payload, randomness, proof)
    except BadSignature as error:
        raise BadElection(f"vrf was invalid: {error}") from None


def tipset_weight(parent_weight: int, *, total_power: int, win_counts: Sequence[int]) -> int:
    """Return the weight of the chain that ends in a tipset whose blocks won `win_counts` times.

    The parent's weight, plus 2^8 log2(power), plus the share of that which the wins earn: wins / 5 / 2,
    rounded down.  `total_power` is the network's quality-adjusted power in the state that the tipset builds
    on.

    Raises BadElection if there is none.
    """
    if total_power <= 0:
        raise BadElection(
            "all power in the net is gone. You network might be disconnected, or the net is dead!"
        )
    # The whole logarithm, with 8 bits behind the point for what follows: all nodes must agree on it.
    log_power = (total_power.bit_length() - 1) << 8
    shared = log_power * WEIGHT_RATIO_NUM * sum(win_counts) // (BLOCKS_PER_EPOCH * WEIGHT_RATIO_DEN)
    return parent_weight + log_power + shared


@dataclass(frozen=True, slots=True)
class Eligibility:
    """What decides whether a miner may mine on a base tipset."""

    power_at_lookback: int
    """Raw power in the lookback tipset's state."""
    miners_above_minimum: int
    """Miners of the network that met the consensus minimum there."""
    quality_power: int
    """Quality-adjusted power in the base's state."""
    fee_debt: int
    """Debt in the base's state, attoFIL."""
    consensus_fault_elapsed: int
    """Epoch from which a reported fault no longer bars the miner, -1 for none."""
    height: int
    """Epoch of the base."""


def is_eligible(facts: Eligibility, *, consensus_minimum: int, minimum_miners: int) -> bool:
    """Return whether the miner may mine.  Source: lotus chain/stmgr/actors.go MinerEligibleToMine.

    `consensus_minimum` is raw power in bytes; while fewer than `minimum_miners` have it, any power does.
    """
    if facts.miners_above_minimum >= minimum_miners:
        has_power = facts.power_at_lookback >= consensus_minimum
    else:
        has_power = facts.power_at_lookback > 0
    barred = facts.fee_debt > 0 or facts.consensus_fault_elapsed >= facts.height
    return has_power and facts.quality_power > 0 and not barred
