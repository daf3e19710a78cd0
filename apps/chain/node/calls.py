"""Calls as `ChainClient` sends them, for those who have them answered ahead: `FailoverCalls.read_ahead`."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any, Final

from apps.chain.node.tipsets import key_to_json

Call = tuple[str, Sequence[Any]]
"""A method without its prefix, and its parameters."""
BEACON: Final = "StateGetRandomnessFromBeacon"
TICKETS: Final = "StateGetRandomnessFromTickets"


def randomness_call(method: str, tag: int, epoch: int, *, entropy: bytes, key: str) -> Call:
    """Return the call that draws randomness by one of the two methods."""
    return method, (tag, epoch, base64.b64encode(entropy).decode(), key_to_json(key))


def deadlines_call(miner: str, key: str | None) -> Call:
    """Return the call for a miner's deadlines with what was submitted in them."""
    return "StateMinerDeadlines", (miner, key_to_json(key))


def partitions_call(miner: str, deadline: int, key: str) -> Call:
    """Return the call for the partitions of a miner's deadline."""
    return "StateMinerPartitions", (miner, deadline, key_to_json(key))


def sectors_call(miner: str, numbers: Any, key: str | None) -> Call:
    """Return the call for sectors; `numbers` is a bit field in JSON form, None means all."""
    return "StateMinerSectors", (miner, numbers, key_to_json(key))


def tipset_by_height_call(height: int, key: str) -> Call:
    """Return the call for the tipset at or below a height, on the chain of `key`."""
    return "ChainGetTipSetByHeight", (height, key_to_json(key))
