"""Rows of miners: what the chain says of them, who sends for them, their days, roles of hosts, transfers."""

from __future__ import annotations

from apps.miners.models.chain_state import ChainRoots, RewardEstimate
from apps.miners.models.days import MinerDay, RemovedMinerDay
from apps.miners.models.miners import Miner, MinerAddress
from apps.miners.models.roles import Role, RoleGroup
from apps.miners.models.transfers import MinerTransfer

__all__ = [
    "ChainRoots",
    "Miner",
    "MinerAddress",
    "MinerDay",
    "MinerTransfer",
    "RemovedMinerDay",
    "RewardEstimate",
    "Role",
    "RoleGroup",
]
