"""The rows of miners, without their sectors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from poolsite.devnet.state.records import Big  # row codecs read the annotations

MINERS: Final = "miners"
"""Miner's id to `Miner`."""


@dataclass(frozen=True, slots=True)
class BeneficiaryTerm:
    """How much a beneficiary may take."""

    quota: Big
    used: Big
    expiration: int


@dataclass(frozen=True, slots=True)
class BeneficiaryChange:
    """A change of beneficiary that waits for consent."""

    beneficiary: int
    quota: Big
    expiration: int
    by_beneficiary: bool
    by_nominee: bool


@dataclass(frozen=True, slots=True)
class Miner:
    """A miner actor's own state; sectors, deadlines and partitions are tables of their own."""

    owner: int
    worker: int
    control: tuple[int, ...]
    new_worker: int | None
    worker_change_epoch: int
    pending_owner: int | None
    beneficiary: int
    term: BeneficiaryTerm
    pending_beneficiary: BeneficiaryChange | None
    peer: bytes
    multiaddrs: tuple[bytes, ...]
    post_proof: int
    """WindowPoSt proof type."""
    sector_size: int
    partition_sectors: int
    consensus_fault_elapsed: int
    deposits: Big
    """Sum of pre-commit deposits."""
    locked: Big
    """Sum of the vesting table."""
    vesting: tuple[tuple[int, Big], ...]
    """(epoch, amount) in order of epochs."""
    debt: Big
    """Fees that could not be paid."""
    pledge: Big
    """Sum of the sectors' initial pledges."""
    period_start: int
    deadline: int
    """Index of the current deadline as cron last set it."""
    cron_active: bool
    allocated: bytes
    """Sector numbers ever used, RLE+."""
