"""Calls of the miner actor that no longer exist: old messages on chain still show them.

Source: go-state-types builtin/v9/miner, builtin/v18/miner/miner_types.go; FIP-0084, 0101, 0103, 0106.
"""

from __future__ import annotations

from dataclasses import dataclass

from poolsite.filecoin.bitfield import BitField
from poolsite.filecoin.cids import Cid
from poolsite.filecoin.codec import (
    Int64,
    Uint64,
    cbor_transparent,
    cbor_tuple,
)


@cbor_tuple
@dataclass(frozen=True, slots=True)
class PreCommitSectorParams:
    """The pre-commit of one sector before actors v13."""

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
    replace_capacity: bool
    """Unused."""
    replace_sector_deadline: Uint64
    """Unused."""
    replace_sector_partition: Uint64
    """Unused."""
    replace_sector_number: Uint64
    """Unused."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class PreCommitSectorBatchParams:
    """The pre-commits of many sectors before actors v13."""

    sectors: tuple[PreCommitSectorParams, ...]
    """Sectors concerned."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class ProveCommitSectorParams:
    """The proof of one sector before actors v14."""

    sector_number: Uint64
    """Number of the sector."""
    proof: bytes
    """The seal proof."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class ProveCommitAggregateParams:
    """An aggregate of sectors' proofs, superseded by ProveCommitSectors3."""

    sector_numbers: BitField
    """Sectors in order."""
    aggregate_proof: bytes
    """The folded proof."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class ReplicaUpdate:
    """A sector that gets data, old form."""

    sector_id: Uint64
    """Number of the sector."""
    deadline: Uint64
    """Number of the deadline."""
    partition: Uint64
    """Number of the partition."""
    new_sealed_sector_cid: Cid
    """Commitment to the new replica."""
    deals: tuple[Uint64, ...]
    """Deals."""
    update_proof_type: Int64
    """RegisteredUpdateProof."""
    replica_proof: bytes
    """The update proof."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class ProveReplicaUpdatesParams:
    """Prove replica updates, old form."""

    updates: tuple[ReplicaUpdate, ...]
    """One entry for each sector."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class ReplicaUpdate2:
    """A sector that gets data, the form of actors v9."""

    sector_id: Uint64
    """Number of the sector."""
    deadline: Uint64
    """Number of the deadline."""
    partition: Uint64
    """Number of the partition."""
    new_sealed_sector_cid: Cid
    """Commitment to the new replica."""
    new_unsealed_sector_cid: Cid
    """Commitment to the data."""
    deals: tuple[Uint64, ...]
    """Deals."""
    update_proof_type: Int64
    """RegisteredUpdateProof."""
    replica_proof: bytes
    """The update proof."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class ProveReplicaUpdates2Params:
    """Prove replica updates, the form of actors v9."""

    updates: tuple[ReplicaUpdate2, ...]
    """One entry for each sector."""


@cbor_transparent
@dataclass(frozen=True, slots=True)
class SectorSet:
    """Sectors that a call treated."""

    sectors: BitField
    """Their numbers."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class ExpirationExtension:
    """Sectors of a partition that live longer, old form."""

    deadline: Uint64
    """Number of the deadline."""
    partition: Uint64
    """Number of the partition."""
    sectors: BitField
    """Sectors concerned."""
    new_expiration: Int64
    """Epoch of the new end."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class ExtendSectorExpirationParams:
    """Extend sectors, old form."""

    extensions: tuple[ExpirationExtension, ...]
    """One entry for each partition."""
