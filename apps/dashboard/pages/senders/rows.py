"""One sender in the list: how it stands, its lane, how long its balance lasts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from html import escape
from typing import TYPE_CHECKING, Final, NamedTuple

from django.urls import reverse
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from apps.core import formatting
from apps.core.languages import list_text
from apps.core.reasons import shown_text
from apps.dashboard.labels import StateLabel
from apps.dashboard.page_data import PageData
from apps.messages.selectors.balances import balances_of
from apps.messages.selectors.fees import shared_rules_load
from apps.messages.selectors.foreign import is_used_elsewhere
from apps.messages.selectors.nonce_lanes import Lane, LaneNonce, OpenCount, lanes_of, open_by_sender
from apps.messages.selectors.queue_costs import LEARN_DAYS
from apps.messages.selectors.senders import senders_visible
from apps.messages.selectors.spend import PACE_DAYS_LEAST, spend_by_sender
from apps.messages.selectors.stuck import stuck_by_sender
from apps.messages.states import NoncesBy, SenderState, Wait

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

    from apps.messages.models import Sender

PLACES: Final[dict[str, tuple[str, StrOrPromise, str]]] = {
    "landed": ("ok", _("landed"), ""),
    "replaced": ("warn", _("replaced"), ""),
    "flight": ("run", _("in flight"), ""),
    "stuck": ("warn", _("stuck"), "!"),
    "gap": ("bad", _("missing"), "\u00d7"),
    "next": ("none", _("next"), ""),
}
"""Place of a nonce: tone, word, mark."""


class LaneCell(NamedTuple):
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

    def svg(self, say: str, *, tall: bool) -> str:
        """Return its picture; `say` is its title with places for nonce and word, which a tall one shows."""
        title = escape(say.format(nonce=self.nonce, word=self.word))
        css = f"t-{self.tone}{' quiet' if self.quiet else ''}"
        place = f'x="{self.x}%" width="{self.w}%" y="4" height="22" rx="4"'
        drawn = f'<rect class="{css}" {place}><title>{title}</title></rect>'
        middle, css = f'x="{self.cx}%" text-anchor="middle"', "strong" if self.is_light else "mark"
        drawn += f'<text class="{css}" {middle} y="19" aria-hidden="true">{self.mark}{self.nonce}</text>'
        if tall:
            drawn += f'<text y="44" {middle}>{escape(self.word)}</text>'
        drawn = f"<g>{drawn}</g>"
        return f'<a href="{escape(self.href)}" aria-label="{title}">{drawn}</a>' if self.href else drawn

    @property
    def is_light(self) -> bool:
        """Return whether dark text is read on it."""
        return self.tone == "none" or self.quiet


@dataclass(frozen=True, slots=True)
class LaneView:
    """A drawn lane."""

    cells: tuple[LaneCell, ...]
    now: float
    """Where the chain's nonce stands, in percent of the width."""
    label: str
    more: str

    @property
    def drawn(self) -> SafeString:
        """Return its cells; a template takes ten times as long for the hundreds of a list."""
        return self._drawn(tall=False)

    @property
    def drawn_tall(self) -> SafeString:
        """Return its cells with words below."""
        return self._drawn(tall=True)

    def _drawn(self, *, tall: bool) -> SafeString:
        say = gettext("nonce {nonce}, {word}")
        return SafeString("".join(cell.svg(say, tall=tall) for cell in self.cells))


def lane_view(lane: Lane) -> LaneView:
    """Lay the nonces side by side; the line before the chain's nonce is the present."""
    place = 100 / max(len(lane.nonces), 8)
    cells = tuple(_cell(one, at=index * place, place=place) for index, one in enumerate(lane.nonces))
    before = sum(one.nonce < lane.chain_nonce for one in lane.nonces)
    say = [
        gettext("chain expects nonce {chain_nonce} next").format(
            chain_nonce=formatting.whole(lane.chain_nonce)
        )
    ]
    say += [
        gettext("{in_flight} in flight").format(in_flight=formatting.whole(lane.in_flight)),
        gettext("{waiting} waiting").format(waiting=formatting.whole(lane.waiting)),
    ]
    if lane.gaps:
        say.append(gettext("{gaps} missing").format(gaps=lane.gaps))
    if lane.stuck:
        say.append(gettext("{stuck} stuck").format(stuck=lane.stuck))
    more = (
        gettext("{more} more nonces after these").format(more=formatting.whole(lane.more))
        if lane.more
        else ""
    )
    return LaneView(cells=cells, now=round(before * place, 2), label=list_text(say), more=more)


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
        word=str(word),
        href=reverse("message", args=[one.message]) if one.message else "",
        quiet=one.place == "landed",
    )


RUNWAY_SHORT_DAYS: Final = 3
RUNWAY_SHOWN_DAYS: Final = 3650
"""A longer runway is only said to be long."""


@dataclass(frozen=True, slots=True)
class SenderRow:
    """One sender in a list."""

    row: Sender
    label: StateLabel
    name: str
    why: str
    lane: Lane
    view: LaneView
    stuck: int
    quota: int
    balance: int | None
    runway: str
    runway_tone: str
    spent: int


def sender_label(sender: Sender, lane: Lane | OpenCount, *, stuck: int, at: datetime) -> StateLabel:
    """Return in words how a sender does; the worst comes first."""
    if sender.state == SenderState.FORBIDDEN:
        return StateLabel("idle", _("paused"), "pause")
    if sender.wait == Wait.NO_ACTOR:
        return StateLabel("bad", _("never funded"))
    if sender.gap_nonce is not None:
        return StateLabel("bad", _("nonce gap"))
    if stuck:
        return StateLabel("warn", gettext("{stuck} stuck").format(stuck=stuck))
    if sender.nonces_by == NoncesBy.OTHER:
        return StateLabel("idle", _("another program sends"))
    if is_used_elsewhere(sender, now=at):
        return StateLabel("warn", _("used elsewhere"))
    if lane.in_flight:
        return StateLabel("run", _("sending"), "messages")
    if lane.waiting:
        held = lane.waiting == lane.held
        return StateLabel("idle", _("held up")) if held else StateLabel("run", _("queued"), "messages")
    return StateLabel("ok", _("all landed"))


def sender_why(sender: Sender, lane: Lane, *, stuck: int, at: datetime) -> str:
    """Return what holds the sender up, in one sentence; empty if nothing does."""
    if sender.state == SenderState.FORBIDDEN:
        return gettext("paused: nothing is pushed or signed until it is resumed")
    if sender.nonces_by == NoncesBy.OTHER:
        return gettext("another program assigns its nonces: the pool sends only proofs until you let it")
    if sender.wait:
        return shown_text(sender.error) or str(Wait(sender.wait).label)
    if sender.gap_nonce is not None:
        return gettext("an empty message will fill the gap within a few heads")
    if lane.stuck:
        return gettext("a fee cap is below the base fee, or no node accepts the message")
    if stuck:
        return gettext("see each stuck message for the reason")
    if is_used_elsewhere(sender, now=at):
        return gettext("another program also sends from this address")
    if lane.held and lane.held == lane.waiting and not lane.in_flight:
        return gettext("see each waiting message for the reason")
    return ""


def runway(balance: int | None, pace: tuple[int, int] | None) -> tuple[str, str]:
    """Return how long the balance lasts at what the last days cost, and how bad that is."""
    if balance is None or not pace or pace[0] <= 0 or pace[1] < PACE_DAYS_LEAST:
        return formatting.NOTHING, ""
    days = balance * pace[1] // pace[0]
    if days > RUNWAY_SHOWN_DAYS:
        return gettext("over 10 years"), ""
    return gettext("{days} d").format(
        days=formatting.whole(days)
    ), "bad" if days < 1 else "warn" if days < RUNWAY_SHORT_DAYS else ""


def sender_row(
    sender: Sender, *, lane: Lane, data: PageData, balance: int | None, spent: int, quota: int, stuck: int
) -> SenderRow:
    """Lay out one sender of `senders_visible`."""
    lasts, lasts_tone = runway(balance, data.spend_pace.get(sender.address))
    return SenderRow(
        row=sender,
        label=sender_label(sender, lane, stuck=stuck, at=data.at),
        name=name_of(sender, data),
        why=sender_why(sender, lane, stuck=stuck, at=data.at),
        lane=lane,
        view=lane_view(lane),
        stuck=stuck,
        quota=sender.quota or quota,
        balance=balance,
        runway=lasts,
        runway_tone=lasts_tone,
        spent=spent,
    )


def name_of(sender: Sender, data: PageData) -> str:
    """Return what a sender is called."""
    return data.wallet_names.get(sender.address) or formatting.shortened(sender.address)


TONES: Final = ("bad", "warn", "idle", "run", "ok")
"""Order of the list: what needs somebody stands on top."""


@dataclass(frozen=True)
class SenderList:
    """The senders of a viewer: their order needs what each has on its way, their rows a lane as well."""

    data: PageData

    @cached_property
    def all(self) -> list[Sender]:
        """Return those that the viewer may see, worst first."""
        return self.worst_first(senders_visible(self.data.viewer))

    @property
    def count(self) -> int:
        """Return how many there are."""
        return len(self.all) if "all" in vars(self) else senders_visible(self.data.viewer).count()

    def open_of(self, sender: Sender) -> OpenCount:
        """Return what a sender has on its way."""
        return self.open_counts.get(sender.address, OpenCount())

    @cached_property
    def open_counts(self) -> dict[str, OpenCount]:
        """Return what each sender has on its way."""
        return open_by_sender(self.data.viewer)

    @cached_property
    def stuck(self) -> dict[str, int]:
        """Return how many messages of each sender are stuck."""
        return stuck_by_sender(self.data.viewer, head=self.data.head, network=self.data.network)

    def order_of(self, sender: Sender) -> tuple[int, str, str]:
        """Return where a sender stands in the list."""
        counts, stuck = self.open_of(sender), self.stuck.get(sender.address, 0)
        label = sender_label(sender, counts, stuck=stuck, at=self.data.at)
        return TONES.index(label.tone), name_of(sender, self.data), sender.address

    def worst_first(self, senders: Iterable[Sender]) -> list[Sender]:
        """Order senders: what needs somebody stands on top."""
        return sorted(senders, key=self.order_of)

    def rows(self, senders: Sequence[Sender]) -> list[SenderRow]:
        """Lay out senders in the order they come in."""
        data = self.data
        base_fee = 0 if data.head is None else int(data.head.base_fee)
        lanes = lanes_of(senders, viewer=data.viewer, open_counts=self.open_counts, base_fee=base_fee)
        quota = shared_rules_load().quota
        spent = spend_by_sender(data.viewer, days=LEARN_DAYS, now=data.at)
        balances = balances_of(senders)
        return [
            sender_row(
                row,
                lane=lanes[row.address],
                data=data,
                balance=balances[row.address],
                spent=spent.get(row.address, 0),
                quota=quota,
                stuck=self.stuck.get(row.address, 0),
            )
            for row in senders
        ]
