"""Earnings of deals: `DealIncome` follows each deal that begins, ends or is paid, in the same transaction.

The market actor pays a deal's fee to the miner's market balance when somebody settles it, not epoch by epoch
(FIP-0074): what it has paid is read from the chain.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import datetime, timedelta
from typing import Final, NamedTuple

import structlog
from django.db import connection, transaction

from apps.chain.errors import NodeRefused
from apps.chain.heads.steps import EVERY_STEP_EPOCHS
from apps.chain.node.client import ChainClient
from apps.chain.node.isolation import for_each_isolated
from apps.core.transitions import columns_set
from apps.market.models import Deal
from apps.market.onchain import settled_read
from apps.market.selectors.deals import WHOLE_EPOCHS, terminated_at
from apps.market.selectors.earnings import deals_cut_unnoted, deals_to_settle, deals_unnoted
from apps.market.states import DealState
from poolsite.filecoin.actors.market import ClientDealProposal
from poolsite.filecoin.codec import from_cbor
from poolsite.filecoin.policy import EPOCHS_PER_DAY_MAINNET

log = structlog.get_logger(__name__)

READ_EPOCHS: Final = EPOCHS_PER_DAY_MAINNET
"""So long after its payment was read a deal's is read anew."""
READ_MOST: Final = 50
"""Deals at most whose payment is read at a head."""
REPAIRED: Final = timedelta(days=3)
"""So long after a step of a deal it is seen whether it was noted."""
ADD: Final = """
    INSERT INTO market_dealincome AS old (miner_id, day, rate, moment, settled) VALUES {rows}
    ON CONFLICT (miner_id, day) DO UPDATE SET rate = old.rate + excluded.rate,
        moment = old.moment + excluded.moment, settled = old.settled + excluded.settled
"""


class Earning(NamedTuple):
    """Between which epochs a deal earns, and up to which it was paid; None: it earns nothing."""

    first: int | None
    until: int | None
    settled_to: int | None


def earning_read(deal: Deal) -> Earning:
    """Return when a deal earns, as its row says."""
    return Earning(deal.earns_from, deal.earns_until, deal.settled_to)


def earning_columns_compute(deal: Deal, *, event: str, height: int | None) -> dict[str, int | None]:
    """Return what an event changes of when a deal earns.

    One of price 0 is noted at its end alone: the market actor keeps its collateral until it is settled.
    """
    price, first, end = deal_price_read(deal), deal.start_epoch, (deal.start_epoch or 0) + deal.duration
    if first is None or not (price or (event == "END" and deal.chain_deal is not None and deal.collateral)):
        return {}
    if event == "ACTIVATE":
        return {
            "price": price,
            "earns_from": first,
            "earns_until": end,
            "settled_to": first,
            "settled_at": 0,
        }
    if event == "END":  # a console of the version before may have activated it, and noted nothing
        ended = end if height is None else max(min(end, height), first)
        paid = first if deal.settled_to is None else min(deal.settled_to, ended)
        return {
            "price": price,
            "earns_from": first,
            "earns_until": ended,
            "settled_to": paid,
            "settled_at": 0,
        }
    if event == "SEAL":  # a reorganisation has undone its activation
        return {"earns_from": None, "earns_until": None, "settled_to": None, "settled_at": None}
    return {}


def deal_price_read(deal: Deal) -> int:
    """Return what the client pays per epoch, attoFIL; an older console has left it in the proposal alone."""
    if deal.price or deal.proposal is None:
        return int(deal.price)
    return int(from_cbor(ClientDealProposal, bytes(deal.proposal)).proposal.storage_price_per_epoch)


def income_change(deal: Deal, *, before: Earning, height: int = 0) -> None:
    """Add to the days of the miner what has changed of a deal; `height` is where its payment was read."""
    after = earning_read(deal)
    if before == after:
        return
    price = int(deal.price)
    days: defaultdict[int, Counter[str]] = defaultdict(Counter)
    for earning, sign in ((before, -1), (after, 1)):
        if earning.first is None or earning.until is None:
            continue
        for epoch, rate in ((earning.first, sign * price), (earning.until, -sign * price)):
            days[epoch // EPOCHS_PER_DAY_MAINNET].update(rate=rate, moment=rate * epoch)
        paid = sign * price * ((earning.settled_to or earning.first) - earning.first)
        days[max(height, earning.first) // EPOCHS_PER_DAY_MAINNET].update(settled=paid)
    changed = sorted((day, sums) for day, sums in days.items() if any(sums.values()))
    if not changed:
        return
    names = ("rate", "moment", "settled")
    values = [
        value for day, sums in changed for value in (deal.miner_id, day, *(sums[name] for name in names))
    ]
    with connection.cursor() as cursor:
        cursor.execute(ADD.format(rows=", ".join(["(%s, %s, %s, %s, %s)"] * len(changed))), values)


def settlements_read(client: ChainClient, *, height: int, key: str) -> None:
    """Read what the market actor has paid of earning deals, those first that were read longest ago."""
    deals = deals_to_settle(read_until=height - READ_EPOCHS, height=height, most=READ_MOST)
    if not deals:
        return
    answers = settled_read(client, deals=[deal.chain_deal or 0 for deal in deals], key=key)

    def note(pair: tuple[Deal, int | NodeRefused | None]) -> None:
        deal, answer = pair
        if isinstance(answer, NodeRefused):  # others come first before it is asked for again
            Deal.objects.filter(pk=deal.pk).update(settled_at=height)
            raise answer
        settlement_note(deal, settled_to=answer, height=height)

    for_each_isolated(list(zip(deals, answers, strict=True)), note, event="settlement_not_read")


@transaction.atomic
def settlement_note(deal: Deal, *, settled_to: int | None, height: int) -> None:
    """Note up to which epoch a deal was paid; None: the market actor has it no more, and has paid all."""
    locked = Deal.objects.select_for_update(of=("self",), no_key=True).get(pk=deal.pk)
    before = earning_read(locked)
    if before.first is None or before.until is None:
        return
    is_over = locked.state == DealState.ENDED or height >= before.until
    if settled_to is None:
        settled_to = before.until if is_over else before.settled_to
    locked.settled_to = min(max(settled_to or before.first, before.first), before.until)
    locked.settled_at = height
    locked.save(update_fields=["settled_to", "settled_at"])
    income_change(locked, before=before, height=height)


def earnings_record(*, height: int, now: datetime) -> None:
    """Note when deals earn that a console of the version before has activated or ended, once a day."""
    if height % WHOLE_EPOCHS < EVERY_STEP_EPOCHS:
        for_each_isolated(deals_unnoted(since=now - REPAIRED), earning_record, event="earning_not_noted")
        for_each_isolated(deals_cut_unnoted(), earning_record, event="earning_not_noted")


@transaction.atomic
def earning_record(deal: Deal) -> None:
    """Note between which epochs a deal earns, by its state and by where the pool has ended its sector."""
    locked = Deal.objects.select_for_update(of=("self",), no_key=True).get(pk=deal.pk)
    if locked.state not in (DealState.ACTIVE, DealState.ENDED):
        return
    before = earning_read(locked)
    event = "ACTIVATE" if locked.state == DealState.ACTIVE else "END"
    if event == "ACTIVATE" and before.first is not None:
        return
    columns = earning_columns_compute(
        locked, event=event, height=terminated_at(locked.miner_id, locked.sector_number)
    )
    if columns:
        columns_set(locked, **columns)
        locked.save(update_fields=list(columns))
        income_change(locked, before=before)
