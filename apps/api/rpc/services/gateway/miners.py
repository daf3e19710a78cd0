"""`Gateway.*` of miners: provers and storages listen, services have them prove.

Source: filecoin-project/venus venus-shared/api/gateway/v2; sophon-gateway proofevent/, marketevent/.
"""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Collection
from typing import Final

import structlog

from apps.api.rpc.dispatcher import Call
from apps.api.rpc.services.gateway.channels import PROVIDERS, listen, providers_of, quota_check, require
from apps.api.rpc.transport.socket_state import SocketState
from apps.core import clock
from apps.core.database_threads import in_steady
from apps.core.errors import NotAllowed
from apps.gateway.errors import NoAnswer, NoProvider
from apps.gateway.hub.client import hub_database
from apps.gateway.hub.hedging import is_repeatable
from apps.gateway.hub.requests import Deadline, HubRequest
from apps.gateway.hub.routes import proof_route
from apps.gateway.providers.hub_node import hub_node
from apps.gateway.providers.miner import MinerProvider
from apps.gateway.states import Purpose
from apps.miners.selectors.winning_hosts import winning_account
from apps.sectors.selectors.sectors import sector_is_unknown
from apps.users.selectors.grants import miner_granted, miner_owner, miners_owners
from poolsite.filecoin.address import ID, Address
from poolsite.filecoin.cids import BadCid, cid_to_commr
from poolsite.filecoin.porep.parameters import UnknownSealProof, seal_parameters
from poolsite.wire.jsonrpc.messages import Json, RpcError
from poolsite.wire.jsonrpc.parameters import BadParam, address, cid, fields, number

RANDOMNESS_BYTES: Final = 32
SECTORS: Final = 1
"""Sectors in one WinningPoSt.  Source: lotus chain/actors/policy WinningPoStSectorCount."""


def winning_sector_read(sectors: Json, randomness: bytes) -> int:
    """Return the number of the sector that the winning proof is to be of.  Raises RpcError."""
    if not isinstance(sectors, list) or len(sectors) != SECTORS:
        raise RpcError(f"sectorInfos: a winning proof is of {SECTORS} sector")
    if len(randomness) != RANDOMNESS_BYTES:
        raise RpcError(f"rand: {len(randomness)} bytes instead of {RANDOMNESS_BYTES}")
    try:
        values = fields(sectors[0])
        seal_parameters(number(values.get("sealproof")))
        cid_to_commr(cid(values.get("sealedcid")))
        return number(values.get("sectornumber"))
    except (BadParam, BadCid, UnknownSealProof) as error:
        raise RpcError(f"sectorInfos: {error}") from None


log = structlog.get_logger(__name__)

PROOF_S: Final = 300.0
"""sophon-gateway's RequestTimeout."""
HOST_MAX: Final = 100


class NoConnection(NoAnswer):
    """Nobody listens for the miner."""


async def listen_proof(call: Call, policy: dict[str, Json]) -> AsyncIterator[Json]:
    """Open a prover's channel for a miner of its tenant; our own provers name the host that they run on."""
    host = str(policy.get("host") or "")[:HOST_MAX]
    return await listen_miner(call, require(policy, "MinerAddress", address), Purpose.PROOF, host=host)


async def listen_market(call: Call, policy: dict[str, Json]) -> AsyncIterator[Json]:
    """Open the channel of a storage that unseals pieces for a miner of its tenant."""
    return await listen_miner(call, require(policy, "Miner", address), Purpose.MARKET)


async def listen_miner(call: Call, miner: Address, purpose: str, *, host: str = "") -> AsyncIterator[Json]:
    """Open a miner's channel, if the miner is the caller's."""
    providers_of(call)
    quota_check(call)
    if miner.protocol != ID:
        raise RpcError("the miner must be an ID address")
    name = call.principal.tenant_name
    if not call.principal.may_mine(miner.actor_id):
        raise RpcError(f"the token may not use the miner {miner}")
    if not await hub_database(miner_granted, tenant_id=call.principal.own_id, actor_id=miner.actor_id):
        fault = f"verify miner:{miner} failed:miner:{miner} not exist in user:{name}"
        raise RpcError(f"{fault}, please bind it on 'sophon-auth'")
    provider = MinerProvider(hub_node(), call.principal, actor_id=miner.actor_id, purpose=purpose, host=host)
    return listen(call, provider)


async def channels_end(sockets: Collection[SocketState]) -> None:
    """End the channels of miners that went to another tenant; who listens again is refused."""
    held = [
        provider
        for socket in sockets
        for provider in tuple(socket.attachments.get(PROVIDERS, {}).values())
        if isinstance(provider, MinerProvider) and provider.is_open
    ]
    if not held:
        return
    owners = await in_steady(miners_owners, {provider.actor_id for provider in held})
    for provider in held:
        if owners.get(provider.actor_id) != provider.principal.own_id:
            log.info("miner_channel_ended", miner=provider.actor_id, account=provider.principal.tenant_name)
            # In a task: a provider that reads slowly must not delay the others.
            provider.hub.spawn(provider.end())


async def compute_proof(
    call: Call, miner: Address, sectors: Json, randomness: bytes, height: int, network_version: int
) -> Json:
    """Compute a WinningPoSt by a miner's prover; the answer is its own JSON."""
    await miner_check(call, miner)
    sector = winning_sector_read(sectors, randomness)
    if await hub_database(sector_is_unknown, actor_id=miner.actor_id, number=sector):
        raise RpcError(f"sectorInfos: {miner} has no sector {sector}")
    payload = {
        "SectorInfos": sectors,
        "Rand": base64.b64encode(randomness).decode(),
        "Height": height,
        "NWVersion": network_version,
    }
    owner = await hub_database(miner_owner, actor_id=miner.actor_id)
    account = await hub_database(winning_account, owner, miner.actor_id, now=clock.now())
    return await provider_request(
        account, proof_route(miner.actor_id), miner, "ComputeProof", payload, seconds=PROOF_S
    )


async def miner_check(call: Call, miner: Address) -> None:
    """Refuse another tenant's miner, and one that the token is not for."""
    if not call.principal.may_mine(miner.actor_id):
        raise NotAllowed(f"the token may not use the miner {miner}")
    if call.principal.is_operator:
        return
    if not await hub_database(miner_granted, tenant_id=call.principal.own_id, actor_id=miner.actor_id):
        raise NotAllowed(f"miner {miner} not exist in user {call.principal.tenant_name}: permission deny")


async def provider_request(
    account: str, route: str, miner: Address, method: str, payload: Json, *, seconds: float
) -> Json:
    """Query a provider of the miner's tenant: it may have been another tenant's before.

    Raises NoConnection, NoAnswer, ProviderRefused.
    """
    try:
        request = HubRequest(route, [account], method, payload, is_repeatable=is_repeatable(method))
        return await hub_node().request(request, deadline=Deadline(seconds))
    except NoProvider:
        raise NoConnection(f"no connections for this miner {miner}") from None
