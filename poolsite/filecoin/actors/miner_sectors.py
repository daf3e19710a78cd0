"""Messages of the miner actor that pre-commit, prove-commit, update and extend sectors.

Owner, worker and control addresses may send them unless a class says otherwise; other senders fail with
ErrForbidden.  A pre-commit and a non-interactive commitment also pay fee debt, and fail with
ErrInsufficientFunds where the free balance does not cover it.

Source: go-state-types builtin/v18/miner/miner_types.go; builtin-actors
actors/miner/src/{types,lib,partition_state}.rs, runtime/src/runtime/policy.rs (limits); FIP-0076 (direct data
onboarding), FIP-0092 (non-interactive PoRep).
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
    """RegisteredSealProof code, 5 to 14 (V1_1, with or without synthetic PoRep)."""
    sector_number: Uint64
    """At most 2^63 - 1; a miner uses each number once."""
    sealed_cid: Cid
    """CommR of the sealed sector."""
    seal_rand_epoch: Int64
    """Epoch of the seal randomness (ticket): before the current one, at most 3,780 epochs old."""
    deal_ids: tuple[Uint64, ...]
    """Deals of the market actor.  ProveCommitSectors3 fails a sector that was pre-committed with any; deals
    are named in its piece manifests instead (FIP-0076)."""
    expiration: Int64
    """Epoch; at least 180 days after the last possible activation, at most 1,278 days from now."""
    unsealed_cid: Annotated[Cid | None, JsonName("UnsealedCid")]
    """CommD of the data; null for a sector of zeros (committed capacity)."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class PreCommitSectorBatch2Params:
    """Pre-commit sectors: lock a deposit for each, to be prove-committed in time or burnt.

    One bad sector fails the whole message.  Refused during a consensus fault's exclusion, for numbers that
    were used before, and where the free balance is below the deposits.  The first pre-commit of a miner
    without sectors also starts its cron, which settles its deadlines from then on.
    """

    sectors: tuple[SectorPreCommitInfo, ...]
    """At least one, each number once."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class VerifiedAllocationKey:
    """Names an allocation in the verified registry."""

    client: Uint64
    """Actor ID of the client that made it."""
    id: Uint64
    """Allocation ID."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class DataActivationNotification:
    """A notification that the miner actor sends when a piece is activated."""

    address: Address
    """Actor that is called by SectorContentChanged."""
    payload: bytes
    """Bytes for that actor; the market actor expects the CBOR of a deal ID."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class PieceActivationManifest:
    """One piece of a sector's data, with what becomes of it on activation."""

    cid: Cid
    """CommP of the piece."""
    size: Uint64
    """Padded size in bytes, a power of two."""
    verified_allocation_key: VerifiedAllocationKey | None
    """Allocation that the piece claims; null for none."""
    notify: tuple[DataActivationNotification, ...]
    """Actors to notify once the piece is committed."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class SectorActivationManifest:
    """A pre-committed sector to activate, with its data."""

    sector_number: Uint64
    """Number among the miner's sectors, at most 2^63 - 1."""
    pieces: tuple[PieceActivationManifest, ...]
    """In order of place; zeros fill what they leave.  Empty for committed capacity."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class ProveCommitSectors3Params:
    """Prove-commit sectors and activate their data.

    Exactly one of `sector_proofs` and `aggregate_proof` is given; all sectors have the same seal proof type.

    In this order: pre-commits are checked (not expired, without deals), then proofs verified, then CommD
    compared with the pre-commit's and allocations claimed, then the pledge locked and deposits released, then
    receivers notified.  A sector that fails a step is left out of the next, and fails with its exit code in
    the returned batch; where none is left the message fails.  An aggregate is one proof: if it is wrong, so
    are all.
    """

    sector_activations: tuple[SectorActivationManifest, ...]
    """One entry per sector."""
    sector_proofs: tuple[bytes, ...]
    """One seal proof per entry, in the same order; empty with an aggregate."""
    aggregate_proof: bytes
    """SnarkPack proof of 4 to 819 sectors, at most 81,960 bytes; empty with single proofs."""
    aggregate_proof_type: Int64 | None
    """RegisteredAggregationProof code, 1 (SnarkPackV2); null with single proofs."""
    require_activation_success: bool
    """Abort the whole message if one sector cannot be activated; otherwise the others go on."""
    require_notification_success: bool
    """Abort the whole message if a notified actor fails or rejects a piece."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class SectorUpdateManifest:
    """A committed-capacity sector that gets data (snap deal)."""

    sector: Uint64
    """Sector number."""
    deadline: Uint64
    """Index of the deadline that proves it, 0 to 47."""
    partition: Uint64
    """Index of the partition within the deadline, from 0."""
    new_sealed_cid: Cid
    """CommR of the updated replica."""
    pieces: tuple[PieceActivationManifest, ...]
    """In order of place; zeros fill what they leave."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class ProveReplicaUpdates3Params:
    """Prove that replicas were updated with data, and activate the data.

    Exactly one of `sector_proofs` and `aggregate_proof` is given.  Sectors must be active and without data,
    their deadline neither open nor the next; others fail in the returned batch.
    """

    sector_updates: tuple[SectorUpdateManifest, ...]
    """One entry per sector."""
    sector_proofs: tuple[bytes, ...]
    """One update proof per entry, in the same order, each at most 4,096 bytes."""
    aggregate_proof: bytes
    """Must be empty: the actor does not support aggregated update proofs yet."""
    update_proofs_type: Int64
    """RegisteredUpdateProof code of all the proofs."""
    aggregate_proof_type: Int64 | None
    """Must be null, as `aggregate_proof` must be empty."""
    require_activation_success: bool
    """Abort the whole message if one sector cannot be updated; otherwise the others go on."""
    require_notification_success: bool
    """Abort the whole message if a notified actor fails or rejects a piece."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class SectorNIActivationInfo:
    """One committed-capacity sector of a non-interactive commitment."""

    sealing_number: Uint64
    """Sector number in the replica id; must equal `sector_number` for now."""
    sealer_id: Uint64
    """Actor ID of the miner in the replica id; must be the receiving miner for now."""
    sealed_cid: Cid
    """CommR of the sealed sector."""
    sector_number: Uint64
    """At most 2^63 - 1; a miner uses each number once."""
    seal_rand_epoch: Int64
    """Epoch of the seal randomness (ticket): before the current one, at most 180 days old."""
    expiration: Int64
    """Epoch, 180 to 1,278 days from now."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class ProveCommitSectorsNIParams:
    """Commit and prove sectors in one message, without pre-commit (non-interactive PoRep).

    Committed capacity only, and no deposit: the pledge is locked at once.  Refused during a consensus fault's
    exclusion.  All sectors enter into the proof, those that are invalid too.
    """

    sectors: tuple[SectorNIActivationInfo, ...]
    """1 to 65."""
    aggregate_proof: bytes
    """SnarkPack proof of all sectors, at most 81,960 bytes; needed for one sector too."""
    seal_proof_type: Int64
    """RegisteredSealProof code of all sectors, 15 to 19 (V1_2 with non-interactive PoRep)."""
    aggregate_proof_type: Int64
    """RegisteredAggregationProof code, 1 (SnarkPackV2)."""
    proving_deadline: Uint64
    """Index of the deadline that gets the sectors, 0 to 47; neither the open one nor the next."""
    require_activation_success: bool
    """Abort the whole message if one sector is invalid; otherwise the others go on."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class SectorClaim:
    """What becomes of a sector's verified claims when it is extended."""

    sector_number: Uint64
    """Number among the miner's sectors, at most 2^63 - 1."""
    maintain_claims: tuple[Uint64, ...]
    """Claim IDs to keep; the claim's highest term must reach the new expiration."""
    drop_claims: tuple[Uint64, ...]
    """Claim IDs whose quality the sector gives up; only in the last 30 days of its life."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class ExpirationExtension2:
    """Sectors of one partition and their new expiration."""

    deadline: Uint64
    """Index of the deadline, 0 to 47."""
    partition: Uint64
    """Index of the partition within the deadline, from 0."""
    sectors: BitField
    """Numbers of sectors without verified claims."""
    sectors_with_claims: tuple[SectorClaim, ...]
    """Sectors with verified claims; every claim of such a sector must be listed."""
    new_expiration: Int64
    """Epoch: not before the current expiration, at most 1,278 days from now and 5 years after activation."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class ExtendSectorExpiration2Params:
    """Extend sectors.

    One sector that cannot be extended fails the whole message: one that is faulty, terminated or expired.  A
    sector from before FIP-0100 gets its daily fee here.
    """

    extensions: tuple[ExpirationExtension2, ...]
    """One entry per partition and expiration."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class CheckSectorProvenParams:
    """Succeed if the sector was proven and is still in state, else fail with ErrNotFound."""

    sector_number: Uint64
    """At most 2^63 - 1."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class InternalSectorSetupForPresealParams:
    """Activate pre-committed sectors of a genesis without proofs; only the system actor calls it."""

    sectors: tuple[Uint64, ...]
    """Sector numbers; those without a pre-commit are skipped."""
    reward_smoothed: FilterEstimate
    """Block reward per epoch, smoothed, attoFIL."""
    reward_baseline_power: TokenAmount
    """Baseline power, bytes."""
    quality_adj_power_smoothed: FilterEstimate
    """The network's quality-adjusted power, smoothed, bytes."""
