"""Calls of the miner actor about deadlines: proofs, faults, recoveries, terminations, compaction.

Source: go-state-types builtin/v18/miner/miner_types.go.
"""

from __future__ import annotations

from dataclasses import dataclass

from poolsite.filecoin.actors.smoothing import FilterEstimate
from poolsite.filecoin.bitfield import BitField
from poolsite.filecoin.block import PoStProof
from poolsite.filecoin.codec import (
    Int64,
    Uint64,
    cbor_tuple,
)


@cbor_tuple
@dataclass(frozen=True, slots=True)
class PoStPartition:
    """A partition that a proof covers."""

    index: Uint64
    """Number of the partition."""
    skipped: BitField
    """Sectors left out because they cannot be proved."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class SubmitWindowedPoStParams:
    """Prove partitions of the open deadline."""

    deadline: Uint64
    """Number of the deadline."""
    partitions: tuple[PoStPartition, ...]
    """Partitions concerned."""
    proofs: tuple[PoStProof, ...]
    """Exactly one proof."""
    chain_commit_epoch: Int64
    """Epoch whose ticket commits to the chain."""
    chain_commit_rand: bytes
    """Randomness drawn there with tag 9."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class PartitionSectors:
    """Sectors of one partition of one deadline."""

    deadline: Uint64
    """Number of the deadline."""
    partition: Uint64
    """Number of the partition."""
    sectors: BitField
    """Sectors concerned."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class DeclareFaultsParams:
    """Declare sectors faulty."""

    faults: tuple[PartitionSectors, ...]
    """One entry for each partition."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class DeclareFaultsRecoveredParams:
    """Declare faulty sectors good again."""

    recoveries: tuple[PartitionSectors, ...]
    """One entry for each partition."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class TerminateSectorsParams:
    """End sectors early."""

    terminations: tuple[PartitionSectors, ...]
    """One entry for each partition."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class TerminateSectorsReturn:
    """Whether all is done."""

    done: bool
    """False if more epochs are needed."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class DisputeWindowedPoStParams:
    """Claim that a stored proof is wrong."""

    deadline: Uint64
    """Number of the deadline."""
    post_index: Uint64
    """Which of the deadline's stored proofs."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class CompactPartitionsParams:
    """Remove terminated sectors from partitions."""

    deadline: Uint64
    """Number of the deadline."""
    partitions: BitField
    """Partitions concerned."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class CompactSectorNumbersParams:
    """Mark numbers as used."""

    mask_sector_numbers: BitField
    """Numbers to mark as used."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class ReportConsensusFaultParams:
    """Prove that a miner made two blocks where one is allowed."""

    block_header1: bytes
    """First block, CBOR."""
    block_header2: bytes
    """Second block, CBOR."""
    block_header_extra: bytes
    """Block that links them, CBOR; may be empty."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class DeferredCronEventParams:
    """The power actor calls back."""

    event_payload: bytes
    """What the event is about, CBOR."""
    reward_smoothed: FilterEstimate
    """Smoothed reward per epoch."""
    quality_adj_power_smoothed: FilterEstimate
    """Smoothed network power."""
