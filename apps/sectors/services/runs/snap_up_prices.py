"""What a snap-up brings and costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from apps.messages.services.signer_trials import Verdicts
from apps.sectors.models import Sector
from apps.sectors.onchain.sectors import pledge_read
from apps.sectors.selectors.batch_settings import batch_policy
from apps.sectors.selectors.proof_forms import proof_form_for
from apps.sectors.selectors.sealing_context import SealingContext
from apps.sectors.services.miner_funds import Funds, funds_split
from apps.sectors.services.runs.piece_choice import pieces_choose
from apps.sectors.services.runs.snap_up import sector_require
from apps.sectors.services.runs.snap_up_verdicts import snap_up_verdicts_read
from apps.sectors.services.sealing.packing import PackedSector
from apps.sectors.services.sealing.prices import gas_cost_estimate
from poolsite.filecoin.gas_model import replica_update_gas


@dataclass(frozen=True, slots=True)
class SnapUpPrice:
    """What a snap-up brings and costs, at one head."""

    packed: PackedSector
    verified: int
    """Padded bytes with an allocation."""
    pledge: int
    """attoFIL that are locked beside what is locked already."""
    funds: Funds
    """Who pays them, with the margin."""
    gas: int
    """attoFIL of the message's gas; burnt."""
    verdicts: Verdicts
    """What the signer and the approval rules would do with its message."""


def snap_up_price(sector: Sector, *, piece_cids: Sequence[str] = (), work: SealingContext) -> SnapUpPrice:
    """Return what would go into a sector and what it costs; nothing is written.

    Raises MinerNotReady, NotCommittedCapacity, RunUnderWay, LifeTooShort, NoPieces, NoHost, NodeRefused,
    ProofFormMissing.
    """
    proof_form_for(work.network)
    sector_require(sector, work=work)
    packed = pieces_choose(sector, piece_cids=piece_cids, work=work)
    verified = sum(piece.padded_size for piece in packed.pieces if piece.allocation is not None)
    gas = gas_cost_estimate(replica_update_gas(1), base_fee=int(work.head.base_fee))
    work = replace(work, policy=batch_policy(sector.miner, work.policy))
    more = pledge_growth_compute(sector, verified=verified, work=work)
    funds = funds_split(sector.miner, needed=pledge_margin_add(more, work=work), work=work)
    verdicts = snap_up_verdicts_read({sector: funds.sent}, work=work)
    return SnapUpPrice(packed=packed, verified=verified, pledge=more, funds=funds, gas=gas, verdicts=verdicts)


def pledge_margin_add(pledge: int, *, work: SealingContext) -> int:
    """Return what is found or sent for a pledge: it may grow before the message lands."""
    return pledge * (100 + work.policy.funds_margin_percent) // 100


def pledge_growth_compute(sector: Sector, *, verified: int, work: SealingContext) -> int:
    """Return what the pledge grows by; what is locked stays locked where the chain asks for less."""
    pledge = pledge_read(
        work.client,
        duration=(sector.expiration or 0) - work.head.height,
        sector_size=sector.sector_size,
        verified=verified,
        key=work.head.key,
    )
    return max(pledge - int(sector.initial_pledge), 0)
