"""One message in a list: its state, and what it waits for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.utils.translation import gettext

from apps.core import formatting
from apps.core.languages import colon_text, list_text
from apps.core.reasons import shown_text
from apps.dashboard.labels import LANDED_BAD, MESSAGES, STUCK, UNAPPROVED, StateLabel
from apps.dashboard.page_data import AddressNames
from apps.messages.rules.causes import error_words
from apps.messages.rules.methods import method_text
from apps.messages.states import MessageState, Wait
from poolsite.filecoin.actors.exitcodes import exit_code_text

if TYPE_CHECKING:
    from apps.messages.models import Message

URGENT_WAITS = frozenset(
    {Wait.NODE_REFUSES, Wait.POLICY, Wait.ESTIMATE, Wait.NO_ACTOR, Wait.EXPIRED, Wait.NONCE_TAKEN}
)
"""Nothing here ends by itself."""
USUAL_WAITS = frozenset({Wait.NONE, Wait.NEXT_HEAD, Wait.IN_POOL, Wait.EARLIER_NONCE})


@dataclass(frozen=True, slots=True)
class MessageRow:
    """One message in a list."""

    row: Message
    label: StateLabel
    method: str
    to: str
    """The receiver's name, or its short address."""
    sender: str
    """The sender's name; empty for one without."""
    why: str
    """What it waits for, or what came of it."""
    why_tone: str

    @property
    def about(self) -> str:
        """To whom, and what it brings."""
        to = gettext("to {to}").format(to=self.to)
        return list_text((to, f"{formatting.fil(self.row.value)} FIL")) if self.row.value else to


def message_label(message: Message) -> StateLabel:
    """Return in words where a message is."""
    if message.state == MessageState.LANDED and message.exit_code != 0:
        return LANDED_BAD
    if message.needs_approval and message.state == MessageState.UNFILLED:
        return UNAPPROVED
    if getattr(message, "is_stuck", False):  # noted by `counts.stuck_marked`
        return STUCK
    return MESSAGES[message.state]


def message_why(message: Message) -> tuple[str, str]:
    """Return what a message waits for and how bad that is; for one that landed, what came of it."""
    if message.state == MessageState.LANDED:
        if message.exit_code:
            return gettext("exit {exit_code}: {meaning}").format(
                exit_code=message.exit_code, meaning=gettext(exit_code_text(message.exit_code))
            ), "bad"
        return gettext("in epoch {height}").format(height=formatting.whole(message.height)), ""
    if message.state in (MessageState.FAILED, MessageState.REPLACED):
        if message.state == MessageState.FAILED:
            words = shown_text(error_words(message.error, method=message.method))
            return words or str(message.get_state_display()), "bad"
        return shown_text(message.error) or gettext("another message landed with its nonce"), "warn"
    wait = Wait(message.wait)
    words = shown_text(error_words(message.error, method=message.method))
    text = colon_text(wait.label, words) if words else str(wait.label)
    if wait in USUAL_WAITS:
        return text, ""
    return text, "bad" if wait in URGENT_WAITS else "warn"


def message_row(message: Message, names: AddressNames) -> MessageRow:
    """Lay out one message of `messages_visible`."""
    why, why_tone = message_why(message)
    return MessageRow(
        row=message,
        label=message_label(message),
        method=method_text(message.to, message.method, kind=message.kind, miners=names.miners),
        to=names.miners.get(message.to) or names.wallets.get(message.to) or formatting.shortened(message.to),
        sender=names.wallets.get(message.from_addr, ""),
        why=why,
        why_tone=why_tone,
    )
