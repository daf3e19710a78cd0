"""Messages whose key is kept offline: exported with a nonce, signed elsewhere, their signatures imported.

An exported message is in flight without a signature: no other message gets its nonce, since somebody may
sign and push it at any time.  It ends as others in flight do: it lands, another message lands with its nonce,
or a person withdraws it; then the nonce goes to what is exported next, so that only one of both can land.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from django.db import transaction
from django.db.models import Q

from apps.chain.models import Head
from apps.chain.node.client import ChainClient
from apps.core.errors import BadValue, Conflict, NotAllowed, NotFound
from apps.core.live import Change, publish
from apps.core.marked_texts import gettext
from apps.gateway.models import SignerKey
from apps.messages.errors import BadMessage
from apps.messages.models import Message, Sender
from apps.messages.rules.offline_files import OfflineSignature
from apps.messages.selectors.messages import messages_visible
from apps.messages.selectors.offline import messages_exported, messages_waiting, offline_key_require
from apps.messages.services.audit import event_record, message_audit, messages_audit
from apps.messages.services.cancel import message_mark_bad
from apps.messages.services.publish import messages_publish
from apps.messages.services.replace import fee_limits_set
from apps.messages.services.select import sender_select
from apps.messages.states import MessageState, Wait
from apps.users.models import SignerGrant, Tenant
from apps.users.rules.principals import Principal
from apps.users.services.audit import audit_record
from apps.users.services.grants import signer_grant
from apps.wallets.models import Wallet
from poolsite.filecoin.address import BLS, SECP256K1, BadAddress, address_parse
from poolsite.filecoin.message import SignedMessage, signed_message_to_cbor
from poolsite.filecoin.signature import BadSignature, signature_verify

KEY_TYPES: Final = {SECP256K1: "secp256k1", BLS: "bls"}


@dataclass(slots=True)
class Exported:
    """The messages that were exported, and those that were left."""

    rows: list[Message] = field(default_factory=list)
    """With nonce and fees, in the order of nonces."""
    left: list[Message] = field(default_factory=list)
    """Asked for, and not exported: `wait` and `error` say why."""


@dataclass(slots=True)
class Imported:
    """The messages that were signed, and the signatures that were refused."""

    rows: list[Message] = field(default_factory=list)
    """Signed by now, and handed to the nodes."""
    refused: list[tuple[str, str]] = field(default_factory=list)
    """CIDs of unsigned messages, with why their signatures were not taken."""


@transaction.atomic
def offline_key_add(*, principal: Principal, tenant: Tenant, address: str, label: str = "") -> Wallet:
    """Add a key that no signer holds.  Only an operator may: nobody proves to have it.

    Raises NotAllowed, BadValue and Conflict naming the field.
    """
    if principal.is_limited or not (principal.may("admin") and principal.sees_pool):
        raise NotAllowed(gettext("only the pool's operator may"))
    try:
        parsed = address_parse(address)
    except BadAddress as error:
        raise BadValue(str(error), field="address") from None
    if parsed.protocol not in KEY_TYPES:
        raise BadValue(gettext("must be a key of type secp256k1 or BLS (f1 or f3)"), field="address")
    name = str(parsed)
    others = SignerGrant.objects.filter(address=name, deleted_at=None).exclude(tenant=tenant)
    if others.exists():
        raise Conflict(gettext("another tenant sends from {address}").format(address=name), field="address")
    if SignerKey.objects.filter(address=name, removed_at=None, connection__closed_at=None).exists():
        raise Conflict(gettext("a connected signer holds {address}").format(address=name), field="address")
    wallet, _ = Wallet.objects.get_or_create(
        address=name,
        defaults={"tenant": tenant, "account": "", "key_type": KEY_TYPES[parsed.protocol]},
    )
    # Without an account nobody expects a signer of it.
    Wallet.objects.filter(pk=wallet.pk).update(account="", label=label[:60] or wallet.label)
    signer_grant(tenant=tenant, address=name, is_by_hand=True)
    Sender.objects.get_or_create(address=name)
    Sender.objects.filter(address=name).update(is_offline=True)
    audit_record(principal=principal, action="offline.key-add", target=name, after={"tenant": tenant.name})
    wallet.refresh_from_db()
    return wallet


@transaction.atomic
def offline_key_remove(*, principal: Principal, address: str) -> None:
    """Remove the mark of an offline key: its messages are signed by its signer again.

    Raises NotAllowed, NotFound, and Conflict while an exported message waits for its signature.
    """
    if not (principal.may("admin") and principal.sees_pool):
        raise NotAllowed(gettext("only the pool's operator may"))
    offline_key_require(principal, address)
    sender = Sender.objects.select_for_update().get(address=address)
    if messages_exported(principal, address).exists():
        raise Conflict(
            gettext("exported messages wait for their signatures: import or withdraw them first"),
            field="address",
        )
    Sender.objects.filter(pk=sender.pk).update(is_offline=False, wait=Wait.NONE, error="")
    tenants = SignerGrant.objects.filter(address=address, deleted_at=None)
    names = ", ".join(tenants.order_by("pk").values_list("tenant__name", flat=True))
    audit_record(principal=principal, action="offline.key-remove", target=address, before={"tenant": names})


def messages_export(
    *,
    principal: Principal,
    address: str,
    ids: Sequence[str] | None,
    gas_fee_cap: int = 0,
    client: ChainClient,
    head: Head,
    now: datetime,
) -> Exported:
    """Assign nonces and fees to messages of an offline key, to be signed elsewhere.

    `ids` None: all that wait.  `gas_fee_cap`: of each, as the base fee may rise until they are signed.
    Raises NotAllowed, NotFound, Conflict, NodeUnavailable, NodeRefused, and what the fee cap is refused for.
    """
    _signing_require(principal)
    offline_key_require(principal, address)
    rows = messages_waiting(principal, address)
    if ids is not None:
        rows = rows.filter(Q(pk__in=list(ids)) | Q(push_id__in=list(ids)))
    wanted = list(rows)
    if not wanted:
        raise Conflict(gettext("no message of {address} waits for an export").format(address=address))
    if gas_fee_cap:
        for row in wanted:
            fee_limits_set(
                message=row, max_fee=int(row.max_fee), gas_fee_cap=gas_fee_cap, now=now, by=principal
            )
    chosen = sender_select(
        address=address, head=head, client=client, now=now, export=[row.pk for row in wanted]
    )
    if chosen.is_busy:
        raise Conflict(gettext("messages of {address} are being selected: try again").format(address=address))
    fresh = {row.pk: row for row in Message.objects.filter(pk__in=[row.pk for row in wanted])}
    found = Exported(
        rows=sorted((row for row in fresh.values() if row.is_exported), key=lambda row: row.nonce or 0),
        left=[fresh[row.pk] for row in wanted if not fresh[row.pk].is_exported],
    )
    exports_record(found.rows, by=principal)
    return found


def exports_record(rows: Sequence[Message], *, by: Principal) -> None:
    """Write down that somebody was handed unsigned messages."""
    messages_audit(
        by,
        action="message.export",
        rows=[(row, None, {"nonce": row.nonce, "cid": str(row.unsigned_cid)}) for row in rows],
    )


def signatures_import(
    *, principal: Principal, signatures: Sequence[OfflineSignature], now: datetime
) -> Imported:
    """Store signatures made offline and hand the messages to the nodes; the same one again is no error.

    One that is not taken stops no other.  Raises NotAllowed.
    """
    _signing_require(principal)
    found = Imported()
    for one in signatures:
        try:
            found.rows.append(_signature_store(principal, one, now=now))
        except (NotFound, Conflict, BadMessage) as refusal:
            found.refused.append((str(one.cid), refusal.reason))
    messages_publish([row.pk for row in found.rows], now=now)
    return found


@transaction.atomic
def _signature_store(principal: Principal, one: OfflineSignature, *, now: datetime) -> Message:
    """Store one signature.  Raises NotFound, Conflict, BadMessage."""
    visible = messages_visible(principal).filter(unsigned_cid=str(one.cid), exported_at__isnull=False)
    known = visible.order_by("-exported_at").values_list("pk", flat=True).first()
    if known is None:
        raise NotFound(gettext("no message with this CID was exported"))
    row = Message.objects.select_for_update().get(pk=known)
    message = row.chain_message()
    if row.state == MessageState.FAILED:
        raise Conflict(gettext("it was withdrawn: its nonce may be another message's by now"))
    if row.state != MessageState.FILLED or message.cid != one.cid:
        raise Conflict(gettext("the message is {state} by now").format(state=MessageState(row.state).label))
    try:
        signature_verify(one.signature, message.from_, message.cid.data)
    except BadSignature as error:
        raise BadMessage(
            gettext("not the signature of {sender}: {error}").format(sender=row.from_addr, error=error),
            field="messages",
        ) from None
    signed = SignedMessage(message, one.signature)
    if row.signed:  # the same again, or another valid one of the same message: one is enough
        return row
    Message.objects.filter(pk=row.pk).update(
        signed=signed_message_to_cbor(signed),
        cid=str(signed.cid),
        filled_at=now,  # from here on it is late if no block takes it
        published_at=None,
        wait=Wait.IN_POOL,
        error="",
        updated_at=now,
    )
    event_record(row, event="signed offline", text=str(signed.cid), now=now)
    message_audit(principal, action="message.sign-import", message=row, after={"cid": str(signed.cid)})
    publish(Change("message", row.pk, row.tenant_id))
    row.refresh_from_db()
    return row


def export_withdraw(*, principal: Principal, message: Message, now: datetime) -> Message:
    """Fail an exported message; its nonce goes to what is exported next, so that one of both can land.

    Raises NotAllowed, and Conflict for one that is signed by now, or was not exported.
    """
    _signing_require(principal)
    if not message.is_exported:
        raise Conflict(gettext("it does not wait for a signature made offline"), field="state")
    return message_mark_bad(message=message, now=now, by=principal, is_withdrawal=True)


def _signing_require(principal: Principal) -> None:
    if not principal.may("sign") or principal.is_partial:
        raise NotAllowed(gettext("requires permission to sign for the whole tenant"))
