"""`Message.*`: replacing, republishing, failing, searching on chain.

Source: filecoin-project/venus venus-shared/api/messager/api.go; texts of sophon-messager.
"""

from __future__ import annotations

from apps.api.rpc.dispatcher import Call
from apps.api.rpc.services.messager.access import (
    head_known,
    message_called,
    sender_check,
)
from apps.api.rpc.services.messager.parameters import Replacement
from apps.chain.node.client import chain_client
from apps.core import clock
from apps.messages.errors import BadMessage, MessageNotFound
from apps.messages.selectors.messages import message_get
from apps.messages.selectors.tracking import tracked_key
from apps.messages.services.cancel import message_mark_bad, messages_clear
from apps.messages.services.publish import message_republish, messages_publish
from apps.messages.services.replace import message_replace
from apps.messages.services.retry import message_retry, messages_recover
from apps.messages.services.search import message_search, open_messages_search
from apps.messages.states import STATES_BY_CODE, WIRE_NAMES, MessageState
from poolsite.filecoin.address import Address


def replace_message(call: Call, params: Replacement) -> dict[str, str]:
    """Sign again with other fees, publish, and give the new CID."""
    row = message_called(call, params.id, "found message {}")
    replacement = message_replace(
        message=row,
        fees=params.fees,
        client=chain_client(),
        head=head_known(),
        now=clock.now(),
        by=call.principal,
    )
    messages_publish([replacement.pk], now=clock.now())
    return {"/": replacement.cid}


def republish_message(call: Call, id_: str) -> None:
    """Publish a message again; an unknown id is no error, as in the messager."""
    try:
        row = message_get(call.principal, id_)
    except MessageNotFound:
        return
    message_republish(message=row, now=clock.now(), by=call.principal)


def mark_bad_message(call: Call, id_: str) -> None:
    """Mark a message failed."""
    message_mark_bad(message=message_called(call, id_), now=clock.now(), by=call.principal)


def recover_failed_msg(call: Call, address: Address) -> list[str]:
    """Retry what failed."""
    problem = sender_check(call, address)
    return messages_recover(
        address=problem,
        client=chain_client(),
        head=head_known(),
        now=clock.now(),
        tenant_id=_tenant_only(call),
        by=call.principal,
    )


def clear_unfill_message(call: Call, address: Address) -> int:
    """Mark what has no nonce yet failed, at once and not at the next head."""
    problem = sender_check(call, address)
    tenant_id = _tenant_only(call)
    return messages_clear(address=problem, now=clock.now(), tenant_id=tenant_id, by=call.principal)


def _tenant_only(call: Call) -> int | None:
    """Return whose messages an act on an address is for; None for an operator, who acts on everybody's."""
    return None if call.principal.is_operator else call.principal.own_id


def update_filled_message_by_id(call: Call, id_: str) -> str:
    """Search one message on chain."""
    row = message_called(call, id_)
    if row.state in (MessageState.LANDED, MessageState.REPLACED):
        text = f"message state({WIRE_NAMES[row.state]}) has been final, can not update"
        raise BadMessage(text, field="id")
    by = call.principal
    if not message_search(row, client=chain_client(), key=tracked_key(), now=clock.now(), by=by):
        raise MessageNotFound(f"search message {row.cid} from node nil")
    return str(row.push_id)


def update_all_filled_message(call: Call) -> int:
    """Search every message in flight on chain."""
    return open_messages_search(client=chain_client(), key=tracked_key(), now=clock.now(), by=call.principal)


def update_message_state_by_id(call: Call, id_: str, state: int) -> None:
    """Move a message by hand where its state table has such a step: give up, or take back."""
    row = message_called(call, id_)
    message_state = STATES_BY_CODE.get(state)
    if message_state == row.state:
        return
    if message_state == MessageState.FAILED:
        message_mark_bad(message=row, now=clock.now(), by=call.principal)
    elif message_state == MessageState.UNFILLED and row.state == MessageState.FAILED and row.nonce is None:
        message_retry(message=row, now=clock.now(), by=call.principal)
    elif message_state in {MessageState.FILLED, MessageState.UNFILLED} and row.state == MessageState.FAILED:
        # venus' command line sends UnFillMsg for messages with nonce 0 too: it takes 0 for no nonce.
        head = head_known()
        found = messages_recover(
            address=row.from_addr,
            client=chain_client(),
            head=head,
            now=clock.now(),
            ids=[row.pk],
            by=call.principal,
        )
        if not found:
            raise BadMessage(f"message {row.push_id} has no open nonce to go back to", field="state")
    else:
        name = WIRE_NAMES.get(message_state or "", str(state))
        raise BadMessage(f"a message in {WIRE_NAMES[row.state]} cannot be set to {name}", field="state")
