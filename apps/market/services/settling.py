"""Settling deals: the market actor pays what they have earned once it is told to (FIP-0074).

A deal is in one open settlement at a time.  Message and rows are written in one transaction: a process that
is killed leaves all of them or none.  A second settlement would pay nothing twice, and cost its fee.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import structlog
from django.db import transaction

from apps.chain.errors import NodeRefused
from apps.chain.models import Head
from apps.chain.node.client import ChainClient
from apps.chain.node.isolation import for_each_isolated
from apps.core import clock
from apps.core.errors import Conflict, DomainError, LostRace
from apps.core.live import Change, publish
from apps.core.marked_texts import gettext
from apps.core.reasons import Reason, refused
from apps.market.models import Deal, DealSettlement, MinerMarket, Settlement, SettlementCheck
from apps.market.onchain import SettlementTrial, settled_read, settlement_try, settlements_match
from apps.market.reasons import NOT_WORTH, NOTHING_OWED, SETTLE_FAILED, SETTLE_LIMIT, SETTLE_REFUSED
from apps.market.rules import CONFIRM_EPOCHS
from apps.market.selectors.deals import market_of
from apps.market.selectors.settlements import (
    day_epochs_read,
    day_fees,
    deals_owing,
    is_in_settlement,
    markets_owed,
    settled_deals,
    settlements_open,
)
from apps.market.services.earnings import settlement_note
from apps.market.services.publishing import MARKET
from apps.messages.selectors.receivers import receiver_kinds
from apps.messages.services.push import message_push
from apps.messages.services.receiver_lookup import receiver_kinds_resolve
from apps.messages.states import MessageState
from apps.miners.models import Miner
from apps.miners.selectors.miners import miner_principal
from apps.miners.selectors.senders import sender_choose
from apps.miners.states import Use
from apps.sectors.onchain.sectors import trial_message
from apps.sectors.selectors.restored import miners_unrecovered
from apps.users.rules.principals import Principal
from apps.users.services.audit import audit_record
from poolsite.filecoin.actors.market import Method
from poolsite.filecoin.actors.market_deals import SettleDealPaymentsParams, SettleDealPaymentsReturn
from poolsite.filecoin.amounts import fil_format
from poolsite.filecoin.bitfield import bitfield_of
from poolsite.filecoin.codec import from_cbor, to_cbor
from poolsite.filecoin.deals import DEAL_EXPIRED
from poolsite.filecoin.gas import MIN_GAS_PREMIUM
from poolsite.filecoin.gas_estimates import unsigned_inclusion_gas
from poolsite.filecoin.message import Message as ChainMessage

log = structlog.get_logger(__name__)

KIND: Final = "settle"
LOOK_EPOCHS: Final = 120
"""So often it is seen what a miner's deals are owed: each look costs trials."""
DEALS_MOST: Final = 2000
"""Deals of one look at most; those that have waited longest."""
GAS_MOST: Final = 2_500_000_000
"""Gas of one message at most, a quarter of a block's: more would wait for an empty block."""
GAS_MARGIN: Final = (5, 4)
"""Signed gas over that of the trial.  Source: lotus node/config GasLimitOverestimation."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Deals that share a message, and what its trial said."""

    deals: Sequence[Deal]
    message: ChainMessage
    owed: int
    """attoFIL that it pays."""
    freed: int
    """attoFIL of the miner's collateral that it frees, of deals that have ended."""
    fee: int
    """attoFIL that it costs at the head's base fee."""


@dataclass(frozen=True, slots=True)
class SettlingWork:
    """One miner's settling, and what it is done with."""

    miner: Miner
    market: MinerMarket
    client: ChainClient
    head: Head
    now: datetime
    by: Principal | None = None
    """Who wants it now; None: it is due."""
    reasons: list[Reason] = field(default_factory=list)
    """Why deals are not settled."""


def settlements_advance(*, client: ChainClient, head: Head, now: datetime) -> None:
    """Note what settlements have paid, and send those that are due; each miner by itself."""
    for_each_isolated(
        settlements_open(),
        lambda row: settlement_follow(row, client=client, head=head),
        event="settlement_not_followed",
    )
    unrecovered = miners_unrecovered()
    markets = markets_owed(height=head.height, looked_until=head.height - LOOK_EPOCHS)
    for_each_isolated(
        [market for market in markets if market.miner_id not in unrecovered],
        lambda market: miner_settle(market, client=client, head=head, now=now),
        event="deals_not_settled",
    )


def miner_settle(market: MinerMarket, *, client: ChainClient, head: Head, now: datetime) -> None:
    """Settle a miner's deals that are due, and note why others are not."""
    work = SettlingWork(market.miner, market, client, head, now)
    _settle(work, waited=market.settle_days * day_epochs_read())
    SettlementCheck.objects.update_or_create(
        miner=market.miner,
        defaults={"height": head.height, "reason": work.reasons[0] if work.reasons else ""},
    )


def deals_settle_now(
    miner: Miner, *, by: Principal, client: ChainClient, head: Head | None
) -> list[Settlement]:
    """Settle all that a miner's deals have earned, whatever waits and today's limit; return the settlements.

    Raises Conflict with the reason if there is nothing to settle, or it brings less than it costs;
    NodeUnavailable.
    """
    if head is None:
        raise Conflict(gettext("no node has answered yet"))
    work = SettlingWork(miner, market_of(miner), client, head, clock.now(), by)
    sent = _settle(work, waited=0)
    if not sent:
        raise Conflict(work.reasons[0] if work.reasons else NOTHING_OWED())
    return sent


def _settle(work: SettlingWork, *, waited: int) -> list[Settlement]:
    """Send the messages for the deals that have waited so many epochs; return what was sent."""
    deals = deals_owing(work.miner, height=work.head.height, waited=waited, most=DEALS_MOST)
    if not deals:
        return []
    # No transaction waits for the network, and a push asks a node for a kind that is not known yet.
    receiver_kinds_resolve([MARKET], known=receiver_kinds([MARKET]))
    sent = []
    for batch in _batches(sorted(deals, key=lambda deal: deal.chain_deal or 0), work):
        hindrance = _hindrance(batch, work)
        if hindrance is not None:
            work.reasons.append(hindrance)
        elif (row := _write(batch, work)) is not None:
            sent.append(row)
    return sent


def _batches(deals: Sequence[Deal], work: SettlingWork) -> list[Batch]:
    """Return the deals of each message; what the chain refuses, or pays nothing for, is left out."""
    if not deals:
        return []
    message = _message(deals, work)
    trial = settlement_try(
        work.client, message, deals=[deal.chain_deal or 0 for deal in deals], key=work.head.key
    )
    if len(deals) > 1 and (trial.exit_code or trial.gas_used > GAS_MOST):
        middle = len(deals) // 2
        return [*_batches(deals[:middle], work), *_batches(deals[middle:], work)]
    if trial.exit_code:
        work.reasons.append(SETTLE_REFUSED(number=deals[0].chain_deal, exit_code=trial.exit_code))
        return []
    _refused_note(deals, trial, work)
    paid = [deal for deal in deals if _is_paid(deal, trial)]
    if len(paid) < len(deals):
        return _batches(paid, work)
    completed = [deal for deal in deals if trial.settled[deal.chain_deal or 0].completed]
    times, over = GAS_MARGIN
    gas = (trial.gas_used + unsigned_inclusion_gas(message)) * times // over
    return [
        Batch(
            deals,
            message,
            owed=sum(one.payment for one in trial.settled.values()),
            freed=sum(int(deal.collateral) for deal in completed),
            fee=gas * (int(work.head.base_fee) + MIN_GAS_PREMIUM),
        )
    ]


def _is_paid(deal: Deal, trial: SettlementTrial) -> bool:
    found = trial.settled.get(deal.chain_deal or 0)
    return found is not None and (found.payment > 0 or found.completed)


def _refused_note(deals: Sequence[Deal], trial: SettlementTrial, work: SettlingWork) -> None:
    """Note that the market actor has paid all of deals that it has no more, and why it refuses others."""
    for deal in deals:
        code = trial.refused.get(deal.chain_deal or 0)
        if code == DEAL_EXPIRED:
            settlement_note(deal, settled_to=None, height=work.head.height)
        elif code is not None:
            work.reasons.append(SETTLE_REFUSED(number=deal.chain_deal, exit_code=code))


def _hindrance(batch: Batch, work: SettlingWork) -> Reason | None:
    """Return why a message is not sent; None if it is.  Freed collateral counts as what it brings."""
    brings = batch.owed + batch.freed
    if brings <= batch.fee:
        return NOT_WORTH(fee=fil_format(batch.fee, unit=""), owed=fil_format(brings, unit=""))
    limit = int(work.market.settle_day_fee)
    if work.by is None and limit:
        spent = day_fees(work.miner, now=work.now)
        if spent + batch.fee > limit:
            return SETTLE_LIMIT(spent=fil_format(spent, unit=""), fee=fil_format(batch.fee, unit=""))
    return None


def _message(deals: Sequence[Deal], work: SettlingWork) -> ChainMessage:
    """Return the message that settles deals."""
    message: ChainMessage = trial_message(
        to=MARKET,
        from_=sender_choose(work.miner, Use.COMMIT).address,
        value=0,
        method=Method.SETTLE_DEAL_PAYMENTS_EXPORTED,
        params=to_cbor(SettleDealPaymentsParams(bitfield_of([deal.chain_deal or 0 for deal in deals]))),
    )
    return message


def _write(batch: Batch, work: SettlingWork) -> Settlement | None:
    """Write that deals are in one message, and push it, all or nothing; return None if it was not pushed."""
    try:
        row = _push(batch, work)
    except LostRace:  # another process settles one of them
        return None
    except DomainError as refusal:
        if work.by is not None:
            raise
        work.reasons.append(refused(refusal))
        return None
    publish(Change("deal", str(work.miner.uuid), work.miner.tenant_id))
    log.info("deals_settling", miner=str(work.miner), deals=len(batch.deals), owed=str(batch.owed))
    return row


@transaction.atomic
def _push(batch: Batch, work: SettlingWork) -> Settlement:
    _deals_lock(deal.pk for deal in batch.deals)
    if is_in_settlement(batch.deals):
        raise LostRace(batch.deals[0], "SETTLE")
    pushed = message_push(
        principal=miner_principal(work.miner, by=work.by),
        id=f"{KIND}:{uuid.uuid4()}",
        to=MARKET,
        from_=batch.message.from_,
        method=batch.message.method,
        params=batch.message.params,
        kind=KIND,
        expire_epoch=work.head.height + day_epochs_read(),
    )
    row = Settlement.objects.create(
        miner=work.miner, message=pushed, fee=batch.fee, owed=batch.owed, created_at=work.now
    )
    DealSettlement.objects.bulk_create(DealSettlement(settlement=row, deal=deal) for deal in batch.deals)
    if work.by is not None:
        audit_record(
            principal=work.by,
            action="market.settle",
            target=str(work.miner),
            after={
                "message": pushed.push_id,
                "deals": f"{len(batch.deals)} deals",
                "owed": fil_format(batch.owed),
                "fee": fil_format(batch.fee),
            },
        )
    return row


def _deals_lock(keys: Iterable[int]) -> None:
    list(Deal.objects.select_for_update(of=("self",), no_key=True).filter(pk__in=keys).order_by("pk"))


def settlement_follow(settlement: Settlement, *, client: ChainClient, head: Head) -> None:
    """Note what a settlement has paid, or that its message came to nothing."""
    message = settlement.message
    if message is not None and message.state in (MessageState.UNFILLED, MessageState.FILLED):
        return
    if message is not None and message.state == MessageState.LANDED:
        if head.height < message.height + CONFIRM_EPOCHS:
            return
        if not message.exit_code:
            _landed(settlement, client=client, head=head)
            return
    name = "" if message is None else message.push_id
    _close(settlement, reason=SETTLE_FAILED(id=name), height=head.height)


def _landed(settlement: Settlement, *, client: ChainClient, head: Head) -> None:
    """Note what a settlement has paid, and up to where the market actor has paid its deals."""
    message, rows = settlement.message, settled_deals(settlement)
    if message is None:
        return
    numbers = [row.deal.chain_deal or 0 for row in rows]
    answer = from_cbor(SettleDealPaymentsReturn, bytes(message.return_data))
    settled, _ = settlements_match(answer, numbers)
    reached = settled_read(client, deals=numbers, key=head.key)
    with transaction.atomic():
        if not Settlement.objects.filter(pk=settlement.pk, is_open=True).update(
            is_open=False,
            paid=sum(one.payment for one in settled.values()),
            height=message.height,
        ):
            return
        for row, number in zip(rows, numbers, strict=True):
            row.is_open, row.payment = False, settled[number].payment if number in settled else 0
        DealSettlement.objects.bulk_update(rows, ["is_open", "payment"])
        _deals_lock(row.deal_id for row in rows)  # all before the days of their income
        for row, settled_to in zip(rows, reached, strict=True):
            if not isinstance(settled_to, NodeRefused):  # else it is read within a day
                settlement_note(row.deal, settled_to=settled_to, height=head.height)
    publish(Change("deal", str(settlement.miner.uuid), settlement.miner.tenant_id))


@transaction.atomic
def _close(settlement: Settlement, *, reason: Reason, height: int) -> None:
    """Note that a settlement has paid nothing: its deals are due again."""
    Settlement.objects.filter(pk=settlement.pk).update(is_open=False)
    DealSettlement.objects.filter(settlement=settlement).update(is_open=False)
    SettlementCheck.objects.update_or_create(
        miner=settlement.miner, defaults={"height": height, "reason": reason}
    )
