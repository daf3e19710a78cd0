"""Filecoin.Mpool*: pushing messages and watching the pool."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from poolsite.devnet.checks import messages_check, pending_check, replacement_check
from poolsite.devnet.mempool import MessageRejected
from poolsite.devnet.rpc import params as p
from poolsite.devnet.rpc.dispatch import Method
from poolsite.devnet.rpc.errors import panic
from poolsite.devnet.rpc.forms import tipset_get
from poolsite.devnet.rpc.gas import SPEC, message_gas
from poolsite.devnet.selection import messages_select
from poolsite.devnet.wallet import NoKey
from poolsite.filecoin.cids import cid_to_json
from poolsite.filecoin.message import (
    SignedMessage,
    message_from_json,
    signed_message_to_json,
)
from poolsite.filecoin.signature import Signature, signature_from_json
from poolsite.filecoin.signing import message_sign
from poolsite.wire.jsonrpc.messages import RpcError
from poolsite.wire.jsonrpc.parameters import BadParam, Param

if TYPE_CHECKING:
    from poolsite.devnet.estimation import Spec
    from poolsite.devnet.node import Devnet
    from poolsite.devnet.rpc.dispatch import Channel
    from poolsite.filecoin.address import Address
    from poolsite.filecoin.cids import Cid
    from poolsite.filecoin.message import Message

Key = tuple["Cid", ...]


def _signed_read(value: Any) -> SignedMessage:
    """Return a signed message; a missing signature has type 0, as in Go."""
    if not isinstance(value, dict):
        raise BadParam("json: cannot unmarshal into Go value of type types.SignedMessage")
    message = message_from_json(value.get("Message") or {})
    raw = value.get("Signature")
    return SignedMessage(message, signature_from_json(raw) if raw else Signature(0, b""))


NO_UUID: Final = "00000000-0000-0000-0000-000000000000"
"""Go's zero UUID: no name."""
SIGNED: Final = Param("*types.SignedMessage", _signed_read)
MESSAGE_PARAM: Final = Param("*types.Message", message_from_json)


def mpool_push(node: Devnet, signed: SignedMessage) -> Any:
    if node.faults.forgets(signed):
        return cid_to_json(signed.cid)
    try:
        node.mempool.push(signed)
        if node.forward is not None:
            node.forward(signed)
    except MessageRejected as error:
        raise RpcError(str(error)) from None
    return cid_to_json(signed.cid)


def mpool_batch_push(node: Devnet, batch: list[SignedMessage]) -> Any:
    return [mpool_push(node, signed) for signed in batch]


def mpool_get_nonce(node: Devnet, sender: Address) -> Any:
    try:
        return node.mempool.next_nonce(sender)
    except MessageRejected as error:
        raise RpcError(str(error)) from None


def mpool_pending(node: Devnet, key: Key) -> Any:
    tipset_get(node, key)
    return [signed_message_to_json(signed) for signed in node.mempool.pending()]


def mpool_select(node: Devnet, key: Key, quality: float) -> Any:
    return mpool_selects(node, key, [quality])[0]


def mpool_selects(node: Devnet, key: Key, qualities: list[float]) -> Any:
    """One selection for each ticket quality: different messages for different winners."""
    tipset = tipset_get(node, key)
    link = node.chain.link(tipset.key)
    state = node.chain.state_after(tipset.key)
    pending = node.mempool.pending()
    chosen = messages_select(pending, state, base_fee=link.next_base_fee)
    return [[signed_message_to_json(signed) for signed in chosen] for _ in qualities]


def mpool_clear(node: Devnet, _local: bool) -> Any:
    node.mempool.clear()


def mpool_push_message(node: Devnet, message: Message | None, spec: Spec | None) -> Any:
    """Estimate, number, sign with the node's own key, push."""
    if message is None:
        raise panic(
            "Filecoin.MpoolPushMessage", "runtime error: invalid memory address or nil pointer dereference"
        )
    if message.nonce:
        raise RpcError(f"MpoolPushMessage expects message nonce to be 0, was {message.nonce}")
    name = NO_UUID if spec is None or not spec.uuid else spec.uuid
    with node.lock:
        pushed = node.calls.pushed.get(name)
        if pushed is not None:
            return signed_message_to_json(pushed)
        try:
            filled = message_gas(node, message, spec, node.head.tipset)
        except RpcError as error:
            raise RpcError(f"GasEstimateMessageGas error: {error.message}") from None
        try:
            key = node.wallet.key(message.from_)
        except NoKey as error:
            raise RpcError(f"failed to sign message: {error}, addr={message.from_}: {error}") from None
        nonce = max(mpool_get_nonce(node, message.from_), node.calls.signer_nonces.get(message.from_, 0))
        filled = replace(filled, nonce=nonce)
        signed = message_sign(key, filled, chain_id=node.network.eth_chain_id)
        try:
            node.mempool.push(signed)
        except MessageRejected as error:
            raise RpcError(f"mpool push: failed to push message: {error}") from None
        node.calls.signer_nonces[message.from_] = nonce + 1
        if name != NO_UUID:
            node.calls.pushed[name] = signed
    return signed_message_to_json(signed)


def mpool_batch_push_message(node: Devnet, batch: list[Message], spec: Spec | None) -> Any:
    return [mpool_push_message(node, message, spec) for message in batch]


def mpool_sub(node: Devnet, channel: Channel) -> Any:
    def watch(kind: int, signed: SignedMessage) -> None:
        channel.send({"Type": kind, "Message": signed_message_to_json(signed)})

    node.mempool.watchers.add(watch)
    channel.on_close(lambda: node.mempool.watchers.discard(watch))


def mpool_get_config(_node: Devnet) -> Any:
    return {
        "PriorityAddrs": None,
        "SizeLimitHigh": 30000,
        "SizeLimitLow": 20000,
        "ReplaceByFeeRatio": 1.25,
        "PruneCooldown": 60_000_000_000,
        "GasLimitOverestimation": 1.25,
    }


def mpool_check_messages(node: Devnet, prototypes: list[tuple[Message, bool]]) -> Any:
    """Return what the node would say of these messages; a nonce counts only if it is said to be meant."""
    flexible = [not is_meant for _, is_meant in prototypes]
    messages = [message for message, _ in prototypes]
    return messages_check(node, messages, flexible=flexible, counts_pending=True)


def mpool_check_pending(node: Devnet, sender: Address) -> Any:
    return pending_check(node, sender)


def mpool_check_replace(node: Devnet, messages: list[Message]) -> Any:
    return replacement_check(node, messages)


def _prototype_read(value: Any) -> tuple[Message, bool]:
    if not isinstance(value, dict):
        raise BadParam("json: cannot unmarshal into Go value of type api.MessagePrototype")
    return message_from_json(value.get("Message") or {}), value.get("ValidNonce") is True


PROTOTYPE: Final = Param("*api.MessagePrototype", _prototype_read)

METHODS: Final = (
    Method("MpoolCheckMessages", "read", (p.list_param(PROTOTYPE),), mpool_check_messages, slow=True),
    Method("MpoolCheckPendingMessages", "read", (p.ADDRESS,), mpool_check_pending, slow=True),
    Method(
        "MpoolCheckReplaceMessages", "read", (p.list_param(MESSAGE_PARAM),), mpool_check_replace, slow=True
    ),
    Method("MpoolPush", "write", (SIGNED,), mpool_push, slow=True),
    Method("MpoolPushUntrusted", "write", (SIGNED,), mpool_push, slow=True),
    Method("MpoolPublishMessage", "write", (SIGNED,), mpool_push, slow=True),
    Method("MpoolBatchPush", "write", (p.list_param(SIGNED),), mpool_batch_push, slow=True),
    Method("MpoolBatchPushUntrusted", "write", (p.list_param(SIGNED),), mpool_batch_push, slow=True),
    Method("MpoolGetNonce", "read", (p.ADDRESS,), mpool_get_nonce),
    Method("MpoolPending", "read", (p.TIPSET_KEY,), mpool_pending, slow=True),
    Method("MpoolSelect", "read", (p.TIPSET_KEY, p.FLOAT), mpool_select, slow=True),
    Method("MpoolSelects", "read", (p.TIPSET_KEY, p.list_param(p.FLOAT)), mpool_selects, slow=True),
    Method("MpoolClear", "write", (p.BOOL,), mpool_clear, slow=True),
    Method(
        "MpoolPushMessage",
        "sign",
        (p.optional(MESSAGE_PARAM), p.optional(SPEC)),
        mpool_push_message,
        slow=True,
    ),
    Method(
        "MpoolBatchPushMessage",
        "sign",
        (p.list_param(MESSAGE_PARAM), p.optional(SPEC)),
        mpool_batch_push_message,
        slow=True,
    ),
    Method("MpoolSub", "read", (), mpool_sub, channel=True),
    Method("MpoolGetConfig", "read", (), mpool_get_config),
)
