"""`Gateway.*`: signers and provers listen here, services ask.  The table of methods, and the site's own.

What a socket holds is in `gateway_channels`; wallets, miners and lists of connections have a module each.
Source: filecoin-project/venus venus-shared/api/gateway/v1, v2.
"""

from __future__ import annotations

from typing import Final

from apps.api.rpc.dispatcher import ANY_SCOPE, Call, Service
from apps.api.rpc.services.gateway.channels import response
from apps.api.rpc.services.gateway.connections import (
    list_connected_miners,
    list_market_connections_state,
    list_miner_connection,
    list_wallet_info,
    list_wallet_info_by_wallet,
)
from apps.api.rpc.services.gateway.miners import (
    compute_proof,
    listen_market,
    listen_proof,
)
from apps.api.rpc.services.gateway.unsealing import SECTOR_REF, is_unsealed, sectors_unseal_piece
from apps.api.rpc.services.gateway.wallets import (
    add_new_address,
    has_wallet,
    has_wallet_v1,
    listen_wallet,
    remove_address,
    sign,
    sign_v1,
    support_new_account,
)
from apps.chain.errors import BadNodeAddress
from apps.chain.node.addresses import node_address
from apps.gateway.services.reverse import reverse_set
from poolsite.wire.jsonrpc.messages import Json, RpcError
from poolsite.wire.jsonrpc.parameters import (
    ADDRESS,
    ANY,
    BYTES,
    CID,
    NUMBER,
    OBJECT,
    TEXT,
    UUID,
    RpcMethod,
    list_of,
)

VERSION: Final = {"Version": "1.20.0+poolsite", "APIVersion": 0}


async def version(_call: Call) -> Json:
    """Return what we speak."""
    return VERSION


def register_reverse(call: Call, host_key: str, address: str) -> None:
    """Register where a market is that is reached through us; an empty address removes it."""
    try:
        url = node_address(address).base if address else ""
    except BadNodeAddress as error:
        raise RpcError(error.reason) from None
    reverse_set(host_key=host_key, url=url, principal=call.principal)


ADDRESSES: Final = list_of(ADDRESS)
NAMES: Final = list_of(TEXT)

METHODS: Final[dict[str, RpcMethod]] = {
    "Gateway.Version": RpcMethod("read", version, scope=ANY_SCOPE),
    "Gateway.ListenWalletEvent": RpcMethod("read", listen_wallet, (OBJECT,), scope="signer", channel=True),
    "Gateway.ResponseWalletEvent": RpcMethod(
        "read", response, (OBJECT,), scope="signer", void=True, is_response=True
    ),
    "Gateway.AddNewAddress": RpcMethod("read", add_new_address, (UUID, ADDRESSES), scope="signer", void=True),
    "Gateway.RemoveAddress": RpcMethod("read", remove_address, (UUID, ADDRESSES), scope="signer", void=True),
    "Gateway.SupportNewAccount": RpcMethod(
        "read", support_new_account, (UUID, TEXT), scope="signer", void=True
    ),
    "Gateway.WalletHas": RpcMethod("admin", has_wallet, (ADDRESS, NAMES)),
    "Gateway.WalletSign": RpcMethod("admin", sign, (ADDRESS, NAMES, BYTES, OBJECT)),
    "Gateway.ListWalletInfo": RpcMethod("admin", list_wallet_info),
    "Gateway.ListWalletInfoByWallet": RpcMethod("admin", list_wallet_info_by_wallet, (TEXT,)),
    "Gateway.ListenProofEvent": RpcMethod("read", listen_proof, (OBJECT,), scope="prover", channel=True),
    "Gateway.ResponseProofEvent": RpcMethod(
        "read", response, (OBJECT,), scope="prover", void=True, is_response=True
    ),
    "Gateway.ComputeProof": RpcMethod("admin", compute_proof, (ADDRESS, ANY, BYTES, NUMBER, NUMBER)),
    "Gateway.ListConnectedMiners": RpcMethod("admin", list_connected_miners),
    "Gateway.ListMinerConnection": RpcMethod("admin", list_miner_connection, (ADDRESS,)),
    "Gateway.ListenMarketEvent": RpcMethod("read", listen_market, (OBJECT,), scope="prover", channel=True),
    "Gateway.ResponseMarketEvent": RpcMethod(
        "read", response, (OBJECT,), scope="prover", void=True, is_response=True
    ),
    "Gateway.SectorsUnsealPiece": RpcMethod(
        "admin", sectors_unseal_piece, (ADDRESS, CID, SECTOR_REF, NUMBER, NUMBER, TEXT)
    ),
    "Gateway.IsUnsealed": RpcMethod("admin", is_unsealed, (ADDRESS, CID, SECTOR_REF, NUMBER, NUMBER)),
    "Gateway.ListMarketConnectionsState": RpcMethod("admin", list_market_connections_state),
    "Gateway.RegisterReverse": RpcMethod(
        "admin", register_reverse, (TEXT, TEXT), operator_only=True, void=True
    ),
}
"""The current API (v2)."""

METHODS_V1: Final[dict[str, RpcMethod]] = {
    "Gateway.WalletHas": RpcMethod("admin", has_wallet_v1, (TEXT, ADDRESS)),
    "Gateway.WalletSign": RpcMethod("admin", sign_v1, (TEXT, ADDRESS, BYTES, OBJECT)),
}
"""Calls whose old form has one account before the address."""

GATEWAY: Final = Service(METHODS, {"v1": METHODS_V1})
