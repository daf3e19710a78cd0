"""`Message.*`: the messager's methods, so that its clients and its command line work against us unchanged.

Source: filecoin-project/venus venus-shared/api/messager/api.go; texts of sophon-messager.
"""

from __future__ import annotations

import json
import uuid
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from asgiref.sync import sync_to_async

from apps.api.rpc.messager_types import (
    ACTOR_CFG,
    ADDRESS_SPEC,
    CHANGES,
    MESSAGE,
    NODE,
    QUERY,
    QUICK_SEND,
    REPLACEMENT,
    SHARED,
    SPEC,
    Fees,
    NodeParam,
    Query,
    QuickSend,
    Replacement,
    actor_cfg_json,
    address_or_none,
    message_json,
    node_json,
    sender_json,
    shared_json,
)
from apps.api.rpc.pushes import message_push_gathered
from apps.api.rpc.waits import in_database, message_wait
from apps.chain.client import chain_client
from apps.chain.errors import NetworkUnknown
from apps.chain.selectors import head_current
from apps.core import clock
from apps.core.errors import DomainError, NotAllowed
from apps.messages.errors import BadMessage, MessageNotFound, SenderNotFound
from apps.messages.models import ActorRules, ExtraNode, Message
from apps.messages.selectors import message_get, messages_visible, sender_get, senders_visible
from apps.messages.services import (
    Gas,
    PushItem,
    SendSpec,
    message_mark_bad,
    message_push,
    message_replace,
    messages_clear,
    messages_publish,
    messages_push,
    messages_recover,
    messages_search,
)
from apps.messages.services.fees import shared_rules
from apps.messages.services.senders import (
    actor_rules_set,
    extra_node_delete,
    extra_node_save,
    sender_delete,
    sender_set,
    sender_set_nonce,
    shared_rules_set,
)
from apps.messages.states import STATES_BY_CODE, WIRE_NAMES, MessageState, SenderState
from apps.wallets.selectors import sender_allowed
from poolsite.filecoin.address import ID, Address, address_format
from poolsite.wire.gorpc import ADDRESS, BOOL, CID, NUMBER, TEXT, UUID, RpcMethod

if TYPE_CHECKING:
    from collections.abc import Iterable

    from django.db.models import QuerySet

    from apps.api.rpc.dispatch import Call
    from apps.chain.models import Head
    from poolsite.filecoin.cids import Cid
    from poolsite.filecoin.message import Message as ChainMessage

VERSION: Final = "1.20.0"
"""The messager whose clients we answer."""

ROWS_MAX: Final = 10_000
"""Most rows of one listing: its callers page through more with Offset."""

LOG_SUBSYSTEMS: Final = ("apps.chain", "apps.messages", "apps.wallets", "apps.gateway")


def _head() -> Head:
    head = head_current()
    if head is None:
        raise NetworkUnknown("no head of the chain is known yet")
    return head


def _height() -> int:
    head = head_current()
    return 0 if head is None else head.height


def _rows(rows: Iterable[Message]) -> list[dict[str, Any]]:
    height = _height()
    return [message_json(row, head_height=height) for row in rows]


def _operator(call: Call, method: str) -> None:
    """Refuse settings of the whole pool to tenants, whatever their token allows within the tenant."""
    if not call.principal.is_operator:
        raise NotAllowed(f"missing permission to invoke '{method}'  (need 'admin')")


def _signer_check(call: Call, address: Address) -> str:
    """Give the address as text if the caller may use it.  Raises NotAllowed with sophon-auth's words."""
    words = address_format(address)
    if not call.principal.is_operator and not sender_allowed(call.principal.tenant_id, words):
        user = call.principal.tenant_name
        raise NotAllowed(f"signer {words} not exist in user {user}: permission deny")
    return words


# Push


async def push_message(call: Call, message: ChainMessage, spec: SendSpec | None) -> str:
    """Take a message in under an id of our own."""
    return await push_message_with_id(call, str(uuid.uuid4()), message, spec)


async def push_message_with_id(call: Call, id_: str, message: ChainMessage, spec: SendSpec | None) -> str:
    """Take a message in; the same content under the same id is no error.

    Over a socket the calls in flight share one insert; a POST has a thread and a database of its own.
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
    if call.on_socket and message.from_.protocol != ID:
        return (await message_push_gathered(item, principal=call.principal)).pk
    # An ID address has to be looked up on chain first: it must not hold up the others.
    answers = await sync_to_async(messages_push, thread_sensitive=not call.on_socket)(
        [item], principal=call.principal
    )
    if isinstance(answers[0], DomainError):
        raise answers[0]
    return answers[0].pk


def send(call: Call, params: QuickSend) -> str:
    """Take a message in from the command line, its parameters in hex."""
    if params.method == 0:
        raise BadMessage("do not use it to send funds", field="method")
    row = message_push(
        principal=call.principal,
        id=str(uuid.uuid4()),
        to=params.to,
        from_=params.from_,
        value=params.value,
        method=params.method,
        params=_quick_params(params),
        gas=params.gas,
    )
    return row.pk


def _quick_params(params: QuickSend) -> bytes:
    if params.params_type == "hex":
        try:
            return bytes.fromhex(params.params)
        except ValueError as error:
            raise BadMessage(f"failed to decode hex params: {error}", field="params") from None
    if params.params_type == "json":
        if not params.params:
            return b""
        try:
            json.loads(params.params)
        except ValueError as error:
            raise BadMessage(f"failed to decode json params: {error}", field="params") from None
        raise BadMessage(
            f"failed to decode json params: method {params.method} has no JSON form here, send hex",
            field="params",
        )
    raise BadMessage(f"unexpected param type {params.params_type}", field="params_type")


# Look


def has_message_by_uid(call: Call, id_: str) -> bool:
    """Tell whether the caller has a message of this id."""
    return messages_visible(call.principal).filter(pk=id_).exists()


def _found(row: Message | None, what: str) -> dict[str, Any]:
    if row is None:
        raise MessageNotFound(f"get message by {what} error: record not found")
    return message_json(row, head_height=_height())


def get_message_by_uid(call: Call, id_: str) -> dict[str, Any]:
    """Give a message by its id."""
    return _found(messages_visible(call.principal).filter(pk=id_).first(), "id")


def get_message_by_signed_cid(call: Call, cid: Cid) -> dict[str, Any]:
    """Give a message by the CID it has on chain."""
    return _found(messages_visible(call.principal).filter(cid=str(cid)).first(), "signed cid")


def get_message_by_unsigned_cid(call: Call, cid: Cid) -> dict[str, Any]:
    """Give a message by the CID of its unsigned form."""
    return _found(messages_visible(call.principal).filter(unsigned_cid=str(cid)).first(), "unsigned cid")


def get_message_by_from_and_nonce(call: Call, from_: Address, nonce: int) -> dict[str, Any]:
    """Give the message that holds a nonce; one in flight or landed before those that lost it."""
    rows = messages_visible(call.principal).filter(from_addr=_signer_check(call, from_), nonce=nonce)
    found = sorted(rows[:10], key=lambda row: row.state not in (MessageState.FILLED, MessageState.LANDED))
    return _found(found[0] if found else None, "from and nonce")


async def wait_message(call: Call, id_: str, confidence: int) -> dict[str, Any]:
    """Answer when the message has more than `confidence` heads above it, or was given up."""
    await message_wait(viewer=call.principal, id=id_, confidence=confidence)
    return dict(await in_database(get_message_by_uid, call, id_))


# Lists


def list_message(call: Call, query: Query) -> list[dict[str, Any]] | None:
    """List by state, sender and time of change; newest change first, or oldest push first."""
    rows = messages_visible(call.principal)
    if query.senders:
        rows = rows.filter(from_addr__in=[_signer_check(call, one) for one in query.senders])
    if query.states:
        rows = rows.filter(state__in=query.states)
    if query.since is not None:
        rows = rows.filter(updated_at__gte=query.since)
    rows = rows.order_by("created_at") if query.is_ascending else rows.order_by("-updated_at")
    limit = min(query.limit or ROWS_MAX, ROWS_MAX)
    return _rows(rows[query.offset : query.offset + limit])


def list_message_by_from_state(
    call: Call, from_: Address, state: int, is_asc: bool, page_index: int, page_size: int, age_ns: int
) -> list[dict[str, Any]]:
    """List one state, page by page; only what is older than `age_ns` if that is set."""
    rows = messages_visible(call.principal).filter(state=STATES_BY_CODE.get(state, ""))
    if address_or_none(from_) is not None:
        rows = rows.filter(from_addr=address_format(from_))
    if age_ns:
        rows = rows.filter(created_at__lt=clock.now() - timedelta(microseconds=age_ns // 1000))
    size = min(max(page_size, 0) or ROWS_MAX, ROWS_MAX)
    start = max(page_index - 1, 0) * size
    ordered = rows.order_by("created_at" if is_asc else "-created_at")
    return _rows(ordered[start : start + size])


def list_message_by_address(call: Call, address: Address) -> list[dict[str, Any]]:
    """List everything from one address."""
    rows = messages_visible(call.principal).filter(from_addr=address_format(address))
    return _rows(rows.order_by("-updated_at")[:ROWS_MAX])


def list_failed_message(call: Call) -> list[dict[str, Any]]:
    """List what waits with an error."""
    rows = messages_visible(call.principal).filter(state=MessageState.UNFILLED).exclude(error="")
    return _rows(rows.order_by("created_at")[:ROWS_MAX])


def list_blocked_message(call: Call, address: Address, age_ns: int) -> list[dict[str, Any]]:
    """List what has been under way for longer than `age_ns`; of the caller's own even without an address."""
    rows = messages_visible(call.principal).filter(
        state__in=[MessageState.UNFILLED, MessageState.FILLED],
        created_at__lt=clock.now() - timedelta(microseconds=age_ns // 1000),
    )
    if address_or_none(address) is not None:
        rows = rows.filter(from_addr=_signer_check(call, address))
    return _rows(rows.order_by("-updated_at", "created_at")[:ROWS_MAX])


# Change


def replace_message(call: Call, params: Replacement) -> dict[str, str]:
    """Sign again with other fees, publish, and give the new CID."""
    row = _message(call, params.id, "found message {}")
    new = message_replace(message=row, fees=params.fees, client=chain_client(), head=_head(), now=clock.now())
    messages_publish([new.pk], now=clock.now())
    return {"/": new.cid}


def _message(call: Call, id_: str, text: str = "{}") -> Message:
    try:
        return message_get(call.principal, id_)
    except MessageNotFound as error:
        raise MessageNotFound(text.format(error.reason), field="id") from None


def republish_message(call: Call, id_: str) -> None:
    """Give a message to the nodes again; of an unknown id nothing is said, as in the messager."""
    row = messages_visible(call.principal).filter(pk=id_).first()
    if row is None:
        return
    if row.state != MessageState.FILLED:
        raise BadMessage(f"need FillMsg got {WIRE_NAMES[row.state]}", field="id")
    messages_publish([row.pk], now=clock.now())


def mark_bad_message(call: Call, id_: str) -> None:
    """Give a message up."""
    message_mark_bad(message=_message(call, id_), now=clock.now())


def recover_failed_msg(call: Call, address: Address) -> list[str]:
    """Put what was given up back into flight."""
    words = _signer_check(call, address)
    return messages_recover(address=words, client=chain_client(), head=_head(), now=clock.now())


def clear_unfill_message(call: Call, address: Address) -> int:
    """Give up what has no nonce yet; done at once, not at the next head."""
    words = _signer_check(call, address)
    tenant = None if call.principal.is_operator else call.principal.tenant_id
    return messages_clear(address=words, now=clock.now(), tenant_id=tenant)


def update_filled_message_by_id(call: Call, id_: str) -> str:
    """Ask the node what became of one message."""
    row = _message(call, id_)
    if row.state in (MessageState.LANDED, MessageState.REPLACED):
        text = f"message state({WIRE_NAMES[row.state]}) has been final, can not update"
        raise BadMessage(text, field="id")
    landed, displaced = messages_search(client=chain_client(), now=clock.now(), ids=[row.pk])
    if not landed + displaced:
        raise MessageNotFound(f"search message {row.cid} from node nil")
    return row.pk


def update_all_filled_message(call: Call) -> int:
    """Ask the node what became of every message in flight."""
    _operator(call, "UpdateAllFilledMessage")
    landed, displaced = messages_search(client=chain_client(), now=clock.now())
    return landed + displaced


def update_message_state_by_id(call: Call, id_: str, state: int) -> None:
    """Move a message by hand where its state table has such a step: give up, or take back."""
    row = _message(call, id_)
    wanted = STATES_BY_CODE.get(state)
    if wanted == row.state:
        return
    if wanted == MessageState.FAILED:
        message_mark_bad(message=row, now=clock.now())
    elif wanted == MessageState.FILLED and row.state == MessageState.FAILED:
        head = _head()
        found = messages_recover(
            address=row.from_addr, client=chain_client(), head=head, now=clock.now(), ids=[row.pk]
        )
        if not found:
            raise BadMessage(f"message {row.pk} has no open nonce to go back to", field="state")
    else:
        name = WIRE_NAMES.get(wanted or "", str(state))
        raise BadMessage(f"a message in {WIRE_NAMES[row.state]} cannot be set to {name}", field="state")


# Senders


def get_address(call: Call, address: Address) -> dict[str, Any]:
    """Give one sender."""
    return sender_json(sender_get(call.principal, address_format(address)))


def has_address(call: Call, address: Address) -> bool:
    """Tell whether messages were pushed from here."""
    return senders_visible(call.principal).filter(address=address_format(address)).exists()


def list_address(call: Call) -> list[dict[str, Any]]:
    """List the caller's senders."""
    return [sender_json(row) for row in senders_visible(call.principal)]


def wallet_has(call: Call, address: Address) -> bool:
    """Tell whether a signer holds this key for the caller."""
    return sender_allowed(call.principal.tenant_id, address_format(address))


def _own_sender(call: Call, address: Address) -> str:
    words = _signer_check(call, address)
    if not senders_visible(call.principal).filter(address=words).exists():
        raise SenderNotFound("address not exists", field="address")
    return words


def forbidden_address(call: Call, address: Address) -> None:
    """Stop a sender: nothing is pushed or chosen; what is in flight is still tracked."""
    sender_set(address=_own_sender(call, address), state=SenderState.FORBIDDEN)


def active_address(call: Call, address: Address) -> None:
    """Let a stopped sender go on."""
    sender_set(address=_own_sender(call, address), state=SenderState.ALIVE)


def delete_address(call: Call, address: Address) -> None:
    """Forget a sender's settings."""
    sender_delete(address=_own_sender(call, address))


def set_select_msg_num(call: Call, address: Address, count: int) -> None:
    """Set how many messages may be in flight."""
    sender_set(address=_own_sender(call, address), quota=count)


def set_fee_params(call: Call, spec: Fees) -> None:
    """Set a sender's fee rules."""
    if not senders_visible(call.principal).filter(address=address_format(spec.address)).exists():
        raise SenderNotFound("address not exists", field="address")
    sender_set(address=_signer_check(call, spec.address), fees=spec.values)


def update_nonce(call: Call, address: Address, nonce: int) -> None:
    """Set a sender's next nonce by hand."""
    sender_set_nonce(address=_own_sender(call, address), nonce=nonce)


# Rules and nodes of the pool


def get_shared_params(call: Call) -> dict[str, Any]:  # noqa: ARG001  # handlers have one form
    """Give the pool's rules."""
    return shared_json(shared_rules())


def set_shared_params(call: Call, spec: Fees) -> None:
    """Set the pool's rules."""
    _operator(call, "SetSharedParams")
    shared_rules_set(fees=spec.values, quota=spec.quota)


def save_actor_cfg(call: Call, spec: Fees) -> None:
    """Make the rules for one method of one kind of actor."""
    _operator(call, "SaveActorCfg")
    actor_rules_set(
        id=uuid.UUID(spec.id),
        fees=spec.values,
        code=spec.code,
        method=spec.method,
        actor_version=spec.version,
    )


def update_actor_cfg(call: Call, id_: str, spec: Fees) -> None:
    """Change such rules."""
    _operator(call, "UpdateActorCfg")
    actor_rules_set(id=uuid.UUID(id_), fees=spec.values)


def _actor_rules() -> QuerySet[ActorRules]:
    return ActorRules.objects.order_by("created_at")


def list_actor_cfg(call: Call) -> list[dict[str, Any]]:  # noqa: ARG001  # handlers have one form
    """List such rules."""
    return [actor_cfg_json(row) for row in _actor_rules()]


def get_actor_cfg_by_id(call: Call, id_: str) -> dict[str, Any]:  # noqa: ARG001  # handlers have one form
    """Give one such rule."""
    row = _actor_rules().filter(pk=id_).first()
    if row is None:
        raise SenderNotFound("record not found", field="id")
    return actor_cfg_json(row)


def save_node(call: Call, node: NodeParam) -> None:
    """Publish to one more node."""
    _operator(call, "SaveNode")
    extra_node_save(name=node.name, url=node.url, token=node.token, node_type=node.node_type)


def _node(call: Call, name: str, method: str) -> ExtraNode | None:
    _operator(call, method)
    return ExtraNode.objects.filter(name=name).first()


def get_node(call: Call, name: str) -> dict[str, Any]:
    """Give one extra node."""
    row = _node(call, name, "GetNode")
    if row is None:
        raise SenderNotFound("record not found", field="name")
    return node_json(row)


def has_node(call: Call, name: str) -> bool:
    """Tell whether there is an extra node of this name."""
    return _node(call, name, "HasNode") is not None


def list_node(call: Call) -> list[dict[str, Any]]:
    """List the extra nodes."""
    _operator(call, "ListNode")
    return [node_json(row) for row in ExtraNode.objects.order_by("created_at")]


def delete_node(call: Call, name: str) -> None:
    """Stop publishing to an extra node."""
    _operator(call, "DeleteNode")
    extra_node_delete(name=name)


def net_peers(call: Call) -> list[Any]:
    """List libp2p peers: there are none, messages are published by RPC to every node."""
    _operator(call, "NetPeers")
    return []


def log_list(call: Call) -> list[str]:
    """List the log's parts."""
    _operator(call, "LogList")
    return list(LOG_SUBSYSTEMS)


def version(call: Call) -> dict[str, Any]:  # noqa: ARG001  # handlers have one form
    """Tell which messager we stand in for."""
    return {"Version": VERSION, "APIVersion": 0}


READ, WRITE, SIGN, ADMIN = "read", "write", "sign", "admin"

METHODS: Final[dict[str, RpcMethod]] = {
    "Message.PushMessage": RpcMethod(WRITE, push_message, (MESSAGE, SPEC)),
    "Message.PushMessageWithId": RpcMethod(WRITE, push_message_with_id, (TEXT, MESSAGE, SPEC)),
    "Message.Send": RpcMethod(SIGN, send, (QUICK_SEND,)),
    "Message.HasMessageByUid": RpcMethod(READ, has_message_by_uid, (TEXT,)),
    "Message.GetMessageByUid": RpcMethod(READ, get_message_by_uid, (TEXT,)),
    "Message.GetMessageBySignedCid": RpcMethod(READ, get_message_by_signed_cid, (CID,)),
    "Message.GetMessageByUnsignedCid": RpcMethod(READ, get_message_by_unsigned_cid, (CID,)),
    "Message.GetMessageByFromAndNonce": RpcMethod(READ, get_message_by_from_and_nonce, (ADDRESS, NUMBER)),
    "Message.WaitMessage": RpcMethod(READ, wait_message, (TEXT, NUMBER)),
    "Message.ListMessage": RpcMethod(READ, list_message, (QUERY,)),
    "Message.ListMessageByFromState": RpcMethod(
        ADMIN, list_message_by_from_state, (ADDRESS, NUMBER, BOOL, NUMBER, NUMBER, NUMBER)
    ),
    "Message.ListMessageByAddress": RpcMethod(ADMIN, list_message_by_address, (ADDRESS,)),
    "Message.ListFailedMessage": RpcMethod(READ, list_failed_message),
    "Message.ListBlockedMessage": RpcMethod(READ, list_blocked_message, (ADDRESS, NUMBER)),
    "Message.ReplaceMessage": RpcMethod(WRITE, replace_message, (REPLACEMENT,)),
    "Message.RepublishMessage": RpcMethod(ADMIN, republish_message, (TEXT,), void=True),
    "Message.MarkBadMessage": RpcMethod(WRITE, mark_bad_message, (TEXT,), void=True),
    "Message.RecoverFailedMsg": RpcMethod(WRITE, recover_failed_msg, (ADDRESS,)),
    "Message.ClearUnFillMessage": RpcMethod(WRITE, clear_unfill_message, (ADDRESS,)),
    "Message.UpdateMessageStateByID": RpcMethod(WRITE, update_message_state_by_id, (TEXT, NUMBER), void=True),
    "Message.UpdateFilledMessageByID": RpcMethod(WRITE, update_filled_message_by_id, (TEXT,)),
    "Message.UpdateAllFilledMessage": RpcMethod(ADMIN, update_all_filled_message),
    "Message.GetAddress": RpcMethod(READ, get_address, (ADDRESS,)),
    "Message.HasAddress": RpcMethod(READ, has_address, (ADDRESS,)),
    "Message.ListAddress": RpcMethod(READ, list_address),
    "Message.WalletHas": RpcMethod(READ, wallet_has, (ADDRESS,)),
    "Message.ForbiddenAddress": RpcMethod(WRITE, forbidden_address, (ADDRESS,), void=True),
    "Message.ActiveAddress": RpcMethod(WRITE, active_address, (ADDRESS,), void=True),
    "Message.DeleteAddress": RpcMethod(WRITE, delete_address, (ADDRESS,), void=True),
    "Message.SetSelectMsgNum": RpcMethod(WRITE, set_select_msg_num, (ADDRESS, NUMBER), void=True),
    "Message.SetFeeParams": RpcMethod(WRITE, set_fee_params, (ADDRESS_SPEC,), void=True),
    "Message.UpdateNonce": RpcMethod(ADMIN, update_nonce, (ADDRESS, NUMBER), void=True),
    "Message.GetSharedParams": RpcMethod(READ, get_shared_params),
    "Message.SetSharedParams": RpcMethod(ADMIN, set_shared_params, (SHARED,), void=True),
    "Message.SaveActorCfg": RpcMethod(ADMIN, save_actor_cfg, (ACTOR_CFG,), void=True),
    "Message.UpdateActorCfg": RpcMethod(ADMIN, update_actor_cfg, (UUID, CHANGES), void=True),
    "Message.ListActorCfg": RpcMethod(READ, list_actor_cfg),
    "Message.GetActorCfgByID": RpcMethod(READ, get_actor_cfg_by_id, (UUID,)),
    "Message.SaveNode": RpcMethod(ADMIN, save_node, (NODE,), void=True),
    "Message.GetNode": RpcMethod(ADMIN, get_node, (TEXT,)),
    "Message.HasNode": RpcMethod(ADMIN, has_node, (TEXT,)),
    "Message.ListNode": RpcMethod(ADMIN, list_node),
    "Message.DeleteNode": RpcMethod(ADMIN, delete_node, (TEXT,), void=True),
    "Message.NetPeers": RpcMethod(ADMIN, net_peers),
    "Message.LogList": RpcMethod(ADMIN, log_list),
    "Message.Version": RpcMethod(READ, version),
}
"""Every method that has a meaning here.  Those about a libp2p host have none: we publish by RPC."""
