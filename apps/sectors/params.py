"""Parameters of the messages that bring sectors to the chain, made from our rows.

Source: go-state-types builtin/v18/miner/miner_types.go; spec chain §8.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from poolsite.filecoin.actors.miner_sectors import (
    PreCommitSectorBatch2Params,
    ProveCommitSectors3Params,
    SectorActivationManifest,
    SectorPreCommitInfo,
)
from poolsite.filecoin.cids import commr_cid
from poolsite.filecoin.codec import to_cbor

if TYPE_CHECKING:
    from collections.abc import Sequence

    from apps.sectors.models import Sector
    from poolsite.filecoin.policy import Network


@dataclass(frozen=True, slots=True)
class Proven:
    """A sector with its final proof."""

    number: int
    proof: bytes


def expiration_choose(*, height: int, wished: int, network: Network) -> int:
    """Return the epoch to which a new sector is to live: as wished, within what the chain takes.

    The chain counts the shortest life from the latest epoch at which the sector can activate; what a
    message may wait is added to it.  Source: builtin-actors miner validate_expiration.
    """
    slack = network.proving.period + network.pre_commit_challenge_delay
    least = height + network.max_prove_commit_duration + network.min_sector_expiration + slack
    most = height + min(network.max_sector_expiration_extension, network.max_sector_lifetime) - slack
    return max(least, min(height + wished, most))


def precommit_info(sector: Sector, *, expiration: int) -> SectorPreCommitInfo:
    """Return one sector's part of a pre-commit; a sector without pieces of value names no data."""
    if sector.comm_r is None or sector.ticket_epoch is None:
        raise ValueError(f"sector {sector.number} has no replica yet")
    return SectorPreCommitInfo(
        seal_proof=sector.seal_proof,
        sector_number=sector.number,
        sealed_cid=commr_cid(bytes(sector.comm_r)),
        seal_rand_epoch=sector.ticket_epoch,
        deal_ids=(),
        expiration=expiration,
        unsealed_cid=None,
    )


def precommit_params(infos: Sequence[SectorPreCommitInfo]) -> bytes:
    """Return the parameters of PreCommitSectorBatch2."""
    return to_cbor(PreCommitSectorBatch2Params(sectors=tuple(infos)))


def precommit_json(info: SectorPreCommitInfo) -> dict[str, Any]:
    """Return the form in which a node is asked for the deposit."""
    return {
        "SealProof": info.seal_proof,
        "SectorNumber": info.sector_number,
        "SealedCID": {"/": str(info.sealed_cid)},
        "SealRandEpoch": info.seal_rand_epoch,
        "DealIDs": [],
        "Expiration": info.expiration,
        "UnsealedCid": None,
    }


def price_info(*, seal_proof: int, expiration: int) -> SectorPreCommitInfo:
    """Return a pre-commit by which a node is asked for the deposit of a sector that does not exist yet.

    The node looks at the proof type and the deals only.  Source: lotus StateMinerPreCommitDepositForPower.
    """
    return SectorPreCommitInfo(
        seal_proof=seal_proof,
        sector_number=0,
        sealed_cid=commr_cid(bytes(32)),
        seal_rand_epoch=0,
        deal_ids=(),
        expiration=expiration,
        unsealed_cid=None,
    )


def commit_params(sectors: Sequence[Proven], *, all_or_none: bool) -> bytes:
    """Return the parameters of ProveCommitSectors3 with one proof for each sector, sorted by number."""
    ordered = sorted(sectors, key=lambda sector: sector.number)
    return to_cbor(
        ProveCommitSectors3Params(
            sector_activations=tuple(
                SectorActivationManifest(sector_number=sector.number, pieces=()) for sector in ordered
            ),
            sector_proofs=tuple(sector.proof for sector in ordered),
            aggregate_proof=b"",
            aggregate_proof_type=None,
            require_activation_success=all_or_none,
            require_notification_success=False,
        )
    )
