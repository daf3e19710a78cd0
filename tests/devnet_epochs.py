"""Time of a devnet that a test holds in its hands."""

from __future__ import annotations

from poolsite.devnet.node import Devnet


def advance_to(node: Devnet, height: int) -> None:
    """Advance until the head is at `height` or later."""
    node.advance(max(height - node.head.height, 0))
