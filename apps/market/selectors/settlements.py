"""Deals for which the market actor owes fees, and up to which epoch each is settled.

The choice reads the indexes of deals that are owed for, not all deals.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from django.db.models import Exists, F, OuterRef, Q, Subquery, Sum, Value

from apps.chain.selectors.network import network_current
from apps.core.clock import DAY_S
from apps.market.models import Deal, DealSettlement, MinerMarket, Settlement, SettlementCheck
from apps.messages.states import MessageState
from apps.miners.models import Miner
from apps.miners.selectors.miners import miners_active

SHOWN: Final = 5
"""Latest settlements that a page shows."""
OWING: Final = Q(settled_to__lt=F("earns_until"), chain_deal__isnull=False)
"""Deals of a price that the market actor has, of which it has not paid all that they will earn."""


def day_epochs_read() -> int:
    """Return the epochs of a day on this network."""
    return int(DAY_S // network_current().epoch_s)


def markets_owed(*, height: int, looked_until: int) -> list[MinerMarket]:
    """Return the markets of active miners with deals that are due, and that were not looked at since then.

    A miner's deal that was paid longest ago and the one that ends first tell, each the first of its index.
    Whether any deal is due would be looked up in all of them, as the planner expects to find one soon.
    """
    owing = Deal.objects.filter(OWING, miner=OuterRef("miner"), earns_from__lt=height)
    rows = MinerMarket.objects.filter(settle_days__gt=0, miner__in=miners_active())
    rows = rows.exclude(miner__settlement_check__height__gt=looked_until)
    rows = rows.annotate(
        longest_ago=Subquery(owing.order_by("settled_to").values("settled_to")[:1]),
        first_end=Subquery(owing.order_by("earns_until").values("earns_until")[:1]),
    )
    waits = F("settle_days") * Value(day_epochs_read())
    rows = rows.filter(Q(longest_ago__lte=Value(height) - waits) | Q(first_end__lte=height))
    return list(rows.select_related("miner__tenant").order_by("miner_id"))


def deals_owing(miner: Miner, *, height: int, waited: int, most: int) -> list[Deal]:
    """Return a miner's deals in no open settlement that have ended, or were paid so many epochs ago.

    Those that have ended are first, then those that have waited longest.  Each kind is read by its own index.
    """
    rows = Deal.objects.filter(OWING, miner=miner, earns_from__lt=height).select_related("miner__tenant")
    rows = rows.exclude(Exists(DealSettlement.objects.filter(deal=OuterRef("pk"), is_open=True)))
    ended = list(rows.filter(earns_until__lte=height).order_by("earns_until", "pk")[:most])
    rows = rows.filter(earns_until__gt=height, settled_to__lte=height - waited)
    return [*ended, *rows.order_by("settled_to", "pk")[: most - len(ended)]]


def settlements_open() -> list[Settlement]:
    """Return the settlements whose outcome is not noted, oldest first."""
    rows = Settlement.objects.filter(is_open=True).select_related("miner__tenant", "message")
    return list(rows.order_by("pk"))


def is_in_settlement(deals: Sequence[Deal]) -> bool:
    """Return whether one of these deals is in an open settlement."""
    return DealSettlement.objects.filter(deal__in=deals, is_open=True).exists()


def settled_deals(settlement: Settlement) -> list[DealSettlement]:
    """Return the deals of a settlement, by their number on chain, as its message names them."""
    rows = settlement.deals.select_related("deal__miner")
    return list(rows.order_by("deal__chain_deal"))


def day_fees(miner: Miner, *, now: datetime) -> int:
    """Return the attoFIL that settling has cost a miner in this UTC day, what is in progress included.

    A message that failed before it had a nonce costs nothing.
    """
    start = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    rows = Settlement.objects.filter(miner=miner, created_at__gte=start)
    rows = rows.exclude(message__state=MessageState.FAILED, message__nonce=None)
    return int(rows.aggregate(sum=Sum("fee"))["sum"] or 0)


def settlements_of_deal(deal: Deal) -> list[DealSettlement]:
    """Return the settlements of a deal, newest first."""
    rows = DealSettlement.objects.filter(deal=deal).select_related("settlement__message")
    return list(rows.order_by("-pk"))


@dataclass(frozen=True, slots=True)
class Settling:
    """A miner's latest settlements, and today's fees."""

    check: SettlementCheck | None
    """The last look at what is due; None: nothing was due yet."""
    latest: list[Settlement]
    """Newest first."""
    spent: int
    """attoFIL of fees today."""


def settling_of(miner: Miner, *, now: datetime) -> Settling:
    """Return how a miner's deals are settled."""
    latest = Settlement.objects.filter(miner=miner).select_related("message").order_by("-created_at", "-pk")
    check = SettlementCheck.objects.filter(miner=miner).first()
    return Settling(check=check, latest=list(latest[:SHOWN]), spent=day_fees(miner, now=now))
