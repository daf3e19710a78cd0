"""A sender as the pages show it: its lane of nonces, what waits, what it holds and how long that lasts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from django.urls import reverse

from apps.dashboard import numbers
from apps.dashboard.lines.messages import html_key
from apps.dashboard.words import Word
from apps.messages.selectors.foreign import is_used_elsewhere
from apps.messages.states import SenderState, Wait

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from apps.dashboard.regions.scene import Scene
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
class SenderLine:
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
    say = [f"the chain wants {numbers.whole(lane.chain_nonce)} next"]
    say += [f"{numbers.whole(lane.in_flight)} in flight", f"{numbers.whole(lane.waiting)} waiting"]
    if lane.gaps:
        say.append(f"{lane.gaps} missing")
    if lane.stuck:
        say.append(f"{lane.stuck} stuck")
    more = f"{numbers.whole(lane.more)} more nonces behind these" if lane.more else ""
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
        nonce=numbers.whole(one.nonce),
        word=word,
        href=reverse("message", args=[one.message]) if one.message else "",
        quiet=one.place == "landed",
    )


def sender_word(sender: Sender, lane: Lane, *, stuck: int, at: datetime) -> Word:
    """Say in words how a sender does; the worst comes first."""
    if sender.state == SenderState.FORBIDDEN:
        return Word("idle", "paused", "pause")
    if sender.wait == Wait.NO_ACTOR:
        return Word("bad", "never funded")
    if sender.gap_nonce is not None:
        return Word("bad", "nonce gap")
    if stuck:
        return Word("warn", f"{stuck} stuck")
    if is_used_elsewhere(sender, now=at):
        return Word("warn", "used elsewhere")
    if lane.in_flight:
        return Word("run", "sending", "messages")
    if lane.waiting:
        held = lane.waiting == lane.held
        return Word("idle", "held up") if held else Word("run", "queued", "messages")
    return Word("ok", "all landed")


def sender_why(sender: Sender, lane: Lane, *, stuck: int, at: datetime) -> str:
    """What holds the sender up, in one sentence; empty if nothing does."""
    if sender.state == SenderState.FORBIDDEN:
        return "nothing is pushed or signed until it is let go on"
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
        return numbers.NOTHING, ""
    days = balance * spent[1] // spent[0]
    if days > RUNWAY_SHOWN_DAYS:
        return "over 10 years", ""
    return f"{numbers.whole(days)} d", "bad" if days < 1 else "warn" if days < RUNWAY_SHORT_DAYS else ""


def sender_line(
    sender: Sender, *, lane: Lane, scene: Scene, spent: tuple[int, int] | None, quota: int, stuck: int
) -> SenderLine:
    """Lay out one sender of `senders_visible`."""
    word = sender_word(sender, lane, stuck=stuck, at=scene.at)
    balance = balance_of(sender, scene)
    lasts, lasts_tone = runway(balance, spent)
    return SenderLine(
        key=html_key(sender.address),
        href=reverse("sender", args=[sender.address]),
        name=scene.names.wallets.get(sender.address) or numbers.shortened(sender.address),
        address=sender.address,
        short=numbers.shortened(sender.address),
        tone=word.tone,
        word=word.word,
        icon=word.sign,
        why=sender_why(sender, lane, stuck=stuck, at=scene.at),
        lane=lane_view(lane),
        stuck=stuck,
        flying=numbers.whole(lane.in_flight),
        quota=numbers.whole(sender.quota or quota),
        waiting=numbers.whole(lane.waiting),
        balance=numbers.fil(balance),
        runway=lasts,
        runway_tone=lasts_tone,
        spent=numbers.fil(spent[0] if spent else 0),
        nonce=numbers.whole(lane.next_nonce),
    )


def balance_of(sender: Sender, scene: Scene) -> int | None:
    """The wallet's balance, which every head refreshes; else what the last selection saw."""
    wallet = next((one for one in scene.wallets if one.address == sender.address), None)
    found = sender.balance if wallet is None or wallet.balance is None else wallet.balance
    return None if found is None else int(found)


TONES: Final = ("bad", "warn", "idle", "run", "ok")


def worst_first(lines: Sequence[SenderLine]) -> list[SenderLine]:
    """Order the list: what needs somebody stands on top."""
    return sorted(lines, key=lambda line: (TONES.index(line.tone), line.name, line.address))
