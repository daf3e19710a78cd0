"""`Filecoin.MpoolPushMessage` and similar methods: unsigned messages that a program has its node send.

The program, such as an unchanged lotus-miner, waits for the signed message and keeps its CID.  The pool's
messager gives nonce and signature; what a node would refuse at once is refused in a node's words, and a
program that is told an error may push again: so what was refused is withdrawn first.
Source: filecoin-project/lotus node/impl/full/mpool.go, node/impl/market/market.go.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import structlog
from django.db import DatabaseError, InterfaceError, OperationalError, close_old_connections

from apps.api.outside_messages import outside_message_push, window_refusals
from apps.api.rpc.dispatcher import Call, result_unless_disconnected
from apps.api.rpc.services.messager.json_values import big, optional
from apps.api.rpc.services.messager.parameters import MESSAGE
from apps.api.rpc.services.messager.waits import message_signed_wait
from apps.api.rpc.services.node.proxy import in_node_thread, node_call
from apps.api.rpc.services.node.wallet import node_holds
from apps.api.rpc.threads import TenantSlots
from apps.chain.errors import NetworkUnknown
from apps.chain.node.client import chain_client
from apps.chain.selectors.heads import head_current
from apps.core import clock
from apps.core.errors import LostRace, WrongState
from apps.messages.errors import BadMessage, MessageNotFound
from apps.messages.rules.priorities import priority_choose
from apps.messages.rules.push_items import Gas, PushItem, SendSpec
from apps.messages.selectors.approvals import approval_of
from apps.messages.selectors.foreign import is_left_to_others
from apps.messages.selectors.messages import (
    message_get,
    message_of_cid,
    message_versions,
    messages_visible,
)
from apps.messages.services.cancel import message_withdraw
from apps.messages.services.dry_run import message_dry_run
from apps.messages.services.recovery.detect import recovery_require_over
from apps.messages.services.selection_queue import selection_enqueue
from apps.messages.services.senders import sender_other_note
from apps.messages.states import PRESSING, UNSENDABLE, MessageState, Wait
from apps.wallets.selectors import sender_allowed
from poolsite.filecoin.actors.market import AddBalanceParams, Method
from poolsite.filecoin.address import MARKET_ACTOR, BadAddress
from poolsite.filecoin.cids import cid_to_json
from poolsite.filecoin.codec import to_cbor
from poolsite.filecoin.kinds import BadField
from poolsite.filecoin.message import Message as ChainMessage
from poolsite.filecoin.message import SignedMessage, signed_message_from_json, signed_message_to_json
from poolsite.filecoin.signature import BadSignature
from poolsite.wire.jsonrpc.messages import Json, RpcError
from poolsite.wire.jsonrpc.parameters import (
    ADDRESS,
    BadParam,
    Param,
    RpcMethod,
    fields,
    list_of,
    nullable,
    params_decode,
    text,
)

if TYPE_CHECKING:
    from apps.messages.models import Message

log = structlog.get_logger(__name__)

PUSH_WAIT_S: Final = 600.0
"""A message that has no nonce by then is withdrawn and refused, unless a second person is still to approve
it: a program that waits for ever does nothing else meanwhile."""
PAUSE_S: Final = 1.0
"""Before a message that is not decided is looked at again."""
PUSHES: Final = TenantSlots(500)
"""A tenant's pushes that wait at a time; later ones begin when earlier ones end."""
NO_UUID: Final = str(uuid.UUID(int=0))
SIGNED_PUSHES: Final = ("MpoolPush", "MpoolPushUntrusted", "MpoolBatchPush", "MpoolBatchPushUntrusted")
REFUSALS: Final = {
    Wait.FUNDS: "mpool push: not enough funds: {}",
    Wait.ESTIMATE: "GasEstimateMessageGas error: {}",
}
"""First words of lotus' refusal, by the reason; for other reasons it says that it cannot sign."""


def push_spec(value: Any) -> tuple[str, SendSpec]:
    """Read MessageSendSpec: the id that makes a push idempotent, and the highest fee.  Raises BadParam."""
    row = fields(value)
    push_id = optional(row.get("msguuid"), text, "")
    try:
        given = uuid.UUID(push_id or NO_UUID)
    except ValueError:
        raise BadParam(f"invalid UUID: {push_id[:60]!r}") from None
    return "" if given == uuid.UUID(NO_UUID) else str(given), SendSpec(
        max_fee=optional(row.get("maxfee"), big, 0)
    )


async def mpool_push_message(call: Call, *params: Json) -> Json:
    """Send a message and return it signed."""
    message, spec = params_decode("Filecoin.MpoolPushMessage", PUSH, list(params))
    if await is_of_node(call, [message]):
        return await forward(call, "MpoolPushMessage", *params)
    return signed_message_to_json(await result_unless_disconnected(call, signed_push(call, message, spec)))


async def mpool_batch_push_message(call: Call, *params: Json) -> Json:
    """Send messages one after the other and return them signed; the id of the call is the first one's.

    lotus gives one id to all, and so one message.  Raises RpcError with the first refusal; those before it
    are sent.
    """
    messages, spec = params_decode("Filecoin.MpoolBatchPushMessage", BATCH, list(params))
    if await is_of_node(call, messages):
        return await forward(call, "MpoolBatchPushMessage", *params)
    push_id, fees = spec or ("", SendSpec())
    own = [str(uuid.uuid5(uuid.UUID(push_id), str(at))) if push_id else "" for at in range(1, len(messages))]
    ids = [push_id, *own]
    signed = [
        await result_unless_disconnected(call, signed_push(call, message, (id_, fees)))
        for message, id_ in zip(messages, ids, strict=False)
    ]
    return [signed_message_to_json(one) for one in signed]


async def market_add_balance(call: Call, *params: Json) -> Json:
    """Pay into an address' escrow at the market actor and return the message's CID."""
    wallet, holder, amount = params_decode("Filecoin.MarketAddBalance", ADD_BALANCE, list(params))
    message = ChainMessage(
        to=MARKET_ACTOR,
        from_=wallet,
        value=amount,
        method=int(Method.ADD_BALANCE),
        params=to_cbor(AddBalanceParams(holder)),
    )
    if await is_of_node(call, [message]):
        return await forward(call, "MarketAddBalance", *params)
    signed = await result_unless_disconnected(call, signed_push(call, message, None))
    return cid_to_json(signed.cid)


def signed_push_method(method: str) -> Callable[..., Json]:
    """Return the handler of a method that forwards what its caller signed, one message or several."""

    def handler(call: Call, *params: Json) -> Json:
        signed = params[0] if params and isinstance(params[0], list) else params[:1]
        for refusal in window_refusals([(call.principal, *_call_of(one)) for one in signed]).values():
            raise refusal
        found = node_call(call, method, list(params))
        for one in signed:
            _other_note(call, one)
        return found

    return handler


def _other_note(call: Call, pushed: Json) -> None:
    """Note that another program gives the sender's nonces, if a node took its signed message and not ours.

    A node has the message by then: a program that heard an error would use its nonce again.
    """
    try:
        signed = signed_message_from_json(pushed)
        sender = str(signed.message.from_)
        may_send = sender_allowed(None if call.principal.is_operator else call.principal.own_id, sender)
        if may_send and not _is_own(call, signed):
            sender_other_note(sender)
    except (BadField, BadAddress, BadSignature):
        return
    except (DatabaseError, InterfaceError) as failure:
        log.warning("sender_not_noted", reason=str(failure)[:200])


def _is_own(call: Call, signed: SignedMessage) -> bool:
    """Return whether the pool gave a message its nonce, also one exported to be signed offline."""
    exported = messages_visible(call.principal).filter(unsigned_cid=str(signed.message.cid))
    return message_of_cid(call.principal, str(signed.cid)) is not None or exported.exists()


def _call_of(signed: Json) -> tuple[str, int]:
    """Return receiver and method of a signed message; what cannot be read is the node's to refuse."""
    match signed:
        case {"Message": {"To": str(to), "Method": int(method)}}:
            return to, method
    return "", 0


async def is_of_node(call: Call, messages: list[ChainMessage]) -> bool:
    """Return whether an operator sends from the node's own wallet: no tenant was granted these addresses.

    A token that is limited to miners or signers never does: a node does not know these limits.
    """
    senders = {message.from_ for message in messages}
    if not call.principal.sees_pool:
        return False
    return bool(await in_node_thread(call, lambda: all(node_holds(call, sender) for sender in senders)))


async def forward(call: Call, method: str, *params: Json) -> Json:
    """Forward a call to the node."""
    return await in_node_thread(call, partial(node_call, call, method, list(params)))


async def signed_push(call: Call, message: ChainMessage, spec: tuple[str, SendSpec] | None) -> SignedMessage:
    """Push a message and return what was signed first, whatever replaced it since.

    Under the same id it is the same message again.  Raises RpcError in lotus' words, with nothing left to be
    sent later; but if the caller leaves, the message stays, to be found under its id.
    """
    push_id, fees = spec or ("", SendSpec())
    item = PushItem(
        id=push_id or str(uuid.uuid4()),
        to=message.to,
        from_=message.from_,
        value=message.value,
        method=message.method,
        params=message.params,
        spec=fees,
        gas=Gas(limit=message.gas_limit, fee_cap=message.gas_fee_cap, premium=message.gas_premium),
    )
    async with PUSHES.of(call.principal.tenant_name):
        key = ""
        while True:
            try:
                key = key or await in_node_thread(call, partial(accept, call, item, message))
                with suppress(TimeoutError):
                    async with asyncio.timeout(PUSH_WAIT_S):
                        await message_signed_wait(viewer=call.principal, id=key)
                signed: SignedMessage | None = await in_node_thread(call, partial(outcome, call, key))
                if signed is not None:
                    return signed
            except (OperationalError, InterfaceError):
                # Without the database nothing is known: the message may be stored, and sent later.
                await in_node_thread(call, close_old_connections)
            await asyncio.sleep(PAUSE_S)


def accept(call: Call, item: PushItem, message: ChainMessage) -> str:
    """Store a message that a node would take, have it chosen at once, and return its key.

    What was pushed under this id before is that message, whatever would be refused by now: it may be sent.
    Raises RpcError, DomainError.
    """
    if message.version != 0:
        raise RpcError("message version is not 0")
    if message.nonce:
        raise RpcError(f"MpoolPushMessage expects message nonce to be 0, was {message.nonce}")
    try:
        found = message_get(call.principal, item.id)
    except MessageNotFound:
        sendable_check(call, item)
        found = outside_message_push(item, principal=call.principal)
    else:
        if found.tenant_id != call.principal.tenant_id or not found.has_content(message):
            found = outside_message_push(item, principal=call.principal)
    if found.state == MessageState.UNFILLED and not found.needs_approval:
        selection_enqueue(found.from_addr)  # its program does nothing else meanwhile: no head is waited for
    return str(found.pk)


def sendable_check(call: Call, item: PushItem) -> None:
    """Refuse what the actors refuse or the sender cannot pay.  Raises RpcError, DomainError."""
    head = head_current()
    if head is None:
        raise NetworkUnknown("no chain head is known yet")
    trial = message_dry_run(item, principal=call.principal, client=chain_client(), head=head)
    if not trial.gas_limit:
        raise RpcError(f"GasEstimateMessageGas error: estimating gas used: {trial.error}")
    sender = str(trial.message.from_)
    is_pressing = priority_choose("", method=item.method, is_urgent=False) in PRESSING
    if not is_pressing and is_left_to_others(sender):
        raise RpcError(f"failed to sign message: {Wait.OTHER_PROGRAM.label}, addr={sender}")
    available = trial.balance - trial.in_flight
    if available < trial.cost_max:
        raise RpcError(f"mpool push: not enough funds: {available} < {trial.cost_max}")


def outcome(call: Call, key: str) -> SignedMessage | None:
    """Return the first signed version of a message; None: wait for a second person, or for the signature.

    Otherwise it is withdrawn.  Raises RpcError then: the message is never sent.
    """
    row = message_get(call.principal, key)
    versions = message_versions(row)
    if versions:
        return versions[0]
    if row.is_exported:  # it may be sent: a program that heard an error would push it once more
        return None
    refusal = refusal_of(row)  # before what it waits for is overwritten
    if row.state == MessageState.UNFILLED:
        now = clock.now()
        is_unsendable = row.attempts > 0 and row.wait in UNSENDABLE
        if not is_unsendable and (row.needs_approval or approved_lately(row, now=now)):
            return None
        try:
            recovery_require_over(row.from_addr, now=now)
        except BadMessage:
            return None  # it may be one of those that are being read back: the chain has it then
        try:
            message_withdraw(row, reason=row.error or str(Wait(row.wait).label), now=now)
        except (LostRace, WrongState):
            return None  # it got its nonce this moment
    raise refusal


def approved_lately(row: Message, *, now: datetime) -> bool:
    """Return whether a second person approved a message so lately that it still has time for its nonce."""
    approval = approval_of(row)
    if approval is None or approval.decided_at is None:
        return False
    return now - approval.decided_at < timedelta(seconds=PUSH_WAIT_S)


def refusal_of(row: Message) -> RpcError:
    """Return why a message is not sent, beginning with lotus' words."""
    reason = row.error or str(Wait(row.wait).label)
    text_ = REFUSALS.get(Wait(row.wait), "failed to sign message: {}, addr=" + row.from_addr)
    return RpcError(text_.format(reason))


SPEC: Final = nullable(Param("*api.MessageSendSpec", push_spec))
PUSH: Final = RpcMethod("sign", mpool_push_message, (MESSAGE, SPEC))
BATCH: Final = RpcMethod("sign", mpool_batch_push_message, (list_of(MESSAGE), SPEC))
ADD_BALANCE: Final = RpcMethod("sign", market_add_balance, (ADDRESS, ADDRESS, Param("*big.Int", big)))
HANDLERS: Final = {
    "MpoolPushMessage": mpool_push_message,
    "MpoolBatchPushMessage": mpool_batch_push_message,
    "MarketAddBalance": market_add_balance,
    **{name: signed_push_method(name) for name in SIGNED_PUSHES},
}
"""By the name without its prefix."""
