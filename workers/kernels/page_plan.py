"""Where the parents of a chunk of nodes are if layers are on drives: in the ring, or to be read.

A page is the labels of one node of up to 128 sectors.  The ring keeps the last pages of the layer in memory;
a stripe is the pages of one chunk of nodes, and stripes go to the drives in turn.
"""

# mypy: allow-untyped-calls

from __future__ import annotations

from typing import Final

import numpy as np
from numba import njit

from workers.kernels.flags import SERIAL
from workers.kernels.labels_portable import ALL_PARENTS, DRG_PARENTS

STRIDE: Final = 0
"""Bytes of a page."""
RING, WINDOW = 1, 2
"""Address of the ring, and its pages, a power of two: node n is at n mod WINDOW."""
FLOOR: Final = 3
"""The first node of this layer that stays in the ring until the chunk is labelled."""
ROOM: Final = 4
"""Address where the pages that are read go, in the order of the requests."""
CHUNK, STRIPE = 5, 6
"""Nodes of a chunk; bytes of a stripe on its drive, what is behind its pages included."""
DRIVES: Final = 7
HERE, BELOW = 8, 9
"""Where this layer and the layer before begin, on each drive."""
PLACES: Final = 10

DRIVE, OFFSET, ADDRESS, PAGE = 0, 1, 2, 3
"""Columns of a request: page is twice the node, and one more if it is of the layer before."""
REQUEST: Final = 4
PARENTS: Final = ALL_PARENTS
"""Of each node: columns of the tables."""


@njit(**SERIAL)
def plan(parents, layer, places, addresses, requests):
    """Compute where each parent of some nodes will be, and what has to be read before.

    parents:   u32[rows, 14]       rows of the parent cache
    layer:     i64                 from 1; in layer 1 the first six of a row are planned
    places:    i64[10]             see the names above
    addresses: i64[rows, 14]       output
    requests:  i64[rows · 14, 4]   output: as many as are returned
    Cost:    60 to 350 ns a node, once for all sectors.
    Threads: none inside; the GIL is free.   Errors: none; `processors.page_batch` has checked the shapes.
    Source:  this module.   Twin: none; tests compare labels.   Golden: none; no data of others.
    """
    stride, mask, floor = places[STRIDE], places[WINDOW] - 1, places[FLOOR]
    chunk, drives, count = places[CHUNK], places[DRIVES], 0
    parent_count = DRG_PARENTS if layer == 1 else ALL_PARENTS
    for row in range(parents.shape[0]):
        for i in range(parent_count):
            node, is_below = np.int64(parents[row, i]), np.int64(i >= DRG_PARENTS)
            if not is_below and node >= floor:
                addresses[row, i] = places[RING] + stride * (node & mask)
                continue
            stripe = node // chunk
            start = (places[BELOW] if is_below else places[HERE]) + stripe // drives * places[STRIPE]
            requests[count, DRIVE] = stripe % drives
            requests[count, OFFSET] = start + stride * (node - stripe * chunk)
            requests[count, ADDRESS] = addresses[row, i] = places[ROOM] + stride * count
            requests[count, PAGE] = 2 * node + is_below
            count += 1
    return count
