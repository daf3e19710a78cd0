"""Calls of the miner actor about deadlines: proofs, faults, recoveries, terminations, compaction.

Source: go-state-types builtin/v18/miner/miner_types.go.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from poolsite.filecoin.actors.smoothing import FILTER_ESTIMATE, FilterEstimate
from poolsite.filecoin.bitfield import BITFIELD, BitField
from poolsite.filecoin.block import POST_PROOF, PoStProof
from poolsite.filecoin.codec import BOOL, BYTES, INT64, UINT64, Field, Struct, list_of


@dataclass(frozen=True, slots=True)
class PoStPartition:
    """A partition that a proof covers."""

    index: int
    """Number of the partition."""
    skipped: BitField
    """Sectors left out because they cannot be proved."""


POST_PARTITION: Final = Struct(
    PoStPartition,
    Field("index", "Index", UINT64),
    Field("skipped", "Skipped", BITFIELD),
)


@dataclass(frozen=True, slots=True)
class SubmitWindowedPoStParams:
    """Prove partitions of the open deadline."""

    deadline: int
    """Number of the deadline."""
    partitions: tuple[PoStPartition, ...]
    """Partitions concerned."""
    proofs: tuple[PoStProof, ...]
    """Exactly one proof."""
    chain_commit_epoch: int
    """Epoch whose ticket commits to the chain."""
    chain_commit_rand: bytes
    """Randomness drawn there with tag 9."""


SUBMIT_WINDOWED_POST_PARAMS: Final = Struct(
    SubmitWindowedPoStParams,
    Field("deadline", "Deadline", UINT64),
    Field("partitions", "Partitions", list_of(POST_PARTITION.kind())),
    Field("proofs", "Proofs", list_of(POST_PROOF.kind())),
    Field("chain_commit_epoch", "ChainCommitEpoch", INT64),
    Field("chain_commit_rand", "ChainCommitRand", BYTES),
)


@dataclass(frozen=True, slots=True)
class PartitionSectors:
    """Sectors of one partition of one deadline."""

    deadline: int
    """Number of the deadline."""
    partition: int
    """Number of the partition."""
    sectors: BitField
    """Sectors concerned."""


PARTITION_SECTORS: Final = Struct(
    PartitionSectors,
    Field("deadline", "Deadline", UINT64),
    Field("partition", "Partition", UINT64),
    Field("sectors", "Sectors", BITFIELD),
)


@dataclass(frozen=True, slots=True)
class DeclareFaultsParams:
    """Declare sectors faulty."""

    faults: tuple[PartitionSectors, ...]
    """One entry for each partition."""


DECLARE_FAULTS_PARAMS: Final = Struct(
    DeclareFaultsParams,
    Field("faults", "Faults", list_of(PARTITION_SECTORS.kind())),
)


@dataclass(frozen=True, slots=True)
class DeclareFaultsRecoveredParams:
    """Declare faulty sectors good again."""

    recoveries: tuple[PartitionSectors, ...]
    """One entry for each partition."""


DECLARE_FAULTS_RECOVERED_PARAMS: Final = Struct(
    DeclareFaultsRecoveredParams,
    Field("recoveries", "Recoveries", list_of(PARTITION_SECTORS.kind())),
)


@dataclass(frozen=True, slots=True)
class TerminateSectorsParams:
    """End sectors early."""

    terminations: tuple[PartitionSectors, ...]
    """One entry for each partition."""


TERMINATE_SECTORS_PARAMS: Final = Struct(
    TerminateSectorsParams,
    Field("terminations", "Terminations", list_of(PARTITION_SECTORS.kind())),
)


@dataclass(frozen=True, slots=True)
class TerminateSectorsReturn:
    """Whether all is done."""

    done: bool
    """False if more epochs are needed."""


TERMINATE_SECTORS_RETURN: Final = Struct(
    TerminateSectorsReturn,
    Field("done", "Done", BOOL),
)


@dataclass(frozen=True, slots=True)
class DisputeWindowedPoStParams:
    """Claim that a stored proof is wrong."""

    deadline: int
    """Number of the deadline."""
    post_index: int
    """Which of the deadline's stored proofs."""


DISPUTE_WINDOWED_POST_PARAMS: Final = Struct(
    DisputeWindowedPoStParams,
    Field("deadline", "Deadline", UINT64),
    Field("post_index", "PoStIndex", UINT64),
)


@dataclass(frozen=True, slots=True)
class CompactPartitionsParams:
    """Remove terminated sectors from partitions."""

    deadline: int
    """Number of the deadline."""
    partitions: BitField
    """Partitions concerned."""


COMPACT_PARTITIONS_PARAMS: Final = Struct(
    CompactPartitionsParams,
    Field("deadline", "Deadline", UINT64),
    Field("partitions", "Partitions", BITFIELD),
)


@dataclass(frozen=True, slots=True)
class CompactSectorNumbersParams:
    """Mark numbers as used."""

    mask_sector_numbers: BitField
    """Numbers to mark as used."""


COMPACT_SECTOR_NUMBERS_PARAMS: Final = Struct(
    CompactSectorNumbersParams,
    Field("mask_sector_numbers", "MaskSectorNumbers", BITFIELD),
)


@dataclass(frozen=True, slots=True)
class ReportConsensusFaultParams:
    """Prove that a miner made two blocks where one is allowed."""

    block_header1: bytes
    """First block, CBOR."""
    block_header2: bytes
    """Second block, CBOR."""
    block_header_extra: bytes
    """Block that links them, CBOR; may be empty."""


REPORT_CONSENSUS_FAULT_PARAMS: Final = Struct(
    ReportConsensusFaultParams,
    Field("block_header1", "BlockHeader1", BYTES),
    Field("block_header2", "BlockHeader2", BYTES),
    Field("block_header_extra", "BlockHeaderExtra", BYTES),
)


@dataclass(frozen=True, slots=True)
class DeferredCronEventParams:
    """The power actor calls back."""

    event_payload: bytes
    """What the event is about, CBOR."""
    reward_smoothed: FilterEstimate
    """Smoothed reward per epoch."""
    quality_adj_power_smoothed: FilterEstimate
    """Smoothed network power."""


DEFERRED_CRON_EVENT_PARAMS: Final = Struct(
    DeferredCronEventParams,
    Field("event_payload", "EventPayload", BYTES),
    Field("reward_smoothed", "RewardSmoothed", FILTER_ESTIMATE.kind()),
    Field("quality_adj_power_smoothed", "QualityAdjPowerSmoothed", FILTER_ESTIMATE.kind()),
)
