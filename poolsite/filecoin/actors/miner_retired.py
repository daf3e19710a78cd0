"""Calls of the miner actor that no longer exist: old messages on chain still show them.

Source: go-state-types builtin/v9/miner, builtin/v18/miner/miner_types.go; FIP-0084, 0101, 0103, 0106.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from poolsite.filecoin.bitfield import BITFIELD, BitField
from poolsite.filecoin.codec import BOOL, BYTES, CID, INT64, UINT64, Field, Struct, list_of

if TYPE_CHECKING:
    from poolsite.filecoin.cids import Cid


@dataclass(frozen=True, slots=True)
class PreCommitSectorParams:
    """The pre-commit of one sector before actors v13."""

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
    replace_capacity: bool
    """Unused."""
    replace_sector_deadline: int
    """Unused."""
    replace_sector_partition: int
    """Unused."""
    replace_sector_number: int
    """Unused."""


PRE_COMMIT_SECTOR_PARAMS: Final = Struct(
    PreCommitSectorParams,
    Field("seal_proof", "SealProof", INT64),
    Field("sector_number", "SectorNumber", UINT64),
    Field("sealed_cid", "SealedCID", CID),
    Field("seal_rand_epoch", "SealRandEpoch", INT64),
    Field("deal_ids", "DealIDs", list_of(UINT64)),
    Field("expiration", "Expiration", INT64),
    Field("replace_capacity", "ReplaceCapacity", BOOL),
    Field("replace_sector_deadline", "ReplaceSectorDeadline", UINT64),
    Field("replace_sector_partition", "ReplaceSectorPartition", UINT64),
    Field("replace_sector_number", "ReplaceSectorNumber", UINT64),
)


@dataclass(frozen=True, slots=True)
class PreCommitSectorBatchParams:
    """The pre-commits of many sectors before actors v13."""

    sectors: tuple[PreCommitSectorParams, ...]
    """Sectors concerned."""


PRE_COMMIT_SECTOR_BATCH_PARAMS: Final = Struct(
    PreCommitSectorBatchParams,
    Field("sectors", "Sectors", list_of(PRE_COMMIT_SECTOR_PARAMS.kind())),
)


@dataclass(frozen=True, slots=True)
class ProveCommitSectorParams:
    """The proof of one sector before actors v14."""

    sector_number: int
    """Number of the sector."""
    proof: bytes
    """The seal proof."""


PROVE_COMMIT_SECTOR_PARAMS: Final = Struct(
    ProveCommitSectorParams,
    Field("sector_number", "SectorNumber", UINT64),
    Field("proof", "Proof", BYTES),
)


@dataclass(frozen=True, slots=True)
class ProveCommitAggregateParams:
    """An aggregate of sectors' proofs, superseded by ProveCommitSectors3."""

    sector_numbers: BitField
    """Sectors in order."""
    aggregate_proof: bytes
    """The folded proof."""


PROVE_COMMIT_AGGREGATE_PARAMS: Final = Struct(
    ProveCommitAggregateParams,
    Field("sector_numbers", "SectorNumbers", BITFIELD),
    Field("aggregate_proof", "AggregateProof", BYTES),
)


@dataclass(frozen=True, slots=True)
class ReplicaUpdate:
    """A sector that gets data, old form."""

    sector_id: int
    """Number of the sector."""
    deadline: int
    """Number of the deadline."""
    partition: int
    """Number of the partition."""
    new_sealed_sector_cid: Cid
    """Commitment to the new replica."""
    deals: tuple[int, ...]
    """Deals."""
    update_proof_type: int
    """RegisteredUpdateProof."""
    replica_proof: bytes
    """The update proof."""


REPLICA_UPDATE: Final = Struct(
    ReplicaUpdate,
    Field("sector_id", "SectorID", UINT64),
    Field("deadline", "Deadline", UINT64),
    Field("partition", "Partition", UINT64),
    Field("new_sealed_sector_cid", "NewSealedSectorCID", CID),
    Field("deals", "Deals", list_of(UINT64)),
    Field("update_proof_type", "UpdateProofType", INT64),
    Field("replica_proof", "ReplicaProof", BYTES),
)


@dataclass(frozen=True, slots=True)
class ProveReplicaUpdatesParams:
    """Prove replica updates, old form."""

    updates: tuple[ReplicaUpdate, ...]
    """One entry for each sector."""


PROVE_REPLICA_UPDATES_PARAMS: Final = Struct(
    ProveReplicaUpdatesParams,
    Field("updates", "Updates", list_of(REPLICA_UPDATE.kind())),
)


@dataclass(frozen=True, slots=True)
class ReplicaUpdate2:
    """A sector that gets data, the form of actors v9."""

    sector_id: int
    """Number of the sector."""
    deadline: int
    """Number of the deadline."""
    partition: int
    """Number of the partition."""
    new_sealed_sector_cid: Cid
    """Commitment to the new replica."""
    new_unsealed_sector_cid: Cid
    """Commitment to the data."""
    deals: tuple[int, ...]
    """Deals."""
    update_proof_type: int
    """RegisteredUpdateProof."""
    replica_proof: bytes
    """The update proof."""


REPLICA_UPDATE2: Final = Struct(
    ReplicaUpdate2,
    Field("sector_id", "SectorID", UINT64),
    Field("deadline", "Deadline", UINT64),
    Field("partition", "Partition", UINT64),
    Field("new_sealed_sector_cid", "NewSealedSectorCID", CID),
    Field("new_unsealed_sector_cid", "NewUnsealedSectorCID", CID),
    Field("deals", "Deals", list_of(UINT64)),
    Field("update_proof_type", "UpdateProofType", INT64),
    Field("replica_proof", "ReplicaProof", BYTES),
)


@dataclass(frozen=True, slots=True)
class ProveReplicaUpdates2Params:
    """Prove replica updates, the form of actors v9."""

    updates: tuple[ReplicaUpdate2, ...]
    """One entry for each sector."""


PROVE_REPLICA_UPDATES2_PARAMS: Final = Struct(
    ProveReplicaUpdates2Params,
    Field("updates", "Updates", list_of(REPLICA_UPDATE2.kind())),
)


@dataclass(frozen=True, slots=True)
class SectorSet:
    """Sectors that a call treated."""

    sectors: BitField
    """Their numbers."""


SECTOR_SET: Final = Struct(SectorSet, Field("sectors", "Sectors", BITFIELD), bare=True)


@dataclass(frozen=True, slots=True)
class ExpirationExtension:
    """Sectors of a partition that live longer, old form."""

    deadline: int
    """Number of the deadline."""
    partition: int
    """Number of the partition."""
    sectors: BitField
    """Sectors concerned."""
    new_expiration: int
    """Epoch of the new end."""


EXPIRATION_EXTENSION: Final = Struct(
    ExpirationExtension,
    Field("deadline", "Deadline", UINT64),
    Field("partition", "Partition", UINT64),
    Field("sectors", "Sectors", BITFIELD),
    Field("new_expiration", "NewExpiration", INT64),
)


@dataclass(frozen=True, slots=True)
class ExtendSectorExpirationParams:
    """Extend sectors, old form."""

    extensions: tuple[ExpirationExtension, ...]
    """One entry for each partition."""


EXTEND_SECTOR_EXPIRATION_PARAMS: Final = Struct(
    ExtendSectorExpirationParams,
    Field("extensions", "Extensions", list_of(EXPIRATION_EXTENSION.kind())),
)
