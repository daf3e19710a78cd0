"""A sector as an extension makes it, or the reason why it cannot be extended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from apps.sectors.onchain.live_sectors import Claim, LiveSector
from apps.sectors.reasons import CLAIM_HELD, CLAIM_SHORT, EXPIRED, EXPIRES_THEN, IS_FAULTY, NO_WINDOW_YET
from poolsite.filecoin.expiration import BadExpiration, extension_check
from poolsite.filecoin.pledge import daily_fee
from poolsite.filecoin.policy import CLAIM_DROP_PERIOD, Network
from poolsite.filecoin.power import quality_power


@dataclass(frozen=True, slots=True)
class Extended:
    """A sector as it will be once extended."""

    sector: LiveSector
    expiration: int
    maintained: tuple[int, ...] = ()
    """Claims that stay."""
    dropped: tuple[int, ...] = ()
    """Claims that are given up."""
    power: int = 0
    daily_fee: int = 0


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
    if sector.expiration <= now:  # a message lands in the next epoch at the earliest
        raise BadExpiration(EXPIRED())
    if sector.is_faulty:
        raise BadExpiration(IS_FAULTY())
    if not sector.is_active:
        raise BadExpiration(NO_WINDOW_YET())
    if expiration == sector.expiration:
        raise BadExpiration(EXPIRES_THEN(expiration=expiration))
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
        raise BadExpiration(CLAIM_SHORT(claim=short[0].id, last=last))
    if short and sector.expiration - now > CLAIM_DROP_PERIOD:
        raise BadExpiration(CLAIM_HELD(claim=short[0].id))
    maintained = [claim for claim in claims if claim not in short] if sector.verified_weight else []
    weight = sum(claim.size for claim in maintained) * (expiration - now)
    power = quality_power(sector.size, duration=expiration - now, verified_weight=weight)
    fee = sector.daily_fee * power // sector.power if sector.daily_fee else daily_fee(power, circulating)
    return Extended(
        sector=sector,
        expiration=expiration,
        maintained=tuple(claim.id for claim in maintained),
        dropped=tuple(claim.id for claim in short),
        power=power,
        daily_fee=int(fee),
    )
