"""What goes into proofs of spacetime and checks of sectors, and what comes out."""

from __future__ import annotations

from poolsite.wire.codec import Int, Text
from workers.processors.codec import Base64, Message, Octets


class Replica(Message, frozen=True):
    """A sector to be proven."""

    sector_id: Int
    comm_r: Octets
    cache_dir: Text
    sealed_file: Text


class WindowPostTask(Message, frozen=True):
    """Prove that the sectors of some partitions are stored."""

    miner_id: Int
    proof_type: Int
    """RegisteredPoStProof."""
    replicas: tuple[Replica, ...]
    """In the order in which the proof takes them."""
    seed: Octets
    """Randomness of the chain."""
    seconds_left: Int = 0
    """Until the proof is of no more use; 0: unknown.  Programs of the field are not told."""
    job: Text = ""
    """Job whose earlier task had faulty sectors: its good proofs are used again; empty: none are kept.
    Third-party programs do not get it either."""


class WindowPostOutput(Message, frozen=True):
    """The proof, or the sectors that cannot be proven."""

    proofs: tuple[Base64, ...]
    faults: tuple[Int, ...]
    """Sector numbers, ascending; the proofs are empty unless this is."""


class SectorCheckTask(Message, frozen=True):
    """Look at the files of sectors, and open one challenged leaf of each."""

    proof_type: Int
    """RegisteredPoStProof of WindowPoSt."""
    replicas: tuple[Replica, ...]
    seed: Octets
    per_second: Int = 0
    """Most sectors in a second; 0: as fast as it goes."""


class BadReplica(Message, frozen=True):
    """A sector whose files are not good."""

    sector_id: Int
    reason: Text


class SectorCheckOutput(Message, frozen=True):
    """What is wrong, by sector; all others are good."""

    bad: tuple[BadReplica, ...]


class WinningPostTask(Message, frozen=True):
    """Prove the one sector that a block win asks for."""

    miner_id: Int
    proof_type: Int
    replicas: tuple[Replica, ...]
    """The sectors that the chain named: one."""
    seed: Octets
    needs_groth16: bool = False
    """Whether the chain takes nothing else."""
    seconds_left: Int = 0
    """Of an epoch, which several wins share; 0: unknown.  Programs of the field are not told either."""


class WinningPostOutput(Message, frozen=True):
    """The proof."""

    proofs: tuple[Base64, ...]
