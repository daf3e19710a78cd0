"""Recovery after a restore: what own senders sent since is read back and given to its rows.

A message on chain or in the node's pool belongs to the row whose id the signer recorded with it, else to
the oldest waiting row with the same content.  One that was signed for a row that is gone gets its row back.
What is left a person decides about; then signing goes on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

import structlog
from django.db import transaction
from django.db.models import F, Q
from django.utils.translation import gettext

from apps.chain.errors import NodeRefused
from apps.chain.isolation import for_each_isolated
from apps.core.errors import BadValue
from apps.core.live import Change, publish, publish_all
from apps.gateway.errors import SignerAway
from apps.messages.errors import BadMessage
from apps.messages.models import Message, Recovery, Sender, SignedVersion, UnmatchedMessage
from apps.messages.selectors.recovery import recovery_now, recovery_row, senders_unread, unmatched_open
from apps.messages.services.audit import event_record
from apps.messages.services.bulk_transitions import messages_advance, publish_message_changes
from apps.messages.services.recovery.chain_history import History, Landed
from apps.messages.services.recovery.detect import RECOVERY_CHANGE
from apps.messages.services.spend import ADDED, spend_record
from apps.messages.states import KIND_PRIORITIES, MessageState, Priority, Wait
from apps.users.models import SignerGrant, Tenant
from apps.users.services.audit import audit_record
from apps.wallets.models import Wallet
from apps.wallets.services.sign import ids_signed
from poolsite.filecoin.actors.miner import METHODS, Method
from poolsite.filecoin.address import ID
from poolsite.filecoin.cbor import BadCbor
from poolsite.filecoin.codec import from_cbor
from poolsite.filecoin.message import METHOD_SEND, signed_message_to_cbor
from poolsite.wire.origins import IdFound

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from apps.chain.client import ChainClient
    from apps.chain.tipsets import TipsetFacts
    from apps.users.principals import Principal
    from poolsite.filecoin.message import Message as ChainMessage

log = structlog.get_logger(__name__)

MARGIN_EPOCHS: Final = 20
"""Below the tracker's height from which is read: a reorganisation may have moved messages down."""


OWN_KINDS: Final[dict[int, str]] = {
    Method.SUBMIT_WINDOWED_POST: "window_post",
    Method.DECLARE_FAULTS: "declare_faults",
    Method.DECLARE_FAULTS_RECOVERED: "recover",
    Method.PRE_COMMIT_SECTOR_BATCH2: "precommit",
    Method.PROVE_COMMIT_SECTORS3: "commit",
    Method.PROVE_COMMIT_SECTORS_NI: "commit",
    Method.PROVE_REPLICA_UPDATES3: "snap_up",
    Method.TERMINATE_SECTORS: "terminate",
    Method.EXTEND_SECTOR_EXPIRATION2: "extend",
}
"""Methods of a miner that the pool itself sends, with the kind of message that it sends for each."""


@dataclass(frozen=True, slots=True)
class Sent:
    """A message of an own sender that no row explains."""

    cid: str
    message: ChainMessage
    signed: bytes = b""
    """In CBOR; empty where only the chain has it, which keeps no signature of a BLS key by itself."""
    landed: Landed | None = None


def recovery_step(*, client: ChainClient, now: datetime) -> None:
    """Read back each sender that was not read yet, and end recovery when nothing is left to do."""
    recovery = recovery_now()
    if recovery is None:
        return
    pending = _unexecuted(client)
    head = client.chain_head()
    pending = _in_blocks(client, head) | pending
    known = set(Sender.objects.values_list("address", flat=True))
    ours = Wallet.objects.exclude(address__in=known).values_list("address", flat=True)
    Sender.objects.bulk_create([Sender(address=address) for address in ours], ignore_conflicts=True)

    def one(sender: Sender) -> None:
        history = History(sender.address, client, head)
        try:
            _read_back(sender, recovery, history, pending.values(), now=now)
        except (NodeRefused, SignerAway) as error:
            Sender.objects.filter(pk=sender.pk).update(wait=Wait.RECOVERY, error=error.reason[:1000])
            raise

    for_each_isolated(list(senders_unread(recovery)), one, event="not_read_back")
    Recovery.objects.filter(pk=recovery.pk).update(read_height=head.height)
    _end_if_done(now=now)


def _unexecuted(client: ChainClient) -> dict[str, Sent]:
    """Return what waits in the node's pool, by CID; asked for before the head, which may take it up."""
    return {
        str(signed.cid): Sent(str(signed.cid), signed.message, signed_message_to_cbor(signed))
        for signed in client.mpool_pending()
    }


def _in_blocks(client: ChainClient, head: TipsetFacts) -> dict[str, Sent]:
    """Return what the head's blocks include, by CID: in no pool any more, and executed by the next tipset."""
    found: dict[str, Sent] = {}
    for block in head.cids:
        for cid, message, signed in client.chain_get_block_messages(block):
            raw = b"" if signed is None else signed_message_to_cbor(signed)
            found[str(cid)] = Sent(str(cid), message, raw)
    return found


def _end_if_done(*, now: datetime) -> None:
    recovery = recovery_now()
    if recovery is None or recovery.read_height is None:
        return
    if not senders_unread(recovery).exists() and not unmatched_open().exists():
        _end(now=now)


def _end(*, now: datetime) -> None:
    with transaction.atomic():
        Recovery.objects.filter(pk=1, since__isnull=False).update(since=None, ended_at=now)
        Sender.objects.filter(wait=Wait.RECOVERY).update(wait="", error="")
        publish_all((Change("messages", "all", None), RECOVERY_CHANGE))
    log.info("recovery_ended")


def _read_back(
    sender: Sender, recovery: Recovery, history: History, pending: Iterable[Sent], *, now: datetime
) -> None:
    """Assign to their rows what one sender sent; raises NodeRefused, NodeUnavailable, SignerAway."""
    low = max(recovery.from_height - MARGIN_EPOCHS, 0)
    first, after = history.nonce_at(low), history.nonce_at(history.head.height)
    sent = [
        Sent(one.cid, one.message, landed=one)
        for one in history.landed(range(first, after), low=low).values()
    ]
    there = {one.cid for one in sent}
    waiting = [one for one in pending if str(one.message.from_) == sender.address and one.cid not in there]
    sent += sorted(waiting, key=lambda one: one.message.nonce)
    sent = _unexplained(sent)
    ids = ids_signed(sender.address, pool=recovery.pool, cids=[str(one.message.cid) for one in sent])
    with transaction.atomic():
        Sender.objects.select_for_update().get(pk=sender.pk)
        sent = _unexplained(sent)  # another process may have given them to their rows since
        matched = sum(_attach(one, ids.get(str(one.message.cid)), now=now) for one in sent)
        top = max([after, *(one.message.nonce + 1 for one in sent)])
        Sender.objects.filter(pk=sender.pk).update(
            next_nonce=max(sender.next_nonce, top),
            chain_nonce=after,
            version=F("version") + 1,
            read_back_at=now,
            wait="",
            error="",
        )
        Recovery.objects.filter(pk=recovery.pk).update(matched=F("matched") + matched)
        publish(RECOVERY_CHANGE)


def _unexplained(sent: list[Sent]) -> list[Sent]:
    """Leave out what rows have, and what a person has decided about."""
    cids = [one.cid for one in sent]
    known = set(Message.objects.filter(cid__in=cids).values_list("cid", flat=True))
    known |= set(SignedVersion.objects.filter(cid__in=cids).values_list("cid", flat=True))
    known |= set(UnmatchedMessage.objects.filter(cid__in=cids).values_list("cid", flat=True))
    return [one for one in sent if one.cid not in known]


def _attach(one: Sent, found: IdFound | None, *, now: datetime) -> bool:
    """Assign a message to its row; one without a row is kept for a person.  Returns whether it has one."""
    row = _row_of(one, found, now=now)
    if row is not None:
        _write(row, one, now=now)
        return True
    if not _moves_nothing(one.message):
        _unmatched(one, now=now)
    return False


def _row_of(one: Sent, found: IdFound | None, *, now: datetime) -> Message | None:
    """Return the row of a message: by the id that the signer recorded, else by content."""
    message = one.message
    flying = Message.objects.filter(
        from_addr=str(message.from_), nonce=message.nonce, state=MessageState.FILLED
    ).first()
    if flying is not None and flying.has_content(message):
        return flying  # another version of it
    if found is not None:
        own = Message.objects.filter(push_id=found.id, tenant=_tenant_of(found))
        row = own.first() or _row_recreate(found, message, now=now)
        can_take = row.state in (MessageState.UNFILLED, MessageState.FAILED) and row.nonce is None
        return row if can_take and row.has_content(message) else None
    alike = Message.objects.filter(
        from_addr=str(message.from_),
        to=str(message.to),
        value=message.value,
        method=message.method,
        state=MessageState.UNFILLED,
    )
    for row in alike.order_by("created_at", "pk"):
        if row.has_content(message):
            return row
    known = _own_message(message)
    return None if known is None else _row_recreate(known, message, now=now)


def _own_message(message: ChainMessage) -> IdFound | None:
    """Return who a message to a miner is by its content, where the signer keeps no ids; None for any other.

    Only the miner's own senders may send these, and for the pool nobody does but the pool itself.
    """
    kind = OWN_KINDS.get(message.method)
    tenants = SignerGrant.objects.filter(address=str(message.from_), deleted_at=None)
    names = list(tenants.values_list("tenant__name", flat=True).distinct()[:2])
    if kind is None or message.to.protocol != ID or len(names) != 1:
        return None
    try:
        from_cbor(METHODS[message.method].params or object, message.params)
    except BadCbor:
        return None
    return IdFound(cid=str(message.cid), id=f"{kind}:{uuid4()}", account=names[0], kind=kind)


def _tenant_of(found: IdFound) -> Tenant | None:
    return Tenant.objects.filter(name=found.account).first() if found.account else None


def _row_recreate(found: IdFound, message: ChainMessage, *, now: datetime) -> Message:
    """Make the row that the database has forgotten."""
    row = Message.objects.create(
        pk=found.id if found.kind else str(uuid4()),
        push_id=found.id,
        tenant=_tenant_of(found),
        pushed_by="recovered",
        kind=found.kind,
        priority=KIND_PRIORITIES.get(found.kind, Priority.REST),
        to=str(message.to),
        from_addr=str(message.from_),
        value=message.value,
        method=message.method,
        params=message.params,
    )
    event_record(row, "recovered", "its row was missing after a restore; the signer knows it", now=now)
    return row


def _write(row: Message, one: Sent, *, now: datetime) -> None:
    """Write nonce and, where it landed, the landing; another row in flight with the nonce has lost it."""
    message = one.message
    rivals = Message.objects.filter(from_addr=row.from_addr, nonce=message.nonce, state=MessageState.FILLED)
    filled: dict[str, Any] = {
        "nonce": message.nonce,
        "gas_limit": message.gas_limit,
        "gas_fee_cap": message.gas_fee_cap,
        "gas_premium": message.gas_premium,
        "signed": one.signed,
        "cid": one.cid,
        "unsigned_cid": str(message.cid),
        "filled_at": now,
        "wait": str(Wait.IN_POOL),
        "error": "",
    }
    landing = {} if one.landed is None else {row.pk: one.landed.columns(now=now)}
    lost = {
        pk: {
            "landed_at": now,
            "landed_cid": one.cid,
            "wait": str(Wait.NONE),
            "error": "another message landed",
        }
        for pk in rivals.exclude(pk=row.pk).values_list("pk", flat=True)
    }
    moved = messages_advance("CONFLICT", lost, now=now)
    if row.state == MessageState.FAILED:
        landing = {pk: {**filled, **columns} for pk, columns in landing.items()}
    elif row.state == MessageState.UNFILLED:
        moved |= messages_advance("FILL", {row.pk: filled}, now=now)
    landed = messages_advance("LAND", landing, now=now)
    spend_record(landed, sign=ADDED)
    event_record(
        row,
        "matched",
        gettext("nonce {nonce}, {cid}, read back after a restore").format(nonce=message.nonce, cid=one.cid),
        now=now,
    )
    publish_message_changes({**moved, **landed})


def _moves_nothing(message: ChainMessage) -> bool:
    """Return whether it is a transfer of nothing to oneself, which closes a gap or cancels."""
    return message.method == METHOD_SEND and message.to == message.from_ and not message.value


def _unmatched(one: Sent, *, now: datetime) -> None:
    message = one.message
    UnmatchedMessage.objects.get_or_create(
        cid=one.cid,
        defaults={
            "unsigned_cid": str(message.cid),
            "from_addr": str(message.from_),
            "nonce": message.nonce,
            "to": str(message.to),
            "value": message.value,
            "method": message.method,
            "params": message.params,
            "gas_limit": message.gas_limit,
            "gas_fee_cap": message.gas_fee_cap,
            "gas_premium": message.gas_premium,
            "height": None if one.landed is None else one.landed.height,
            "found_at": now,
        },
    )


def unmatched_decide(
    *, principal: Principal, row: UnmatchedMessage, message_id: str, client: ChainClient, now: datetime
) -> UnmatchedMessage:
    """Decide of a message on chain that it is the one with this id, or (empty) somebody else's.

    Raises BadValue if it was decided, BadMessage if that message does not wait or is of another sender,
    NodeUnavailable, NodeRefused.
    """
    landed = None
    if message_id and row.height is not None:
        landed = History(row.from_addr, client, client.chain_head()).landed([row.nonce]).get(row.nonce)
    with transaction.atomic():
        row = UnmatchedMessage.objects.select_for_update().get(pk=row.pk)
        if row.decided_at is not None:
            raise BadValue(gettext("it was decided already"), field="id")
        if message_id:
            _decided_row(row, message_id, landed, now=now)
        row.decided_at, row.decided_by, row.message_id = now, principal.actor[:200], message_id
        row.save()
        audit_record(
            principal=principal,
            action="recovery.decide",
            target=row.cid,
            after={"message": message_id or None, "nonce": row.nonce, "from": row.from_addr},
        )
        publish(RECOVERY_CHANGE)
    _end_if_done(now=now)
    return row


def _decided_row(row: UnmatchedMessage, message_id: str, landed: Landed | None, *, now: datetime) -> None:
    named = Message.objects.select_for_update().filter(Q(pk=message_id) | Q(push_id=message_id))
    waiting = list(named.filter(from_addr=row.from_addr, state=MessageState.UNFILLED)[:2])
    if len(waiting) != 1:
        if waiting:
            words = gettext("more than one message {message} of {address} waits")
        else:
            words = gettext("no message {message} of {address} waits")
        raise BadMessage(words.format(message=message_id, address=row.from_addr), field="message")
    if landed is None or landed.cid != row.cid:
        raise BadMessage(
            gettext("{cid} is not on chain now: decide when it landed").format(cid=row.cid), field="id"
        )
    _write(waiting[0], Sent(row.cid, landed.message, landed=landed), now=now)


def recovery_end(*, principal: Principal, now: datetime) -> None:
    """End recovery as it is: a person answers for what was not read back.  Raises BadValue."""
    recovery = recovery_row()
    if recovery.since is None and recovery.sectors_since is None:
        raise BadValue(gettext("the pool is not in recovery"), field="")
    unread = Sender.objects.none() if recovery.since is None else senders_unread(recovery)
    left = list(unread.values_list("address", flat=True)[:100])
    with transaction.atomic():
        open_ = unmatched_open()
        after = {"senders_unread": left, "undecided": open_.count()}
        open_.update(decided_at=now, decided_by=principal.actor[:200])
        audit_record(principal=principal, action="recovery.end", target="pool", after=after)
        Recovery.objects.filter(pk=1).update(sectors_since=None)
        _end(now=now)
