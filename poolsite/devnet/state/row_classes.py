"""Which class the rows of each table have."""

from __future__ import annotations

from typing import Final

from poolsite.devnet.state.deal_rows import (
    DEAL_EVENTS,
    DEAL_STATES,
    DEALS,
    PENDING_DEALS,
    Deal,
    DealEvents,
    DealNumber,
    DealState,
    MarketState,
    SectorDeals,
)
from poolsite.devnet.state.miner_rows import MINERS, Miner
from poolsite.devnet.state.power_rows import CLAIMS, Claim, PowerState, RewardState
from poolsite.devnet.state.rows import (
    ACTORS,
    ADDRESSES,
    CRON,
    ESCROWS,
    MULTISIGS,
    SYSTEM,
    Actor,
    ActorId,
    CronEvents,
    Escrow,
    InitState,
    InjectedFailures,
    Multisig,
)
from poolsite.devnet.state.sector_rows import Deadline, Partition, PostedProof, PreCommit, Sector
from poolsite.devnet.state.verified_rows import (
    DATACAPS,
    REMOVALS,
    VERIFIERS,
    Allocation,
    Count,
    DataCap,
    DataClaim,
    VerifregState,
)

ROW_CLASSES: Final[dict[str, dict[str, type] | type]] = {
    ACTORS: Actor,
    ADDRESSES: ActorId,
    SYSTEM: {
        "init": InitState,
        "power": PowerState,
        "reward": RewardState,
        "verifreg": VerifregState,
        "market": MarketState,
        "failures": InjectedFailures,
    },
    CLAIMS: Claim,
    MINERS: Miner,
    CRON: CronEvents,
    ESCROWS: Escrow,
    MULTISIGS: Multisig,
    VERIFIERS: DataCap,
    DATACAPS: DataCap,
    REMOVALS: Count,
    "allowances": DataCap,
    "allocations": Allocation,
    "dataclaims": DataClaim,
    "precommits": PreCommit,
    "sectors": Sector,
    "deadlines": Deadline,
    "partitions": Partition,
    "postedproofs": PostedProof,
    DEALS: Deal,
    DEAL_STATES: DealState,
    PENDING_DEALS: DealNumber,
    DEAL_EVENTS: DealEvents,
    "sectordeals": SectorDeals,
}
"""Class of the rows of each table (the part before "/"); the singletons differ by key."""
