"""The array-mapped trie in which blocks list messages and tipsets list receipts: only its root is needed.

Width 8, format of version 0: the root is [height, count, node], a node [bit map, links, values].  The bit map
says which of the eight slots are used, lowest bit first; inner nodes have links only, leaves values only. The
lists here have no holes, so the used slots are always the first ones.

Source: filecoin-project/go-amt-ipld v2 amt.go, node.go; specs-actors v0 actors/util/adt/array.go, which lotus
still uses for Messages and ParentMessageReceipts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from poolsite.filecoin import cbor
from poolsite.filecoin.cids import Cid, cid_of_cbor

WIDTH: Final = 8
"""Children or values of one node."""


def _ignore(_cid: Cid, _data: bytes) -> None:
    """Drop a block, where only the root is wanted."""


def amt_root(values: Sequence[bytes], *, store: Callable[[Cid, bytes], None] = _ignore) -> Cid:
    """Return the CID of the trie of `values`, each already in CBOR.

    `store` is given every block of the trie, children before their parents and the root last.
    """
    height = 0
    while WIDTH ** (height + 1) < len(values):
        height += 1
    root = cbor.head_write(cbor.ARRAY, 3) + cbor.int_write(height) + cbor.int_write(len(values))
    root += _node(values, height=height, store=store)
    cid = cid_of_cbor(root)
    store(cid, root)
    return cid


def _node(values: Sequence[bytes], *, height: int, store: Callable[[Cid, bytes], None]) -> bytes:
    """Return a node over `values`: bit map of used slots, links (inner nodes) or values (leaves).

    A child of an inner node of `height` covers 8^height values; only the last one may have fewer.
    """
    span = WIDTH**height
    used = -(-len(values) // span)
    links: list[bytes] = []
    if height:
        for start in range(0, len(values), span):
            child = _node(values[start : start + span], height=height - 1, store=store)
            cid = cid_of_cbor(child)
            store(cid, child)
            links.append(cbor.cid_write(cid))
    leaves = () if height else values
    return b"".join(
        (
            cbor.head_write(cbor.ARRAY, 3),
            cbor.bytes_write(bytes(((1 << used) - 1,))),
            cbor.head_write(cbor.ARRAY, len(links)),
            *links,
            cbor.head_write(cbor.ARRAY, len(leaves)),
            *leaves,
        )
    )


def amt_root_of_cids(cids: Sequence[Cid], *, store: Callable[[Cid, bytes], None] = _ignore) -> Cid:
    """Return the root of a list of links, as a block's message lists are."""
    return amt_root([cbor.cid_write(cid) for cid in cids], store=store)
