"""The devnet's own parameters: what a real network has no row for."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass

SECTOR_2K = 2048
ALWAYS = "always"
OPTIMISTIC = "optimistic"


@dataclass(frozen=True, slots=True)
class Profile:
    """Settings of one devnet, fixed at its genesis unless marked."""

    genesis_power: int = 256 * SECTOR_2K
    """Floor of the built-in miner's power claim in bytes: a pool's sectors shall not drown the chain."""
    null_free: bool = False
    """Whether the built-in miner tries beacon values until it wins, for accelerated tests."""
    verify_post: str = ALWAYS
    """When a WindowPoSt is verified: `always` when it comes; `optimistic`, as on real chains, only if it
    recovers power, else when somebody disputes it."""
    finality_keeps: int = 2
    """States of so many finalities stay in memory."""

    def to_bytes(self) -> bytes:
        """Return the form in the chain's file."""
        return json.dumps(dataclasses.asdict(self)).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Profile:
        """Read what `to_bytes` wrote."""
        return cls(**json.loads(data))
