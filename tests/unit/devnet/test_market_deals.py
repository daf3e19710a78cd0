"""The market over the whole lives of deals: money is conserved, time limits hold."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poolsite.devnet.actors.ledger import BURNT, MARKET
from poolsite.devnet.actors.market.activation import sectors_deals_end
from poolsite.devnet.actors.market.deals import MarketEditor
from poolsite.devnet.actors.market.escrow import escrow_covers, escrow_of
from poolsite.devnet.actors.market.settlement import market_tick
from poolsite.devnet.state.deal_rows import DEAL_EVENTS, PENDING_DEALS, sector_deals_of
from poolsite.devnet.state.rows import ACTORS, ESCROWS, Actor, Escrow
from poolsite.devnet.state.tables import EMPTY_STATE, Draft
from poolsite.filecoin.deals import MIN_DURATION, UPDATE_INTERVAL, client_lockup, storage_fee, update_epoch
from tests.unit.filecoin.deals import PROPOSAL

CLIENT, PROVIDER = 100, 1000
MONEY = 10**9
START, END = PROPOSAL.start_epoch, PROPOSAL.end_epoch


def opened() -> MarketEditor:
    """A market at which both sides have money."""
    draft = Draft(EMPTY_STATE)
    for actor in (MARKET, BURNT):
        balance = 2 * MONEY if actor == MARKET else 0
        draft.put(ACTORS, actor, Actor(kind="account", nonce=0, balance=balance, address=None))
    for party in (CLIENT, PROVIDER):
        draft.put(ESCROWS, party, Escrow(MONEY, 0))
    return MarketEditor(draft)


def money(editor: MarketEditor) -> tuple[int, int]:
    """What the client and the provider have, locked parts included."""
    return escrow_of(editor.state, CLIENT).amount, escrow_of(editor.state, PROVIDER).amount


def check(editor: MarketEditor) -> None:
    rows = [escrow_of(editor.state, party) for party in (CLIENT, PROVIDER)]
    own = editor.totals
    locked = own.client_collateral + own.provider_collateral + own.storage_fee
    assert sum(row.locked for row in rows) == locked
    assert all(0 <= row.locked <= row.amount for row in rows)


def test_a_deal_that_lives_to_its_end_is_paid_in_full():
    editor = opened()
    number = editor.enter(PROPOSAL, allocation=None)
    editor.activate(number, provider=PROVIDER, sector=5, epoch=START - 9)

    assert editor.settle(number, PROPOSAL, epoch=START - 1) == (0, False)
    assert editor.settle(number, PROPOSAL, epoch=START + 10) == (70, False)
    assert editor.settle(number, PROPOSAL, epoch=END + 99) == (storage_fee(PROPOSAL) - 70, True)

    assert money(editor) == (MONEY - storage_fee(PROPOSAL), MONEY + storage_fee(PROPOSAL))
    assert (editor.deal(number), editor.progress(number)) == (None, None)
    assert editor.state.keys(sector_deals_of(PROVIDER)) == []
    check(editor)


class Lives:
    """Deals to which things happen in the order of a test's choice."""

    def __init__(self) -> None:
        self.editor = opened()
        self.now = 500
        self.made = 0

    def enter(self, _deal: int) -> None:
        if escrow_covers(self.editor.state, CLIENT, client_lockup(PROPOSAL)):
            self.made += 1
            start = self.now + 1
            proposal = replace(PROPOSAL, label=str(self.made), start_epoch=start)
            self.editor.enter(replace(proposal, end_epoch=start + MIN_DURATION), allocation=None)

    def activate(self, deal: int) -> None:
        proposal = self.editor.proposal(deal)
        if proposal and self.editor.progress(deal) is None and self.now <= proposal.start_epoch:
            self.editor.activate(deal, provider=PROVIDER, sector=deal, epoch=self.now)

    def settle(self, deal: int) -> None:
        proposal = self.editor.proposal(deal)
        if proposal and self.editor.progress(deal):
            self.editor.settle(deal, proposal, epoch=self.now)

    def end(self, deal: int) -> None:
        sectors_deals_end(self.editor.state, PROVIDER, [deal], epoch=self.now)

    def tick(self, _deal: int) -> None:
        """What the market missed meanwhile."""
        for epoch in self.editor.state.keys(DEAL_EVENTS):
            if epoch <= self.now:
                market_tick(self.editor.state, epoch)


EVENTS = st.tuples(
    st.sampled_from(["enter", "activate", "settle", "end"]), st.integers(0, 5), st.integers(0, 9)
)


@settings(max_examples=80)
@given(st.lists(EVENTS, max_size=40))
def test_no_order_of_events_makes_or_loses_money(events):
    lives = Lives()
    for what, deal, step in events:
        lives.now += step * MIN_DURATION // 12
        lives.tick(deal)
        getattr(lives, what)(deal)
        check(lives.editor)
    burnt = lives.editor.state.get(ACTORS, BURNT).balance
    assert sum(money(lives.editor)) + burnt == 2 * MONEY
    assert lives.editor.state.get(ACTORS, MARKET).balance == sum(money(lives.editor))


def test_the_market_itself_removes_what_was_never_stored():
    editor = opened()
    number = editor.enter(PROPOSAL, allocation=None)
    due = update_epoch(number, START)
    market_tick(editor.state, due - 1)
    assert editor.proposal(number) is not None

    market_tick(editor.state, due)

    assert editor.proposal(number) is None
    assert money(editor) == (MONEY, MONEY - PROPOSAL.provider_collateral)
    assert editor.state.get(ACTORS, BURNT).balance == PROPOSAL.provider_collateral
    assert (editor.state.keys(PENDING_DEALS), editor.state.keys(DEAL_EVENTS)) == ([], [])


@pytest.mark.parametrize("is_settled", [False, True])
def test_the_market_pays_monthly_once_somebody_has_begun_to_ask(is_settled):
    editor = opened()
    number = editor.enter(PROPOSAL, allocation=None)
    editor.activate(number, provider=PROVIDER, sector=5, epoch=START)
    due = update_epoch(number, START)
    if is_settled:
        editor.settle(number, PROPOSAL, epoch=START)

    market_tick(editor.state, due)

    assert editor.state.keys(PENDING_DEALS) == [], "the proposal may be made again"
    assert editor.state.keys(DEAL_EVENTS) == ([due + UPDATE_INTERVAL] if is_settled else [])
    assert money(editor)[1] - MONEY == (7 * (due - START) if is_settled else 0)


def test_a_deal_that_is_over_is_not_slashed_with_its_sector():
    editor = opened()
    number = editor.enter(PROPOSAL, allocation=None)
    editor.activate(number, provider=PROVIDER, sector=5, epoch=START)

    sectors_deals_end(editor.state, PROVIDER, [5], epoch=END)

    assert editor.proposal(number) is not None
    assert editor.settle(number, PROPOSAL, epoch=END) == (storage_fee(PROPOSAL), True)
    assert money(editor)[1] == MONEY + storage_fee(PROPOSAL)
    check(editor)
