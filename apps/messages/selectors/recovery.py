"""What recovery after a restore has still to do, and whom it holds up."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from django.core.exceptions import ValidationError
from django.db.models import Case, Exists, F, OuterRef, Q, QuerySet, Subquery, Value, When

from apps.core import clock
from apps.core.compiled import Compiled
from apps.core.errors import NotFound
from apps.core.marked_texts import gettext
from apps.core.reasons import Reason, as_reason
from apps.messages.models import Message, Recovery, Sender, UnmatchedMessage
from apps.messages.reasons import READ_BACK, UNMATCHED
from apps.messages.states import MessageState, Priority
from poolsite.filecoin.actors.decode import params_forms
from poolsite.filecoin.address import address_parse
from poolsite.filecoin.message import Message as ChainMessage

PROVED_LATELY: Final = timedelta(days=3)
"""A sender of a proof in this time before a restore is expected to send the next proofs."""

RECOVERY: Final[Compiled[Recovery]] = Compiled("recovery_row", lambda: Recovery.objects.order_by("pk")[:1])


def recovery_now() -> Recovery | None:
    """Return the recovery that is under way, or None."""
    row = recovery_row()
    return None if row.since is None else row


def recovery_row() -> Recovery:
    """Return the row, whether recovery is under way or not."""
    return next(iter(RECOVERY.rows()), None) or Recovery()


def token_floor() -> int:
    """Return a number above all fencing tokens that were given out before the last restore; 0: none was.

    Tokens count up from 1, by one for each lease, so the seconds since 1970 are ahead of them.
    """
    restored_at = recovery_row().restored_at
    return 0 if restored_at is None else int(restored_at.timestamp())


def unmatched_open() -> QuerySet[UnmatchedMessage]:
    """Return the messages on chain that a person has to decide about."""
    return UnmatchedMessage.objects.filter(decided_at=None)


def unmatched_candidates(row: UnmatchedMessage) -> QuerySet[Message]:
    """Return the messages waiting at its sender that it may be: those of its content, then the oldest."""
    forms = params_forms(address_parse(row.to), row.method, bytes(row.params))
    alike = When(to=row.to, value=row.value, method=row.method, params__in=forms, then=0)
    rows = Message.objects.filter(from_addr=row.from_addr, state=MessageState.UNFILLED)
    return rows.order_by(Case(alike, default=1), "created_at")


def waiting_alike(message: ChainMessage) -> Message | None:
    """Return the oldest message waiting at the sender that this one is but for nonce and fees."""
    rows = Message.objects.filter(from_addr=str(message.from_), state=MessageState.UNFILLED)
    rows = rows.filter(to=str(message.to), value=message.value, method=message.method)
    return next((row for row in rows.order_by("created_at", "pk") if row.has_content(message)), None)


def unmatched_get(cid: str) -> UnmatchedMessage:
    """Return one of them, decided or not.  Raises NotFound."""
    try:
        row = UnmatchedMessage.objects.filter(cid=cid).first()
    except ValidationError:  # no CID at all
        row = None
    if row is None:
        raise NotFound(gettext("there is no such unmatched message"), field="cid")
    return row


def senders_unread(recovery: Recovery) -> QuerySet[Sender]:
    """Return the senders whose messages were not read back yet: those of waiting proofs first, by deadline.

    After them come those that sent proofs lately.
    """
    unread = Q(read_back_at=None) | Q(read_back_at__lt=recovery.since)
    proofs = Message.objects.filter(
        from_addr=OuterRef("address"), state=MessageState.UNFILLED, priority=Priority.PROOF
    )
    deadline = proofs.order_by(F("urgent_epoch").asc(nulls_last=True)).values("urgent_epoch")[:1]
    began = recovery.restored_at or clock.now()
    posts = Message.objects.filter(kind="window_post", gas_limit__gt=0, created_at__gt=began - PROVED_LATELY)
    order = Case(
        When(Exists(proofs), then=Value(0)),
        When(address__in=posts.order_by().values("from_addr"), then=Value(1)),
        default=Value(2),
    )
    rows = Sender.objects.filter(unread).annotate(order=order, deadline=Subquery(deadline))
    return rows.order_by("order", F("deadline").asc(nulls_last=True), "address")


def recovery_hold_reason(sender: Sender, recovery: Recovery) -> Reason | None:
    """Return why nothing of this sender is signed; None if recovery does not hold it up."""
    if recovery.since is None:
        return None
    if sender.read_back_at is None or sender.read_back_at < recovery.since:
        return READ_BACK(recovery=as_reason(recovery.reason), sender=sender.address)
    count = unmatched_open().filter(from_addr=sender.address).count()
    return UNMATCHED(count=count) if count else None
