"""Paying for deals: when somebody asks for it, and what the market does by itself at the end of epochs.

Source: builtin-actors actors/market/src/lib.rs settle_deal_payments, cron_tick; FIP-0074.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from poolsite.devnet.actors.frames import pay
from poolsite.devnet.actors.ledger import BURNT, MARKET, transfer
from poolsite.devnet.actors.market.deals import MarketEditor
from poolsite.devnet.actors.miner.state_editor import numbers_of
from poolsite.devnet.state.deal_rows import DEAL_EVENTS, DealEvents
from poolsite.filecoin.actors.batch import BatchReturn, FailCode
from poolsite.filecoin.actors.market_deals import (
    DealSettlement,
    SettleDealPaymentsParams,
    SettleDealPaymentsReturn,
)
from poolsite.filecoin.codec import to_cbor
from poolsite.filecoin.deals import DEAL_EXPIRED, UNDEFINED_EPOCH, update_epoch

if TYPE_CHECKING:
    from poolsite.devnet.actors.call import Call
    from poolsite.devnet.state.tables import Draft


def settle_deal_payments(call: Call) -> bytes:
    """Handle SettleDealPayments: anybody may ask; deals that were never activated in time are removed."""
    numbers = numbers_of(call.read(SettleDealPaymentsParams).deal_ids)
    editor, lost = MarketEditor(call.draft), 0
    failures: list[FailCode] = []
    settlements: list[DealSettlement] = []
    for at, number in enumerate(numbers):
        proposal = editor.proposal(number)
        if proposal is None:
            failures.append(FailCode(at, DEAL_EXPIRED))
        elif editor.progress(number) is None and call.epoch >= proposal.start_epoch:
            lost += editor.expire_unused(number, proposal)
            failures.append(FailCode(at, DEAL_EXPIRED))
        else:
            settlements.append(DealSettlement(*editor.settle(number, proposal, epoch=call.epoch)))
    pay(call.machine, MARKET, BURNT, lost)
    results = BatchReturn(len(settlements), tuple(failures))
    return to_cbor(SettleDealPaymentsReturn(results, tuple(settlements)))


def market_tick(draft: Draft, now: int) -> None:
    """Look at the deals that are due: unused ones end, those that were settled once are paid again."""
    events: DealEvents | None = draft.get(DEAL_EVENTS, now)
    if events is None:
        return
    draft.delete(DEAL_EVENTS, now)
    editor, lost = MarketEditor(draft), 0
    for number in events.deals:
        proposal = editor.proposal(number)
        if proposal is None:
            continue
        progress = editor.progress(number)
        if progress is None:
            lost += editor.expire_unused(number, proposal)
        elif progress.updated == UNDEFINED_EPOCH:
            editor.pending_drop(proposal)
        elif not editor.settle(number, proposal, epoch=now)[1]:
            editor.schedule(update_epoch(number, now + 1), number)
    transfer(draft, MARKET, BURNT, lost)
