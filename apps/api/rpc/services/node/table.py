"""The rows of `Filecoin.*`: a tenant reads, pushes what is signed, and has its own signers sign.

What changes a node that tenants share, or signs with its wallet, is the operator's.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any, Final

from apps.api.rpc.dispatcher import Call, Service
from apps.api.rpc.services.node import ethereum, message_waits, own_answers, own_messages, pushes, wallet
from apps.api.rpc.services.node.methods import (
    CHANNELS,
    COSTLY,
    INSTEAD,
    LEVELS,
    OPERATOR_READS,
    TENANT_CALLS,
)
from apps.api.rpc.services.node.node_time import costly_method
from apps.api.rpc.services.node.proxy import PREFIX, ProxyMethod, channel_open
from apps.chain.node.call_timeouts import LONG_METHODS
from poolsite.wire.jsonrpc.messages import Json
from poolsite.wire.jsonrpc.parameters import RpcMethod

VERSIONS: Final = ("v0", "v1")
HANDLERS: Final = {
    **{name: costly_method(name) for name in COSTLY},
    **wallet.HANDLERS,
    **ethereum.HANDLERS,
    **message_waits.HANDLERS,
    **own_messages.HANDLERS,
    **own_answers.HANDLERS,
    **pushes.HANDLERS,
}
"""Methods that are not just passed on."""


def channel_of(method: str) -> Callable[..., Any]:
    """Return the handler of a channel."""

    async def handler(call: Call, *params: Json) -> AsyncIterator[Json]:
        return await channel_open(call, method, list(params))

    return handler


def rows_make() -> dict[str, RpcMethod]:
    """Return a row for every method that lotus or venus has."""
    return {
        PREFIX + name: RpcMethod(
            level,
            channel_of(name) if name in CHANNELS else HANDLERS.get(name, ProxyMethod(name)),
            channel=name in CHANNELS,
            is_raw=True,
            is_long=name in LONG_METHODS,
            asks_node=True,
            operator_only=name in OPERATOR_READS or (level != "read" and name not in TENANT_CALLS),
            instead=INSTEAD.get(name, ""),
        )
        for name, level in LEVELS.items()
    }


NODE: Final = Service(rows_make(), {}, versions=VERSIONS, aliases=ethereum.ALIASES)
