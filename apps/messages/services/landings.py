"""Landing our messages, displacing those whose nonce another message used, noticing foreign ones."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Final

import structlog
from django.db.models import F

from apps.messages.models import Message, Sender, SignedVersion
from apps.messages.reasons import LANDED_UNRECORDED
from apps.messages.rules.displaced import displaced_columns
from apps.messages.selectors.executions import Executed, Execution
from apps.messages.selectors.recovery import waiting_alike
from apps.messages.services.bulk_transitions import message_changes_publish, messages_advance
from apps.messages.services.recovery.unrecorded import unrecorded_note
from apps.messages.services.selection import chain_nonces_advance, senders_lock
from apps.messages.services.spend import ADDED, exit_code_cap, gas_cost_compute, spend_record
from apps.messages.states import MessageState, Wait
from apps.wallets.selectors import is_signed_for_program
from poolsite.filecoin.message import Message as ChainMessage

log = structlog.get_logger(__name__)

CAN_LAND: Final = (MessageState.FILLED, MessageState.FAILED, MessageState.REPLACED)
"""States of a signed message that a landing moves."""


def own_executions_select(executed: Executed) -> list[Execution]:
    """Return the executions of our senders."""
    addresses = {message.from_addr for message in executed.messages}
    senders = set(Sender.objects.filter(address__in=addresses).values_list("address", flat=True))
    return [message for message in executed.messages if message.from_addr in senders]


def executions_land(executed: Executed, *, own: Sequence[Execution], now: datetime) -> tuple[int, int]:
    """Land what is ours, displace what lost its nonce to another message, notice foreign ones."""
    by_cid = {message.cid: message for message in own}
    senders_lock(message.from_addr for message in own)
    rows = Message.objects.select_for_update().filter(cid__in=list(by_cid)).exclude(cid="").order_by("pk")
    # What was given up and what took its nonce may be one message on chain: the one in flight landed.
    holding = (MessageState.FILLED, MessageState.LANDED)
    rows_by_claim = sorted(rows, key=lambda row: (row.state in holding, row.created_at))
    signed = {row.cid: row for row in rows_by_claim}
    older = {
        version.cid: version
        for version in SignedVersion.objects.filter(
            cid__in=[cid for cid in by_cid if cid not in signed]
        ).select_related("message")
    }
    elsewhere = [message for cid, message in by_cid.items() if cid not in signed and cid not in older]
    signed |= _signed_elsewhere(elsewhere)
    land: dict[str, dict[str, object]] = {}
    displace: dict[str, dict[str, object]] = {}
    foreign: list[Execution] = []
    rivals = _rivals(own)
    for cid, message in by_cid.items():
        version: Message | SignedVersion | ChainMessage | None = signed.get(cid) or older.get(cid)
        winner = version.message if isinstance(version, SignedVersion) else signed.get(cid)
        own_rivals = rivals.get((message.from_addr, message.nonce), ())
        if version is None and (winner := _same_content(own_rivals, message)) is not None:
            version = message.message  # a version that this database has forgotten
        for rival in own_rivals:
            if winner is None or rival.pk != winner.pk:
                why = displaced_columns(rival, is_own=winner is not None, taker=message.cid)
                displace[rival.pk] = _place_columns(executed, message) | why
        if version is None or winner is None:
            foreign.append(message)
        elif winner.state in CAN_LAND:
            cost = gas_cost_compute(version, receipt=message.receipt, base_fee=executed.base_fee)
            land[winner.pk] = _landing_columns(executed, message, now=now) | {"gas_cost": cost}
    lost = messages_advance("CONFLICT", rows=displace, now=now)
    moved = messages_advance("LAND", rows=land, now=now)
    spend_record(moved, sign=ADDED)
    message_changes_publish([*lost.items(), *moved.items()])
    executed_at = datetime.fromtimestamp(executed.head.timestamp, tz=UTC)
    _foreign_record(foreign, executed_at=executed_at, now=now)
    chain_nonces_advance((message.from_addr, message.nonce) for message in own)
    return len(moved), len(lost)


def _signed_elsewhere(executions: Sequence[Execution]) -> dict[str, Message]:
    """Return, by CID on chain, exported messages whose signatures never came here, withdrawn ones too."""
    cids = {str(execution.message.cid): execution.cid for execution in executions}
    if not cids:
        return {}
    rows = Message.objects.select_for_update().filter(
        unsigned_cid__in=list(cids), signed=b"", exported_at__isnull=False, state__in=CAN_LAND
    )
    rows_by_claim = sorted(
        rows.order_by("pk"), key=lambda row: (row.state == MessageState.FILLED, row.created_at)
    )
    return {cids[str(row.unsigned_cid)]: row for row in rows_by_claim}


def _rivals(own: Sequence[Execution]) -> dict[tuple[str, int], list[Message]]:
    """Return our rows that hold the nonces which these executions used up."""
    wanted = {(message.from_addr, message.nonce) for message in own}
    rows = Message.objects.select_for_update().filter(
        state=MessageState.FILLED,
        from_addr__in={address for address, _ in wanted},
        nonce__in={nonce for _, nonce in wanted},
    )
    rows = rows.order_by("pk")
    found: dict[tuple[str, int], list[Message]] = {}
    for row in rows:
        place = (row.from_addr, row.nonce or 0)
        if place in wanted:
            found.setdefault(place, []).append(row)
    return found


def _same_content(rows: Iterable[Message], message: Execution) -> Message | None:
    """Return the row that this message is but for its fees."""
    return next((row for row in rows if row.has_content(message.message)), None)


def _place_columns(executed: Executed, message: Execution) -> dict[str, object]:
    """Return which message used a nonce, and in which tipset: a reorganisation of that one frees it."""
    return {
        "height": executed.height,
        "tipset_key": executed.head.parent_key,
        "executed_key": executed.head.key,
        "landed_cid": message.cid,
    }


def _landing_columns(executed: Executed, message: Execution, *, now: datetime) -> dict[str, object]:
    receipt = message.receipt
    return _place_columns(executed, message) | {
        "exit_code": exit_code_cap(receipt),
        "gas_used": receipt.gas_used,
        "return_data": receipt.return_,
        "landed_at": now,
        "wait": str(Wait.NONE),
        "error": "",
    }


def _foreign_record(foreign: Sequence[Execution], *, executed_at: datetime, now: datetime) -> None:
    """Remember that an address is used from elsewhere and never give out its nonces again."""
    for message in foreign:
        sender = Sender.objects.select_for_update().get(address=message.from_addr)
        Sender.objects.filter(pk=sender.pk).update(
            foreign_at=now,
            foreign_cid=message.cid,
            next_nonce=max(sender.next_nonce, message.nonce + 1),
            version=F("version") + 1,
        )
        row = waiting_alike(message.message)
        if row is not None and not is_signed_for_program(str(message.message.cid), now=now):
            text = LANDED_UNRECORDED(push_id=row.push_id, nonce=message.nonce)
            unrecorded_note(
                row,
                sender=sender,
                message=message.message,
                executed_at=executed_at,
                reason=text,
                now=now,
            )
        log.warning("foreign_message", sender=message.from_addr, nonce=message.nonce, cid=message.cid)
