"""The market actor's methods.  Source: builtin-actors actors/market/src/lib.rs actor_dispatch."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from poolsite.devnet.actors.market import (
    activation,
    escrow,
    inquiries,
    publish,
    settlement,
    verification,
)
from poolsite.filecoin.actors.market import Method

if TYPE_CHECKING:
    from poolsite.devnet.actors.call import Call

METHODS: Final[dict[int, Callable[[Call], bytes]]] = {
    Method.ADD_BALANCE: escrow.add_balance,
    Method.ADD_BALANCE_EXPORTED: escrow.add_balance,
    Method.WITHDRAW_BALANCE: escrow.withdraw_balance,
    Method.WITHDRAW_BALANCE_EXPORTED: escrow.withdraw_balance,
    Method.GET_BALANCE_EXPORTED: escrow.get_balance,
    Method.PUBLISH_STORAGE_DEALS: publish.publish_storage_deals,
    Method.PUBLISH_STORAGE_DEALS_EXPORTED: publish.publish_storage_deals,
    Method.VERIFY_DEALS_FOR_ACTIVATION: verification.verify_deals,
    Method.ACTIVATE_DEALS: activation.batch_activate_deals,
    Method.ON_MINER_SECTORS_TERMINATE: activation.on_miner_sectors_terminate,
    Method.SECTOR_CONTENT_CHANGED_EXPORTED: activation.sector_content_changed,
    Method.SETTLE_DEAL_PAYMENTS_EXPORTED: settlement.settle_deal_payments,
    Method.GET_DEAL_DATA_COMMITMENT_EXPORTED: inquiries.deal_data,
    Method.GET_DEAL_CLIENT_EXPORTED: inquiries.deal_client,
    Method.GET_DEAL_PROVIDER_EXPORTED: inquiries.deal_provider,
    Method.GET_DEAL_LABEL_EXPORTED: inquiries.deal_label,
    Method.GET_DEAL_TERM_EXPORTED: inquiries.deal_term,
    Method.GET_DEAL_TOTAL_PRICE_EXPORTED: inquiries.deal_price,
    Method.GET_DEAL_CLIENT_COLLATERAL_EXPORTED: inquiries.deal_client_collateral,
    Method.GET_DEAL_PROVIDER_COLLATERAL_EXPORTED: inquiries.deal_provider_collateral,
    Method.GET_DEAL_VERIFIED_EXPORTED: inquiries.deal_verified,
    Method.GET_DEAL_ACTIVATION_EXPORTED: inquiries.deal_activation,
    Method.GET_DEAL_SECTOR_EXPORTED: inquiries.deal_sector,
}
"""Handlers by method number."""
