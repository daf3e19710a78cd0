"""Keys that are kept offline and what waits for them, as the page shows them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from django.urls import reverse
from django.utils.http import urlencode
from django.utils.translation import gettext

from apps.core import formatting
from apps.core.languages import colon_text, list_text
from apps.core.reasons import shown_text
from apps.dashboard.cards import Verdict
from apps.dashboard.labels import StateLabel
from apps.dashboard.page_data import PageData
from apps.dashboard.pages.messages.facts import param_facts
from apps.dashboard.pages.messages.rows import MessageRow, message_row
from apps.messages.selectors.offline import OfflineKey, offline_keys, offline_messages
from apps.messages.states import EXPORT_WITHIN, Wait
from apps.users.rules.principals import Principal

if TYPE_CHECKING:
    from apps.messages.models import Message

PARAM_CUT: Final = 120
"""Characters of one parameter in the table; the message's page has more."""


@dataclass(frozen=True, slots=True)
class OfflineRow:
    """A message that waits for an export, or for its signature."""

    message: MessageRow
    params: str
    label: StateLabel
    until: int | None
    """When its signature should be here, in seconds since 1970; None before the export and afterwards."""
    left: str
    sign: str
    """Address of the page with the message as a file and as QR codes."""


@dataclass(frozen=True, slots=True)
class OfflineCard:
    """A key with its messages."""

    key: OfflineKey
    name: str
    rows: list[OfflineRow]
    """Those with a nonce first."""
    may_sign: bool
    """May export and withdraw."""
    may_name: bool
    """May say which keys are kept offline."""

    @property
    def field(self) -> str:
        """Id of the fee cap's field."""
        return f"cap-{self.key.address}"


def may_sign(viewer: Principal) -> bool:
    """Return whether somebody may export and import."""
    return viewer.may("sign") and not viewer.is_partial


def may_name(viewer: Principal) -> bool:
    """Return whether somebody may say which keys are kept offline."""
    return viewer.may("admin") and viewer.sees_pool


def sign_link(name: str, address: str, **query: Any) -> str:
    """Return the address of a page about exported messages of a key."""
    return f"{reverse(name, args=[address])}?{urlencode(query)}"


def offline_cards(data: PageData) -> list[OfflineCard]:
    """Return the viewer's offline keys with their messages."""
    keys = offline_keys(data.viewer, now=data.at)
    messages = offline_messages(data.viewer, [key.address for key in keys])
    return [
        OfflineCard(
            key=key,
            name=key.label or formatting.shortened(key.address),
            rows=[offline_row(row, data) for row in messages if row.from_addr == key.address],
            may_sign=may_sign(data.viewer),
            may_name=may_name(data.viewer),
        )
        for key in keys
    ]


def offline_row(row: Message, data: PageData) -> OfflineRow:
    """Lay out one message."""
    until = None if row.exported_at is None or not row.is_exported else row.exported_at + EXPORT_WITHIN
    return OfflineRow(
        message=message_row(row, data.names),
        params=list_text(
            colon_text(fact.k, fact.v)
            for fact in param_facts(row, miners=set(data.names.miners), most=PARAM_CUT)
        )
        if row.params
        else "",
        label=_label(row, until, data.at),
        until=int(until.timestamp()) if until is not None and until > data.at else None,
        left="" if until is None else formatting.time_left((until - data.at).total_seconds()),
        sign=sign_link("offline-sign", row.from_addr, message=row.pk),
    )


def _label(row: Message, until: datetime | None, now: datetime) -> StateLabel:
    """Return in words what a message waits for."""
    if until is not None and until <= now:
        return StateLabel("warn", gettext("overdue"))
    if until is not None:
        return StateLabel("run", gettext("exported"))
    if row.wait in (Wait.OFFLINE, Wait.NEXT_HEAD, Wait.NONE):
        return StateLabel("idle", gettext("not exported"))
    reason = colon_text(Wait(row.wait).label, shown_text(row.error)) if row.error else Wait(row.wait).label
    return StateLabel("warn", str(reason))


def offline_verdict(cards: Sequence[OfflineCard]) -> Verdict:
    """Return in one sentence what waits for people."""
    waiting, exported, expired = (
        sum(getattr(card.key, name) for card in cards) for name in ("waiting", "exported", "expired")
    )
    if not waiting and not exported:
        return Verdict(gettext("No message waits for a key that is kept offline."), "")
    overdue = gettext("{expired} of them overdue.").format(expired=expired) if expired else ""
    return Verdict(
        gettext("Messages that wait for an export: {waiting}, for a signature: {exported}.").format(
            waiting=formatting.whole(waiting), exported=formatting.whole(exported)
        ),
        overdue,
    )


def left_text(rows: Iterable[Message]) -> str:
    """Return which messages were not exported, and why."""
    return list_text(
        colon_text(row.push_id, shown_text(row.error) or str(Wait(row.wait).label)) for row in rows
    )
