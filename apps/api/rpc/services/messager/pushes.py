"""`Message.*`: pushing and sending.

Source: filecoin-project/venus venus-shared/api/messager/api.go; texts of sophon-messager.
"""

from __future__ import annotations

import base64
import uuid
from functools import partial
from typing import TYPE_CHECKING, Final

from apps.api.outside_messages import outside_message_push, outside_messages_push
from apps.api.rpc.batching import RequestBatcher
from apps.api.rpc.dispatcher import Call
from apps.api.rpc.services.messager.parameters import QuickSend
from apps.api.rpc.threads import NODE_THREADS
from apps.chain.errors import NodeRefused
from apps.chain.node.client import chain_client
from apps.core.errors import DomainError
from apps.messages.errors import BadMessage
from apps.messages.rules.push_items import Gas, PushItem, SendSpec
from apps.users.rules.principals import Principal
from poolsite.filecoin.address import ID, address_format
from poolsite.filecoin.message import Message as ChainMessage
from poolsite.wire.jsonrpc.messages import json_read

if TYPE_CHECKING:
    from apps.messages.models import Message


def _push(items: list[tuple[Principal, PushItem]]) -> list[Message | DomainError]:
    return outside_messages_push(items)


_PUSHES: Final[RequestBatcher[PushItem, Message]] = RequestBatcher(_push)


async def message_push_batched(item: PushItem, *, principal: Principal) -> Message:
    """Store a message with one insert for all that arrive at the same time.  Raises its own refusal."""
    return await _PUSHES.submit(item, principal=principal)


async def push_message(call: Call, message: ChainMessage, spec: SendSpec | None) -> str:
    """Push a message under an id of our own."""
    return await push_message_with_id(call, str(uuid.uuid4()), message, spec)


async def push_message_with_id(call: Call, id_: str, message: ChainMessage, spec: SendSpec | None) -> str:
    """Push a message; the same content under the same id is no error.

    Calls in flight share one insert.
    """
    if message.version != 0:
        raise BadMessage("'Version' unsupported", field="version")
    item = PushItem(
        id=id_,
        to=message.to,
        from_=message.from_,
        value=message.value,
        method=message.method,
        params=message.params,
        spec=spec or SendSpec(),
        gas=Gas(limit=message.gas_limit, fee_cap=message.gas_fee_cap, premium=message.gas_premium),
    )
    if message.from_.protocol != ID:
        return (await message_push_batched(item, principal=call.principal)).push_id
    # Resolving an ID address takes a node call, for which the rest of the batch must not wait.
    push = partial(outside_message_push, item, principal=call.principal)
    row = await NODE_THREADS.run(call.principal.tenant_name, push)
    return str(row.push_id)


def send(call: Call, params: QuickSend) -> str:
    """Push a message from the command line, its parameters in hex or JSON."""
    if params.method == 0:
        raise BadMessage("do not use it to send funds", field="method")
    item = PushItem(
        id=str(uuid.uuid4()),
        to=params.to,
        from_=params.from_,
        value=params.value,
        method=params.method,
        params=_quick_params(params),
        gas=params.gas,
    )
    return str(outside_message_push(item, principal=call.principal).push_id)


def _quick_params(params: QuickSend) -> bytes:
    """Read parameters from hex, or from JSON as the receiver's method wants them."""
    if params.params_type == "hex":
        try:
            return bytes.fromhex(params.params)
        except ValueError as error:
            raise BadMessage(f"failed to decode hex params: {error}", field="params") from None
    if params.params_type == "json":
        return _encoded(params) if params.params else b""
    raise BadMessage(f"unexpected param type {params.params_type}", field="params_type")


def _encoded(params: QuickSend) -> bytes:
    """Return the CBOR of the receiver's method from JSON, by the node: it knows the actor's code.

    Raises BadMessage with the messager's words, NodeUnavailable.
    """
    try:
        value = json_read(params.params)
        client = chain_client()
        code = client.state_get_actor(address_format(params.to)).code
        found = client.call("StateEncodeParams", {"/": str(code)}, params.method, value)
        return base64.b64decode(found or "")
    except (ValueError, RecursionError) as error:
        raise BadMessage(f"failed to decode json params: {error}", field="params") from None
    except NodeRefused as error:
        raise BadMessage(f"failed to decode json params: {error.reason}", field="params") from None
