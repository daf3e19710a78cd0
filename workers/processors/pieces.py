"""Raw pieces as padded nodes: streaming Fr32 padding, commitments, the pieces that fill a sector.

Source: rust-fil-proofs filecoin-proofs/src/pieces.rs, api/mod.rs add_piece.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from threading import Lock
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from poolsite.filecoin import commd
from poolsite.filecoin.fr32 import PADDED_BLOCK_BYTES, RAW_BLOCK_BYTES
from poolsite.filecoin.scalars import NODE_BYTES
from poolsite.filecoin.sha254 import sha254_zero
from workers.kernels import fr32
from workers.kernels.ancestors import ANCESTRY, FOUR_ROWS
from workers.processors.errors import BadPiece
from workers.processors.parallel import parallel_for
from workers.processors.tasks import PieceInfo
from workers.processors.trees import binary_ancestors, binary_root, node_bytes

if TYPE_CHECKING:
    from poolsite.filecoin.porep.parameters import SealParameters
    from workers.storage.mapped import Nodes

SUBTREE_NODES = 1 << 19
"""Nodes of the subtrees that a commitment is put together from: 16 MiB."""
SHARE_NODES = 1 << 14
"""Nodes that a thread reads, pads and hashes at a time: 512 KiB, which stay in its cache meanwhile."""


class Readable(Protocol):
    """Something to read raw bytes from."""

    def readinto(self, room: memoryview, /) -> int:
        """Fill `room` or its beginning; return the bytes read, none at the end."""


Raw = np.ndarray[Any, np.dtype[np.uint8]]
Share = Callable[[int, int], tuple[int, "Nodes"]]
"""Gives nodes from one place to another, and the place of their first."""


def padded_size(unpadded: int) -> int:
    """Return the padded bytes of `unpadded` bytes."""
    return unpadded // RAW_BLOCK_BYTES * PADDED_BLOCK_BYTES


def unpadded_size(padded: int) -> int:
    """Return the unpadded bytes of `padded` bytes."""
    return padded // PADDED_BLOCK_BYTES * RAW_BLOCK_BYTES


def piece_size_check(unpadded: int) -> None:
    """Raise BadPiece unless `unpadded` is 127 · 2^k."""
    if unpadded % RAW_BLOCK_BYTES or (unpadded // RAW_BLOCK_BYTES).bit_count() != 1:
        raise BadPiece(f"Piece size ({unpadded}) must be 127 times a power of 2.")


class _Shares:
    """Raw bytes of a source for several threads: whoever comes first gets what comes first."""

    def __init__(self, source: Readable) -> None:
        self._source = source
        self._lock = Lock()
        self._at = 0

    def take(self, count: int) -> tuple[int, Raw]:
        """Read what fills `count` nodes, zeros where the source ends; return the first one's place too."""
        raw = np.empty(RAW_BLOCK_BYTES * count // 4, np.uint8)
        left = raw.data
        with self._lock:
            first, self._at = self._at, self._at + count
            while left and (size := self._source.readinto(left)):
                left = left[size:]
        raw[len(raw) - len(left) :] = 0
        return first, raw


def pad_into(nodes: Nodes, source: Readable) -> None:
    """Fill `nodes` with raw bytes of `source`, zeros where it ends early."""
    shares = _Shares(source)

    def work(first: int, end: int) -> None:
        count = end - first
        first, raw = shares.take(count)
        fr32.fr32_pad(raw, nodes[first : first + count].reshape(-1, 16))

    parallel_for(work, len(nodes), size=SHARE_NODES)


def nodes_commitment(nodes: Nodes) -> bytes:
    """Return the root of the binary SHA-254 tree over a power of two of nodes, with bounded memory."""
    return _commitment(len(nodes), lambda first, end: (first, nodes[first:end]))


def raw_commitment(source: Readable, unpadded: int) -> bytes:
    """Return comm_p of `unpadded` bytes (127 · 2^k) of `source`, zeros where it ends early."""
    return _commitment(node_count(padded_size(unpadded)), _padded_share(source))


def _padded_share(source: Readable) -> Share:
    shares = _Shares(source)

    def padded(first: int, end: int) -> tuple[int, Nodes]:
        nodes = np.empty((end - first, 4), np.uint64)
        first, raw = shares.take(end - first)
        fr32.fr32_pad(raw, nodes.reshape(-1, 16))
        return first, nodes

    return padded


def subtree_root(source: Readable) -> bytes:
    """Return the root over a subtree's raw bytes of `source`, zeros where it ends early."""
    return node_bytes(_subtree_root(0, SUBTREE_NODES, _padded_share(source)))


def roots_commitment(roots: Sequence[bytes]) -> bytes:
    """Return the root over a power of two of subtrees' roots."""
    nodes = np.frombuffer(b"".join(roots), np.uint64).reshape(-1, 4)
    return node_bytes(binary_root(nodes))


def _commitment(leaves: int, share: Share) -> bytes:
    """Return the root over a power of two of leaves.

    `share(first, end)` gives so many of them and the place of their first, which is in the same subtree.
    """
    if leaves < ANCESTRY:
        return node_bytes(binary_root(share(0, leaves)[1]))
    starts = range(0, leaves, SUBTREE_NODES)
    roots = [_subtree_root(start, min(leaves - start, SUBTREE_NODES), share) for start in starts]
    return node_bytes(binary_root(np.stack(roots)))


def _subtree_root(start: int, count: int, share: Share) -> Nodes:
    above = np.empty((count // FOUR_ROWS, 4), np.uint64)

    def work(first: int, end: int) -> None:
        at, nodes = share(start + first, start + end)
        row = (at - start) // FOUR_ROWS
        binary_ancestors(nodes, above[row : row + len(nodes) // FOUR_ROWS])

    parallel_for(work, count, size=SHARE_NODES)
    return binary_root(above)


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
