"""Choosing a sender's next messages on a head: estimate, nonce, sign, and store it all in one transaction.

Everything that needs the network happens before the transaction; that then checks that the sender is
still as it was read.  So a crash anywhere burns no nonce and gives none twice: what was signed but not
stored is thrown away unseen, what was stored is published by the next pass.
Source: spec of sophon-messager service/message_selector.go, without its faults (newest first, one bad
message stopping a round, at most 100 a head, expiry not enforced).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db.models import Exists, F, Q, QuerySet, Window
from django.db.models.functions import RowNumber

from apps.chain.errors import NodeRefused
from apps.chain.models import Head
from apps.chain.node.client import ChainClient
from apps.chain.selectors.landing_forms import landing_params
from apps.core.live import Change, publish
from apps.core.locks import try_lock
from apps.core.reasons import Reason, refused
from apps.gateway.errors import SignerAway
from apps.messages.models import ApprovalRule, Message, Sender, SharedRules
from apps.messages.reasons import NEVER_FUNDED, SENT_UNRECORDED, UNRECORDED_UNREAD
from apps.messages.selectors.fees import shared_rules_load
from apps.messages.selectors.recovery import recovery_hold_reason, waiting_alike
from apps.messages.services.budgets import Budgets
from apps.messages.services.candidates import candidates_find
from apps.messages.services.estimate_rounds import messages_choose
from apps.messages.services.recovery.chain_history import sent_messages_read
from apps.messages.services.recovery.detect import restore_check
from apps.messages.services.recovery.held_proofs import unproven_proofs_find, window_proofs_select
from apps.messages.services.recovery.restore import unrecorded_resolve
from apps.messages.services.recovery.unrecorded import unrecorded_note, version_note
from apps.messages.services.retry import unfunded_messages_retry
from apps.messages.services.selection import (
    Selection,
    SelectionId,
    SenderChainState,
    nonce_gaps_find,
    sender_chain_state_read,
)
from apps.messages.services.selection_results import filled_store, selection_waits_store
from apps.messages.states import PRESSING, MessageState, NoncesBy, Priority, SenderState, Wait
from apps.wallets.selectors import is_signed_for_program
from poolsite.filecoin.address import address_parse
from poolsite.filecoin.message import METHOD_SEND
from poolsite.tracing import span
from poolsite.tracing.subjects import of_messages

SENDER_LOCK: Final = 0x4D53
"""Lock class of senders: they save double work; `Sender.version` keeps a nonce from being assigned twice."""

SELECTION_MAX: Final = 500
"""Messages of one sender in one round, however large its quota is; the next round follows at once."""

PENDING_MAX: Final = 1_000
"""Messages of one sender that a node's pool takes.  Source: lotus chain/messagepool/messagepool.go
MaxActorPendingMessages."""

STORE_TRIES: Final = 2
"""What changed while it was signed is chosen once more at once."""


@dataclass(frozen=True, slots=True)
class Selected:
    """What a selection did."""

    filled: tuple[str, ...] = ()
    """Ids that got nonce and signature."""
    is_busy: bool = False
    """True if another worker is at this sender."""
    has_more: bool = False
    """True if another round on the same head would choose more."""


def sender_select(
    *, address: str, head: Head, client: ChainClient, now: datetime, export: Collection[str] = ()
) -> Selected:
    """Assign nonces and signatures to as many of the sender's messages as its quota allows.

    Of a sender whose key is kept offline only those in `export` are chosen, and signed by nobody here.

    Raises NodeUnavailable or NodeRefused if the node cannot be asked; nothing has changed then.
    """
    with try_lock(SENDER_LOCK, address) as is_mine:
        if not is_mine:
            return Selected(is_busy=True)
        selection_id, done = SelectionId(), None
        for _ in range(STORE_TRIES):
            # Within one selection: a signer of ours lets it give its messages other nonces.
            done = done or _select(address, selection_id, export=export, head=head, client=client, now=now)
        return done or Selected()


def _select(
    address: str,
    selection_id: SelectionId,
    *,
    export: Collection[str],
    head: Head,
    client: ChainClient,
    now: datetime,
) -> Selected | None:
    """Choose, sign and store once; None if the sender or a message changed meanwhile."""
    sender, _ = Sender.objects.get_or_create(address=address)  # it may be deleted while one is pushed
    if sender.state == SenderState.FORBIDDEN or _is_held_for_export(sender, export):
        return Selected()
    if held := recovery_hold_reason(sender, restore_check(now=now)):
        return _held_select(sender, selection_id, reason=held, head=head, client=client, now=now)
    version_note(address, version=sender.version)
    if sender.unrecorded_nonce is not None:
        if held := _unrecorded_resolve(sender, client=client, now=now):
            return _held_select(sender, selection_id, reason=held, head=head, client=client, now=now)
        return Selected(has_more=True)
    chain_state = sender_chain_state_read(address, client=client, key=head.key)
    if _is_sent_already(sender, chain_state, head=head, client=client, now=now):
        return Selected()
    _chain_state_store(sender, chain_state, now=now)
    if not chain_state.exists:
        _all_wait(sender, Wait.NO_ACTOR, NEVER_FUNDED())
        return Selected()
    gaps = _confirmed_gaps(sender, chain_state, head=head, is_export=bool(export))
    shared = shared_rules_load()
    waiting = _waiting(sender, head=head, only=export)
    places = _places(sender, chain_state, shared=shared, gaps=len(gaps))
    if places <= 0:
        _all_wait(sender, Wait.QUOTA)
        # A proof goes all the same: what is stuck before it is raised once that has its nonce (fee_bump.py).
        waiting = waiting.filter(priority=Priority.PROOF)
        places = _places_of_proofs(chain_state)
        if places <= 0 or not waiting.exists():
            return Selected()
    elif sender.wait != (wait := _own_wait(sender)):
        _all_wait(sender, wait)
    budgets = Budgets(base_fee=int(head.base_fee), now=now)
    selection = Selection(
        sender, head, chain_state, gaps, places, budgets, selection_id, is_export=bool(export)
    )
    return _fill(selection, waiting=waiting, client=client, shared=shared, now=now)


def _held_select(
    sender: Sender,
    selection_id: SelectionId,
    *,
    reason: Reason,
    head: Head,
    client: ChainClient,
    now: datetime,
) -> Selected | None:
    """Choose only proofs of open windows: what the sender sent since a backup is not all read back yet."""
    _all_wait(sender, Wait.RECOVERY, reason)
    waiting = window_proofs_select(_waiting(sender, head=head))
    if not waiting.exists():
        return Selected()
    chain_state = sender_chain_state_read(sender.address, client=client, key=head.key)
    places = _places_of_proofs(chain_state) if chain_state.exists else 0
    waiting = unproven_proofs_find(waiting, client=client, head=head)
    if places <= 0 or not waiting.exists():
        return Selected()
    budgets = Budgets(base_fee=int(head.base_fee), now=now)
    # What seems to be a gap may be what the backup lacks.
    selection = Selection(sender, head, chain_state, [], places, budgets, selection_id)
    return _fill(selection, waiting=waiting, client=client, shared=shared_rules_load(), now=now)


def _fill(
    selection: Selection,
    *,
    waiting: QuerySet[Message],
    client: ChainClient,
    shared: SharedRules,
    now: datetime,
) -> Selected | None:
    """Estimate, sign and store the first of `waiting`; None if the sender or a message changed meanwhile."""
    sender, places = selection.sender, selection.places
    try:
        candidates = candidates_find(selection, waiting=waiting, client=client, shared=shared)
        _landing_forms_set(selection, [candidate.row for candidate in candidates])
        with span("message choose", about=of_messages(one.row.pk for one in candidates)):
            signed = messages_choose(selection, candidates=candidates, client=client)
            filled = filled_store(selection, signed=signed, now=now)
    finally:
        selection_waits_store(selection, now=now)
    if filled is None:
        return None
    version_note(sender.address, version=sender.version + bool(filled))
    is_full = len(filled) == places and (
        places == SELECTION_MAX or waiting.filter(priority=Priority.PROOF).exists()
    )
    # What failed waits for a later head, so even a round that filled none leaves fewer to the next.
    has_moved = bool(filled or selection.failed)
    return Selected(filled=filled, has_more=has_moved and (selection.has_more or is_full))


def _landing_forms_set(selection: Selection, rows: Iterable[Message]) -> None:
    """Rewrite parameters of the pool's own messages that waited across an upgrade in the network's form."""
    height = selection.head.height
    for row in rows:
        before = bytes(row.params)
        if row.kind and row.method != METHOD_SEND:
            row.params = landing_params(address_parse(row.to), row.method, before, height=height)
        if bytes(row.params) != before:
            selection.has_new_forms = True


def due_senders_list(*, head: Head) -> list[str]:
    """Return the senders with a message to choose; costs nothing for those without."""
    rows = Message.objects.filter(
        Q(expire_epoch=0) | Q(expire_epoch__gte=head.height),
        state=MessageState.UNFILLED,
        needs_approval=False,
        retry_height__lte=head.height,
    )
    return list(rows.order_by("from_addr").values_list("from_addr", flat=True).distinct())


def _is_sent_already(
    sender: Sender, chain_state: SenderChainState, *, head: Head, client: ChainClient, now: datetime
) -> bool:
    """Note it where the chain or the node's pool has a waiting message under a nonce without a row.

    Others may use the address too, and for their messages nothing is held up.
    """
    start = max(sender.next_nonce, *(row.nonce + 1 for row in chain_state.flight), 0)
    if not sender.version or chain_state.end <= start:
        return False
    sent = sent_messages_read(sender.address, start=start, head=head, client=client)
    for message, executed_at in sent:
        row = waiting_alike(message)
        if row is not None and not is_signed_for_program(str(message.cid), now=now):
            why = SENT_UNRECORDED(sender=sender.address, push_id=row.push_id, nonce=message.nonce)
            unrecorded_note(row, sender=sender, message=message, executed_at=executed_at, reason=why, now=now)
            return True
    return False


def _unrecorded_resolve(sender: Sender, *, client: ChainClient, now: datetime) -> Reason | None:
    """Match what the sender sent without a row before anything else is chosen; returns why it cannot."""
    try:
        unrecorded_resolve(sender, client=client, now=now)
    except (NodeRefused, SignerAway) as error:
        return UNRECORDED_UNREAD(sender=sender.address, reason=refused(error))
    return None


def _chain_state_store(sender: Sender, chain_state: SenderChainState, *, now: datetime) -> None:
    """Write what the node said about the sender; somebody else's use of the address is noticed here.

    What lacked money and backs off is due at once if the sender has more than at its last selection: the row
    has that balance now, and nobody else could tell.
    """
    if sender.balance is not None and chain_state.balance > sender.balance:
        unfunded_messages_retry(sender.address)
    is_foreign = sender.version > 0 and chain_state.end > sender.next_nonce
    changes: dict[str, Any] = {
        "chain_nonce": chain_state.chain_nonce,
        "balance": chain_state.balance,
    }
    if is_foreign:
        changes["foreign_at"] = now
        sender.foreign_at = now
    Sender.objects.filter(pk=sender.pk).update(**changes)


def _is_held_for_export(sender: Sender, export: Collection[str]) -> bool:
    """Return whether nothing is chosen: an offline key without an export, or an export of another key."""
    if sender.is_offline and not export:
        _all_wait(sender, Wait.OFFLINE)
    return sender.is_offline != bool(export)


def _confirmed_gaps(
    sender: Sender, chain_state: SenderChainState, *, head: Head, is_export: bool
) -> list[int]:
    """Return the gaps that were seen at an earlier head too, and remember a new one.

    A person exports once, not at two heads: a nonce that another program has is refused by the nodes then.
    """
    gaps = nonce_gaps_find(sender, chain_state=chain_state)
    if is_export:
        return gaps
    first = gaps[0] if gaps else None
    if first is not None and first == sender.gap_nonce and head.height > (sender.gap_height or 0):
        return gaps
    if first != sender.gap_nonce:
        Sender.objects.filter(pk=sender.pk).update(
            gap_nonce=first, gap_height=None if first is None else head.height
        )
    return []


def _places(sender: Sender, chain_state: SenderChainState, *, shared: SharedRules, gaps: int) -> int:
    """Return how many messages may be chosen; a gap is closed even when the quota is used up."""
    free = (sender.quota or shared.quota) - len(chain_state.flight)
    return min(max(free, gaps), SELECTION_MAX)


def _places_of_proofs(chain_state: SenderChainState) -> int:
    """Return how many proofs may be chosen, whatever the quota is."""
    return min(PENDING_MAX - len(chain_state.flight), SELECTION_MAX)


def _waiting(sender: Sender, *, head: Head, only: Collection[str] = ()) -> QuerySet[Message]:
    """Return what waits in the order of choice: priority, deadline, fair across tenants, oldest first.

    Of a sender that is left to another program only what is pressing: a missed window costs more than a
    nonce that both gave.
    """
    chosen = Q(pk__in=only) if only else Q()
    waiting = Message.objects.filter(
        chosen,
        # A head may have come since the last pass that failed what expired.
        Q(expire_epoch=0) | Q(expire_epoch__gte=head.height),
        from_addr=sender.address,
        state=MessageState.UNFILLED,
        needs_approval=False,
        retry_height__lte=head.height,
    )
    if sender.nonces_by == NoncesBy.OTHER:
        waiting = waiting.filter(priority__in=PRESSING)
    position = Window(
        RowNumber(), partition_by=[F("tenant_id"), F("priority")], order_by=[F("created_at").asc()]
    )
    return (
        waiting.select_related("tenant")
        .annotate(position=position, has_rules=Exists(ApprovalRule.objects.order_by()))
        .order_by("priority", F("urgent_epoch").asc(nulls_last=True), "position", "created_at", "pk")
    )


def _own_wait(sender: Sender) -> Wait:
    """Return what holds up a sender's messages however many are in flight."""
    return Wait.OTHER_PROGRAM if sender.nonces_by == NoncesBy.OTHER else Wait.NONE


def _all_wait(sender: Sender, wait: Wait, text: Reason | str = "") -> None:
    """Note on the sender what holds up all of its messages; they are not touched one by one."""
    has_code = isinstance(text, Reason)
    same = Q(wait=wait, error=text, error_coded__isnull=not has_code)
    changed = Sender.objects.filter(pk=sender.pk).exclude(same)
    if changed.update(wait=wait, error=text):
        publish(Change("sender", sender.pk, None))
