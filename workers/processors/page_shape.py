"""How the layers of a batch lie on drives: pages, chunks, stripes and extents.

A page is one node of all sectors.  The pages of a chunk of nodes and their sums are a stripe; stripes go to
the drives in turn, each layer's to an extent of its own.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from poolsite.filecoin.scalars import NODE_BYTES
from workers.kernels.crc32c import page_sums
from workers.kernels.lanes import WIDE
from workers.storage.page_drives import BLOCK_BYTES, FIRST_EXTENT

if TYPE_CHECKING:
    from poolsite.filecoin.porep.parameters import SealParameters
    from workers.storage.mapped import Bytes

SECTORS_MAX: Final = 128
"""Of one batch: their labels of a node fill a page of 4 KiB."""
WINDOW_NODES, CHUNK_NODES = 1 << 20, 1 << 12
"""At 32 GiB; twice the window saves a sixth of a read of nine (docs/performance.md)."""
TAIL: Final = struct.Struct("<16sIII")
"""Behind a stripe's sums: the batch, the layer, the chunk and the CRC-32C of the sums."""

Sums = np.ndarray[Any, np.dtype[np.uint32]]


@dataclass(frozen=True, slots=True)
class PageShape:
    """Sizes of one batch."""

    nodes: int
    layers: int
    sectors: int
    drives: int
    window: int
    """Pages that the ring keeps in memory."""
    chunk: int
    """Nodes between two steps."""

    @property
    def lanes(self) -> int:
        """Return the sectors that a page has room for."""
        return -(-self.sectors // WIDE) * WIDE

    @property
    def page_bytes(self) -> int:
        """Return the bytes of a page."""
        return NODE_BYTES * self.lanes

    @property
    def steps(self) -> int:
        """Return the chunks of a layer."""
        return self.nodes // self.chunk

    @property
    def pages_bytes(self) -> int:
        """Return the bytes of a chunk's pages."""
        return self.chunk * self.page_bytes

    @property
    def tail_bytes(self) -> int:
        """Return the bytes behind them: the sums and what they are of."""
        return -(-(4 * self.chunk + TAIL.size) // BLOCK_BYTES) * BLOCK_BYTES

    @property
    def stripe_bytes(self) -> int:
        """Return the bytes of a stripe."""
        return self.pages_bytes + self.tail_bytes

    @property
    def extent_bytes(self) -> int:
        """Return the bytes of a layer on each drive."""
        whole = -(-self.steps // self.drives) * self.stripe_bytes
        return -(-whole // FIRST_EXTENT) * FIRST_EXTENT

    def stripe_start(self, chunk: int) -> int:
        """Return where a stripe begins within its layer's extent, on drive `chunk % drives`."""
        return chunk // self.drives * self.stripe_bytes

    def tail_encode(self, tail: Bytes, sums: Sums, what: tuple[bytes, int, int]) -> None:
        """Write the end of a stripe: its pages' sums, and of which batch, layer and chunk they are."""
        size = 4 * self.chunk
        tail[:size] = sums.view(np.uint8)
        TAIL.pack_into(tail.data, len(tail) - TAIL.size, *what, _sum_of(tail[:size]))

    def tail_decode(self, tail: Bytes, what: tuple[bytes, int, int]) -> Sums | None:
        """Return the sums of a stripe's pages; None if this is not the end of that stripe."""
        size = 4 * self.chunk
        if TAIL.unpack_from(tail.data, len(tail) - TAIL.size) != (*what, _sum_of(tail[:size])):
            return None
        return tail[:size].view(np.uint32).copy()


def _sum_of(raw: Bytes) -> int:
    """Return the CRC-32C of bytes, a multiple of 32 of them."""
    one = np.zeros(1, np.uint32)
    page_sums(raw.reshape(1, -1), one)
    return int(one[0])


def shape_of(parameters: SealParameters, sectors: int, drives: int) -> PageShape:
    """Return the sizes for sectors of one graph; smaller ones have shorter rings and chunks."""
    chunk = min(CHUNK_NODES, max(parameters.nodes // 512, 8))
    window = min(WINDOW_NODES, max(parameters.nodes // 32, 4 * chunk))
    return PageShape(parameters.nodes, parameters.layers, sectors, drives, window, chunk)
