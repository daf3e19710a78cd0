"""What goes into each stage and what comes out, as it crosses the processor protocol.

Field names are those of the protocol (spec sealing section 2.4); byte strings are JSON arrays of
numbers there, paths are strings, sizes of pieces are unpadded bytes.
Source: damocles-worker vc-processors/src/builtin/tasks.rs.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from poolsite.filecoin.porep.parameters import (
    GENERATIONS,
    SECTOR_SIZES,
    SealParameters,
    seal_parameters,
)
from poolsite.wire.codec import BASE64
from workers.processors.errors import BadInput

SEAL_PROOFS: dict[str, SealParameters] = {
    parameters.name: parameters
    for parameters in (seal_parameters(number) for number in range(len(GENERATIONS) * len(SECTOR_SIZES)))
}
"""Parameters by the name that the protocol uses, such as StackedDrg2KiBV1_1."""


def parameters_named(name: str) -> SealParameters:
    """Return the parameters of a registered proof.  Raises BadInput."""
    try:
        return SEAL_PROOFS[name]
    except KeyError:
        raise BadInput(f"unknown registered proof {name!r}") from None


@dataclass(frozen=True, slots=True)
class PieceInfo:
    """A piece that is in the staged file."""

    commitment: bytes
    """comm_p."""
    size: int
    """Unpadded bytes, 127 · 2^k."""


@dataclass(frozen=True, slots=True)
class PieceSource:
    """A piece to be put in; without a file it is zeros."""

    piece_file: str | None
    """Path of the raw bytes; None: a pledge piece of zeros."""
    payload_size: int
    """Bytes of the file; the rest of the piece is zeros."""
    piece_size: int
    """Unpadded bytes of the piece, 127 · 2^k."""


@dataclass(frozen=True, slots=True)
class AddPieceTask:
    """Put pieces, in order and aligned, into a new staged file."""

    seal_proof_type: str
    pieces: tuple[PieceSource, ...]
    """Empty: one zero piece of the whole sector."""
    staged_filepath: str


@dataclass(frozen=True, slots=True)
class AddPieceOutput:
    """The pieces that fill the sector, zero pieces of alignment and filling included."""

    piece_infos: tuple[PieceInfo, ...]


@dataclass(frozen=True, slots=True)
class TreeDTask:
    """Build the tree over the staged data."""

    registered_proof: str
    staged_file: str
    cache_dir: str


@dataclass(frozen=True, slots=True)
class TreeDOutput:
    """The root of the tree."""

    comm_d: bytes


@dataclass(frozen=True, slots=True)
class Pc1Task:
    """Label all layers."""

    registered_proof: str
    cache_path: str
    in_path: str
    """The staged file; /dev/zero for a sector of zeros."""
    out_path: str
    """The sealed file; holds the staged data until pc2."""
    prover_id: bytes
    sector_id: int
    ticket: bytes
    piece_infos: tuple[PieceInfo, ...]


@dataclass(frozen=True, slots=True)
class StoreConfigOutput:
    """One store of the cache folder, as rust-fil-proofs serialises it."""

    path: str
    id: str
    size: int
    rows_to_discard: int


@dataclass(frozen=True, slots=True)
class Pc1Output:
    """What pc2 needs; crosses the FFI of the Go programs in the same form (`pc1_output`)."""

    registered_proof: str
    labels: tuple[StoreConfigOutput, ...]
    config: StoreConfigOutput
    comm_d: bytes


@dataclass(frozen=True, slots=True)
class Pc2Task:
    """Hash the columns, encode the data, build the trees."""

    pc1out: Pc1Output
    cache_dir: str
    sealed_file: str


@dataclass(frozen=True, slots=True)
class Pc2Output:
    """The commitments that go on chain."""

    registered_proof: str
    comm_r: bytes
    comm_d: bytes


@dataclass(frozen=True, slots=True)
class C1Task:
    """Open the challenged nodes."""

    registered_proof: str
    cache_path: str
    replica_path: str
    prover_id: bytes
    sector_id: int
    ticket: bytes
    seed: bytes
    pre_commit: Pc2Output
    piece_infos: tuple[PieceInfo, ...]
    c1_path: str | None = None
    """Where to write the JSON; None: it comes back in the output."""


@dataclass(frozen=True, slots=True)
class C1Output:
    """The JSON of the vanilla proofs, as Go programs store it, or where it was written."""

    c1_json: str | None
    c1_path: str | None
    sha256: bytes
    """Of the JSON's bytes."""


@dataclass(frozen=True, slots=True)
class SyntheticTask:
    """Write the vanilla proofs of all synthetic challenges, after pc2."""

    registered_proof: str
    cache_path: str
    replica_path: str
    prover_id: bytes
    sector_id: int
    ticket: bytes
    pre_commit: Pc2Output


@dataclass(frozen=True, slots=True)
class SyntheticOutput:
    """How many proofs there are."""

    challenges: int


@dataclass(frozen=True, slots=True)
class C2Task:
    """Make the proof that goes on chain out of the JSON of c1."""

    c1_json: str | None
    c1_path: str | None
    prover_id: bytes
    sector_id: int
    miner_id: int


@dataclass(frozen=True, slots=True)
class C2Output:
    """The proof's bytes."""

    proof: bytes


@dataclass(frozen=True, slots=True)
class Replica:
    """A sector to be proven."""

    sector_id: int
    comm_r: bytes
    cache_dir: str
    sealed_file: str


@dataclass(frozen=True, slots=True)
class WindowPostTask:
    """Prove that the sectors of some partitions are stored."""

    miner_id: int
    proof_type: int
    """RegisteredPoStProof."""
    replicas: tuple[Replica, ...]
    """In the order in which the proof takes them."""
    seed: bytes
    """Randomness of the chain."""
    seconds_left: int = 0
    """Until the proof is of no more use; 0: unknown.  Programs of the field are not told."""


@dataclass(frozen=True, slots=True)
class WindowPostOutput:
    """The proof, or the sectors that cannot be proven."""

    proofs: tuple[bytes, ...] = field(metadata=BASE64)
    faults: tuple[int, ...]
    """Sector numbers, ascending; the proofs are empty unless this is."""


@dataclass(frozen=True, slots=True)
class SectorCheckTask:
    """Look at the files of sectors, and open one challenged leaf of each."""

    proof_type: int
    """RegisteredPoStProof of WindowPoSt."""
    replicas: tuple[Replica, ...]
    seed: bytes
    per_second: int = 0
    """Most sectors in a second; 0: as fast as it goes."""


@dataclass(frozen=True, slots=True)
class BadReplica:
    """A sector whose files are not good."""

    sector_id: int
    reason: str


@dataclass(frozen=True, slots=True)
class SectorCheckOutput:
    """What is wrong, by sector; all others are good."""

    bad: tuple[BadReplica, ...]


@dataclass(frozen=True, slots=True)
class WinningPostTask:
    """Prove the one sector that a block win asks for."""

    miner_id: int
    proof_type: int
    replicas: tuple[Replica, ...]
    """The sectors that the chain named: one."""
    seed: bytes
    needs_groth16: bool = False
    """Return whether the chain takes nothing else."""


@dataclass(frozen=True, slots=True)
class WinningPostOutput:
    """The proof."""

    proofs: tuple[bytes, ...] = field(metadata=BASE64)


@dataclass(frozen=True, slots=True)
class UnsealTask:
    """Get the data out of a sealed sector."""

    registered_proof: str
    prover_id: bytes
    sector_id: int
    comm_d: bytes
    ticket: bytes
    cache_dir: str
    sealed_file: str
    unsealed_output: str
    offset: int
    """First unpadded byte."""
    num_bytes: int
    """Unpadded bytes."""


@dataclass(frozen=True, slots=True)
class UnsealOutput:
    """How much was written."""

    num_bytes: int


@dataclass(frozen=True, slots=True)
class SnapEncodeTask:
    """Put new data into a sealed sector."""

    registered_proof: str
    new_replica_path: str
    new_cache_path: str
    sector_path: str
    sector_cache_path: str
    staged_data_path: str
    piece_infos: tuple[PieceInfo, ...]


@dataclass(frozen=True, slots=True)
class SnapEncodeOutput:
    """The commitments of the updated sector."""

    comm_r_new: bytes
    comm_r_last_new: bytes
    comm_d_new: bytes


@dataclass(frozen=True, slots=True)
class SnapProveTask:
    """Prove that the new data are in the new replica."""

    registered_proof: str
    new_replica_path: str
    new_cache_path: str
    sector_path: str
    sector_cache_path: str
    comm_r_old: bytes
    comm_r_new: bytes
    comm_d_new: bytes


@dataclass(frozen=True, slots=True)
class SnapProveOutput:
    """The proof for ProveReplicaUpdates."""

    proof: bytes


@dataclass(frozen=True, slots=True)
class SnapDecodeTask:
    """Get the new data out of an updated sector."""

    registered_proof: str
    new_replica_path: str
    new_cache_path: str
    sector_path: str
    sector_cache_path: str
    comm_d_new: bytes
    unsealed_output: str
    offset: int
    """First unpadded byte."""
    num_bytes: int
    """Unpadded bytes."""


@dataclass(frozen=True, slots=True)
class SnapDecodeOutput:
    """What was written."""

    num_bytes: int


@dataclass(frozen=True, slots=True)
class SectorRecord:
    """One sector's inputs and commitments, as `workers seal` leaves them beside its files."""

    size: int
    """Padded bytes."""
    generation: str
    """Word for the kind of seal proof (`sector_record.GENERATIONS`)."""
    layers: int
    miner_id: int
    sector_number: int
    ticket: bytes
    comm_d: bytes
    comm_r: bytes
    replica_id: bytes
    pieces: tuple[PieceInfo, ...]
