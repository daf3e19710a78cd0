"""The storage market over RPC: balances, deals, bounds of collateral.

Source: lotus node/impl/full/state.go, chain/stmgr/actors.go GetStorageDeal.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from poolsite.devnet.actors.economy import economy_of
from poolsite.devnet.actors.ledger import resolve
from poolsite.devnet.actors.market.deals import Market
from poolsite.devnet.actors.market.escrow import escrow_of
from poolsite.devnet.consensus import power_total
from poolsite.devnet.rpc import params as p
from poolsite.devnet.rpc.dispatch import Method
from poolsite.devnet.rpc.forms import state_get
from poolsite.devnet.state.deal_rows import DEALS
from poolsite.devnet.state.rows import ESCROWS
from poolsite.filecoin.address import id_address
from poolsite.filecoin.amounts import TOTAL_FILECOIN
from poolsite.filecoin.codec import to_json
from poolsite.filecoin.deals import UNDEFINED_EPOCH, collateral_least
from poolsite.wire.jsonrpc.messages import RpcError

if TYPE_CHECKING:
    from poolsite.devnet.node import Devnet
    from poolsite.devnet.state.rows import Escrow
    from poolsite.filecoin.actors.market import DealProposal
    from poolsite.filecoin.address import Address
    from poolsite.filecoin.cids import Cid

Key = tuple["Cid", ...]
MARGIN: Final = (110, 100)
"""How much more than the least collateral nodes advise.  Source: lotus dealProviderCollateralNum, ...Den."""


def _balance(escrow: Escrow) -> dict[str, str]:
    return {"Escrow": str(escrow.amount), "Locked": str(escrow.locked)}


def market_balance(node: Devnet, address: Address, key: Key) -> Any:
    state = state_get(node, key)
    actor_id = resolve(state, address)
    return _balance(escrow_of(state, -1 if actor_id is None else actor_id))


def market_participants(node: Devnet, key: Key) -> Any:
    state = state_get(node, key)
    return {str(id_address(party)): _balance(escrow_of(state, party)) for party in state.keys(ESCROWS)}


def _deal_json(market: Market, number: int, proposal: DealProposal) -> dict[str, Any]:
    """MarketDeal."""
    progress = market.progress(number)
    return {
        "Proposal": to_json(proposal),
        "State": {
            "SectorNumber": 0 if progress is None else progress.sector,
            "SectorStartEpoch": UNDEFINED_EPOCH if progress is None else progress.start,
            "LastUpdatedEpoch": UNDEFINED_EPOCH if progress is None else progress.updated,
            "SlashEpoch": UNDEFINED_EPOCH,
        },
    }


def market_deal(node: Devnet, deal: int, key: Key) -> Any:
    market = Market(state_get(node, key))
    proposal = market.proposal(deal)
    if proposal is None:
        raise RpcError(
            f"deal {deal} not found - deal may not have completed sealing before deal proposal start epoch, "
            "or deal may have been slashed"
        )
    return _deal_json(market, deal, proposal)


def market_deals(node: Devnet, key: Key) -> Any:
    state = state_get(node, key)
    market = Market(state)
    found = {number: market.proposal(number) for number in state.keys(DEALS)}
    return {
        str(number): _deal_json(market, number, proposal)
        for number, proposal in found.items()
        if proposal is not None
    }


def market_pending(node: Devnet, proposal: Cid, key: Key) -> Any:
    """Return whether a proposal, its parties by actor number, is published and was not looked at yet."""
    return Market(state_get(node, key)).is_pending(proposal)


def collateral_bounds(node: Devnet, size: int, _verified: bool, key: Key) -> Any:
    """Return the bounds of a provider's collateral; the lower one with a margin."""
    state = state_get(node, key)
    money, power = economy_of(state), power_total(state, node.rules)
    least = collateral_least(
        size, raw_power=power.raw, baseline=money.baseline, circulating=money.circulating
    )
    numerator, denominator = MARGIN
    return {"Min": str(least * numerator // denominator), "Max": str(TOTAL_FILECOIN)}


METHODS: Final = (
    Method("StateMarketBalance", "read", (p.ADDRESS, p.TIPSET_KEY), market_balance),
    Method("StateMarketParticipants", "read", (p.TIPSET_KEY,), market_participants),
    Method("StateMarketStorageDeal", "read", (p.UINT, p.TIPSET_KEY), market_deal),
    Method("StateMarketDeals", "read", (p.TIPSET_KEY,), market_deals),
    Method("StateDealProviderCollateralBounds", "read", (p.UINT, p.BOOL, p.TIPSET_KEY), collateral_bounds),
)
METHODS_V1: Final = (Method("StateMarketProposalPending", "read", (p.CID, p.TIPSET_KEY), market_pending),)
