"""What a host needs for a job: the inputs of sealing stages, proofs, checks and aggregates."""

from __future__ import annotations

from poolsite.wire.codec import BadWire, Document, Int, Text

DIGEST_BYTES = 32
"""Length of commitments, tickets and seeds."""


def digest_check(field: str, value: bytes | None) -> None:
    """Raise BadWire if a commitment, ticket or seed has another length."""
    if value is not None and len(value) != DIGEST_BYTES:
        raise BadWire(field, f"must be {DIGEST_BYTES} bytes")


class Piece(Document, frozen=True, kw_only=True):
    """One piece of a sector's data."""

    size: Int
    """Padded bytes."""
    comm_p: bytes
    """Commitment; that of zeros for a pledge piece."""
    payload_size: Int = 0
    """Raw bytes of a client in it, which the console has; 0: zeros."""

    def __post_init__(self) -> None:
        digest_check("comm_p", self.comm_p)
        if self.size < 128 or self.size & (self.size - 1):
            raise BadWire("size", "must be a power of two of at least 128")
        if not 0 <= self.payload_size <= self.size // 128 * 127:
            raise BadWire("payload_size", "must fit the piece")


class SealInputs(Document, frozen=True, kw_only=True):
    """Everything that a host needs for a sector's next stage."""

    miner_id: Int
    number: Int
    seal_proof: Int
    """RegisteredSealProof."""
    sector_size: Int
    state: Text
    stage: Text
    pieces: tuple[Piece, ...] = ()
    """Empty: the sector holds zeros only."""
    ticket: bytes | None = None
    ticket_epoch: Int | None = None
    """None, too, where the replica must stay that of this ticket: a pre-commit of it was sent or seen."""
    seed: bytes | None = None
    seed_epoch: Int | None = None
    comm_d: bytes | None = None
    comm_r: bytes | None = None
    offset: Int = 0
    """Of unsealing: the first unpadded byte that is wanted."""
    num_bytes: Int = 0
    is_update: bool = False
    """It is about the replica that data were encoded into; `comm_d` and `comm_r` are of the one before."""
    comm_d_new: bytes | None = None
    comm_r_new: bytes | None = None
    needs_groth16: bool = False
    """Whether the pool's network takes no container of vanilla proofs."""
    c1_travels: bool = False
    """Of C1: its output goes to the console, as another host does C2.  Of C2: it comes from there, and no
    file of the sector lies on this host."""

    def __post_init__(self) -> None:
        if not 0 <= self.offset <= self.offset + self.num_bytes <= self.sector_size // 128 * 127:
            raise BadWire("num_bytes", "must be a range in the sector")


class ProvenSector(Document, frozen=True, kw_only=True):
    """A sector that a proof covers; a number may occur more than once."""

    number: Int
    comm_r: bytes
    seal_proof: Int

    def __post_init__(self) -> None:
        digest_check("comm_r", self.comm_r)


class WindowPostInputs(Document, frozen=True, kw_only=True):
    """The inputs of a WindowPoSt for some partitions of a deadline."""

    miner_id: Int
    post_proof: Int
    """RegisteredPoStProof."""
    randomness: bytes
    sectors: tuple[ProvenSector, ...]
    """In the order in which the proof takes them, substitutes included."""
    deadline: Int
    close_epoch: Int
    seconds_left: Int = 0
    """Until the proof is of no more use; 0 if unknown."""

    def __post_init__(self) -> None:
        digest_check("randomness", self.randomness)
        if not self.sectors:
            raise BadWire("sectors", "must not be empty")


class SectorCheckInputs(Document, frozen=True, kw_only=True):
    """The inputs of a check of sector files, made before a proof needs them."""

    miner_id: Int
    post_proof: Int
    """RegisteredPoStProof, which fixes the size."""
    randomness: bytes
    """Chooses the leaf of each sector; nobody else sees what comes of it."""
    sectors: tuple[ProvenSector, ...]
    per_second: Int
    """Most sectors in a second, so that a check never takes the disks from a proof; 0: as fast as it goes."""
    store: Text = ""
    """Identity of the store that is looked into; empty: whichever has them."""

    def __post_init__(self) -> None:
        digest_check("randomness", self.randomness)
        if not self.sectors:
            raise BadWire("sectors", "must not be empty")
        if self.per_second < 0:
            raise BadWire("per_second", "must not be negative")


class AggregateInputs(Document, frozen=True, kw_only=True):
    """PoReps to aggregate into one proof, in the order of the message's sectors."""

    seal_proof: Int
    """RegisteredSealProof of all of them."""
    comm_rs: tuple[bytes, ...]
    seeds: tuple[bytes, ...]
    proofs: tuple[bytes, ...]
    """Of each sector, its partitions one after the other."""

    def __post_init__(self) -> None:
        for name, values in (("comm_rs", self.comm_rs), ("seeds", self.seeds)):
            for value in values:
                digest_check(name, value)
        if not len(self.comm_rs) == len(self.seeds) == len(self.proofs) > 0:
            raise BadWire("proofs", "must have one entry per comm_r and seed, and at least one")
