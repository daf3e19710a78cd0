"""Calls of the miner actor that make, change and end sectors.

Source: go-state-types builtin/v18/miner/miner_types.go; FIP-0076, FIP-0092.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from poolsite.filecoin.actors.smoothing import FilterEstimate
from poolsite.filecoin.address import Address
from poolsite.filecoin.bitfield import BitField
from poolsite.filecoin.cids import Cid
from poolsite.filecoin.codec import (
    Int64,
    JsonName,
    TokenAmount,
    Uint64,
    cbor_tuple,
)


@cbor_tuple
@dataclass(frozen=True, slots=True)
class SectorPreCommitInfo:
    """One sector of a pre-commit."""

    seal_proof: Int64
    """RegisteredSealProof."""
    sector_number: Uint64
    """Number of the sector."""
    sealed_cid: Cid
    """Commitment to the sealed sector (CommR)."""
    seal_rand_epoch: Int64
    """Epoch of the ticket."""
    deal_ids: tuple[Uint64, ...]
    """Deals inside; empty since network version 22."""
    expiration: Int64
    """Epoch at which the sector ends."""
    unsealed_cid: Annotated[Cid | None, JsonName("UnsealedCid")]
    """Commitment to the data (CommD); null for none."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class PreCommitSectorBatch2Params:
    """Pre-commit sectors."""

    sectors: tuple[SectorPreCommitInfo, ...]
    """Sectors concerned."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class VerifiedAllocationKey:
    """Names an allocation of data cap."""

    client: Uint64
    """Actor number of the client."""
    id: Uint64
    """Number."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class DataActivationNotification:
    """An actor that is told of a piece."""

    address: Address
    """Who is notified."""
    payload: bytes
    """Opaque bytes."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class PieceActivationManifest:
    """One piece of a sector."""

    cid: Cid
    """Commitment to the piece."""
    size: Uint64
    """Padded size in bytes."""
    verified_allocation_key: VerifiedAllocationKey | None
    """The allocation that the piece fulfils; null for none."""
    notify: tuple[DataActivationNotification, ...]
    """Actors that are told."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class SectorActivationManifest:
    """A sector to activate and its pieces."""

    sector_number: Uint64
    """Number of the sector."""
    pieces: tuple[PieceActivationManifest, ...]
    """Pieces in order; empty for committed capacity."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class ProveCommitSectors3Params:
    """Prove pre-committed sectors, one proof each or one aggregate."""

    sector_activations: tuple[SectorActivationManifest, ...]
    """One entry for each sector."""
    sector_proofs: tuple[bytes, ...]
    """One proof for each sector, or none with an aggregate."""
    aggregate_proof: bytes
    """The folded proof."""
    aggregate_proof_type: Int64 | None
    """RegisteredAggregationProof."""
    require_activation_success: bool
    """Fail the message if one sector fails."""
    require_notification_success: bool
    """Fail the message if one notification fails."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class SectorUpdateManifest:
    """A sector that gets data."""

    sector: Uint64
    """Number of the sector."""
    deadline: Uint64
    """Number of the deadline."""
    partition: Uint64
    """Number of the partition."""
    new_sealed_cid: Cid
    """Commitment to the new replica."""
    pieces: tuple[PieceActivationManifest, ...]
    """Pieces in order; empty for committed capacity."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class ProveReplicaUpdates3Params:
    """Prove replica updates."""

    sector_updates: tuple[SectorUpdateManifest, ...]
    """One entry for each sector."""
    sector_proofs: tuple[bytes, ...]
    """One proof for each sector, or none with an aggregate."""
    aggregate_proof: bytes
    """The folded proof."""
    update_proofs_type: Int64
    """RegisteredUpdateProof."""
    aggregate_proof_type: Int64 | None
    """RegisteredAggregationProof."""
    require_activation_success: bool
    """Fail the message if one sector fails."""
    require_notification_success: bool
    """Fail the message if one notification fails."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class SectorNIActivationInfo:
    """One sector of a non-interactive commitment."""

    sealing_number: Uint64
    """Number under which it was sealed."""
    sealer_id: Uint64
    """Actor number of the sealer."""
    sealed_cid: Cid
    """Commitment to the sealed sector (CommR)."""
    sector_number: Uint64
    """Number of the sector."""
    seal_rand_epoch: Int64
    """Epoch of the ticket."""
    expiration: Int64
    """Epoch at which the sector ends."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class ProveCommitSectorsNIParams:
    """Commit and prove sectors in one message."""

    sectors: tuple[SectorNIActivationInfo, ...]
    """Sectors concerned."""
    aggregate_proof: bytes
    """The folded proof."""
    seal_proof_type: Int64
    """RegisteredSealProof."""
    aggregate_proof_type: Int64
    """RegisteredAggregationProof."""
    proving_deadline: Uint64
    """Deadline that takes the sectors."""
    require_activation_success: bool
    """Fail the message if one sector fails."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class SectorClaim:
    """A sector's verified claims when it is extended."""

    sector_number: Uint64
    """Number of the sector."""
    maintain_claims: tuple[Uint64, ...]
    """Claims that stay."""
    drop_claims: tuple[Uint64, ...]
    """Claims that are given up."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class ExpirationExtension2:
    """Sectors of a partition that live longer."""

    deadline: Uint64
    """Number of the deadline."""
    partition: Uint64
    """Number of the partition."""
    sectors: BitField
    """Sectors concerned."""
    sectors_with_claims: tuple[SectorClaim, ...]
    """Sectors that hold verified claims."""
    new_expiration: Int64
    """Epoch of the new end."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class ExtendSectorExpiration2Params:
    """Extend sectors."""

    extensions: tuple[ExpirationExtension2, ...]
    """One entry for each partition."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class CheckSectorProvenParams:
    """Ask whether a sector is proven."""

    sector_number: Uint64
    """Number of the sector."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class InternalSectorSetupForPresealParams:
    """Set up the sectors of a miner that genesis makes (only the system)."""

    sectors: tuple[Uint64, ...]
    """Their numbers."""
    reward_smoothed: FilterEstimate
    """Reward per epoch."""
    reward_baseline_power: TokenAmount
    """Bytes."""
    quality_adj_power_smoothed: FilterEstimate
    """Network's quality-adjusted power."""
