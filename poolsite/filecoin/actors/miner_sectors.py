"""Calls of the miner actor that make, change and end sectors.

Source: go-state-types builtin/v18/miner/miner_types.go; FIP-0076, FIP-0092.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from poolsite.filecoin.actors.smoothing import FILTER_ESTIMATE, FilterEstimate
from poolsite.filecoin.bitfield import BITFIELD, BitField
from poolsite.filecoin.codec import (
    ADDRESS,
    AMOUNT,
    BOOL,
    BYTES,
    CID,
    INT64,
    UINT64,
    Field,
    Struct,
    list_of,
    nullable,
)

if TYPE_CHECKING:
    from poolsite.filecoin.address import Address
    from poolsite.filecoin.cids import Cid


@dataclass(frozen=True, slots=True)
class SectorPreCommitInfo:
    """One sector of a pre-commit."""

    seal_proof: int
    """RegisteredSealProof."""
    sector_number: int
    """Number of the sector."""
    sealed_cid: Cid
    """Commitment to the sealed sector (CommR)."""
    seal_rand_epoch: int
    """Epoch of the ticket."""
    deal_ids: tuple[int, ...]
    """Deals inside; empty since network version 22."""
    expiration: int
    """Epoch at which the sector ends."""
    unsealed_cid: Cid | None
    """Commitment to the data (CommD); null for none."""


SECTOR_PRE_COMMIT_INFO: Final = Struct(
    SectorPreCommitInfo,
    Field("seal_proof", "SealProof", INT64),
    Field("sector_number", "SectorNumber", UINT64),
    Field("sealed_cid", "SealedCID", CID),
    Field("seal_rand_epoch", "SealRandEpoch", INT64),
    Field("deal_ids", "DealIDs", list_of(UINT64)),
    Field("expiration", "Expiration", INT64),
    Field("unsealed_cid", "UnsealedCid", nullable(CID)),
)


@dataclass(frozen=True, slots=True)
class PreCommitSectorBatch2Params:
    """Pre-commit sectors."""

    sectors: tuple[SectorPreCommitInfo, ...]
    """Sectors concerned."""


PRE_COMMIT_SECTOR_BATCH2_PARAMS: Final = Struct(
    PreCommitSectorBatch2Params,
    Field("sectors", "Sectors", list_of(SECTOR_PRE_COMMIT_INFO.kind())),
)


@dataclass(frozen=True, slots=True)
class VerifiedAllocationKey:
    """Names an allocation of data cap."""

    client: int
    """Actor number of the client."""
    id: int
    """Number."""


VERIFIED_ALLOCATION_KEY: Final = Struct(
    VerifiedAllocationKey,
    Field("client", "Client", UINT64),
    Field("id", "ID", UINT64),
)


@dataclass(frozen=True, slots=True)
class DataActivationNotification:
    """An actor that is told of a piece."""

    address: Address
    """Who is notified."""
    payload: bytes
    """Opaque bytes."""


DATA_ACTIVATION_NOTIFICATION: Final = Struct(
    DataActivationNotification,
    Field("address", "Address", ADDRESS),
    Field("payload", "Payload", BYTES),
)


@dataclass(frozen=True, slots=True)
class PieceActivationManifest:
    """One piece of a sector."""

    cid: Cid
    """Commitment to the piece."""
    size: int
    """Padded size in bytes."""
    verified_allocation_key: VerifiedAllocationKey | None
    """The allocation that the piece fulfils; null for none."""
    notify: tuple[DataActivationNotification, ...]
    """Actors that are told."""


PIECE_ACTIVATION_MANIFEST: Final = Struct(
    PieceActivationManifest,
    Field("cid", "CID", CID),
    Field("size", "Size", UINT64),
    Field("verified_allocation_key", "VerifiedAllocationKey", nullable(VERIFIED_ALLOCATION_KEY.kind())),
    Field("notify", "Notify", list_of(DATA_ACTIVATION_NOTIFICATION.kind())),
)


@dataclass(frozen=True, slots=True)
class SectorActivationManifest:
    """A sector to activate and its pieces."""

    sector_number: int
    """Number of the sector."""
    pieces: tuple[PieceActivationManifest, ...]
    """Pieces in order; empty for committed capacity."""


SECTOR_ACTIVATION_MANIFEST: Final = Struct(
    SectorActivationManifest,
    Field("sector_number", "SectorNumber", UINT64),
    Field("pieces", "Pieces", list_of(PIECE_ACTIVATION_MANIFEST.kind())),
)


@dataclass(frozen=True, slots=True)
class ProveCommitSectors3Params:
    """Prove pre-committed sectors, one proof each or one aggregate."""

    sector_activations: tuple[SectorActivationManifest, ...]
    """One entry for each sector."""
    sector_proofs: tuple[bytes, ...]
    """One proof for each sector, or none with an aggregate."""
    aggregate_proof: bytes
    """The folded proof."""
    aggregate_proof_type: int | None
    """RegisteredAggregationProof."""
    require_activation_success: bool
    """Fail the message if one sector fails."""
    require_notification_success: bool
    """Fail the message if one notification fails."""


PROVE_COMMIT_SECTORS3_PARAMS: Final = Struct(
    ProveCommitSectors3Params,
    Field("sector_activations", "SectorActivations", list_of(SECTOR_ACTIVATION_MANIFEST.kind())),
    Field("sector_proofs", "SectorProofs", list_of(BYTES)),
    Field("aggregate_proof", "AggregateProof", BYTES),
    Field("aggregate_proof_type", "AggregateProofType", nullable(INT64)),
    Field("require_activation_success", "RequireActivationSuccess", BOOL),
    Field("require_notification_success", "RequireNotificationSuccess", BOOL),
)


@dataclass(frozen=True, slots=True)
class SectorUpdateManifest:
    """A sector that gets data."""

    sector: int
    """Number of the sector."""
    deadline: int
    """Number of the deadline."""
    partition: int
    """Number of the partition."""
    new_sealed_cid: Cid
    """Commitment to the new replica."""
    pieces: tuple[PieceActivationManifest, ...]
    """Pieces in order; empty for committed capacity."""


SECTOR_UPDATE_MANIFEST: Final = Struct(
    SectorUpdateManifest,
    Field("sector", "Sector", UINT64),
    Field("deadline", "Deadline", UINT64),
    Field("partition", "Partition", UINT64),
    Field("new_sealed_cid", "NewSealedCID", CID),
    Field("pieces", "Pieces", list_of(PIECE_ACTIVATION_MANIFEST.kind())),
)


@dataclass(frozen=True, slots=True)
class ProveReplicaUpdates3Params:
    """Prove replica updates."""

    sector_updates: tuple[SectorUpdateManifest, ...]
    """One entry for each sector."""
    sector_proofs: tuple[bytes, ...]
    """One proof for each sector, or none with an aggregate."""
    aggregate_proof: bytes
    """The folded proof."""
    update_proofs_type: int
    """RegisteredUpdateProof."""
    aggregate_proof_type: int | None
    """RegisteredAggregationProof."""
    require_activation_success: bool
    """Fail the message if one sector fails."""
    require_notification_success: bool
    """Fail the message if one notification fails."""


PROVE_REPLICA_UPDATES3_PARAMS: Final = Struct(
    ProveReplicaUpdates3Params,
    Field("sector_updates", "SectorUpdates", list_of(SECTOR_UPDATE_MANIFEST.kind())),
    Field("sector_proofs", "SectorProofs", list_of(BYTES)),
    Field("aggregate_proof", "AggregateProof", BYTES),
    Field("update_proofs_type", "UpdateProofsType", INT64),
    Field("aggregate_proof_type", "AggregateProofType", nullable(INT64)),
    Field("require_activation_success", "RequireActivationSuccess", BOOL),
    Field("require_notification_success", "RequireNotificationSuccess", BOOL),
)


@dataclass(frozen=True, slots=True)
class SectorNIActivationInfo:
    """One sector of a non-interactive commitment."""

    sealing_number: int
    """Number under which it was sealed."""
    sealer_id: int
    """Actor number of the sealer."""
    sealed_cid: Cid
    """Commitment to the sealed sector (CommR)."""
    sector_number: int
    """Number of the sector."""
    seal_rand_epoch: int
    """Epoch of the ticket."""
    expiration: int
    """Epoch at which the sector ends."""


SECTOR_NI_ACTIVATION_INFO: Final = Struct(
    SectorNIActivationInfo,
    Field("sealing_number", "SealingNumber", UINT64),
    Field("sealer_id", "SealerID", UINT64),
    Field("sealed_cid", "SealedCID", CID),
    Field("sector_number", "SectorNumber", UINT64),
    Field("seal_rand_epoch", "SealRandEpoch", INT64),
    Field("expiration", "Expiration", INT64),
)


@dataclass(frozen=True, slots=True)
class ProveCommitSectorsNIParams:
    """Commit and prove sectors in one message."""

    sectors: tuple[SectorNIActivationInfo, ...]
    """Sectors concerned."""
    aggregate_proof: bytes
    """The folded proof."""
    seal_proof_type: int
    """RegisteredSealProof."""
    aggregate_proof_type: int
    """RegisteredAggregationProof."""
    proving_deadline: int
    """Deadline that takes the sectors."""
    require_activation_success: bool
    """Fail the message if one sector fails."""


PROVE_COMMIT_SECTORS_NI_PARAMS: Final = Struct(
    ProveCommitSectorsNIParams,
    Field("sectors", "Sectors", list_of(SECTOR_NI_ACTIVATION_INFO.kind())),
    Field("aggregate_proof", "AggregateProof", BYTES),
    Field("seal_proof_type", "SealProofType", INT64),
    Field("aggregate_proof_type", "AggregateProofType", INT64),
    Field("proving_deadline", "ProvingDeadline", UINT64),
    Field("require_activation_success", "RequireActivationSuccess", BOOL),
)


@dataclass(frozen=True, slots=True)
class SectorClaim:
    """A sector's verified claims when it is extended."""

    sector_number: int
    """Number of the sector."""
    maintain_claims: tuple[int, ...]
    """Claims that stay."""
    drop_claims: tuple[int, ...]
    """Claims that are given up."""


SECTOR_CLAIM: Final = Struct(
    SectorClaim,
    Field("sector_number", "SectorNumber", UINT64),
    Field("maintain_claims", "MaintainClaims", list_of(UINT64)),
    Field("drop_claims", "DropClaims", list_of(UINT64)),
)


@dataclass(frozen=True, slots=True)
class ExpirationExtension2:
    """Sectors of a partition that live longer."""

    deadline: int
    """Number of the deadline."""
    partition: int
    """Number of the partition."""
    sectors: BitField
    """Sectors concerned."""
    sectors_with_claims: tuple[SectorClaim, ...]
    """Sectors that hold verified claims."""
    new_expiration: int
    """Epoch of the new end."""


EXPIRATION_EXTENSION2: Final = Struct(
    ExpirationExtension2,
    Field("deadline", "Deadline", UINT64),
    Field("partition", "Partition", UINT64),
    Field("sectors", "Sectors", BITFIELD),
    Field("sectors_with_claims", "SectorsWithClaims", list_of(SECTOR_CLAIM.kind())),
    Field("new_expiration", "NewExpiration", INT64),
)


@dataclass(frozen=True, slots=True)
class ExtendSectorExpiration2Params:
    """Extend sectors."""

    extensions: tuple[ExpirationExtension2, ...]
    """One entry for each partition."""


EXTEND_SECTOR_EXPIRATION2_PARAMS: Final = Struct(
    ExtendSectorExpiration2Params,
    Field("extensions", "Extensions", list_of(EXPIRATION_EXTENSION2.kind())),
)


@dataclass(frozen=True, slots=True)
class CheckSectorProvenParams:
    """Ask whether a sector is proven."""

    sector_number: int
    """Number of the sector."""


CHECK_SECTOR_PROVEN_PARAMS: Final = Struct(
    CheckSectorProvenParams,
    Field("sector_number", "SectorNumber", UINT64),
)


@dataclass(frozen=True, slots=True)
class InternalSectorSetupForPresealParams:
    """Set up the sectors of a miner that genesis makes (only the system)."""

    sectors: tuple[int, ...]
    """Their numbers."""
    reward_smoothed: FilterEstimate
    """Reward per epoch."""
    reward_baseline_power: int
    """Bytes."""
    quality_adj_power_smoothed: FilterEstimate
    """Network's quality-adjusted power."""


INTERNAL_SECTOR_SETUP_FOR_PRESEAL_PARAMS: Final = Struct(
    InternalSectorSetupForPresealParams,
    Field("sectors", "Sectors", list_of(UINT64)),
    Field("reward_smoothed", "RewardSmoothed", FILTER_ESTIMATE.kind()),
    Field("reward_baseline_power", "RewardBaselinePower", AMOUNT),
    Field("quality_adj_power_smoothed", "QualityAdjPowerSmoothed", FILTER_ESTIMATE.kind()),
)
