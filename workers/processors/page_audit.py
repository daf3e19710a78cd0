"""Labels some nodes of a batch again, by another hash and from the drives.

A page's checksum is that of what was labelled, also if a kernel, a core or memory was faulty.  A wrong label
spoils its sector, and most proofs still pass.
"""

from __future__ import annotations

import struct
from hashlib import sha256
from random import SystemRandom
from typing import TYPE_CHECKING, Final

from poolsite.filecoin.scalars import NODE_BYTES
from workers.kernels.page_plan import PARENTS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from poolsite.wire.page_shape import PageShape
    from workers.storage.mapped import Bytes

    PagesRead = Callable[[int, Sequence[int]], Bytes]
    """Reads the pages of nodes of a layer and of their parents: u8[nodes, 1 + parents, lanes, 32]."""

AUDITED_OF, AUDITED_LEAST = 100_000, 16
"""One node of so many of a layer, and so many at least."""
AUDITED_TOGETHER: Final = 256
"""Nodes whose pages are read together: of 128 sectors 15 MiB."""
HASHED_PARENTS: Final = 37
"""Parents in the message of a label: those of its node again and again."""
HEADER: Final = struct.Struct(">IQ20x")
"""Layer and node, as a label's message begins after the replica id."""


def wrong_node(
    shape: PageShape, layer: int, replica_ids: Sequence[bytes], *, pages_read: PagesRead
) -> int | None:
    """Return a node of a labelled layer that is not the hash of its parents; None if none was found."""
    count = min(max(shape.nodes // AUDITED_OF, AUDITED_LEAST), shape.nodes - 1)
    together = min(AUDITED_TOGETHER, shape.chunk * PARENTS // (1 + PARENTS))
    chosen = SystemRandom().sample(range(1, shape.nodes), count)
    for first in range(0, count, together):
        part = chosen[first : first + together]
        for node, (own, *parents) in zip(part, pages_read(layer, part), strict=True):
            for lane, replica_id in enumerate(replica_ids):
                labels = b"".join(page[lane].tobytes() for page in parents)
                if own[lane].tobytes() != _label(replica_id, layer, node=node, parents=labels):
                    return node
    return None


def _label(replica_id: bytes, layer: int, *, node: int, parents: bytes) -> bytes:
    """Return the label of a node that has parents: their labels, each once."""
    size = HASHED_PARENTS * NODE_BYTES
    repeated = (parents * (size // len(parents) + 1))[:size]
    digest = sha256(replica_id + HEADER.pack(layer, node) + repeated).digest()
    return digest[:31] + bytes([digest[31] & 0x3F])
