"""`Gateway.*` of connections: who is connected, for which tenant and miner.

Source: filecoin-project/venus venus-shared/types/gateway.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from apps.api.rpc.dispatcher import Call
from apps.core.errors import NotFound
from apps.gateway.selectors.connections import provers_connected, signers_connected
from apps.gateway.states import Purpose
from poolsite.filecoin.address import Address, id_address
from poolsite.wire.jsonrpc.messages import Json

if TYPE_CHECKING:
    from apps.gateway.models import ProviderConnection, SignerConnection


def connect_state(row: ProviderConnection, addresses: list[str] | None) -> Json:
    """Return one connection as JSON."""
    return {
        "Addrs": addresses,
        "ChannelId": str(row.uuid),
        "Ip": row.source,
        "RequestCount": row.requests,
        "CreateTime": row.created_at.isoformat().replace("+00:00", "Z"),
    }


def wallet_details(rows: Iterable[SignerConnection]) -> list[Json]:
    """Return wallets by account as JSON."""
    details: dict[str, dict[str, Any]] = {}
    for row in rows:
        detail = details.setdefault(
            row.tenant.name, {"Account": row.tenant.name, "SupportAccounts": [], "ConnectStates": []}
        )
        detail["SupportAccounts"] = sorted({*detail["SupportAccounts"], *row.accounts})
        addresses = [key.address for key in row.signer_keys.all()]
        detail["ConnectStates"].append(connect_state(row, addresses))
    return list(details.values())


def list_wallet_info(call: Call) -> Json:
    """List the connected wallets."""
    return wallet_details(signers_connected(call.principal)) or None


def list_wallet_info_by_wallet(call: Call, account: str) -> Json:
    """Show one account's connected wallets."""
    details = wallet_details(signers_connected(call.principal).filter(tenant__name=account))
    if not details:
        raise NotFound(f"wallet {account} not exit")
    return details[0]


def list_connected_miners(call: Call) -> Json:
    """List the miners whose provers are connected."""
    ids = sorted({row.actor_id for row in provers_connected(call.principal)})
    return [str(id_address(one)) for one in ids] or None


def list_miner_connection(call: Call, miner: Address) -> Json:
    """Show one miner's connected provers."""
    rows = list(provers_connected(call.principal).filter(actor_id=miner.actor_id))
    if not rows:
        raise NotFound(f"miner {miner} not exit")
    return {"Connections": [connect_state(row, None) for row in rows], "ConnectionCount": len(rows)}


def list_market_connections_state(call: Call) -> Json:
    """List the miners whose storages are connected."""
    rows: dict[int, list[Json]] = {}
    for row in provers_connected(call.principal, Purpose.MARKET):
        rows.setdefault(row.actor_id, []).append(connect_state(row, None))
    return [
        {"Addr": str(id_address(one)), "Conn": {"Connections": states, "ConnectionCount": len(states)}}
        for one, states in sorted(rows.items())
    ]
