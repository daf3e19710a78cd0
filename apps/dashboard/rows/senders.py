"""A sender as the pages show it: its lane of nonces, what waits, what it holds and how long that lasts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from django.urls import reverse

from apps.core import formatting
from apps.dashboard.labels import StateLabel
from apps.dashboard.rows.messages import html_key
from apps.messages.selectors.foreign import is_used_elsewhere
from apps.messages.states import SenderState, Wait

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from apps.dashboard.page_data import PageData
    from apps.messages.models import Sender
    from apps.messages.selectors.nonce_lanes import Lane, LaneNonce

RUNWAY_SHORT_DAYS: Final = 3
RUNWAY_SHOWN_DAYS: Final = 3650
"""A longer runway is only said to be long."""

PLACES: Final[dict[str, tuple[str, str, str]]] = {
    "landed": ("ok", "landed", ""),
    "replaced": ("warn", "replaced", ""),
    "flight": ("run", "in flight", ""),
    "stuck": ("warn", "stuck", "!"),
    "gap": ("bad", "missing", "\u00d7"),
    "next": ("none", "next", ""),
}
"""Place of a nonce: tone, word, mark."""


@dataclass(frozen=True, slots=True)
class LaneCell:
    """One drawn nonce: x, w, cx in percent of the width."""

    x: float
    w: float
    cx: float
    tone: str
    mark: str
    nonce: str
    word: str
    href: str
    quiet: bool


@dataclass(frozen=True, slots=True)
class LaneView:
    """A drawn lane."""

    cells: tuple[LaneCell, ...]
    now: float
    """Where the chain's nonce stands, in percent of the width."""
    label: str
    more: str


@dataclass(frozen=True, slots=True)
class SenderRow:
    """One sender in a list."""

    key: str
    href: str
    name: str
    address: str
    short: str
    tone: str
    word: str
    icon: str
    why: str
    lane: LaneView
    stuck: int
    flying: str
    quota: str
    waiting: str
    balance: str
    runway: str
    runway_tone: str
    spent: str
    nonce: str


def lane_view(lane: Lane) -> LaneView:
    """Lay the nonces side by side; the line before the chain's nonce is the present."""
    place = 100 / max(len(lane.nonces), 8)
    cells = tuple(_cell(one, at=index * place, place=place) for index, one in enumerate(lane.nonces))
    before = sum(one.nonce < lane.chain_nonce for one in lane.nonces)
    say = [f"the chain wants {formatting.whole(lane.chain_nonce)} next"]
    say += [f"{formatting.whole(lane.in_flight)} in flight", f"{formatting.whole(lane.waiting)} waiting"]
    if lane.gaps:
        say.append(f"{lane.gaps} missing")
    if lane.stuck:
        say.append(f"{lane.stuck} stuck")
    more = f"{formatting.whole(lane.more)} more nonces behind these" if lane.more else ""
    return LaneView(cells=cells, now=round(before * place, 2), label=", ".join(say), more=more)


def _cell(one: LaneNonce, *, at: float, place: float) -> LaneCell:
    tone, word, mark = PLACES[one.place]
    width = place * 0.92
    return LaneCell(
        x=round(at, 2),
        w=round(width, 2),
        cx=round(at + width / 2, 2),
        tone=tone,
        mark=mark,
        nonce=formatting.whole(one.nonce),
        word=word,
        href=reverse("message", args=[one.message]) if one.message else "",
        quiet=one.place == "landed",
    )


def sender_label(sender: Sender, lane: Lane, *, stuck: int, at: datetime) -> StateLabel:
    """Return in words how a sender does; the worst comes first."""
    if sender.state == SenderState.FORBIDDEN:
        return StateLabel("idle", "paused", "pause")
    if sender.wait == Wait.NO_ACTOR:
        return StateLabel("bad", "never funded")
    if sender.gap_nonce is not None:
        return StateLabel("bad", "nonce gap")
    if stuck:
        return StateLabel("warn", f"{stuck} stuck")
    if is_used_elsewhere(sender, now=at):
        return StateLabel("warn", "used elsewhere")
    if lane.in_flight:
        return StateLabel("run", "sending", "messages")
    if lane.waiting:
        held = lane.waiting == lane.held
        return StateLabel("idle", "held up") if held else StateLabel("run", "queued", "messages")
    return StateLabel("ok", "all landed")


def sender_why(sender: Sender, lane: Lane, *, stuck: int, at: datetime) -> str:
    """What holds the sender up, in one sentence; empty if nothing does."""
    if sender.state == SenderState.FORBIDDEN:
        return "paused: nothing is pushed or signed until it is resumed"
    if sender.wait:
        return sender.error or str(Wait(sender.wait).label)
    if sender.gap_nonce is not None:
        return "an empty message closes the gap at the next heads"
    if lane.stuck:
        return "a fee cap is below the base fee, or no node takes the message"
    if stuck:
        return "the messages' lines say what holds them up"
    if is_used_elsewhere(sender, now=at):
        return "somebody else sends from this address too"
    if lane.held and lane.held == lane.waiting and not lane.in_flight:
        return "each message that waits says what holds it up"
    return ""


def runway(balance: int | None, spent: tuple[int, int] | None) -> tuple[str, str]:
    """How long the balance lasts at what the last days cost, and how bad that is."""
    if balance is None or not spent or spent[0] <= 0:
        return formatting.NOTHING, ""
    days = balance * spent[1] // spent[0]
    if days > RUNWAY_SHOWN_DAYS:
        return "over 10 years", ""
    return f"{formatting.whole(days)} d", "bad" if days < 1 else "warn" if days < RUNWAY_SHORT_DAYS else ""


def sender_row(
    sender: Sender, *, lane: Lane, data: PageData, spent: tuple[int, int] | None, quota: int, stuck: int
) -> SenderRow:
    """Lay out one sender of `senders_visible`."""
    word = sender_label(sender, lane, stuck=stuck, at=data.at)
    balance = balance_of(sender, data)
    lasts, lasts_tone = runway(balance, spent)
    return SenderRow(
        key=html_key(sender.address),
        href=reverse("sender", args=[sender.address]),
        name=data.names.wallets.get(sender.address) or formatting.shortened(sender.address),
        address=sender.address,
        short=formatting.shortened(sender.address),
        tone=word.tone,
        word=word.word,
        icon=word.sign,
        why=sender_why(sender, lane, stuck=stuck, at=data.at),
        lane=lane_view(lane),
        stuck=stuck,
        flying=formatting.whole(lane.in_flight),
        quota=formatting.whole(sender.quota or quota),
        waiting=formatting.whole(lane.waiting),
        balance=formatting.fil(balance),
        runway=lasts,
        runway_tone=lasts_tone,
        spent=formatting.fil(spent[0] if spent else 0),
        nonce=formatting.whole(lane.next_nonce),
    )


def balance_of(sender: Sender, data: PageData) -> int | None:
    """The wallet's balance, which every head refreshes; else what the last selection saw."""
    wallet = next((one for one in data.wallets if one.address == sender.address), None)
    found = sender.balance if wallet is None or wallet.balance is None else wallet.balance
    return None if found is None else int(found)


TONES: Final = ("bad", "warn", "idle", "run", "ok")


def worst_first(rows: Sequence[SenderRow]) -> list[SenderRow]:
    """Order the list: what needs somebody stands on top."""
    return sorted(rows, key=lambda row: (TONES.index(row.tone), row.name, row.address))
