"""Knobs that make the devnet misbehave on purpose; all are off until an admin turns them."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from poolsite.devnet.node import Devnet
    from poolsite.filecoin.message import SignedMessage


class Faults:
    """The knobs of one node."""

    def __init__(self, node: Devnet) -> None:
        self.node = node
        self.mining = "auto"
        """auto, or paused: only `Devnet.Mine` and `Devnet.Advance` move the chain."""
        self.withholds_post = False
        """Whether the built-in miner leaves its WindowPoSt away."""
        self.lag_ms = 0
        """Delay of every RPC answer."""
        self.null_left = 0
        """Coming epochs in which the built-in miner keeps still."""
        self.hidden = False
        """Whether blocks leave pending messages out."""
        self.network_name = ""
        """Another name to give for the network; empty for the right one."""
        self.behind = 0
        """Epochs by which the node says it lags."""
        self.drop_share = 0.0
        """Share of pushed messages that are accepted and forgotten."""
        self.connections: set[Any] = set()
        """Open WebSockets."""
        self.rng = random.Random(0)  # noqa: S311  # faults, not secrets

    async def lag(self) -> None:
        """Wait as long as answers are delayed."""
        if self.lag_ms:
            await asyncio.sleep(self.lag_ms / 1000)

    def takes_round(self, epoch: int) -> bool:
        """Whether the epoch shall be a null round."""
        del epoch
        if self.null_left:
            self.null_left -= 1
            return True
        return False

    def visible(self, pending: list[SignedMessage]) -> list[SignedMessage]:
        """The messages that blocks may take."""
        return [] if self.hidden else pending

    def forgets(self, signed: SignedMessage) -> bool:
        """Whether a pushed message is accepted and forgotten."""
        del signed
        return self.drop_share > 0 and self.rng.random() < self.drop_share
