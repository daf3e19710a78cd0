"""A message's history, newest first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.utils.translation import gettext, pgettext
from django.utils.translation import gettext_lazy as _

from apps.core import formatting
from apps.core.stored_texts import stored_text
from apps.dashboard.cards import Event
from apps.dashboard.html_time import time_html
from apps.messages.selectors.messages import message_events
from apps.messages.states import MessageState

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from apps.messages.models import Message, MessageEvent


def history_of(message: Message) -> Iterable[Event]:
    """Return what happened to it, newest first."""
    rows = [
        _row(
            message.created_at,
            "idle",
            "plus",
            pgettext("event", "Pushed"),
            gettext("by {pushed_by}").format(pushed_by=message.pushed_by or gettext("the pool")),
        ),
    ]
    if message.filled_at is not None:
        first = message.versions.order_by("pk").first() or message
        sub = gettext("nonce {nonce}, fee cap {gas_fee_cap}").format(
            nonce=formatting.whole(message.nonce), gas_fee_cap=formatting.fee_text(first.gas_fee_cap)
        )
        is_unsigned = message.exported_at is not None and not message.signed
        say = gettext("Nonce assigned, exported") if is_unsigned else gettext("Nonce assigned, signed")
        rows.append(_row(message.filled_at, "run", "access", say, sub))
    if message.published_at is not None:
        rows.append(_row(message.published_at, "run", "messages", gettext("Accepted by node")))
    if message.landed_at is not None and message.state == MessageState.LANDED:
        tone = "bad" if message.exit_code else "ok"
        sub = gettext("exit code {exit_code}, gas {gas_used}").format(
            exit_code=message.exit_code, gas_used=formatting.whole(message.gas_used)
        )
        say = gettext("Landed in epoch {height}").format(height=formatting.whole(message.height))
        rows.append(_row(message.landed_at, tone, tone, say, sub))
    rows += [_event(event) for event in message_events(message)]
    return [row for _, row in sorted(rows, key=lambda pair: pair[0], reverse=True)]


def _row(at: datetime, tone: str, icon: str, say: str, sub: str = "") -> tuple[datetime, Event]:
    return at, Event(str(time_html(at)), tone, icon, say, sub)


EVENTS: Final = {
    "approved": _("Approved"),
    "cancelled": _("Cancelled"),
    "cancels": _("Cancels"),
    "fee raised": _("Fee raised"),
    "matched": _("Matched"),
    "not approved": _("Not approved"),
    "replaced": _("Replaced"),
    "waits for approval": _("Waits for approval"),
    "taken back": _("Reopened"),
    "signed offline": _("Signature imported"),
    "tried by hand": _("Retried manually"),
    "marked bad": _("Marked as failed"),
}
"""Labels of stored events; the name of one that is not here any more is its own."""


def _event(event: MessageEvent) -> tuple[datetime, Event]:
    name = event.event.replace("_", " ")
    return _row(event.at, "idle", "info", str(EVENTS.get(name, name.capitalize())), stored_text(event.text))
