"""Raw pieces as padded nodes: streaming Fr32 padding, commitments, the pieces that fill a sector.

Source: rust-fil-proofs filecoin-proofs/src/pieces.rs, api/mod.rs add_piece; spec proofs section 2.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from poolsite.filecoin import commd
from poolsite.filecoin.fr32 import PADDED_BLOCK_BYTES, RAW_BLOCK_BYTES
from poolsite.filecoin.scalars import NODE_BYTES
from poolsite.filecoin.sha254 import sha254_zero
from workers.kernels import fr32
from workers.processors.errors import BadPiece
from workers.processors.spread import spread
from workers.processors.tasks import PieceInfo
from workers.processors.trees import grow_binary, node_bytes
from workers.storage.sector import Nodes, as_nodes

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from poolsite.filecoin.porep.parameters import SealParameters

CHUNK_BLOCKS = 1 << 15
"""Blocks of 127 bytes that are read and padded at a time: 4 MiB."""
SUBTREE_NODES = 1 << 16
"""Leaves of the subtrees that a commitment is put together from: 2 MiB, stays in the cache."""


class Readable(Protocol):
    """Something to read raw bytes from."""

    def read(self, size: int, /) -> bytes:
        """Return at most `size` bytes; none at the end."""


Padded = np.ndarray[Any, np.dtype[np.uint64]]


def padded_size(unpadded: int) -> int:
    """Return the padded bytes of `unpadded` bytes."""
    return unpadded // RAW_BLOCK_BYTES * PADDED_BLOCK_BYTES


def unpadded_size(padded: int) -> int:
    """Return the unpadded bytes of `padded` bytes."""
    return padded // PADDED_BLOCK_BYTES * RAW_BLOCK_BYTES


def piece_size_check(unpadded: int) -> None:
    """Raises BadPiece unless `unpadded` is 127 · 2^k."""
    if unpadded % RAW_BLOCK_BYTES or (unpadded // RAW_BLOCK_BYTES).bit_count() != 1:
        raise BadPiece(f"Piece size ({unpadded}) must be 127 times a power of 2.")


def padded_chunks(source: Readable, unpadded: int) -> Iterator[Padded]:
    """Pad `unpadded` bytes of `source`, zeros where it ends early, in chunks of u64[blocks, 16]."""
    blocks = unpadded // RAW_BLOCK_BYTES
    for first in range(0, blocks, CHUNK_BLOCKS):
        count = min(CHUNK_BLOCKS, blocks - first)
        raw = source.read(RAW_BLOCK_BYTES * count)
        while len(raw) < RAW_BLOCK_BYTES * count and (
            more := source.read(RAW_BLOCK_BYTES * count - len(raw))
        ):
            raw += more
        unpadded_rows = np.zeros(RAW_BLOCK_BYTES * count, np.uint8)
        unpadded_rows[: len(raw)] = np.frombuffer(raw, np.uint8)
        padded = np.empty((count, 16), np.uint64)
        fr32.fr32_pad(unpadded_rows, padded)
        yield padded


def nodes_commitment(nodes: Nodes) -> bytes:
    """Return the root of the binary SHA-254 tree over a power of two of nodes, with bounded memory."""
    leaves = min(SUBTREE_NODES, len(nodes))
    roots = np.empty((len(nodes) // leaves, 4), np.uint64)

    def work(first: int, end: int) -> None:
        tree = np.empty((2 * leaves - 1, 4), np.uint64)
        for at in range(first, end):
            tree[:leaves] = nodes[at * leaves : (at + 1) * leaves]
            grow_binary(tree, leaves)
            roots[at] = tree[-1]

    spread(work, len(roots), size=1)
    if len(roots) == 1:
        return node_bytes(roots[0])
    tree = np.empty((2 * len(roots) - 1, 4), np.uint64)
    tree[: len(roots)] = roots
    grow_binary(tree, len(roots))
    return node_bytes(tree[-1])


def raw_commitment(source: Readable, unpadded: int) -> bytes:
    """Return comm_p of `unpadded` bytes (127 · 2^k) of `source`, zeros where it ends early."""
    roots = [
        nodes_commitment(as_nodes(chunk.view(np.uint8).reshape(-1)))
        for chunk in padded_chunks(source, unpadded)
    ]
    tree = np.empty((2 * len(roots) - 1, 4), np.uint64)
    tree[: len(roots)] = np.frombuffer(b"".join(roots), np.uint64).reshape(-1, 4)
    grow_binary(tree, len(roots))
    return node_bytes(tree[-1])


def comm_d_of(parameters: SealParameters, pieces: Sequence[PieceInfo]) -> bytes:
    """Return comm_d of the pieces.  Raises BadPiece with the reference implementation's words."""
    parts = [commd.Piece(padded_size(piece.size), piece.commitment) for piece in pieces]
    try:
        return commd.comm_d_from_pieces(parameters.sector_bytes, parts)
    except commd.BadPiece as error:
        raise BadPiece(str(error)) from None


def filling_pieces(sector_bytes: int, written: int) -> tuple[PieceInfo, ...]:
    """Return the zero pieces between `written` padded bytes and the sector's end, smallest first."""
    pieces = []
    while written < sector_bytes:
        size = written & -written or sector_bytes
        pieces.append(zero_piece(unpadded_size(size)))
        written += size
    return tuple(pieces)


def zero_piece(unpadded: int) -> PieceInfo:
    """Return a piece of zeros."""
    return PieceInfo(sha254_zero(padded_size(unpadded)), unpadded)


def node_count(padded: int) -> int:
    """Return the nodes of `padded` bytes."""
    return padded // NODE_BYTES
