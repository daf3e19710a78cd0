"""Messages that the miner actor has dropped, kept to read old ones on chain.

Source: go-state-types builtin/v13/miner/miner_types.go; FIP-0076 (methods 6, 25, 29), FIP-0084 (7), FIP-0101
(26), FIP-0103 (8), FIP-0106 (27).
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
    """Pre-commit one sector; method 6, dropped by FIP-0076 (actors v13)."""

    seal_proof: Int64
    """RegisteredSealProof code."""
    sector_number: Uint64
    """At most 2^63 - 1."""
    sealed_cid: Cid
    """CommR of the sealed sector."""
    seal_rand_epoch: Int64
    """Epoch of the seal randomness (ticket)."""
    deal_ids: tuple[Uint64, ...]
    """Deals of the market actor whose pieces fill the sector, in order."""
    expiration: Int64
    """Epoch at which the sector expires."""
    replace_capacity: bool
    """Whether a committed-capacity sector was to be replaced; without effect since FIP-0019."""
    replace_sector_deadline: Uint64
    """Where that sector was; without effect."""
    replace_sector_partition: Uint64
    """Its partition there; without effect."""
    replace_sector_number: Uint64
    """The sector to be replaced; without effect."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class PreCommitSectorBatchParams:
    """Pre-commit several sectors; method 25, dropped by FIP-0076 (actors v13)."""

    sectors: tuple[PreCommitSectorParams, ...]
    """At most 256."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class ProveCommitSectorParams:
    """Prove-commit one pre-committed sector; method 7, dropped by FIP-0084 (actors v14)."""

    sector_number: Uint64
    """Number among the miner's sectors, at most 2^63 - 1."""
    proof: bytes
    """Seal proof of this sector, verified by cron at the end of the epoch."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class ProveCommitAggregateParams:
    """Prove-commit sectors by one aggregate proof; method 26, dropped by FIP-0101 (actors v17)."""

    sector_numbers: BitField
    """4 to 819; the proof aggregates them in ascending order."""
    aggregate_proof: bytes
    """SnarkPack proof, at most 81,960 bytes."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class ReplicaUpdate:
    """One committed-capacity sector that gets data (FIP-0019), with deals of the market actor."""

    sector_id: Uint64
    """Sector number."""
    deadline: Uint64
    """Index of the deadline that proves it, 0 to 47."""
    partition: Uint64
    """Index of the partition within the deadline, from 0."""
    new_sealed_sector_cid: Cid
    """CommR of the updated replica."""
    deals: tuple[Uint64, ...]
    """Deals whose pieces fill the sector, in order."""
    update_proof_type: Int64
    """RegisteredUpdateProof code."""
    replica_proof: bytes
    """At most 4,096 bytes."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class ProveReplicaUpdatesParams:
    """Prove replica updates; method 27, dropped by FIP-0106 (actors v17)."""

    updates: tuple[ReplicaUpdate, ...]
    """One entry per sector; at most 256."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class ReplicaUpdate2:
    """As ReplicaUpdate, with CommD given and checked against the deals."""

    sector_id: Uint64
    """Sector number."""
    deadline: Uint64
    """Index of the deadline that proves it, 0 to 47."""
    partition: Uint64
    """Index of the partition within the deadline, from 0."""
    new_sealed_sector_cid: Cid
    """CommR of the updated replica."""
    new_unsealed_sector_cid: Cid
    """CommD of the data."""
    deals: tuple[Uint64, ...]
    """Deals whose pieces fill the sector, in order."""
    update_proof_type: Int64
    """RegisteredUpdateProof code."""
    replica_proof: bytes
    """At most 4,096 bytes."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class ProveReplicaUpdates2Params:
    """Prove replica updates with CommD given; method 29, dropped by FIP-0076 (actors v13)."""

    updates: tuple[ReplicaUpdate2, ...]
    """One entry per sector; at most 256."""


@cbor_transparent
@dataclass(frozen=True, slots=True)
class SectorSet:
    """The sectors that ProveReplicaUpdates updated."""

    sectors: BitField
    """Sector numbers."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class ExpirationExtension:
    """Sectors of one partition and their new expiration."""

    deadline: Uint64
    """Index of the deadline, 0 to 47."""
    partition: Uint64
    """Index of the partition within the deadline, from 0."""
    sectors: BitField
    """Sector numbers."""
    new_expiration: Int64
    """Epoch, not before the current expiration."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class ExtendSectorExpirationParams:
    """Extend sectors; method 8, dropped by FIP-0103 (actors v17) for ExtendSectorExpiration2."""

    extensions: tuple[ExpirationExtension, ...]
    """One entry per partition and expiration."""
