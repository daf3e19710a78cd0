"""The settings of a miner's batches: its own, laid over the pool's."""

from __future__ import annotations

from dataclasses import replace as replace_fields
from typing import Any

from apps.miners.models import Miner
from apps.sectors.rules.policy import BATCH_FIELDS, LIMITS, SealingPolicy, sealing_policy


def batch_settings_own(miner: Miner) -> dict[str, int | bool | None]:
    """Return a miner's own settings by name, None for what is as the pool has it.

    What was stored before a limit came, or came back with a backup, is the nearest that the limit allows.
    """
    row = getattr(miner, "batch_settings", None)
    own = {name: getattr(row, name, None) for name in BATCH_FIELDS}
    for name, (least, most) in LIMITS.items():
        if (value := own[name]) is not None:
            own[name] = min(max(value, least), most)
    return own


def batch_policy(miner: Miner, pool: SealingPolicy | None = None) -> SealingPolicy:
    """Return the policy of a miner's batches: the pool's, with the miner's own settings laid over it."""
    own: dict[str, Any] = {
        name: value for name, value in batch_settings_own(miner).items() if value is not None
    }
    return replace_fields(pool or sealing_policy(), **own)
