"""A tipset that was executed, with what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from poolsite.devnet.store_rows import TipsetRow

if TYPE_CHECKING:
    from poolsite.filecoin.cids import Cid
    from poolsite.filecoin.tipset import Tipset, TipsetKey


class NoTipset(LookupError):
    """A tipset that this node has not executed; holds the first unknown CID."""

    def __init__(self, cid: Cid) -> None:
        super().__init__(str(cid))
        self.cid = cid


@dataclass(frozen=True, slots=True)
class Link:
    """An executed tipset."""

    tipset: Tipset
    weight: int
    """Weight of the chain that ends here: the ParentWeight of its children."""
    root: Cid
    """State after executing it: the ParentStateRoot of its children."""
    receipts_root: Cid
    """Its receipts: the ParentMessageReceipts of its children."""
    next_base_fee: int
    """ParentBaseFee of its children."""

    @property
    def key(self) -> TipsetKey:
        return self.tipset.key

    @property
    def height(self) -> int:
        return self.tipset.height


def tipset_row(link: Link) -> TipsetRow:
    """Return the row of an executed tipset."""
    return TipsetRow(
        key=bytes(link.key),
        height=link.height,
        parents=bytes(link.tipset.parents),
        weight=link.weight,
        root=link.root.data,
        receipts_root=link.receipts_root.data,
        next_base_fee=link.next_base_fee,
    )
