"""Devnet.*: the admin methods that only this chain has: time, faults, funds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from poolsite.devnet.rpc import params as p
from poolsite.devnet.rpc.dispatch import Method

if TYPE_CHECKING:
    from poolsite.devnet.node import Devnet


def mine(node: Devnet, count: int) -> Any:
    """Make so many tipsets now; the answer is the head's height."""
    for _ in range(count):
        node.mine_one()
    return node.head.height


def advance(node: Devnet, epochs: int) -> Any:
    """Let so many epochs pass now."""
    return node.advance(epochs).height


def null_rounds(node: Devnet, epochs: int) -> Any:
    """Make the coming epochs null rounds."""
    node.faults.null_left += epochs


METHODS: Final = (
    Method("Mine", "admin", (p.UINT,), mine, slow=True),
    Method("Advance", "admin", (p.UINT,), advance, slow=True),
    Method("NullRounds", "admin", (p.UINT,), null_rounds),
)
