"""What goes into the stages of replica updates, and what comes out."""

from __future__ import annotations

from poolsite.wire.codec import Int, Text
from workers.processors.codec import Message, Octets
from workers.processors.tasks import PieceInfo


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
