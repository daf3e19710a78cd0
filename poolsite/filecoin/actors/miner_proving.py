"""Messages of the miner actor about proven sectors: WindowPoSt, faults, recoveries, terminations, compaction.

Owner, worker and control addresses may send them unless a class says otherwise; other senders fail with
ErrForbidden.

Source: go-state-types builtin/v18/miner/miner_types.go; builtin-actors actors/miner/src/{types,lib}.rs,
runtime/src/runtime/policy.rs (limits).
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
    """One partition that a WindowPoSt proves."""

    index: Uint64
    """Index of the partition within the deadline, from 0."""
    skipped: BitField
    """Numbers of sectors that the proof leaves out and that were not declared faulty; they become faulty."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class SubmitWindowedPoStParams:
    """Submit a WindowPoSt for partitions of the deadline that is open now.

    Accepted without verifying the proof unless it recovers faults; a dispute may show later that it is wrong.
    Fails with ErrIllegalArgument where nothing is left to prove: a partition whose sectors are all faulty or
    skipped needs no proof; and for a partition that was proven in this window already.
    """

    deadline: Uint64
    """Index of the deadline in the proving period, 0 to 47; must be the open one."""
    partitions: tuple[PoStPartition, ...]
    """At most 3 in one message."""
    proofs: tuple[PoStProof, ...]
    """Exactly one, of the miner's WindowPoSt proof type."""
    chain_commit_epoch: Int64
    """Epoch whose ticket ties the proof to a chain: from the challenge epoch on, before the current one."""
    chain_commit_rand: bytes
    """Chain randomness drawn from tickets at that epoch, domain tag PoStChainCommit (9), no entropy; 32
    bytes."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class PartitionSectors:
    """Sectors of one partition that a declaration is about."""

    deadline: Uint64
    """Index of the deadline, 0 to 47."""
    partition: Uint64
    """Index of the partition within the deadline, from 0."""
    sectors: BitField
    """Sector numbers; each must be in that partition."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class DeclareFaultsParams:
    """Declare sectors faulty before their deadline opens, so that its WindowPoSt may leave them out.

    Their power is lost at once, and the fee is due at each close of the deadline until they recover; after 42
    days they are terminated.  Refused from 70 epochs before the opening (the fault cutoff); after the close
    it counts for the next one.
    """

    faults: tuple[PartitionSectors, ...]
    """One entry per partition; at most 3,000 partitions and 25,000 sectors together."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class DeclareFaultsRecoveredParams:
    """Declare faulty sectors recovering; the next WindowPoSt of the deadline must prove them.

    Their power comes back with that proof, which the chain verifies at once; without it they are faulty
    again. Refused from the fault cutoff on, during a consensus fault's exclusion, and while fee debt exceeds
    the free balance.
    """

    recoveries: tuple[PartitionSectors, ...]
    """One entry per partition; at most 3,000 partitions and 25,000 sectors together."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class TerminateSectorsParams:
    """End sectors before their expiration, for a fee, and work off the queue of early terminations.

    Power is lost at once; the fee, the release of the pledge and the end of deals follow as the queue is
    worked off, here or by cron.  Sectors that are only pre-committed cannot be ended: they expire, and the
    deposit is burnt.
    """

    terminations: tuple[PartitionSectors, ...]
    """One entry per partition, none of the open deadline or the next; empty only works off the queue."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class TerminateSectorsReturn:
    """Whether the queue of early terminations is empty."""

    done: bool
    """False: the rest follows by cron or another TerminateSectors; until then nothing can be withdrawn."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class DisputeWindowedPoStParams:
    """Show that a WindowPoSt accepted unverified is wrong; anyone may send it, for a reward of 4 FIL."""

    deadline: Uint64
    """Index of the deadline, 0 to 47; within 1,800 epochs of its last close."""
    post_index: Uint64
    """Index of the proof in the deadline's snapshot of submissions."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class CompactPartitionsParams:
    """Remove terminated sectors from a deadline's partitions and refill them from the front.

    Refused while the deadline is open or next, while its last proofs can be disputed, and while it has early
    terminations to process.
    """

    deadline: Uint64
    """Index of the deadline, 0 to 47."""
    partitions: BitField
    """Partition indexes; their live sectors fill up the deadline's last other partition, then new ones."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class CompactSectorNumbersParams:
    """Mark sector numbers as used for good, which keeps the bit field of used numbers short."""

    mask_sector_numbers: BitField
    """At least one; numbers in use already are allowed."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class ReportConsensusFaultParams:
    """Prove that a miner broke consensus by two of its block headers; anyone may send it, for a reward.

    Kinds: two blocks at one height, two on the same parents, or one that ignores the miner's own earlier
    block.
    """

    block_header1: bytes
    """CBOR of a header."""
    block_header2: bytes
    """CBOR of a different header by the same miner, not below the first."""
    block_header_extra: bytes
    """CBOR of the block that a parent-grinding report needs as witness; empty for the other kinds."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class DeferredCronEventParams:
    """A cron callback that the miner had enrolled; only the power actor calls it."""

    event_payload: bytes
    """CBOR of a CronEventPayload: 1 end of a proving deadline, 2 early terminations."""
    reward_smoothed: FilterEstimate
    """Block reward per epoch, smoothed, attoFIL."""
    quality_adj_power_smoothed: FilterEstimate
    """The network's quality-adjusted power, smoothed, bytes."""
