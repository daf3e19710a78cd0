"""Sectors that the chain has, as a termination or an extension needs them, and the parameters of both.

Source: go-state-types builtin/v18/miner SectorOnChainInfo, Partition; builtin-actors miner
terminate_sectors, extend_sector_committment; FIP-0045 (claims), FIP-0098 (fee), FIP-0100 (daily fee).
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from django.utils.translation import gettext

from apps.chain.errors import NodeRefused
from apps.sectors.onchain import partitions_of, sector_rows_read
from poolsite.filecoin.actors.miner_proving import PartitionSectors, TerminateSectorsParams
from poolsite.filecoin.actors.miner_sectors import (
    ExpirationExtension2,
    ExtendSectorExpiration2Params,
    SectorClaim,
)
from poolsite.filecoin.bitfield import bitfield_from_json, bitfield_of
from poolsite.filecoin.cids import cid_from_json
from poolsite.filecoin.codec import to_cbor
from poolsite.filecoin.deadlines import deadline_from_json, deadline_info
from poolsite.filecoin.expiration import BadExpiration, extension_check
from poolsite.filecoin.pledge import daily_fee, termination_fee
from poolsite.filecoin.policy import EPOCHS_PER_DAY_MAINNET
from poolsite.filecoin.power import quality_power

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from apps.chain.client import ChainClient
    from apps.miners.models import RewardEstimate
    from poolsite.filecoin.deadlines import DeadlineInfo
    from poolsite.filecoin.policy import Network

CLAIM_DROP_PERIOD: Final = 30 * EPOCHS_PER_DAY_MAINNET
"""Last epochs of a sector's life in which its claims may be given up.  Source: builtin-actors
runtime/src/runtime/policy.rs END_OF_LIFE_CLAIM_DROP_PERIOD."""


@dataclass(frozen=True, slots=True)
class LiveSector:
    """A sector in a partition of the chain's, not ended."""

    number: int
    size: int
    activation: int
    expiration: int
    power_base: int
    pledge: int
    verified_weight: int
    daily_fee: int
    deadline: int
    partition: int
    is_faulty: bool

    @property
    def power(self) -> int:
        """Quality-adjusted power, bytes."""
        return quality_power(
            self.size, duration=self.expiration - self.power_base, verified_weight=self.verified_weight
        )

    def fee(self, reward: RewardEstimate, *, height: int) -> int:
        """Return the fee for ending it at `height`, attoFIL."""
        fault_fee = reward.fault_fee(self.power)
        return int(termination_fee(self.pledge, age=height - self.activation, sector_fault_fee=fault_fee))


@dataclass(frozen=True, slots=True)
class Claim:
    """Verified data of a client in a sector."""

    id: int
    sector: int
    size: int
    last: int
    """The latest epoch to which its sector may be extended with it."""
    piece_cid: str = ""
    client: int = 0


@dataclass(frozen=True, slots=True)
class Extended:
    """A sector as it will be once extended."""

    sector: LiveSector
    expiration: int
    kept: tuple[int, ...] = ()
    """Claims that stay."""
    dropped: tuple[int, ...] = ()
    """Claims that are given up."""
    power: int = 0
    daily_fee: int = 0


def live_sectors_read(
    client: ChainClient, address: str, numbers: Sequence[int], *, size: int, key: str
) -> dict[int, LiveSector]:
    """Return those of these numbers that live, by number.

    One is left out only where the node says so, as its files may go then.  Raises NodeRefused,
    NodeUnavailable.
    """
    infos = sector_rows_read(client, address, numbers, key)
    places = partitions_of(client, address, sorted(infos), key, is_whole=True)
    states = _partitions_read(client, address, {deadline for deadline, _ in places.values()}, key=key)
    found: dict[int, LiveSector] = {}
    for number, (deadline, partition) in places.items():
        state = states.get((deadline, partition))
        if state is None:
            raise NodeRefused(
                1,
                gettext("the node has no partition {partition} of deadline {deadline} of {address}").format(
                    partition=partition, deadline=deadline, address=address
                ),
            )
        if number in bitfield_from_json(state["LiveSectors"]):
            is_faulty = number in bitfield_from_json(state["FaultySectors"])
            found[number] = _live(
                infos[number], size=size, deadline=deadline, partition=partition, is_faulty=is_faulty
            )
    return found


def _partitions_read(
    client: ChainClient, address: str, deadlines: Iterable[int], *, key: str
) -> dict[tuple[int, int], dict[str, Any]]:
    wanted = sorted(deadlines)
    tipset = [{"/": word} for word in key.split()]
    answers = client.call_many([("StateMinerPartitions", [address, index, tipset]) for index in wanted])
    found: dict[tuple[int, int], dict[str, Any]] = {}
    for index, answer in zip(wanted, answers, strict=True):
        if isinstance(answer, NodeRefused):
            raise answer
        found |= {(index, at): row for at, row in enumerate(answer or [])}
    return found


def _live(row: dict[str, Any], *, size: int, deadline: int, partition: int, is_faulty: bool) -> LiveSector:
    return LiveSector(
        number=int(row["SectorNumber"]),
        size=size,
        activation=int(row["Activation"]),
        expiration=int(row["Expiration"]),
        power_base=int(row.get("PowerBaseEpoch") or row["Activation"]),
        pledge=int(row["InitialPledge"]),
        verified_weight=int(row["VerifiedDealWeight"]),
        daily_fee=int(row.get("DailyFee") or 0),
        deadline=deadline,
        partition=partition,
        is_faulty=is_faulty,
    )


def claims_read(client: ChainClient, address: str, *, key: str) -> dict[int, list[Claim]]:
    """Return a miner's claims by sector."""
    rows = client.call("StateGetClaims", address, [{"/": word} for word in key.split()]) or {}
    found: dict[int, list[Claim]] = defaultdict(list)
    for number, row in sorted(rows.items(), key=lambda item: int(item[0])):
        last = int(row["TermStart"]) + int(row["TermMax"])
        claim = Claim(
            id=int(number),
            sector=int(row["Sector"]),
            size=int(row["Size"]),
            last=last,
            piece_cid=str(cid_from_json(row.get("Data")) or ""),
            client=int(row.get("Client") or 0),
        )
        found[claim.sector].append(claim)
    return found


class Windows:
    """A miner's deadlines at one head: which of them take changes now, and when the others do."""

    def __init__(self, row: dict[str, Any], *, height: int) -> None:
        self.now: DeadlineInfo = deadline_from_json(row)
        self.height = height

    @classmethod
    def read(cls, client: ChainClient, address: str, *, key: str, height: int) -> Windows:
        """Query a node.  Raises NodeRefused, NodeUnavailable."""
        return cls(client.state_miner_proving_deadline(address, key), height=height)

    def _frozen(self, index: int) -> tuple[int, int]:
        """Return the next epochs in which nothing can be ended there: from, and the first one after."""
        info = deadline_info(self.now.period_start, index, self.height, self.now.params).next_not_elapsed()
        return info.open - info.params.window, info.close

    def opens_at(self, index: int, *, margin: int = 0) -> int:
        """Return the epoch from which a message that needs `margin` epochs may end sectors there.

        Not while the deadline is open or the next to open.  Source: deadlines.rs deadline_is_mutable.
        """
        begin, end = self._frozen(index)
        return self.height if self.height + margin < begin else end

    def closes_at(self, index: int) -> int:
        """Return the last epoch in which sectors may be ended there."""
        return self._frozen(index)[0] - 1


def longest(sector: LiveSector, *, claims: Sequence[Claim], now: int, network: Network) -> int:
    """Return the latest epoch to which a sector can be extended with all its claims."""
    most = min(now + network.max_sector_expiration_extension, sector.activation + network.max_sector_lifetime)
    return min([most, *(claim.last for claim in claims)])


def extended(
    sector: LiveSector,
    expiration: int,
    *,
    claims: Sequence[Claim],
    drops: bool,
    now: int,
    circulating: int,
    network: Network,
) -> Extended:
    """Return a sector as an extension makes it.  Raises BadExpiration with the reason why it cannot be."""
    if sector.expiration < now:
        raise BadExpiration(gettext("it has expired"))
    if sector.is_faulty:
        raise BadExpiration(gettext("it is faulty: extend it once it has recovered"))
    if expiration == sector.expiration:
        raise BadExpiration(gettext("it already expires at epoch {expiration}").format(expiration=expiration))
    extension_check(
        expiration,
        sector=sector.number,
        old_expiration=sector.expiration,
        activation=sector.activation,
        now=now,
        network=network,
    )
    short = [claim for claim in claims if claim.last < expiration] if sector.verified_weight else []
    if short and not drops:
        last = min(claim.last for claim in short)
        raise BadExpiration(
            gettext(
                "claim {claim} lasts only until epoch {last}: extend to that epoch, or drop the claim"
            ).format(claim=short[0].id, last=last)
        )
    if short and sector.expiration - now > CLAIM_DROP_PERIOD:
        raise BadExpiration(
            gettext("claim {claim} can be dropped only in the sector's last 30 days").format(
                claim=short[0].id
            )
        )
    kept = [claim for claim in claims if claim not in short] if sector.verified_weight else []
    weight = sum(claim.size for claim in kept) * (expiration - now)
    power = quality_power(sector.size, duration=expiration - now, verified_weight=weight)
    fee = sector.daily_fee * power // sector.power if sector.daily_fee else daily_fee(power, circulating)
    return Extended(
        sector=sector,
        expiration=expiration,
        kept=tuple(claim.id for claim in kept),
        dropped=tuple(claim.id for claim in short),
        power=power,
        daily_fee=int(fee),
    )


def terminate_params(sectors: Iterable[LiveSector]) -> bytes:
    """Return the parameters of TerminateSectors: one entry for each partition."""
    places: dict[tuple[int, int], list[int]] = defaultdict(list)
    for sector in sectors:
        places[sector.deadline, sector.partition].append(sector.number)
    return to_cbor(
        TerminateSectorsParams(
            tuple(
                PartitionSectors(deadline, partition, bitfield_of(numbers))
                for (deadline, partition), numbers in sorted(places.items())
            )
        )
    )


def extend_params(sectors: Iterable[Extended]) -> bytes:
    """Return the parameters of ExtendSectorExpiration2: one entry for each partition and expiration."""
    places: dict[tuple[int, int, int], list[Extended]] = defaultdict(list)
    for one in sectors:
        places[one.sector.deadline, one.sector.partition, one.expiration].append(one)
    return to_cbor(
        ExtendSectorExpiration2Params(
            tuple(
                ExpirationExtension2(
                    deadline=deadline,
                    partition=partition,
                    sectors=bitfield_of([one.sector.number for one in here if not one.kept + one.dropped]),
                    sectors_with_claims=tuple(
                        SectorClaim(one.sector.number, one.kept, one.dropped)
                        for one in here
                        if one.kept + one.dropped
                    ),
                    new_expiration=expiration,
                )
                for (deadline, partition, expiration), here in sorted(places.items())
            )
        )
    )
