"""The chain on which the node clients were recorded, made anew: same heights, same people, other CIDs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from poolsite.devnet.clock import ManualClock
from poolsite.devnet.node import Devnet
from poolsite.devnet.profile import Profile
from poolsite.filecoin.address import address_format
from poolsite.filecoin.amounts import FIL
from tests.devnet_epochs import advance_to
from tests.unit.devnet.people import OWNER, STRANGER, WORKER, signed
from tests.unit.devnet.sealing import small_miner

SENT_AT: Final = 60
"""Height after which the worker's message is pushed."""
HEIGHT: Final = 70
"""Where the chain stands."""


@dataclass(frozen=True)
class World:
    """A node, and what stands in the recordings for the names that only it has."""

    node: Devnet
    worker: str
    miner: str
    names: Mapping[str, str]

    def hide(self, text: str) -> str:
        """Put placeholders for this chain's names."""
        for placeholder, name in self.names.items():
            text = text.replace(name, placeholder)
        return text

    def fill(self, text: str) -> str:
        """Put this chain's names for the placeholders."""
        for placeholder, name in self.names.items():
            text = text.replace(placeholder, name)
        return text


def world_make() -> World:
    """A miner with one sector, and a message that has landed."""
    node = Devnet(
        ":memory:",
        network="test",
        clock=ManualClock(),
        funds={who.address: 10_000 * FIL for who in (OWNER, WORKER, STRANGER)},
        profile=Profile(null_free=True),
        open_perms=("read", "write"),
    )
    miner = small_miner(node)
    miner.add_sectors(0)
    advance_to(node, SENT_AT)
    message = signed(node, WORKER, OWNER.address, value=7)
    node.mempool.push(message)
    advance_to(node, HEIGHT)
    names = {"<message>": str(message.cid), "<built-in miner's owner>": address_format(node.wallet.default)}
    names |= {f"<tipset {height}>": cid for height, cid in tipsets(node)}
    return World(node, address_format(WORKER.address), address_format(miner.address), names)


def tipsets(node: Devnet) -> Iterator[tuple[int, str]]:
    """Each height's first block; the highest first, so that no name is the beginning of another."""
    for height in range(HEIGHT, -1, -1):
        tipset = node.chain.at_height(height, node.head.tipset)
        if tipset.height == height:
            yield height, str(tipset.cids[0])
