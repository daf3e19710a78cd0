"""An estimation of gas: what a caller may ask for, and what a node answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from poolsite.filecoin.message import Message

    pass


@dataclass(frozen=True, slots=True)
class Estimate:
    """Gas values of one message, or why there are none."""

    message: Message | None
    error: str = ""


@dataclass(frozen=True, slots=True)
class GasSpec:
    """Wishes for an estimation; zero means the node's own rule."""

    max_fee: int = 0
    gas_over_estimation: float = 0.0
    gas_over_premium: float = 0.0

    def as_json(self) -> dict[str, Any]:
        """Return the wire form of MessageSendSpec."""
        return {
            "MaxFee": str(self.max_fee),
            "GasOverEstimation": self.gas_over_estimation,
            "GasOverPremium": self.gas_over_premium,
        }
