"""Parameters of the messages that terminate and extend sectors.

Source: builtin-actors miner terminate_sectors, extend_sector_committment.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from apps.sectors.onchain.live_sectors import LiveSector
from apps.sectors.rules.extensions import Extended
from poolsite.filecoin.actors.miner_proving import PartitionSectors, TerminateSectorsParams
from poolsite.filecoin.actors.miner_sectors import (
    ExpirationExtension2,
    ExtendSectorExpiration2Params,
    SectorClaim,
)
from poolsite.filecoin.bitfield import bitfield_of
from poolsite.filecoin.codec import to_cbor


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
                    sectors=bitfield_of(
                        [one.sector.number for one in here if not one.maintained + one.dropped]
                    ),
                    sectors_with_claims=tuple(
                        SectorClaim(one.sector.number, one.maintained, one.dropped)
                        for one in here
                        if one.maintained + one.dropped
                    ),
                    new_expiration=expiration,
                )
                for (deadline, partition, expiration), here in sorted(places.items())
            )
        )
    )
