"""The rows of a miner's sectors: pre-commits, sectors, deadlines, partitions and posted proofs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from poolsite.devnet.state.records import Big  # row codecs read the annotations
from poolsite.filecoin.cids import Cid  # row codecs read the annotations


def precommits_of(miner: int) -> str:
    """Table of a miner's pre-commits, by sector number."""
    return f"precommits/{miner}"


def sectors_of(miner: int) -> str:
    """Table of a miner's proven sectors, by number."""
    return f"sectors/{miner}"


def deadlines_of(miner: int) -> str:
    """Table of a miner's deadlines, by index."""
    return f"deadlines/{miner}"


def posted_proofs_of(miner: int) -> str:
    """Table of a miner's window proofs that may be disputed, by (deadline, index)."""
    return f"postedproofs/{miner}"


def partitions_of(miner: int) -> str:
    """Table of a miner's partitions, by (deadline, index)."""
    return f"partitions/{miner}"


@dataclass(frozen=True, slots=True)
class PreCommit:
    """A pre-commitment."""

    number: int
    seal_proof: int
    sealed_cid: Cid
    seal_rand_epoch: int
    deal_ids: tuple[int, ...]
    expiration: int
    unsealed_cid: Cid | None
    deposit: Big
    epoch: int
    """Epoch in which it landed."""


@dataclass(frozen=True, slots=True)
class Sector:
    """A proven sector."""

    number: int
    seal_proof: int
    sealed_cid: Cid
    activation: int
    expiration: int
    deal_weight: Big
    verified_weight: Big
    pledge: Big
    power_base_epoch: int
    flags: int
    daily_fee: Big
    sector_key: Cid | None
    deadline: int
    partition: int


@dataclass(frozen=True, slots=True)
class Deadline:
    """One deadline of a miner."""

    partitions: int
    """How many partitions it has."""
    posted: tuple[int, ...]
    """Partitions proven in the window that is open."""


@dataclass(frozen=True, slots=True)
class PostedProof:
    """A window proof of a deadline's last window, as long as it may be disputed."""

    partitions: tuple[int, ...]
    challenge: int
    """Epoch of its challenge."""
    proof: bytes
    """Empty if it was verified when it came."""
    sectors: tuple[tuple[int, bytes], ...]
    """(number, CommR) of each sector that it covers."""


@dataclass(frozen=True, slots=True)
class Partition:
    """Sectors that are proven together; all fields hold sorted sector numbers."""

    sectors: tuple[int, ...]
    unproven: tuple[int, ...]
    faults: tuple[int, ...]
    recoveries: tuple[int, ...]
    terminated: tuple[int, ...]
    expirations: tuple[tuple[int, tuple[int, ...]], ...]
    """(quantised epoch, sectors) that end on time."""
    early: tuple[tuple[int, tuple[int, ...]], ...]
    """(quantised epoch, sectors) that end early if they stay faulty."""
    unpaid: tuple[tuple[int, tuple[int, ...]], ...]
    """(epoch, sectors) terminated early whose fee is still owed."""

    @property
    def live(self) -> tuple[int, ...]:
        """Sectors that were not terminated."""
        terminated = set(self.terminated)
        return tuple(number for number in self.sectors if number not in terminated)

    @property
    def active(self) -> tuple[int, ...]:
        """Live sectors that count as power."""
        idle = set(self.terminated) | set(self.faults) | set(self.unproven)
        return tuple(number for number in self.sectors if number not in idle)


EMPTY_PARTITION: Final = Partition((), (), (), (), (), (), (), ())
