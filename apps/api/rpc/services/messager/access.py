"""What every method of the messager asks first: who calls, which head, whose address."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from apps.api.rpc.dispatcher import Call
from apps.api.rpc.services.messager.answers import message_json
from apps.chain.errors import NetworkUnknown
from apps.chain.selectors.heads import head_current
from apps.core.errors import DomainError, NotAllowed
from apps.messages.errors import MessageNotFound
from apps.messages.selectors.messages import message_get
from apps.wallets.selectors import sender_allowed
from poolsite.filecoin.address import Address, address_format

if TYPE_CHECKING:
    from apps.chain.models import Head
    from apps.messages.models import Message


def head_known() -> Head:
    """Return the newest head.  Raises NetworkUnknown before the first one."""
    head = head_current()
    if head is None:
        raise NetworkUnknown("no chain head is known yet")
    return head


def head_height() -> int:
    """Return the newest head's height, 0 before the first one."""
    head = head_current()
    return 0 if head is None else head.height


def rows_json(rows: Iterable[Message]) -> list[dict[str, Any]]:
    """Return messages as the messager lists them."""
    height = head_height()
    return [message_json(row, head_height=height) for row in rows]


def signer_check(call: Call, address: Address) -> str:
    """Return the address as text if the caller may use it.  Raises NotAllowed with sophon-auth's words."""
    text = address_format(address)
    if not call.principal.is_operator and not sender_allowed(call.principal.tenant_id, text):
        user = call.principal.tenant_name
        raise NotAllowed(f"signer {text} not exist in user {user}: permission deny")
    if not call.principal.may_sign_with(text):
        raise NotAllowed(f"the token may not use the signer {text}")
    return text


def sender_check(call: Call, address: Address) -> str:
    """Return it if the caller may change how it sends: messages of all miners wait in its lane.

    Raises NotAllowed.
    """
    if call.principal.miners:
        raise NotAllowed("this token is limited to certain miners")
    return signer_check(call, address)


def message_missing(error: DomainError) -> DomainError:
    """Return the refusal of a read by id in the messager's words."""
    if isinstance(error, MessageNotFound):
        return MessageNotFound(f"get message by id error: {error.wire_reason}", field="id")
    return error


def message_called(call: Call, id_: str, text: str = "{}") -> Message:
    """Return one of the caller's messages.  Raises MessageNotFound with `text` around its words."""
    try:
        return message_get(call.principal, id_)
    except MessageNotFound as error:
        raise MessageNotFound(text.format(error.wire_reason), field="id") from None
