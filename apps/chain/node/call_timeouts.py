"""How long each method may take, and how soon the next node is asked instead.

Every method here may be repeated: a message pushed twice is the same message.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final


@dataclass(frozen=True, slots=True)
class CallTimeouts:
    """Times of one method."""

    longest_s: float
    """Of the last node that is left to be asked."""
    patience_s: float
    """Of a node while another one stands by."""
    at_once: int
    """Most calls in one request: a node works them off one after the other, within the time of one."""

    def limit_s(self, *, has_other: bool) -> float:
        """Return the time for one try."""
        return self.patience_s if has_other else self.longest_s


QUICK: Final = CallTimeouts(longest_s=10.0, patience_s=1.5, at_once=50)
"""Answered out of memory or by one look-up: a node that takes longer hangs, and reads go on within 2 s."""
USUAL: Final = CallTimeouts(longest_s=30.0, patience_s=15.0, at_once=20)
"""Needs state: a large miner's sectors."""
HEAVY: Final = CallTimeouts(longest_s=30.0, patience_s=15.0, at_once=5)
"""Runs messages (lotus applies a whole tipset again for each estimate), or computes a miner's election data
(MinerGetBaseInfo)."""
LONG: Final = CallTimeouts(longest_s=120.0, patience_s=60.0, at_once=5)
"""Searches through the chain, computes whole tipsets, or lists a whole table of an actor's."""

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
HEAVY_METHODS: Final = frozenset({"GasEstimateMessageGas", "MinerGetBaseInfo", "StateCall"})
LONG_METHODS: Final = frozenset(
    {
        "StateCompute",
        "StateGetAllAllocations",
        "StateListMessages",
        "StateReplay",
        "StateSearchMsg",
        "StateSearchMsgLimited",
        "StateWaitMsg",
        "StateWaitMsgLimited",
    }
)


def call_timeouts(method: str) -> CallTimeouts:
    """Return the times of a method, by its name without the prefix."""
    if method in QUICK_METHODS:
        return QUICK
    if method in HEAVY_METHODS:
        return HEAVY
    return LONG if method in LONG_METHODS else USUAL


def requests_split(
    calls: Sequence[tuple[str, Sequence[Any]]],
) -> Iterator[tuple[list[tuple[str, Sequence[Any]]], CallTimeouts]]:
    """Yield calls, in order, as requests that end in time, with the times of the slowest of their methods."""
    request: list[tuple[str, Sequence[Any]]] = []
    slowest = QUICK
    for call in calls:
        timeouts = max(slowest, call_timeouts(call[0]), key=_slowness)
        if len(request) >= timeouts.at_once:
            yield request, slowest
            request, timeouts = [], call_timeouts(call[0])
        request.append(call)
        slowest = timeouts
    if request:
        yield request, slowest


def _slowness(timeouts: CallTimeouts) -> tuple[float, int]:
    return timeouts.longest_s, -timeouts.at_once
