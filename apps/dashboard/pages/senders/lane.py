"""A sender's lane: its nonces side by side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from django.urls import reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from apps.core import formatting
from apps.core.languages import list_text

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

    from apps.messages.selectors.nonce_lanes import Lane, LaneNonce


PLACES: Final[dict[str, tuple[str, StrOrPromise, str]]] = {
    "landed": ("ok", _("landed"), ""),
    "replaced": ("warn", _("replaced"), ""),
    "flight": ("run", _("in flight"), ""),
    "stuck": ("warn", _("stuck"), "!"),
    "gap": ("bad", _("missing"), "\u00d7"),
    "next": ("none", _("next"), ""),
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
