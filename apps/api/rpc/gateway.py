"""`Gateway.*`: signers and provers listen here, services ask.

Source: filecoin-project/venus venus-shared/api/gateway/v1, v2; sophon-gateway walletevent/, proofevent/.
"""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Iterable
from typing import Any, Final

from apps.api.rpc.dispatch import ANY_PART, Call
from apps.chain.addresses import BadNodeAddress, node_address
from apps.core.errors import NotAllowed, NotFound
from apps.gateway.errors import NoAnswer, NoProvider
from apps.gateway.hedging import is_repeatable
from apps.gateway.models import ProviderConnection, Purpose, SignerConnection
from apps.gateway.providers import MinerProvider, Provider, WalletProvider, in_database
from apps.gateway.reverse import reverse_set
from apps.gateway.routes import market_route, proof_route, wallet_route
from apps.gateway.selectors import provers_connected, signers_connected
from apps.gateway.services import wallet_has
from apps.gateway.switch import switch_here
from apps.users.selectors import accounts_missing, miner_granted, miner_owner
from apps.users.services import audit_record
from apps.wallets.limits import bytes_check
from poolsite.filecoin.address import ID, Address, id_address
from poolsite.filecoin.cids import Cid, cid_to_json
from poolsite.wire.gorpc import (
    ADDRESS,
    ANY,
    BYTES,
    CID,
    NUMBER,
    OBJECT,
    TEXT,
    UUID,
    BadParam,
    Json,
    RpcError,
    RpcMethod,
    address,
    blob,
    list_of,
    text,
)

SIGN_S: Final = 30.0
"""Time for a signature."""
PROOF_S: Final = 300.0
"""sophon-gateway's RequestTimeout."""
UNSEAL_S: Final = 7 * 3600.0
"""Its timeout for pieces that must be unsealed first."""
SIGN_BYTES_LEN: Final = 32
"""Bytes of a wallet's half of the challenge."""
ACCOUNTS_MAX: Final = 200
"""Accounts that one wallet may ask to serve."""
CHANNELS_MAX: Final = 4_000
"""Channels that one tenant may hold open in one web process: a signer with a leak takes no other's place."""
VERSION: Final = {"Version": "1.20.0+poolsite", "APIVersion": 0}

Providers = dict[str, Provider]


def providers_of(call: Call) -> Providers:
    """Give the channels of this socket.  Raises RpcError over POST."""
    if call.connection is None:
        raise RpcError("this method needs a websocket")
    providers: Providers = call.connection.attachments.setdefault("providers", {})
    return providers


def require(policy: dict[str, Json], key: str, decode: Any) -> Any:
    """Read one field of a struct parameter.  Raises RpcError."""
    try:
        return decode(policy.get(key.lower()))
    except BadParam as error:
        raise RpcError(f"{key}: {error}") from None


async def version(_call: Call) -> Json:
    """Say what we speak."""
    return VERSION


def quota_check(call: Call) -> None:
    """Refuse one channel too many.  Raises RpcError."""
    name = call.principal.tenant_name
    if switch_here().channels[name] >= CHANNELS_MAX:
        raise RpcError(f"user {name} holds {CHANNELS_MAX} channels here: no more")


async def listen(call: Call, provider: Provider) -> AsyncIterator[Json]:
    """Feed a provider's events to its channel; it belongs to this socket alone."""
    providers, channels = providers_of(call), provider.switch.channels
    name = call.principal.tenant_name
    if channels[name] >= CHANNELS_MAX:  # many asked at once
        return
    channels[name] += 1
    providers[provider.id] = provider
    provider.switch.start()
    try:
        async for event in provider.events():
            yield event
    finally:
        providers.pop(provider.id, None)
        channels[name] -= 1


async def listen_wallet(call: Call, policy: dict[str, Json]) -> AsyncIterator[Json]:
    """Open a wallet's channel; every account that it names must exist and be enabled."""
    providers_of(call)
    quota_check(call)
    supported = require(policy, "SupportAccounts", list_of(TEXT).decode)
    if len(supported) > ACCOUNTS_MAX:
        raise RpcError(f"SupportAccounts: at most {ACCOUNTS_MAX}")
    sign_bytes = require(policy, "SignBytes", blob)
    if len(sign_bytes) != SIGN_BYTES_LEN:
        raise RpcError(f"SignBytes: must have {SIGN_BYTES_LEN} bytes")
    names = list(dict.fromkeys([*supported, call.principal.tenant_name]))
    missing = await in_database(accounts_missing)(names)
    if missing:
        raise RpcError(f"verify user [{' '.join(names)}] failed: verify {missing[0]}: Key not found")
    provider = WalletProvider(switch_here(), call.principal, supported=supported, sign_bytes=sign_bytes)
    return listen(call, provider)


async def listen_proof(call: Call, policy: dict[str, Json]) -> AsyncIterator[Json]:
    """Open a prover's channel for a miner of its tenant."""
    return await listen_miner(call, require(policy, "MinerAddress", address), Purpose.PROOF)


async def listen_market(call: Call, policy: dict[str, Json]) -> AsyncIterator[Json]:
    """Open the channel of a storage that unseals pieces for a miner of its tenant."""
    return await listen_miner(call, require(policy, "Miner", address), Purpose.MARKET)


async def listen_miner(call: Call, miner: Address, purpose: str) -> AsyncIterator[Json]:
    """Open a miner's channel, if the miner is the caller's."""
    providers_of(call)
    quota_check(call)
    if miner.protocol != ID:
        raise RpcError("the miner must be an ID address")
    name = call.principal.tenant_name
    if not call.principal.may_mine(miner.actor_id):
        raise RpcError(f"the token is not for the miner {miner}")
    if not await in_database(miner_granted)(tenant_id=call.principal.own_id, actor_id=miner.actor_id):
        fault = f"verify miner:{miner} failed:miner:{miner} not exist in user:{name}"
        raise RpcError(f"{fault}, please bind it on 'sophon-auth'")
    provider = MinerProvider(switch_here(), call.principal, actor_id=miner.actor_id, purpose=purpose)
    return listen(call, provider)


async def response(call: Call, event: dict[str, Json]) -> None:
    """Take the answer to a request that went down one of this socket's own channels."""
    if not any(provider.respond(event) for provider in providers_of(call).values()):
        raise RpcError(f"request id {event.get('id')} not exit")


def wallet_of(call: Call, channel: str) -> WalletProvider | None:
    """Find a wallet's channel of this socket."""
    provider = providers_of(call).get(channel)
    return provider if isinstance(provider, WalletProvider) else None


def wallet_required(call: Call, channel: str) -> WalletProvider:
    """Find it.  Raises RpcError."""
    wallet = wallet_of(call, channel)
    if wallet is None:
        name = call.principal.tenant_name
        raise RpcError(f"no connect found for wallet {name} and channelID {channel}")
    return wallet


async def add_new_address(call: Call, channel: str, addresses: list[Address]) -> None:
    """Have new keys proved, within the call: the wallet answers on the same socket meanwhile."""
    await wallet_required(call, channel).addresses_add([str(one) for one in addresses])


async def remove_address(call: Call, channel: str, addresses: list[Address]) -> None:
    """Forget keys that the wallet gave up."""
    wallet = wallet_of(call, channel)
    if wallet is None:
        raise RpcError(f"channel {channel} not found ")
    await wallet.addresses_remove([str(one) for one in addresses])


async def support_new_account(call: Call, channel: str, account: str) -> None:
    """Let the wallet serve one more account, if that agreed."""
    missing = await in_database(accounts_missing)([account])
    if missing:
        raise RpcError(f"verify user [{account}] failed: verify {account}: Key not found")
    await wallet_required(call, channel).account_support(account)


def accounts_allowed(call: Call, accounts: Iterable[str]) -> list[str]:
    """Check that a caller asks only for accounts of its own; the operator's programs may for all."""
    names = list(accounts)
    foreign = [name for name in names if name != call.principal.tenant_name]
    if foreign and not call.principal.is_operator:
        raise NotAllowed(
            f"user {foreign[0]} in the request doesn't match {call.principal.tenant_name} in the system: "
            "permission deny"
        )
    return names


async def has_wallet(call: Call, signer: Address, accounts: list[str]) -> bool:
    """Tell whether somebody can sign with this key for one of the accounts."""
    names = accounts_allowed(call, accounts)
    if not call.principal.may_sign_with(str(signer)):
        return False
    return bool(await in_database(wallet_has)(str(signer), names))


async def has_wallet_v1(call: Call, account: str, signer: Address) -> bool:
    """The same in its old form."""
    return await has_wallet(call, signer, [account])


async def sign(
    call: Call, signer: Address, accounts: list[str], to_sign: bytes, meta: dict[str, Json]
) -> Json:
    """Have a connected wallet sign; the answer is its own JSON."""
    names = accounts_allowed(call, accounts)
    extra, meta_type = require(meta, "Extra", blob), require(meta, "Type", text)
    bytes_check(call.principal, address=str(signer), to_sign=to_sign, meta_type=meta_type, extra=extra)
    payload = {
        "Signer": str(signer),
        "ToSign": base64.b64encode(to_sign).decode(),
        "Meta": {
            "Type": meta_type,
            "Extra": base64.b64encode(extra).decode() if extra else None,
        },
    }
    return await switch_here().request(
        route=wallet_route(str(signer)),
        accounts=names,
        method="WalletSign",
        payload=payload,
        seconds=SIGN_S,
        is_repeatable=is_repeatable("WalletSign", str(signer)),
    )


async def sign_v1(call: Call, account: str, signer: Address, to_sign: bytes, meta: dict[str, Json]) -> Json:
    """The same in its old form."""
    return await sign(call, signer, [account], to_sign, meta)


async def compute_proof(
    call: Call, miner: Address, sectors: Json, randomness: bytes, height: int, network_version: int
) -> Json:
    """Have a miner's prover compute a WinningPoSt; the answer is its own JSON."""
    await miner_check(call, miner)
    payload = {
        "SectorInfos": sectors,
        "Rand": base64.b64encode(randomness).decode(),
        "Height": height,
        "NWVersion": network_version,
    }
    return await ask_miner(proof_route(miner.actor_id), miner, "ComputeProof", payload, seconds=PROOF_S)


async def sectors_unseal_piece(
    call: Call, miner: Address, piece: Cid, sector: int, offset: int, size: int, dest: str
) -> Json:
    """Have a miner's storage unseal a piece; the answer is the state it is in."""
    await miner_check(call, miner)
    payload = {
        "PieceCid": cid_to_json(piece),
        "Miner": str(miner),
        "Sid": sector,
        "Offset": offset,
        "Size": size,
        "Dest": dest,
    }
    return await ask_miner(
        market_route(miner.actor_id), miner, "SectorsUnsealPiece", payload, seconds=UNSEAL_S
    )


async def miner_check(call: Call, miner: Address) -> None:
    """Refuse another tenant's miner, and one that the token is not for."""
    if not call.principal.may_mine(miner.actor_id):
        raise NotAllowed(f"the token is not for the miner {miner}")
    if call.principal.is_operator:
        return
    if not await in_database(miner_granted)(tenant_id=call.principal.own_id, actor_id=miner.actor_id):
        raise NotAllowed(f"miner {miner} not exist in user {call.principal.tenant_name}: permission deny")


async def ask_miner(route: str, miner: Address, method: str, payload: Json, *, seconds: float) -> Json:
    """Ask one of a miner's providers: of its tenant's, since the miner may have been another's before."""
    owner = await in_database(miner_owner)(actor_id=miner.actor_id)
    try:
        return await switch_here().request(
            route=route,
            accounts=[owner],
            method=method,
            payload=payload,
            seconds=seconds,
            is_repeatable=is_repeatable(method),
        )
    except NoProvider:
        raise NoAnswer(f"no connections for this miner {miner}") from None


def connect_state(row: ProviderConnection, addresses: list[str] | None) -> Json:
    """Write one connection."""
    return {
        "Addrs": addresses,
        "ChannelId": str(row.uuid),
        "Ip": row.source,
        "RequestCount": row.requests,
        "CreateTime": row.created_at.isoformat().replace("+00:00", "Z"),
    }


def wallet_details(rows: Iterable[SignerConnection]) -> list[Json]:
    """Write wallets by account."""
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


def register_reverse(call: Call, host_key: str, place: str) -> None:
    """Say where a market is that is reached through us; an empty place takes it back."""
    try:
        url = node_address(place).base if place else ""
    except BadNodeAddress as error:
        raise RpcError(error.reason) from None
    reverse_set(host_key, url)
    audit_record(principal=call.principal, action="gateway.reverse", target=host_key, after={"url": url})


ADDRESSES: Final = list_of(ADDRESS)
NAMES: Final = list_of(TEXT)

METHODS: Final[dict[str, RpcMethod]] = {
    "Gateway.Version": RpcMethod("read", version, scope=ANY_PART),
    "Gateway.ListenWalletEvent": RpcMethod("read", listen_wallet, (OBJECT,), scope="signer", channel=True),
    "Gateway.ResponseWalletEvent": RpcMethod(
        "read", response, (OBJECT,), scope="signer", void=True, is_answer=True
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
        "read", response, (OBJECT,), scope="prover", void=True, is_answer=True
    ),
    "Gateway.ComputeProof": RpcMethod("admin", compute_proof, (ADDRESS, ANY, BYTES, NUMBER, NUMBER)),
    "Gateway.ListConnectedMiners": RpcMethod("admin", list_connected_miners),
    "Gateway.ListMinerConnection": RpcMethod("admin", list_miner_connection, (ADDRESS,)),
    "Gateway.ListenMarketEvent": RpcMethod("read", listen_market, (OBJECT,), scope="prover", channel=True),
    "Gateway.ResponseMarketEvent": RpcMethod(
        "read", response, (OBJECT,), scope="prover", void=True, is_answer=True
    ),
    "Gateway.SectorsUnsealPiece": RpcMethod(
        "admin", sectors_unseal_piece, (ADDRESS, CID, NUMBER, NUMBER, NUMBER, TEXT)
    ),
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
