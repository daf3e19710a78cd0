"""What a termination or an extension does to each of a miner's sectors, as the chain has them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from apps.chain.errors import NetworkUnknown
from apps.chain.models import Head
from apps.chain.node.client import ChainClient
from apps.core.marked_texts import gettext
from apps.core.reasons import Reason, quoted
from apps.miners.models import Miner
from apps.miners.selectors.miners import reward_estimate
from apps.sectors.models import Sector
from apps.sectors.onchain.deadline_windows import Windows
from apps.sectors.onchain.live_sectors import LiveSector, claims_read, live_sectors_read
from apps.sectors.onchain.sectors import circulating_read
from apps.sectors.reasons import ENDED_ON_CHAIN, EXPIRES_FIRST
from apps.sectors.rules.extensions import Extended, extended, longest
from poolsite.filecoin.expiration import BadExpiration
from poolsite.filecoin.policy import Network
from poolsite.wire.pipeline.changes import ChangeKind

LANDING_MARGIN: Final = 3
"""Epochs that are left for a termination to land before its deadline takes no changes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeRequest:
    """What is to become of some sectors."""

    kind: ChangeKind
    expiration: int | None = None
    """Of an extension: the epoch; None: each as long as the chain takes with all its claims."""
    drops_claims: bool = False
    """Of an extension: give up claims that cannot last as long."""
    reason: str = ""
    gas_max: int | None = None
    """Most attoFIL that the gas of all messages may cost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SectorPrice:
    """What a change does to one sector; with a refusal nothing of it will be done."""

    sector: Sector
    refusal: str = ""
    fee: int = 0
    """attoFIL that the chain takes for its end."""
    pledge: int = 0
    """attoFIL that are free again once it has ended."""
    sends_at: int = 0
    """The first epoch at which its message may go."""
    live: LiveSector | None = None
    after: Extended | None = None
    """Of an extension."""


def changes_price(
    miner: Miner,
    *,
    sectors: Sequence[Sector],
    request: ChangeRequest,
    client: ChainClient,
    head: Head,
    network: Network,
) -> list[SectorPrice]:
    """Return what a change does to each of a miner's sectors, in order, as the chain has them."""
    if request.kind is ChangeKind.TERMINATE:
        return _terminations(miner, sectors, client=client, head=head)
    return _extensions(miner, sectors, request, client=client, head=head, network=network)


def _terminations(
    miner: Miner, sectors: Sequence[Sector], *, client: ChainClient, head: Head
) -> list[SectorPrice]:
    reward = reward_estimate()
    if reward is None:
        raise NetworkUnknown(
            gettext(
                "the fee cannot be estimated: no node returned the network's reward estimate; try again later"
            )
        )
    live = _live(miner, sectors, client=client, head=head)
    windows = Windows.read(client, miner.address, key=head.key, height=head.height)
    found = []
    for one in sectors:
        onchain = live.get(one.number)
        if onchain is None:
            found.append(SectorPrice(sector=one, refusal=ENDED_ON_CHAIN()))
            continue
        sends_at = windows.opens_at(onchain.deadline, margin=LANDING_MARGIN)
        if onchain.expiration <= sends_at:
            late = EXPIRES_FIRST(end=onchain.expiration)
            found.append(SectorPrice(sector=one, live=onchain, refusal=late))
            continue
        fee = onchain.fee(reward, height=head.height)
        found.append(SectorPrice(sector=one, live=onchain, fee=fee, pledge=onchain.pledge, sends_at=sends_at))
    return found


def _extensions(
    miner: Miner,
    sectors: Sequence[Sector],
    request: ChangeRequest,
    *,
    client: ChainClient,
    head: Head,
    network: Network,
) -> list[SectorPrice]:
    live = _live(miner, sectors, client=client, head=head)
    has_claims = any(onchain.verified_weight for onchain in live.values())
    claims = claims_read(client, miner.address, key=head.key) if has_claims else {}
    circulating = circulating_read(client, key=head.key)
    found = []
    for one in sectors:
        onchain = live.get(one.number)
        if onchain is None:
            found.append(SectorPrice(sector=one, refusal=ENDED_ON_CHAIN()))
            continue
        known = claims.get(one.number, ()) if onchain.verified_weight else ()
        mine = [claim for claim in known if claim.is_held(onchain.expiration)]
        expiration = request.expiration
        if expiration is None:
            expiration = longest(onchain, claims=mine, now=head.height, network=network)
        try:
            after = extended(
                onchain,
                expiration,
                claims=mine,
                drops=request.drops_claims,
                now=head.height,
                circulating=circulating,
                network=network,
            )
        except BadExpiration as error:
            (text,) = error.args
            why = text if isinstance(text, Reason) else quoted(text, by="actor")
            found.append(SectorPrice(sector=one, live=onchain, refusal=why))
        else:
            found.append(SectorPrice(sector=one, live=onchain, after=after, sends_at=head.height))
    return found


def _live(
    miner: Miner, sectors: Sequence[Sector], *, client: ChainClient, head: Head
) -> dict[int, LiveSector]:
    numbers = [one.number for one in sectors]
    return live_sectors_read(client, miner.address, numbers, size=miner.sector_size, key=head.key)
