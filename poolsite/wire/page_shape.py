"""How the layers of a batch lie on drives: pages, chunks, stripes and extents.

A page is one node of all sectors.  The pages of a chunk of nodes and their sums are a stripe; stripes go to
the drives in turn, each layer's to an extent of its own.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from poolsite.filecoin.scalars import NODE_BYTES

if TYPE_CHECKING:
    from poolsite.filecoin.porep.parameters import SealParameters

BLOCK_BYTES: Final = 4096
"""Reads and writes without the page cache begin and end at multiples of it."""
FIRST_EXTENT: Final = 1 << 20
"""Offset of a drive's first extent: a multiple of what flash erases at once."""
BATCH_MAX: Final = 128
"""Of one batch: their labels of a node fill a page of 4 KiB."""
WINDOW_NODES, CHUNK_NODES = 1 << 20, 1 << 12
"""At 32 GiB; twice the window saves a sixth of a read of nine (docs/performance.md)."""
TAIL: Final = struct.Struct("<16sIII")
"""Behind a stripe's sums: the batch, the layer, the chunk and the CRC-32C of the sums."""
CARD_PIECE: Final = 8**5
"""Nodes of the pieces of trees that a card makes of a batch (`card_trees.TRIED_LEVELS`)."""
LANES: Final = 16
"""Sectors that the widest kernel labels at once (`kernels.lanes.WIDE`): a page has room for a multiple."""
PARENTS: Final = 14
"""Parents of a node (`kernels.page_plan.PARENTS`)."""
ROW_BYTES: Final = 4 + 8 + 32 + 8 + 4
"""Bytes of a chunk's tables for each parent: its number, its address, its request, result and sum."""


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
        return -(-self.sectors // LANES) * LANES

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

    @property
    def memory_bytes(self) -> int:
        """Return the bytes of ring, two rooms with their tables and the checksums of two layers."""
        read_bytes = self.page_bytes + ROW_BYTES
        reads = 2 * self.chunk * PARENTS * read_bytes
        return self.window * self.page_bytes + reads + 2 * 4 * self.nodes

    def pieces_bytes(self, nodes: int) -> int:
        """Return the bytes of two pieces' labels of all layers: one is hashed while the next is read."""
        return 2 * self.layers * min(nodes, self.nodes) * self.page_bytes


def shape_of(parameters: SealParameters, sectors: int, drives: int) -> PageShape:
    """Return the sizes for sectors of one graph; smaller ones have shorter rings and chunks."""
    chunk = min(CHUNK_NODES, max(parameters.nodes // 512, 8))
    window = min(WINDOW_NODES, max(parameters.nodes // 32, 4 * chunk))
    return PageShape(parameters.nodes, parameters.layers, sectors, drives, window, chunk)
