"""The channels of a socket: events go down one of them, answers come back by calls of the same socket.

Source: ipfs-force-community/sophon-gateway types/base_event.go; filecoin-project/venus
venus-shared/types/gateway/common.go RequestEvent, ResponseEvent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from apps.gateway.providers.hub_node import hub_node
from poolsite.wire.jsonrpc.messages import Json, RpcError
from poolsite.wire.jsonrpc.parameters import BadParam

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from apps.api.rpc.dispatcher import Call
    from apps.gateway.providers.provider import Provider

    Providers = dict[str, Provider]

PROVIDERS: Final = "providers"
"""Under this name a socket keeps its channels."""
CHANNELS_MAX: Final = 4_000
"""Channels that one tenant may hold open in one web process: a signer with a leak takes no other's place."""


def providers_of(call: Call) -> Providers:
    """Return the channels of this socket.  Raises RpcError over POST."""
    if call.connection is None:
        raise RpcError("this method requires a websocket")
    providers: Providers = call.connection.attachments.setdefault(PROVIDERS, {})
    return providers


def require(policy: dict[str, Json], key: str, decode: Any) -> Any:
    """Read one field of a struct parameter.  Raises RpcError."""
    try:
        return decode(policy.get(key.lower()))
    except BadParam as error:
        raise RpcError(f"{key}: {error}") from None


def quota_check(call: Call) -> None:
    """Refuse one channel too many.  Raises RpcError."""
    name = call.principal.tenant_name
    if hub_node().channels[name] >= CHANNELS_MAX:
        raise RpcError(f"user {name} already has {CHANNELS_MAX} channels, the maximum")


async def listen(call: Call, provider: Provider) -> AsyncIterator[Json]:
    """Yield a provider's events to its channel; it belongs to this socket alone."""
    providers, channels = providers_of(call), provider.hub.channels
    name = call.principal.tenant_name
    if channels[name] >= CHANNELS_MAX:  # the check at registration was passed by many calls at once
        return
    channels[name] += 1
    providers[provider.id] = provider
    provider.hub.start()
    try:
        async for event in provider.events():
            yield event
    finally:
        providers.pop(provider.id, None)
        channels[name] -= 1


async def response(call: Call, event: dict[str, Json]) -> None:
    """Deliver the answer to a request that went down one of this socket's own channels."""
    if not any(provider.respond(event) for provider in providers_of(call).values()):
        raise RpcError(f"request id {event.get('id')} not exit")
