"""What goes into each stage and what comes out, as it crosses the processor protocol.

Field names are those of the protocol; byte strings are JSON arrays of
numbers there, paths are strings, sizes of pieces are unpadded bytes.
Source: ipfs-force-community/damocles damocles-worker/vc-processors/src/builtin/tasks.rs.
"""

from __future__ import annotations

from poolsite.wire.codec import Int, Text
from workers.processors.codec import Base64, Message, Octets


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
    ticket_end_s: Int = 0
    """Unix time by which the replica must be there; 0: at any time."""
    ticket_fresh_s: Int = 0
    """Seconds that are left of a ticket when it is drawn; 0: not known."""


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
