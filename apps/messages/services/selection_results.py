"""Storing what a selection brought: nonces and signatures, all or none, and why others wait."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Final

import structlog
from django.db import transaction
from django.db.models import F

from apps.messages.models import Message, Sender
from apps.messages.services.approvals import messages_require_approval
from apps.messages.services.audit import attempts_record
from apps.messages.services.bulk_transitions import message_changes_publish, messages_advance, waits_record
from apps.messages.services.estimate_failures import refusals_fail
from apps.messages.services.selection import Ready, Selection
from apps.messages.services.spend import ADDED, spend_record
from apps.messages.states import PRESSING, MessageState, SenderState, Wait
from poolsite.filecoin.message import SignedMessage, signed_message_to_cbor
from poolsite.filecoin.sigtypes import SIG_BLS

log = structlog.get_logger(__name__)

BACKOFF_MAX_EPOCHS: Final = 60
POSTPONED_EPOCHS: Final = 16
"""What a used-up budget keeps back, where there is so much of it that one round does not get past it."""
URGENT_BACKOFF_EPOCHS: Final = 1
"""Proofs, and what closes a gap before them, are tried again on each head."""


def filled_store(
    selection: Selection, *, signed: Sequence[tuple[Ready, SignedMessage]], now: datetime
) -> tuple[str, ...] | None:
    """Write nonces and signatures, all or none.

    None, and nothing written, if the sender's nonces were changed since they were read, or one of the
    messages was, or if its key is kept offline only since then, or no longer.
    """
    if not signed:
        return ()
    with transaction.atomic():
        sender = Sender.objects.select_for_update().get(pk=selection.sender.pk)
        is_outdated = (sender.version, sender.is_offline) != (selection.sender.version, selection.is_export)
        if is_outdated or sender.state == SenderState.FORBIDDEN:
            log.info("selection_outdated", sender=sender.address)
            return None
        if not selection.budgets.still_fit():
            log.info("selection_over_budget", sender=sender.address)
            return ()
        columns = _exported_columns if selection.is_export else _filled_columns
        rows = {item.row.pk: columns(message, now=now) for item, message in signed}
        if selection.has_new_forms:
            for item, message in signed:
                rows[item.row.pk]["params"] = message.message.params
        moved = messages_advance("FILL", rows=rows, now=now)
        if len(moved) != len(rows):
            transaction.set_rollback(True)
            log.info("selection_outdated", sender=sender.address, moved=len(moved), chosen=len(rows))
            return None
        _landings_store(selection, rows, now=now)
        top = max(message.message.nonce for _, message in signed)
        Sender.objects.filter(pk=sender.pk).update(
            next_nonce=max(sender.next_nonce, top + 1),
            version=F("version") + 1,
            gap_nonce=None,
            gap_height=None,
            wait=Wait.NONE,
            error="",
        )
        message_changes_publish(moved)
    return tuple(rows)


def _landings_store(selection: Selection, ids: Collection[str], *, now: datetime) -> None:
    """Write those that the chain has already: they were signed before, and forgotten."""
    landed = {pk: one.columns(now=now) for pk, one in selection.landed.items() if pk in ids}
    spend_record(messages_advance("LAND", rows=landed, now=now), sign=ADDED)


def _filled_columns(signed: SignedMessage, *, now: datetime) -> dict[str, object]:
    message = signed.message
    return {
        "nonce": message.nonce,
        "gas_limit": message.gas_limit,
        "gas_fee_cap": message.gas_fee_cap,
        "gas_premium": message.gas_premium,
        "signed": signed_message_to_cbor(signed),
        "cid": str(signed.cid),
        "unsigned_cid": str(message.cid),
        "filled_at": now,
        "wait": str(Wait.IN_POOL),
        "error": "",
        "attempts": 0,
    }


def _exported_columns(unsigned: SignedMessage, *, now: datetime) -> dict[str, object]:
    """Return the columns of a message that has its nonce, and no signature yet."""
    is_bls = unsigned.signature.type == SIG_BLS
    return _filled_columns(unsigned, now=now) | {
        "signed": b"",
        "cid": str(unsigned.message.cid) if is_bls else "",  # else the signature is part of it
        "exported_at": now,
        "wait": str(Wait.OFFLINE),
    }


def selection_waits_store(selection: Selection, *, now: datetime) -> None:
    """Write why messages were left, and when failed ones are tried again."""
    waits_record(selection.waits, now=now)
    if selection.unapproved:
        messages_require_approval(selection.unapproved, now=now)
    height = selection.head.height
    Message.objects.filter(pk__in=selection.postponed, state=MessageState.UNFILLED).update(
        retry_height=height + POSTPONED_EPOCHS
    )
    failed = [row for row in selection.failed if _backoff_store(row, height=height)]
    if failed:
        attempts_record(failed, reasons={pk: text for pk, _, text in selection.waits}, height=height, now=now)
    refusals_fail([row for row in failed if row.pk in selection.refused], reasons=selection.refused, now=now)
    # Lists show whether the message is stuck.
    message_changes_publish([(row.pk, row.tenant_id) for row in selection.failed])


def _backoff_store(row: Message, *, height: int) -> bool:
    """Write when a message that failed is tried again; return whether nobody had it retried meanwhile.

    Then a rule, its fees or its sender's balance changed after this selection had read them.
    """
    longest = URGENT_BACKOFF_EPOCHS if row.priority in PRESSING else BACKOFF_MAX_EPOCHS
    backoff = min(2 ** min(row.attempts, 10), longest)
    as_read = Message.objects.filter(
        pk=row.pk, state=MessageState.UNFILLED, attempts=row.attempts, retry_height=row.retry_height
    )
    return bool(as_read.update(attempts=row.attempts + 1, retry_height=height + backoff))
