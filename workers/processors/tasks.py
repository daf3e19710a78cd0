"""What goes into each stage and what comes out, as it crosses the processor protocol.

Field names are those of the protocol; byte strings are JSON arrays of
numbers there, paths are strings, sizes of pieces are unpadded bytes.
Source: ipfs-force-community/damocles damocles-worker/vc-processors/src/builtin/tasks.rs.
"""

from __future__ import annotations

from poolsite.filecoin.porep.parameters import (
    GENERATIONS,
    SECTOR_SIZES,
    SealParameters,
    seal_parameters,
)
from poolsite.wire.codec import Int, Text
from workers.processors.codec import Base64, Message, Octets
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


class PieceInfo(Message, frozen=True):
    """A piece that is in the staged file."""

    commitment: Octets
    """comm_p."""
    size: Int
    """Unpadded bytes, 127 · 2^k."""


class PieceSource(Message, frozen=True):
    """A piece to be put in; without a file it is zeros."""

    piece_file: Text | None
    """Path of the raw bytes; None: a pledge piece of zeros."""
    payload_size: Int
    """Bytes of the file; the rest of the piece is zeros."""
    piece_size: Int
    """Unpadded bytes of the piece, 127 · 2^k."""


class AddPieceTask(Message, frozen=True):
    """Put pieces, in order and aligned, into a new staged file."""

    seal_proof_type: Text
    pieces: tuple[PieceSource, ...]
    """Empty: one zero piece of the whole sector."""
    staged_filepath: Text


class AddPieceOutput(Message, frozen=True):
    """The pieces that fill the sector, zero pieces of alignment and filling included."""

    piece_infos: tuple[PieceInfo, ...]


class TreeDTask(Message, frozen=True):
    """Build the tree over the staged data."""

    registered_proof: Text
    staged_file: Text
    cache_dir: Text


class TreeDOutput(Message, frozen=True):
    """The root of the tree."""

    comm_d: Octets


class Pc1Task(Message, frozen=True):
    """Label all layers."""

    registered_proof: Text
    cache_path: Text
    in_path: Text
    """The staged file; /dev/zero for a sector of zeros."""
    out_path: Text
    """The sealed file; holds the staged data until pc2."""
    prover_id: Octets
    sector_id: Int
    ticket: Octets
    piece_infos: tuple[PieceInfo, ...]


class StoreConfigOutput(Message, frozen=True):
    """One store of the cache folder, as rust-fil-proofs serialises it."""

    path: Text
    id: Text
    size: Int
    rows_to_discard: Int


class Pc1Output(Message, frozen=True):
    """What pc2 needs; crosses the FFI of the Go programs in the same form (`pc1_output`)."""

    registered_proof: Text
    labels: tuple[StoreConfigOutput, ...]
    config: StoreConfigOutput
    comm_d: Octets


class Pc2Task(Message, frozen=True):
    """Hash the columns, encode the data, build the trees."""

    pc1out: Pc1Output
    cache_dir: Text
    sealed_file: Text


class Pc2Output(Message, frozen=True):
    """The commitments that go on chain."""

    registered_proof: Text
    comm_r: Octets
    comm_d: Octets


class C1Task(Message, frozen=True):
    """Open the challenged nodes."""

    registered_proof: Text
    cache_path: Text
    replica_path: Text
    prover_id: Octets
    sector_id: Int
    ticket: Octets
    seed: Octets
    pre_commit: Pc2Output
    piece_infos: tuple[PieceInfo, ...]
    c1_path: Text | None = None
    """Where to write the JSON; None: it comes back in the output."""


class C1Output(Message, frozen=True):
    """The JSON of the vanilla proofs, as Go programs store it, or where it was written."""

    c1_json: Text | None
    c1_path: Text | None
    sha256: Octets
    """Of the JSON's bytes."""


class SyntheticTask(Message, frozen=True):
    """Write the vanilla proofs of all synthetic challenges, after pc2."""

    registered_proof: Text
    cache_path: Text
    replica_path: Text
    prover_id: Octets
    sector_id: Int
    ticket: Octets
    pre_commit: Pc2Output


class SyntheticOutput(Message, frozen=True):
    """How many proofs there are."""

    challenges: Int


class C2Task(Message, frozen=True):
    """Make the proof that goes on chain out of the JSON of c1."""

    c1_json: Text | None
    c1_path: Text | None
    prover_id: Octets
    sector_id: Int
    miner_id: Int
    needs_groth16: bool = False
    """Whether the chain takes nothing else."""


class C2Output(Message, frozen=True):
    """The proof's bytes."""

    proof: Octets


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


class AggregateTask(Message, frozen=True):
    """Make the PoReps of several sectors one proof."""

    seal_proof: Int
    """RegisteredSealProof."""
    comm_rs: tuple[Octets, ...]
    seeds: tuple[Octets, ...]
    proofs: tuple[Base64, ...]
    """Of each sector, its partitions one after the other."""


class AggregateOutput(Message, frozen=True):
    """The aggregate."""

    proof: Base64


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


class UnsealTask(Message, frozen=True):
    """Get the data out of a sealed sector."""

    registered_proof: Text
    prover_id: Octets
    sector_id: Int
    comm_d: Octets
    ticket: Octets
    cache_dir: Text
    sealed_file: Text
    unsealed_output: Text
    offset: Int
    """First unpadded byte."""
    num_bytes: Int
    """Unpadded bytes."""


class UnsealOutput(Message, frozen=True):
    """How much was written."""

    num_bytes: Int


class SnapEncodeTask(Message, frozen=True):
    """Put new data into a sealed sector."""

    registered_proof: Text
    new_replica_path: Text
    new_cache_path: Text
    sector_path: Text
    sector_cache_path: Text
    staged_data_path: Text
    piece_infos: tuple[PieceInfo, ...]


class SnapEncodeOutput(Message, frozen=True):
    """The commitments of the updated sector."""

    comm_r_new: Octets
    comm_r_last_new: Octets
    comm_d_new: Octets


class SnapProveTask(Message, frozen=True):
    """Prove that the new data are in the new replica."""

    registered_proof: Text
    new_replica_path: Text
    new_cache_path: Text
    sector_path: Text
    sector_cache_path: Text
    comm_r_old: Octets
    comm_r_new: Octets
    comm_d_new: Octets
    needs_groth16: bool = False
    """Whether the chain takes nothing else."""


class SnapProveOutput(Message, frozen=True):
    """The proof for ProveReplicaUpdates."""

    proof: Octets


class UpdateKey(Message, frozen=True):
    """The replica of zeros that data were encoded into: its nodes are the labels themselves."""

    prover_id: Octets
    sector_id: Int
    ticket: Octets
    comm_r: Octets


class SnapDecodeTask(Message, frozen=True):
    """Get the new data out of an updated sector."""

    registered_proof: Text
    new_replica_path: Text
    new_cache_path: Text
    sector_path: Text
    sector_cache_path: Text
    comm_d_new: Octets
    unsealed_output: Text
    offset: Int
    """First unpadded byte."""
    num_bytes: Int
    """Unpadded bytes."""
    key: UpdateKey | None = None
    """Where the old replica is gone: of what it is made again."""


class SnapDecodeOutput(Message, frozen=True):
    """What was written."""

    num_bytes: Int


class SectorRecord(Message, frozen=True):
    """One sector's inputs and commitments, as `workers seal` leaves them beside its files."""

    size: Int
    """Padded bytes."""
    generation: Text
    """Word for the kind of seal proof (`sector_record.GENERATIONS`)."""
    layers: Int
    miner_id: Int
    sector_number: Int
    ticket: Octets
    comm_d: Octets
    comm_r: Octets
    replica_id: Octets
    pieces: tuple[PieceInfo, ...]
