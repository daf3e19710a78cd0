"""The market's deals, each from its publication to its end, with the money that it locks.

Source: builtin-actors actors/market/src/state.rs.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from poolsite.devnet.actors.actor_errors import ActorError, not_found
from poolsite.devnet.actors.market.escrow import escrow_lock, escrow_pay, escrow_slash, escrow_unlock
from poolsite.devnet.state.deal_rows import (
    DEAL_EVENTS,
    DEAL_STATES,
    DEALS,
    NEW_MARKET,
    PENDING_DEALS,
    Deal,
    DealEvents,
    DealNumber,
    DealState,
    MarketState,
    SectorDeals,
    sector_deals_of,
)
from poolsite.devnet.state.rows import SYSTEM
from poolsite.filecoin.actors.market import DealProposal
from poolsite.filecoin.codec import from_cbor, to_cbor
from poolsite.filecoin.deals import (
    DEAL_EXPIRED,
    UNDEFINED_EPOCH,
    client_lockup,
    deal_cid,
    payment_due,
    payment_refundable,
    storage_fee,
    update_epoch,
)

if TYPE_CHECKING:
    from poolsite.devnet.state.tables import Draft, State
    from poolsite.filecoin.cids import Cid

DEAL_NOT_ACTIVATED: Final = 33
"""Exit code: the deal is in no sector yet."""


class Market:
    """The market in one state."""

    def __init__(self, state: Draft | State) -> None:
        self.state = state

    @property
    def totals(self) -> MarketState:
        """The actor's own numbers."""
        row: MarketState | None = self.state.get(SYSTEM, "market")
        return row or NEW_MARKET

    def deal(self, number: int) -> Deal | None:
        row: Deal | None = self.state.get(DEALS, number)
        return row

    def proposal(self, number: int) -> DealProposal | None:
        row = self.deal(number)
        return None if row is None else from_cbor(DealProposal, row.proposal)

    def proposal_or_fail(self, number: int) -> DealProposal:
        """Return the proposal of a deal.  Raises ActorError 32 if it is over, 17 if it never was."""
        found = self.proposal(number)
        if found is None:
            if number < self.totals.next_deal:
                raise ActorError(DEAL_EXPIRED, f"deal {number} expired")
            raise not_found(f"no such deal {number}")
        return found

    def progress(self, number: int) -> DealState | None:
        """Return how far a deal is; None if it is in no sector."""
        row: DealState | None = self.state.get(DEAL_STATES, number)
        return row

    def is_pending(self, cid: Cid) -> bool:
        """Return whether a proposal is published and was not looked at yet."""
        return self.state.get(PENDING_DEALS, cid.data) is not None


class MarketEditor(Market):
    """Write access to the market."""

    state: Draft

    def _totals_change(self, *, client: int = 0, provider: int = 0, fee: int = 0, deals: int = 0) -> None:
        totals = self.totals
        new = MarketState(
            next_deal=totals.next_deal + deals,
            client_collateral=totals.client_collateral + client,
            provider_collateral=totals.provider_collateral + provider,
            storage_fee=totals.storage_fee + fee,
        )
        self.state.put(SYSTEM, "market", new)

    def enter(self, proposal: DealProposal, *, allocation: int | None) -> int:
        """Publish a deal and lock what it needs; gives its number."""
        number = self.totals.next_deal
        fee = storage_fee(proposal)
        escrow_lock(self.state, proposal.client.actor_id, client_lockup(proposal))
        escrow_lock(self.state, proposal.provider.actor_id, proposal.provider_collateral)
        self._totals_change(
            client=proposal.client_collateral, provider=proposal.provider_collateral, fee=fee, deals=1
        )
        self.state.put(DEALS, number, Deal(to_cbor(proposal), allocation))
        self.state.put(PENDING_DEALS, deal_cid(proposal).data, DealNumber(number))
        self.schedule(update_epoch(number, proposal.start_epoch), number)
        return number

    def schedule(self, epoch: int, number: int) -> None:
        """Schedule the market's look at a deal in an epoch."""
        row: DealEvents | None = self.state.get(DEAL_EVENTS, epoch)
        self.state.put(DEAL_EVENTS, epoch, DealEvents((*(row.deals if row else ()), number)))

    def activate(self, number: int, *, provider: int, sector: int, epoch: int) -> None:
        """Note that a deal is in a sector."""
        deal = self.deal(number)
        if deal is not None:
            self.state.put(DEALS, number, replace(deal, allocation=None))
        self.state.put(DEAL_STATES, number, DealState(sector, epoch, UNDEFINED_EPOCH))
        table = sector_deals_of(provider)
        row: SectorDeals | None = self.state.get(table, sector)
        self.state.put(table, sector, SectorDeals((*(row.deals if row else ()), number)))

    def pending_drop(self, proposal: DealProposal) -> None:
        """Free a proposal to be published again."""
        self.state.delete(PENDING_DEALS, deal_cid(proposal).data)

    def expire_unused(self, number: int, proposal: DealProposal) -> int:
        """End a deal that was not in a sector in time; gives what its provider loses."""
        self._client_release(proposal, fee=storage_fee(proposal))
        self._provider_slash(proposal)
        self.pending_drop(proposal)
        self.state.delete(DEALS, number)
        return proposal.provider_collateral

    def settle(self, number: int, proposal: DealProposal, *, epoch: int) -> tuple[int, bool]:
        """Pay what a deal has earned up to `epoch`; gives the payment and whether the deal is over."""
        progress = self.progress(number)
        if progress is None:
            return 0, False
        if progress.updated == UNDEFINED_EPOCH:
            self.pending_drop(proposal)
        paid = 0
        if epoch >= proposal.start_epoch:
            paid = self._pay(proposal, progress, until=epoch)
        if epoch >= proposal.end_epoch:
            self._client_release(proposal, fee=0)
            escrow_unlock(self.state, proposal.provider.actor_id, proposal.provider_collateral)
            self._totals_change(provider=-proposal.provider_collateral)
            self._remove(number, proposal, progress)
            return paid, True
        self.state.put(DEAL_STATES, number, replace(progress, updated=epoch))
        return paid, False

    def terminate(self, number: int, proposal: DealProposal, progress: DealState, *, epoch: int) -> int:
        """End a deal with its sector: pay until now, refund the client; gives what the provider loses."""
        if progress.updated == UNDEFINED_EPOCH:
            self.pending_drop(proposal)
        self._pay(proposal, progress, until=epoch)
        self._client_release(proposal, fee=payment_refundable(proposal, ended=epoch))
        self._provider_slash(proposal)
        self._remove(number, proposal, progress)
        return proposal.provider_collateral

    def _pay(self, proposal: DealProposal, progress: DealState, *, until: int) -> int:
        due = payment_due(proposal, paid_until=progress.updated, until=until)
        escrow_pay(self.state, proposal.client.actor_id, proposal.provider.actor_id, due)
        self._totals_change(fee=-due)
        return due

    def _client_release(self, proposal: DealProposal, *, fee: int) -> None:
        escrow_unlock(self.state, proposal.client.actor_id, fee + proposal.client_collateral)
        self._totals_change(client=-proposal.client_collateral, fee=-fee)

    def _provider_slash(self, proposal: DealProposal) -> None:
        escrow_slash(self.state, proposal.provider.actor_id, proposal.provider_collateral)
        self._totals_change(provider=-proposal.provider_collateral)

    def _remove(self, number: int, proposal: DealProposal, progress: DealState) -> None:
        self.state.delete(DEALS, number)
        self.state.delete(DEAL_STATES, number)
        table = sector_deals_of(proposal.provider.actor_id)
        row: SectorDeals | None = self.state.get(table, progress.sector)
        left = tuple(other for other in (row.deals if row else ()) if other != number)
        if left:
            self.state.put(table, progress.sector, SectorDeals(left))
        else:
            self.state.delete(table, progress.sector)
