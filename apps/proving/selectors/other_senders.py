"""Another address for a proof or a declaration whose sender cannot send it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from apps.core.reasons import MARKED, as_reason
from apps.messages.models import Message
from apps.messages.states import MessageState, Wait
from apps.miners.models import Miner
from apps.miners.selectors.senders import senders_able
from apps.miners.states import Use
from apps.proving.reasons import MESSAGE_WAS, OTHER_SENDER, SENDER_STOPPED

SENDER_WAITS: Final = (Wait.FUNDS, Wait.NO_ACTOR, Wait.POLICY, Wait.DAILY_BUDGET)
"""Reasons to wait that concern the sender: another address may be able to send."""
TURN_EPOCHS: Final = 3
"""Epochs each address gets once all have been tried."""


def other_sender_choose(
    message: Message, *, miner: Miner, pushed: Sequence[str], waits: int, needed: int = 0
) -> str:
    """Return the address to send a message from instead; empty if it stays with its sender.

    It has no nonce yet, `waits` epochs after it was pushed, and carries `needed` attoFIL.  `pushed` are the
    ids of all messages for the same, the oldest first.
    """
    if waits < 1 and message.wait not in SENDER_WAITS:
        return ""  # it may be signed this moment
    able = senders_able(miner, Use.POST, needed=needed)
    if message.from_addr in able and message.wait not in SENDER_WAITS:
        return ""
    rows = {row.pk: row for row in Message.objects.filter(pk__in=pushed).only("from_addr", "state", "nonce")}
    past = [rows[key] for key in pushed if key in rows]
    withdrawn = {row.from_addr for row in past if row.state == MessageState.FAILED and row.nonce is None}
    others = [address for address in able if address not in withdrawn | {message.from_addr}]
    if not others and waits >= TURN_EPOCHS:
        last = {row.from_addr: turn for turn, row in enumerate(past)}
        others = [address for address in able if address != message.from_addr]
        others.sort(key=lambda address: last[address])
    return others[0] if others else ""


def other_sender_describe(message: Message) -> str:
    """Return why a message is sent from another address."""
    is_waiting = message.wait in SENDER_WAITS
    why = MARKED(text=message.get_wait_display()) if is_waiting else SENDER_STOPPED()
    return OTHER_SENDER(error=as_reason(message.error) or why)


def message_end_describe(message: Message) -> str:
    """Return why a message ended without landing."""
    return message.error or MESSAGE_WAS(state=MARKED(text=message.state.lower()))
