"""Recovery after a restore: what own senders sent since is read back and given to its rows.

A message on chain or in the node's pool belongs to the row whose id the signer recorded with it, else to
the oldest waiting row with the same content.  One that was signed for a row that is gone gets its row back.
What is left a person decides about; then signing goes on.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable
from datetime import datetime
from functools import partial
from typing import Final

import structlog
from django.db import transaction
from django.db.models import F, Q

from apps.chain.errors import NodeRefused
from apps.chain.node.client import ChainClient
from apps.chain.node.isolation import for_each_isolated
from apps.chain.node.tipsets import TipsetFacts
from apps.core import clock
from apps.core.errors import BadValue
from apps.core.formatting import plural_kept
from apps.core.live import Change, publish, publish_all
from apps.core.locks import try_lock
from apps.core.marked_texts import gettext
from apps.core.reasons import refused
from apps.gateway.errors import SignerAway
from apps.messages.errors import BadMessage
from apps.messages.models import Message, Recovery, Sender, SignedVersion, UnmatchedMessage
from apps.messages.reasons import SENT_OUTSIDE, SIGNED_UNRECORDED
from apps.messages.selectors.recovery import (
    recovery_now,
    recovery_row,
    senders_unread,
    unmatched_open,
    waiting_alike,
)
from apps.messages.services.recovery.chain_history import History, Landed
from apps.messages.services.recovery.detect import RECOVERY_CHANGE, recovery_begin
from apps.messages.services.recovery.matching import Sent, match_write, matches_write
from apps.messages.services.selection import senders_lock
from apps.messages.services.selection_queue import selection_enqueue
from apps.messages.states import MessageState, Wait
from apps.users.rules.principals import Principal
from apps.users.services.audit import audit_record
from apps.wallets.models import Wallet
from apps.wallets.selectors import is_signed_for_program
from apps.wallets.services.signed_ids import signed_ids_read
from poolsite.filecoin.message import signed_message_to_cbor

log = structlog.get_logger(__name__)

MARGIN_EPOCHS: Final = 20
"""Below the tracker's height from which is read: a reorganisation may have moved messages down."""


RECOVERY_LOCK: Final = 0x4D52
"""Lock class of recovery; without it work would only be done twice."""

STEP_S: Final = 10.0
"""Seconds after which a step begins no other tipset: its task has other work."""


def recovery_step(*, client: ChainClient, now: datetime) -> bool:
    """Read back what own senders sent, a tipset at a time, and end recovery when nothing is left to do.

    Each tipset is written at once, and the next step goes on behind it.  Returns whether another step is due
    before the next head.
    """
    with try_lock(RECOVERY_LOCK, "recovery") as is_mine:
        recovery = recovery_now() if is_mine else None
        return recovery is not None and _step(recovery, client=client, now=now)


def _step(recovery: Recovery, *, client: ChainClient, now: datetime) -> bool:
    pending = _unexecuted(client)
    head = client.chain_head()
    pending = _in_blocks(client, head) | pending
    known = set(Sender.objects.values_list("address", flat=True))
    own = Wallet.objects.exclude(address__in=known).values_list("address", flat=True)
    Sender.objects.bulk_create([Sender(address=address) for address in own], ignore_conflicts=True)

    end = time.monotonic() + STEP_S
    is_over = False

    def one(sender: Sender) -> None:
        nonlocal is_over
        history = History(sender.address, client, head)
        try:
            while not is_over and not _read_back(sender, recovery, history, pending.values(), now=now):
                is_over = time.monotonic() > end
        except (NodeRefused, SignerAway) as error:
            Sender.objects.filter(pk=sender.pk).update(wait=Wait.RECOVERY, error=refused(error))
            raise

    for_each_isolated(list(senders_unread(recovery)), one, event="not_read_back")
    if is_over:
        return True
    Recovery.objects.filter(pk=recovery.pk).update(read_height=head.height)
    _end_if_done()
    return False


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


def _end_if_done() -> None:
    recovery = recovery_now()
    if recovery is None or recovery.read_height is None:
        return
    if not senders_unread(recovery).exists() and not unmatched_open().exists():
        _end()


def _end() -> None:
    """End recovery now, which may be minutes after the step began that read everything back."""
    with transaction.atomic():
        Sender.objects.filter(wait=Wait.RECOVERY).update(wait="", error="")
        Recovery.objects.filter(pk=1, since__isnull=False).update(since=None, ended_at=clock.now())
        publish_all((Change("messages", "all", None), RECOVERY_CHANGE))
    log.info("recovery_ended")


def _read_back(
    sender: Sender, recovery: Recovery, history: History, pending: Iterable[Sent], *, now: datetime
) -> bool:
    """Match what one sender sent in the next tipset to its rows, and after the last tipset what is pending.

    Returns whether the sender is read to the end.  Raises NodeRefused, NodeUnavailable, SignerAway.
    """
    low = max(recovery.from_height - MARGIN_EPOCHS, 0)
    after = history.nonce_at(history.head.height)
    first = history.nonce_at(low) if sender.read_nonce is None else sender.read_nonce
    executed = history.executed_with(first, low=low) if first < after else None
    if executed is None:
        sent = _sent_find(history, pending, nonces=())
    else:
        sent = _unexplained(
            [Sent(one.cid, one.message, landed=one) for one in executed if one.message.nonce >= first]
        )
    if executed is not None:
        # Another form of the address may have used the nonce that was looked for.
        sender.read_nonce = max([first, *(one.message.nonce for one in executed)]) + 1
        if not sent:
            Sender.objects.filter(pk=sender.pk).update(read_nonce=sender.read_nonce)
            return False
    ids = signed_ids_read(sender.address, pool=recovery.pool, cids=[str(one.message.cid) for one in sent])
    with transaction.atomic():
        row = Sender.objects.select_for_update().get(pk=sender.pk)
        sent = _unexplained(sent)  # another process may have assigned them to their rows since
        found = [(one, ids.get(str(one.message.cid))) for one in sent]
        matched = matches_write(sender.address, sent=found, now=now)
        if executed is None:
            top = max([after, *(one.message.nonce + 1 for one in sent)])
            Sender.objects.filter(pk=row.pk).update(
                next_nonce=max(row.next_nonce, top),
                chain_nonce=after,
                version=F("version") + 1,
                read_back_at=now,
                read_nonce=None,
                wait="",
                error="",
            )
            _foreign_forget(row)
            transaction.on_commit(partial(selection_enqueue, sender.address))
        else:
            Sender.objects.filter(pk=sender.pk).update(read_nonce=sender.read_nonce)
        Recovery.objects.filter(pk=recovery.pk).update(matched=F("matched") + matched)
        publish(RECOVERY_CHANGE)
    return executed is None


def _sent_find(history: History, pending: Iterable[Sent], *, nonces: Collection[int]) -> list[Sent]:
    """Return what an address sent with these nonces, and what of it is pending; without what rows have."""
    sent = [Sent(one.cid, one.message, landed=one) for one in history.landed(nonces).values()]
    landed_cids = {one.cid for one in sent}
    waiting = [
        one for one in pending if str(one.message.from_) == history.address and one.cid not in landed_cids
    ]
    return _unexplained(sent + sorted(waiting, key=lambda one: one.message.nonce))


def unrecorded_resolve(sender: Sender, *, client: ChainClient, now: datetime) -> None:
    """Match what one sender sent without a row with its waiting messages; what is like none was others'.

    Begins recovery of the pool if a signer signed any of it for the pool.  Raises SignerAway, NodeRefused,
    NodeUnavailable.
    """
    pending = _unexecuted(client)
    head = client.chain_head()
    pending = _in_blocks(client, head) | pending
    history = History(sender.address, client, head)
    first, after = sender.unrecorded_nonce or 0, history.nonce_at(head.height)
    unused = [one for one in pending.values() if one.message.nonce >= max(first, after)]
    sent = _sent_find(history, unused, nonces=range(first, after))
    cids = [str(one.message.cid) for one in sent]
    if ids := signed_ids_read(sender.address, pool=recovery_row().pool, cids=cids):
        recovery_begin(SIGNED_UNRECORDED(sender=sender.address, count=len(ids)), now=now)
    with transaction.atomic():
        seen, sender = sender.version, Sender.objects.select_for_update().get(pk=sender.pk)
        if sender.version != seen or recovery_now() is not None:
            return
        found = [one for one in _unexplained(sent) if _is_matched(one, now=now)]
        Sender.objects.filter(pk=sender.pk).update(
            next_nonce=max([sender.next_nonce, after, *(one.message.nonce + 1 for one in found)]),
            version=F("version") + 1,
            unrecorded_nonce=None,
        )
        _foreign_forget(sender)


def _is_matched(one: Sent, *, now: datetime) -> bool:
    """Write a sent message into the oldest waiting one of its content; returns whether there is one."""
    row = waiting_alike(one.message)
    if row is None or is_signed_for_program(str(one.message.cid), now=now):
        return False
    match_write(row, one=one, now=now, kind=SENT_OUTSIDE)
    return True


def _unexplained(sent: list[Sent]) -> list[Sent]:
    """Return those that no row has, and about which no person has decided."""
    cids = [one.cid for one in sent]
    known = _own_cids(cids) | set(UnmatchedMessage.objects.filter(cid__in=cids).values_list("cid", flat=True))
    return [one for one in sent if one.cid not in known]


def _own_cids(cids: Iterable[str]) -> set[str]:
    """Return those of these CIDs that messages of ours have or had."""
    wanted = list(cids)
    return {
        *Message.objects.filter(cid__in=wanted).exclude(cid="").values_list("cid", flat=True),
        *SignedVersion.objects.filter(cid__in=wanted).values_list("cid", flat=True),
    }


def _foreign_forget(sender: Sender) -> None:
    """Clear that a sender is used elsewhere, if the message that was seen is one of ours."""
    seen = sender.foreign_cid
    if seen and _own_cids([seen]):
        Sender.objects.filter(pk=sender.pk, foreign_cid=seen).update(foreign_at=None, foreign_cid="")


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
            raise BadValue(gettext("already decided"), field="id")
        if message_id:
            senders_lock([row.from_addr])
            _decided_row(row, message_id, landed, now=now)
            _foreign_forget(Sender.objects.get(address=row.from_addr))
        row.decided_at, row.decided_by, row.message_id = now, principal.actor[:200], message_id
        row.save()
        audit_record(
            principal=principal,
            action="recovery.decide",
            target=row.cid,
            after={"message": message_id or None, "nonce": row.nonce, "from": row.from_addr},
        )
        publish(RECOVERY_CHANGE)
    _end_if_done()
    return row


def _decided_row(row: UnmatchedMessage, message_id: str, landed: Landed | None, *, now: datetime) -> None:
    named = Message.objects.select_for_update().filter(Q(pk=message_id) | Q(push_id=message_id))
    waiting = list(named.filter(from_addr=row.from_addr, state=MessageState.UNFILLED)[:2])
    if len(waiting) != 1:
        if waiting:
            text = gettext("{address} has more than one pending message {message}")
        else:
            text = gettext("{address} has no pending message {message}")
        raise BadMessage(text.format(message=message_id, address=row.from_addr), field="message")
    if landed is None or landed.cid != row.cid:
        raise BadMessage(
            gettext("{cid} is not on chain now: decide once it has landed").format(cid=row.cid), field="id"
        )
    match_write(waiting[0], one=Sent(row.cid, landed.message, landed=landed), now=now)


def recovery_end(*, principal: Principal, now: datetime) -> None:
    """End recovery as it is: a person answers for what was not read back.  Raises BadValue."""
    recovery = recovery_row()
    if recovery.since is None and recovery.sectors_since is None:
        raise BadValue(gettext("the pool is not in recovery"), field="")
    unread = Sender.objects.none() if recovery.since is None else senders_unread(recovery)
    left = list(unread.values_list("address", flat=True)[:100])
    with transaction.atomic():
        open_ = unmatched_open()
        after = {"senders_unread": left, "undecided": plural_kept(open_.count(), "message")}
        open_.update(decided_at=now, decided_by=principal.actor[:200])
        Recovery.objects.filter(pk=1).update(sectors_since=None, ended_at=now)
        _end()
        audit_record(principal=principal, action="recovery.end", target="pool", after=after)
