"""What a miner must know to try its luck on a base tipset.

Source: lotus chain/stmgr/actors.go MinerGetBaseInfo.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from poolsite.devnet.actors.ledger import key_address
from poolsite.devnet.actors.miner.state_editor import Reader
from poolsite.devnet.actors.power import BUILT_IN_MINER, claim_of, miners_above
from poolsite.devnet.consensus import power_total
from poolsite.devnet.lottery import latest_beacon
from poolsite.devnet.state.miner_rows import MINERS, Miner
from poolsite.filecoin.address import id_address
from poolsite.filecoin.election import Eligibility, is_eligible, winning_post_randomness
from poolsite.filecoin.post.challenges import post_randomness, winning_sector
from poolsite.filecoin.sector import prover_id

if TYPE_CHECKING:
    from poolsite.devnet.beacon import Beacon
    from poolsite.devnet.chain import Chain
    from poolsite.devnet.consensus import Rules
    from poolsite.devnet.state.power_rows import Claim
    from poolsite.devnet.state.sector_rows import Sector
    from poolsite.devnet.state.tables import State
    from poolsite.filecoin.address import Address
    from poolsite.filecoin.block import BeaconEntry
    from poolsite.filecoin.tipset import Tipset


@dataclass(frozen=True, slots=True)
class BaseInfo:
    """Facts for one miner and one epoch."""

    power: Claim
    total: Claim
    sectors: tuple[Sector, ...]
    """The one sector to prove."""
    worker: Address
    sector_size: int
    previous: BeaconEntry
    entries: tuple[BeaconEntry, ...]
    is_eligible: bool

    @property
    def beacon(self) -> BeaconEntry:
        """The entry that election and ticket are drawn from."""
        return self.entries[-1] if self.entries else self.previous


class BaseInfos:
    """Answers for any base tipset."""

    def __init__(self, chain: Chain, beacon: Beacon, rules: Rules) -> None:
        self.chain = chain
        self.beacon = beacon
        self.rules = rules

    def lookback_state(self, base: Tipset, epoch: int) -> State:
        """Return the state that power, key and sectors are read from."""
        height = max(epoch - self.rules.network.power_lookback, 0)
        if height >= base.height:
            return self.chain.state_after(base.key)
        return self.chain.state_after(self.chain.at_height(height, base).key)

    def get(
        self,
        miner_id: int,
        epoch: int,
        base: Tipset,
        *,
        entries: tuple[BeaconEntry, ...] | None = None,
    ) -> BaseInfo | None:
        """Return the facts; None if the miner had no power at the lookback.

        `entries`: the beacon entries of a block that is checked, else the beacon's own.
        """
        state = self.lookback_state(base, epoch)
        miner: Miner | None = state.get(MINERS, miner_id)
        if miner is None:
            return None
        power = claim_of(state, miner_id, self.rules.profile)
        previous = latest_beacon(self.chain, base)
        if entries is None:
            entries = self.beacon.entries(base.height, epoch)
        source = entries[-1] if entries else previous
        sectors = self._winning_sectors(state, miner_id, beacon=source, epoch=epoch)
        worker = key_address(state, miner.worker)
        if not sectors or power.quality <= 0 or worker is None:
            return None
        return BaseInfo(
            power=power,
            total=power_total(state, self.rules),
            sectors=sectors,
            worker=worker,
            sector_size=miner.sector_size,
            previous=previous,
            entries=entries,
            is_eligible=self._is_eligible(miner_id, base, state),
        )

    def _winning_sectors(
        self, state: State, miner_id: int, *, beacon: BeaconEntry, epoch: int
    ) -> tuple[Sector, ...]:
        reader = Reader(state, miner_id, self.rules.network)
        partitions = [partition for _, partition in reader.all_partitions()]
        active = sorted(number for partition in partitions for number in partition.active)
        if not active and miner_id == BUILT_IN_MINER:
            # Its power has a floor, so it must be able to mine even when its sector was not proven in time.
            active = sorted(number for partition in partitions for number in partition.live)
        if not active:
            return ()
        randomness = winning_post_randomness(beacon.data, epoch, id_address(miner_id))
        index = winning_sector(
            post_randomness(randomness), prover_id(miner_id), number=0, sectors=len(active)
        )
        return tuple(reader.sectors([active[index]]))

    def _is_eligible(self, miner_id: int, base: Tipset, lookback: State) -> bool:
        network, profile = self.rules.network, self.rules.profile
        state = self.chain.state_after(base.key)
        miner: Miner | None = state.get(MINERS, miner_id)
        if miner is None:
            return False
        if miner_id == BUILT_IN_MINER:
            return True  # the chain must move whatever it did; it pays all the same
        minimum = network.consensus_miner_min_power
        facts = Eligibility(
            power_at_lookback=claim_of(lookback, miner_id, profile).raw,
            miners_above_minimum=miners_above(lookback, profile, minimum=minimum),
            quality_power=claim_of(state, miner_id, profile).quality,
            fee_debt=miner.debt,
            consensus_fault_elapsed=miner.consensus_fault_elapsed,
            height=base.height,
        )
        return is_eligible(
            facts, consensus_minimum=minimum, minimum_miners=network.consensus_miner_min_miners
        )
