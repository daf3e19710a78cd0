"""Messages that a program has signed without pushing them: what a rule names is pushed, and waits there."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from django.db.models import Q

from apps.messages.errors import ApprovalRequired
from apps.messages.models import ApprovalRule, Message
from apps.messages.selectors.approval_choice import approval_rule_find
from apps.messages.selectors.receivers import receiver_kinds
from apps.users.models import SignerGrant
from poolsite.filecoin.address import DELEGATED, address_parse
from poolsite.filecoin.cbor import BadCbor
from poolsite.filecoin.ethereum import signing_bytes
from poolsite.filecoin.ethereum_transaction import BadTransaction
from poolsite.filecoin.message import Message as ChainMessage
from poolsite.filecoin.message import message_from_cbor
from poolsite.filecoin.policy import NETWORKS

MESSAGE: Final = "message"
CID_PREFIX: Final = bytes.fromhex("0171a0e40220")
"""Begins the CID of a message, which is what a key signs of it."""
TYPED_MAX: Final = 0x04
LEGACY_FROM: Final = 0xC0
"""An Ethereum transaction, which a delegated key signs, begins with its type, or is a list (EIP-2718)."""


def bytes_signature_check(
    *,
    address: str,
    accounts: Collection[str],
    is_operator: bool,
    to_sign: bytes,
    meta_type: str,
    extra: bytes,
) -> None:
    """Refuse bytes that are a message which must be approved, or that may hide one.  Raises ApprovalRequired.

    Not every signer compares the bytes with the message in `extra`, so that is done here.
    """
    rules = _rules(address, accounts, is_operator=is_operator)
    is_delegated = address_parse(address).protocol == DELEGATED
    if not rules or (meta_type != MESSAGE and not _may_be_message(to_sign, is_delegated=is_delegated)):
        return
    try:
        message = message_from_cbor(extra) if meta_type == MESSAGE else None
    except BadCbor:
        message = None
    if message is None or to_sign not in _payloads(message, is_delegated=is_delegated):
        raise ApprovalRequired
    _message_check(message, rules)


def _may_be_message(to_sign: bytes, *, is_delegated: bool) -> bool:
    """Return whether a signature over these bytes may be a message's."""
    if not is_delegated:
        return to_sign.startswith(CID_PREFIX)
    return bool(to_sign) and (to_sign[0] <= TYPED_MAX or to_sign[0] >= LEGACY_FROM)


def _payloads(message: ChainMessage, *, is_delegated: bool) -> Collection[bytes]:
    """Return the bytes that a signature over a message covers, on every network."""
    if not is_delegated:
        return (message.cid.data,)
    try:
        return {signing_bytes(message, chain_id=network.eth_chain_id) for network in NETWORKS.values()}
    except BadTransaction:
        return ()


def message_signature_check(message: ChainMessage, *, accounts: Collection[str], is_operator: bool) -> None:
    """Refuse a message that must be approved.  Raises ApprovalRequired."""
    _message_check(message, _rules(str(message.from_), accounts, is_operator=is_operator))


def _rules(address: str, accounts: Collection[str], *, is_operator: bool) -> list[ApprovalRule]:
    """Return the rules of all and of these accounts; for an operator those of whoever has the address too.

    A tenant's rule holds up no other tenant that has the address as well, as with what is pushed.
    """
    mine = Q(tenant=None) | Q(tenant__name__in=list(accounts))
    if is_operator:
        mine |= Q(tenant__in=SignerGrant.objects.filter(address=address, deleted_at=None).values("tenant"))
    return list(ApprovalRule.objects.filter(mine).order_by("pk"))


def _message_check(message: ChainMessage, rules: Collection[ApprovalRule]) -> None:
    to = str(message.to)
    kind = receiver_kinds([to]).get(to, "") if rules else ""
    for rule in rules:
        row = Message(
            tenant_id=rule.tenant_id,
            to=to,
            from_addr=str(message.from_),
            value=int(message.value),
            method=int(message.method),
            params=message.params,
        )
        if approval_rule_find(row, rules=[rule], receiver=kind) is not None:
            raise ApprovalRequired
