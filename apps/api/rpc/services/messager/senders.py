"""`Message.*`: addresses with their states, quotas, fees and nonces.

Source: filecoin-project/venus venus-shared/api/messager/api.go; texts of sophon-messager.
"""

from __future__ import annotations

from typing import Any

from apps.api.rpc.dispatcher import Call
from apps.api.rpc.services.messager.access import (
    sender_check,
)
from apps.api.rpc.services.messager.answers import sender_json
from apps.api.rpc.services.messager.fee_parameters import Fees
from apps.messages.errors import SenderNotFound
from apps.messages.selectors.senders import sender_get, senders_visible
from apps.messages.services.senders import sender_delete, sender_set, sender_set_nonce
from apps.messages.states import SenderState
from apps.wallets.selectors import sender_allowed
from poolsite.filecoin.address import Address, address_format


def get_address(call: Call, address: Address) -> dict[str, Any]:
    """Return one sender."""
    return sender_json(sender_get(call.principal, address_format(address)))


def has_address(call: Call, address: Address) -> bool:
    """Return whether messages were pushed from here."""
    return senders_visible(call.principal).filter(address=address_format(address)).exists()


def list_address(call: Call) -> list[dict[str, Any]]:
    """List the caller's senders."""
    return [sender_json(row) for row in senders_visible(call.principal)]


def wallet_has(call: Call, address: Address) -> bool:
    """Return whether a signer holds this key for the caller."""
    text = address_format(address)
    return call.principal.may_sign_with(text) and sender_allowed(call.principal.tenant_id, text)


def _own_sender(call: Call, address: Address) -> str:
    problem = sender_check(call, address)
    if not senders_visible(call.principal).filter(address=problem).exists():
        raise SenderNotFound(wire="address not exists")
    return problem


def forbidden_address(call: Call, address: Address) -> None:
    """Stop a sender: nothing is pushed or chosen; what is in flight is still tracked."""
    sender_set(principal=call.principal, address=_own_sender(call, address), state=SenderState.FORBIDDEN)


def active_address(call: Call, address: Address) -> None:
    """Resume a stopped sender."""
    sender_set(principal=call.principal, address=_own_sender(call, address), state=SenderState.ALIVE)


def delete_address(call: Call, address: Address) -> None:
    """Forget a sender's settings."""
    sender_delete(principal=call.principal, address=_own_sender(call, address))


def set_select_msg_num(call: Call, address: Address, count: int) -> None:
    """Set how many messages may be in flight."""
    sender_set(principal=call.principal, address=_own_sender(call, address), quota=count)


def set_fee_params(call: Call, spec: Fees) -> None:
    """Set a sender's fee rules."""
    if not senders_visible(call.principal).filter(address=address_format(spec.address)).exists():
        raise SenderNotFound(wire="address not exists")
    sender_set(principal=call.principal, address=sender_check(call, spec.address), fees=spec.values)


def update_nonce(call: Call, address: Address, nonce: int) -> None:
    """Set a sender's next nonce by hand."""
    sender_set_nonce(principal=call.principal, address=_own_sender(call, address), nonce=nonce)
