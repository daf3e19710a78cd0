"""How long each method may take, and how soon the next node is asked instead.

Every method here may be repeated: a message pushed twice is the same message.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class CallTimeouts:
    """Times of one method."""

    longest_s: float
    """Of the last node that is left to be asked."""
    patience_s: float
    """Of a node while another one stands by."""

    def limit_s(self, *, has_other: bool) -> float:
        """Return the time for one try."""
        return self.patience_s if has_other else self.longest_s


QUICK: Final = CallTimeouts(longest_s=10.0, patience_s=1.5)
"""Answered out of memory or by one look-up: a node that takes longer hangs, and reads go on within 2 s."""
USUAL: Final = CallTimeouts(longest_s=30.0, patience_s=15.0)
"""Needs state: a large miner's sectors, an estimation."""
LONG: Final = CallTimeouts(longest_s=120.0, patience_s=60.0)
"""Searches through the chain, or computes whole tipsets."""

QUICK_METHODS: Final = frozenset(
    {
        "ChainGetBlock",
        "ChainGetGenesis",
        "ChainGetMessage",
        "ChainGetTipSet",
        "ChainHead",
        "MpoolGetConfig",
        "MpoolGetNonce",
        "NetPeers",
        "StateAccountKey",
        "StateGetActor",
        "StateGetNetworkParams",
        "StateLookupID",
        "StateMinerProvingDeadline",
        "StateNetworkName",
        "StateNetworkVersion",
        "SyncState",
        "Version",
        "WalletBalance",
    }
)
LONG_METHODS: Final = frozenset(
    {"StateCompute", "StateListMessages", "StateReplay", "StateSearchMsg", "StateWaitMsg"}
)


def call_timeouts(method: str) -> CallTimeouts:
    """Return the times of a method, by its name without the prefix."""
    if method in QUICK_METHODS:
        return QUICK
    return LONG if method in LONG_METHODS else USUAL
