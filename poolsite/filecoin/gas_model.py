"""How much gas calls use: what a real node charged, as formulas for the embedded chain and for forecasts.

Exact: inclusion (`gas.inclusion_gas`), proof verification, sends.  Fitted: what the actors themselves use.
Measured on lotus with network version 28, actors v18; 81 of 82 recorded messages lie within 10 %.
Source: ref-fvm fvm/src/gas/price_list.rs; the project's recordings of a real node (tests/golden/chain/lotus).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

M: Final = 1_000_000
"""A million units of gas, in which the fits are given."""

VERIFY_SEAL: Final = 42 * M
"""Gas for verifying one seal proof that is not aggregated (since network version 25)."""
VERIFY_UPDATE: Final = 36_316_136
"""Gas for verifying one replica update."""
VERIFY_POST_BASE: Final = 117_680_921
"""Gas for verifying a WindowPoSt, whatever the sector size, before its sectors."""
VERIFY_POST_SECTOR: Final = 43_780
"""Gas added for each challenged sector of a WindowPoSt."""
VERIFY_CONSENSUS_FAULT: Final = 516_422
"""Gas for verifying two blocks that are said to be a consensus fault."""
FAIL_EARLY: Final = 700_000
"""Actor gas of a call refused at caller or parameters."""
FAIL_STATE: Final = 3_300_000
"""Actor gas of a call refused after loading the miner's state."""
VALUE_TRANSFER: Final = 481_000
"""Gas for moving money to another actor that exists: 6,000 for the transfer, 475,000 for the receiver's
changed record."""
VALUE_TO_SELF: Final = 6_000
"""Gas for moving money from an actor to itself: no other record changes."""
NOTIFY_MARKET: Final = 8 * M
"""Gas for telling the market of a sector's pieces."""

_AGGREGATE_32: Final = (
    (4, 103_994_170),
    (7, 112_356_810),
    (13, 122_912_610),
    (26, 137_559_930),
    (52, 162_039_100),
    (103, 210_960_780),
    (205, 318_351_180),
    (410, 528_274_980),
)
"""Steps of the gas for an aggregate of 32 GiB proofs: (least number of proofs, gas), on top of the gas of
each.  A step begins with the sector whose proofs (10 of each) pass a power of two, which adds a round to
the aggregate."""
_AGGREGATE_64: Final = (
    (4, 102_581_240),
    (7, 110_803_030),
    (13, 120_803_700),
    (26, 134_642_130),
    (52, 157_357_890),
    (103, 203_017_690),
    (205, 304_253_590),
    (410, 509_880_640),
)
"""The same of 64 GiB."""
_AGGREGATE_NI: Final = (
    (1, 112_356_810),
    (2, 122_912_610),
    (3, 137_559_930),
    (5, 162_039_100),
    (9, 210_960_780),
    (17, 318_351_180),
    (33, 528_274_980),
)
"""The same of non-interactive 32 GiB sectors, each of which has 126 proofs: 2^7, 2^8, ... 2^13 of them
(since network version 25)."""
_AGGREGATE_SECTOR_32: Final = 449_900
"""Gas of each sector of an aggregate of 32 GiB, on top of the step's."""
_AGGREGATE_SECTOR_64: Final = 359_272
"""The same of 64 GiB, on top of that table's step."""
_AGGREGATE_SECTOR_NI: Final = 44_990 * 126
"""The same of non-interactive 32 GiB: 44,990 for each of a sector's 126 proofs."""

_CREATED: Final = {"secp256k1": 4_520_000, "bls": 4_618_000, "delegated": 3_199_000}
"""Gas of a plain send for making its receiver, by what the address stands for: an account of a key, or the
placeholder of an f4 address.  Measured."""

OTHER_CALLS: Final = {
    ("power", 2): 43_200_000,
    ("miner", 2): 1_270_000,
    ("miner", 3): 4_750_000,
    ("miner", 4): 4_310_000,
    ("miner", 16): 3_750_000,
    ("miner", 18): 4_350_000,
    ("miner", 19): 96_600_000,
    ("miner", 20): 4_200_000,
    ("miner", 21): 3_600_000,
    ("miner", 22): 3_400_000,
    ("miner", 23): 4_000_000,
    ("miner", 24): 158_200_000,
    ("miner", 30): 4_100_000,
    ("miner", 31): 1_280_000,
    ("init", 2): 9_650_000,
    ("multisig", 2): 5_500_000,
    ("multisig", 3): 7_800_000,
    ("multisig", 4): 3_100_000,
    ("market", 2): 3_750_000,
    ("market", 3): 4_200_000,
}
"""Actor gas of calls whose cost does not depend on their size, by kind of receiver and method number."""


def _step(table: Sequence[tuple[int, int]], count: int) -> int:
    """Return the charge of the largest step that `count` reaches; below the first step, the first."""
    charge = table[0][1]
    for least, cost in table:
        if count < least:
            break
        charge = cost
    return charge


def verify_aggregate_gas(count: int, *, is_64_gib: bool = False) -> int:
    """Return the gas for verifying one aggregate of `count` seal proofs.

    Sizes below 32 GiB are charged like 32 GiB.
    """
    if is_64_gib:
        return _AGGREGATE_SECTOR_64 * count + _step(_AGGREGATE_64, count)
    return _AGGREGATE_SECTOR_32 * count + _step(_AGGREGATE_32, count)


def verify_ni_gas(count: int) -> int:
    """Return the gas for verifying the aggregate of `count` non-interactive sectors."""
    return _AGGREGATE_SECTOR_NI * count + _step(_AGGREGATE_NI, count)


def verify_post_gas(sectors: int) -> int:
    """Return the gas for verifying a WindowPoSt that recovers power or is disputed."""
    return VERIFY_POST_BASE + VERIFY_POST_SECTOR * sectors


def send_gas(value: int, *, to_self: bool = False, creates: str | None = None) -> int:
    """Return the gas of a plain send.

    `creates`: secp256k1, bls or delegated if the receiver is made by it.
    """
    if creates is not None:
        return (VALUE_TRANSFER if value else 0) + _CREATED[creates]
    if not value:
        return 0
    return VALUE_TO_SELF if to_self else VALUE_TRANSFER


def _touched(count: int, pending: int) -> int:
    """Return how many leaves of the miner's table of pre-commits (32 wide) `count` changes rewrite.

    Each of `count` changes hits one of the leaves at random; a leaf that is hit twice is written once.
    """
    left: int = pending * 31**count // 32**count
    return pending - left


def pre_commit_gas(count: int, *, pending: int, is_first: bool = False) -> int:
    """Return the gas of PreCommitSectorBatch2 of `count` sectors when `pending` are pre-committed already.

    `is_first`: the miner's first ever, which enrols it with cron.
    """
    total = pending + count
    if total <= 90:
        gas = 11_800_000 + 200_000 * count + 240_000 * total
    else:
        gas = 14_800_000 + 170_000 * count + 340_000 * _touched(count, total)
    return gas + (3_700_000 if is_first else 0)


def prove_commit_gas(
    count: int,
    *,
    pending: int,
    is_aggregate: bool = False,
    is_small: bool = False,
    is_64_gib: bool = False,
    deadlines: int = 1,
) -> int:
    """Return the gas of ProveCommitSectors3, verification included.

    `is_small`: 2 KiB sectors over `deadlines` deadlines.
    """
    verify = verify_aggregate_gas(count, is_64_gib=is_64_gib) if is_aggregate else VERIFY_SEAL * count
    if is_small:
        return verify + 32 * M + 16_300_000 * deadlines + 200_000 * count
    return verify + 64 * M + 1_300_000 * count + 400_000 * _touched(count, pending)


def prove_commit_ni_gas(count: int) -> int:
    """Return the gas of ProveCommitSectorsNI, verification included."""
    return verify_ni_gas(count) + 34_500_000 + 720_000 * count


def replica_update_gas(count: int) -> int:
    """Return the gas of ProveReplicaUpdates3, verification included."""
    return VERIFY_UPDATE * count + 30_400_000 + 8_060_000 * count


def window_post_gas(
    partitions: int,
    *,
    proves_new: bool = False,
    skips: bool = False,
    recovers: bool = False,
    sectors: int = 0,
) -> int:
    """Return the gas of SubmitWindowedPoSt.

    Only a recovering proof is verified at once, over `sectors` sectors.
    """
    gas = 21_700_000 + 1_300_000 * partitions if proves_new else 19 * M
    if skips:
        gas += 12_800_000
    if recovers:
        gas += verify_post_gas(sectors) + 3_600_000
    return gas


def declare_faults_gas(partitions: int) -> int:
    """Return the gas of DeclareFaults."""
    return 7 * M + 18_400_000 * partitions


def declare_recovered_gas(partitions: int) -> int:
    """Return the gas of DeclareFaultsRecovered."""
    return 13_500_000 + 3_800_000 * partitions


def extend_gas(sectors: int) -> int:
    """Return the gas of ExtendSectorExpiration2."""
    return 42 * M + 540_000 * sectors


def terminate_gas(sectors: int) -> int:
    """Return the gas of TerminateSectors."""
    return 57_500_000 + 500_000 * sectors


def publish_gas(deals: int) -> int:
    """Return the gas of PublishStorageDeals."""
    return 15_100_000 + 8_400_000 * deals
