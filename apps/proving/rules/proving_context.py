"""What one pass over the proofs and recoveries works with."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from apps.chain.models import Head
from poolsite.filecoin.policy import Network

if TYPE_CHECKING:
    from apps.chain.node.client import ChainClient


@dataclass(frozen=True, slots=True)
class ProvingContext:
    """What one pass over the proofs works with."""

    client: ChainClient
    network: Network
    head: Head
    now: datetime

    def seconds_until(self, epoch: int) -> int:
        """Return the seconds until an epoch at the network's pace."""
        return (epoch - self.head.height) * self.network.epoch_s
