"""A message as a row of a list."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.urls import reverse

from apps.core import formatting
from apps.dashboard.html_time import time_html
from apps.dashboard.labels import LANDED_BAD, MESSAGES, STUCK, StateLabel
from apps.messages.methods import method_text
from apps.messages.states import MessageState, Wait
from poolsite.filecoin.actors.exitcodes import exit_code_text

if TYPE_CHECKING:
    from apps.messages.models import Message

URGENT_WAITS = frozenset({Wait.NODE_REFUSES, Wait.POLICY, Wait.ESTIMATE, Wait.NO_ACTOR, Wait.EXPIRED})
"""Nothing here ends by itself."""
USUAL_WAITS = frozenset({Wait.NONE, Wait.NEXT_HEAD, Wait.IN_POOL, Wait.EARLIER_NONCE})


@dataclass(frozen=True, slots=True)
class MessageRow:
    """One message in a list."""

    id: str
    key: str
    """Its id, safe for an HTML id."""
    href: str
    method: str
    about: str
    tone: str
    word: str
    icon: str
    sender: str
    sender_address: str
    sender_short: str
    nonce: str
    fee_cap: str
    gas: str
    made: str
    why: str
    why_tone: str


@dataclass(frozen=True, slots=True)
class Names:
    """Names of addresses and miners, read once for a page."""

    wallets: dict[str, str]
    """Address to the wallet's name."""
    miners: dict[str, str]
    """f0 address to the miner's name."""


def message_label(message: Message) -> StateLabel:
    """Return in words where a message is."""
    if message.state == MessageState.LANDED and message.exit_code != 0:
        return LANDED_BAD
    if getattr(message, "is_stuck", False):  # noted by `counts.stuck_marked`
        return STUCK
    return MESSAGES[message.state]


def message_why(message: Message) -> tuple[str, str]:
    """What a message waits for and how bad that is; for one that landed, what came of it."""
    if message.state == MessageState.LANDED:
        if message.exit_code:
            return f"exit {message.exit_code}: {exit_code_text(message.exit_code)}", "bad"
        return f"in epoch {formatting.whole(message.height)}", ""
    if message.state in (MessageState.FAILED, MessageState.REPLACED):
        if message.state == MessageState.FAILED:
            return message.error or str(message.get_state_display()), "bad"
        return message.error or "another message landed with its nonce", "warn"
    wait = Wait(message.wait)
    text = f"{wait.label}: {message.error}" if message.error else str(wait.label)
    if wait in USUAL_WAITS:
        return text, ""
    return text, "bad" if wait in URGENT_WAITS else "warn"


def html_key(message_id: str) -> str:
    """A message's id as part of an HTML id: callers may choose any characters."""
    return "".join(c if c.isascii() and (c.isalnum() or c == "-") else f"_{ord(c):x}_" for c in message_id)


def message_row(message: Message, names: Names) -> MessageRow:
    """Lay out one message of `messages_visible`."""
    word = message_label(message)
    why, why_tone = message_why(message)
    to = names.miners.get(message.to) or names.wallets.get(message.to) or formatting.shortened(message.to)
    return MessageRow(
        id=message.id,
        key=html_key(message.id),
        href=reverse("message", args=[message.id]),
        method=method_text(message.to, message.method, kind=message.kind, miners=names.miners),
        about=f"to {to}" + (f", {formatting.fil(message.value)} FIL" if message.value else ""),
        tone=word.tone,
        word=word.word,
        icon=word.sign,
        sender=names.wallets.get(message.from_addr, ""),
        sender_address=message.from_addr,
        sender_short=formatting.shortened(message.from_addr),
        nonce=formatting.whole(message.nonce),
        fee_cap=formatting.fee_text(message.gas_fee_cap or None),
        gas=formatting.whole(message.gas_used or None),
        made=str(time_html(message.created_at)),
        why=why,
        why_tone=why_tone,
    )
