"""SHA-254: SHA-256 with the two top bits cleared, the node hash of tree_d and of pieces.

A cleared digest is below r, so that circuits can hold it as one scalar.

Source: filecoin-project/rust-fil-proofs filecoin-hashers/src/sha256.rs.
"""

from __future__ import annotations

from functools import lru_cache
from hashlib import sha256

from poolsite.filecoin.scalars import NODE_BYTES, trimmed

NODE_CACHE_ENTRIES = 1 << 14
"""How many node hashes are remembered; every proof of one sector shares most of its upper nodes."""


def sha254(message: bytes) -> bytes:
    """Return the trimmed SHA-256 digest of `message`."""
    return trimmed(sha256(message).digest())


@lru_cache(maxsize=NODE_CACHE_ENTRIES)
def sha254_node(children: tuple[bytes, ...]) -> bytes:
    """Hash the two children of a node of tree_d."""
    return sha254(b"".join(children))


def sha254_zero(padded_bytes: int) -> bytes:
    """Return the root over 32 · 2^k zero bytes: a zero piece's comm_p, an empty sector's comm_d.

    Source: rust-fil-proofs filecoin-proofs/src/pieces.rs zero_padding.
    """
    root, covered = bytes(NODE_BYTES), NODE_BYTES
    while covered < padded_bytes:
        root, covered = sha254_node((root, root)), 2 * covered
    return root
