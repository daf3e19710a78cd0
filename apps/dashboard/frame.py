"""What stands around every page: navigation, the chain's pulse, the person, the theme."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from django.shortcuts import render
from django.urls import reverse

from apps.chain.errors import NetworkUnknown
from apps.chain.selectors import epoch_at, network_current
from apps.dashboard.people import person_of

if TYPE_CHECKING:
    from datetime import datetime

    from django.http import HttpRequest, HttpResponse

    from apps.chain.models import Head
    from apps.dashboard.regions.scene import Scene
    from poolsite.filecoin.policy import Network

VERSION: Final = "0.1"
LATE_EPOCHS: Final = 4
"""So many epochs without a head and the pulse asks for a look: as many nulls in a row are rare."""
GONE_EPOCHS: Final = 10
THEMES: Final = (("", "System"), ("light", "Light"), ("dark", "Dark"), ("contrast", "High contrast"))
THEME_COOKIE: Final = "theme"


@dataclass(frozen=True, slots=True)
class NavItem:
    """One page in the rail."""

    key: str
    label: str
    icon: str

    @property
    def href(self) -> str:
        return reverse(self.key)


NAV: Final = (
    (
        NavItem("today", "Today", "today"),
        NavItem("miners", "Miners", "miners"),
        NavItem("sectors", "Sectors", "sectors"),
        NavItem("messages", "Messages", "messages"),
        NavItem("wallets", "Wallets", "wallets"),
        NavItem("hosts", "Hosts", "hosts"),
        NavItem("chain", "Chain", "chain"),
    ),
    (
        NavItem("gateway", "Gateway", "gateway"),
        NavItem("people", "People", "tenants"),
    ),
)
"""Only what exists; groups are parted by a line."""
LAB: Final = NavItem("lab", "Devnet lab", "devnet")
"""Only where a node says that it is a devnet's."""
TABS: Final = ("today", "sectors", "messages", "miners")
"""The four of them that a phone shows without asking."""


@dataclass(frozen=True, slots=True)
class Pulse:
    """The chain in one line."""

    epoch: int
    """Newest head's height."""
    base_fee: int
    """attoFIL."""
    tone: str
    word: str
    age_s: float
    """Seconds since the head came."""


def pulse_of(head: Head | None, *, network: Network | None, at: datetime) -> Pulse | None:
    """Lay out the chain's pulse; None before the first head."""
    if head is None or network is None:
        return None
    age_s = (at - head.arrived_at).total_seconds()
    # The clock stops with the chain, so the age in epochs is taken from the head's arrival.
    late = age_s / network.epoch_s
    tone, word = ("ok", "in sync") if late < LATE_EPOCHS else ("warn", "no new head")
    if late >= GONE_EPOCHS:
        tone, word = "bad", "chain stands still"
    return Pulse(epoch=head.height, base_fee=int(head.base_fee), tone=tone, word=word, age_s=age_s)


@dataclass(frozen=True, slots=True)
class EpochClock:
    """Turns epochs into wall time around the newest head."""

    epoch: int
    """The epoch that runs now."""
    at_s: float
    """Wall time now, in seconds since 1970."""
    delay_s: int
    """Seconds per epoch."""

    def starts_at(self, epoch: int) -> int:
        """When `epoch` begins, in seconds since 1970."""
        return round(self.at_s + (epoch - self.epoch) * self.delay_s)

    def left_s(self, epoch: int) -> int:
        """Seconds until `epoch` begins; negative if it has."""
        return (epoch - self.epoch) * self.delay_s


def network_known() -> Network | None:
    """Give the network's rules, or None until a node has told them."""
    try:
        return network_current()
    except NetworkUnknown:
        return None


def clock_of(head: Head | None, *, network: Network | None, at: datetime) -> EpochClock | None:
    """Set the clock by the newest head; None before the first one."""
    if head is None or network is None:
        return None
    epoch = epoch_at(head, now=at, epoch_s=network.epoch_s)
    return EpochClock(epoch=epoch, at_s=at.timestamp(), delay_s=network.epoch_s)


def page_render(
    request: HttpRequest,
    template: str,
    *,
    title: str,
    section: str,
    page_key: str,
    scene: Scene,
    status: int = 200,
    **context: Any,
) -> HttpResponse:
    """Render a page inside the frame.  `page_key` names it to the live socket; "" gets only the pulse."""
    theme = request.COOKIES.get(THEME_COOKIE, "")
    theme = theme if theme in {value for value, _ in THEMES} else ""
    frame = {
        "title": title,
        "section": section,
        "page_key": page_key,
        "nav": (*NAV, (LAB,)) if scene.has_lab else NAV,
        "tabs": [item for group in NAV for item in group if item.key in TABS],
        "pulse": scene.pulse,
        "person": person_of(request),
        "network": scene.network.name if scene.network is not None else "",
        "version": VERSION,
        "theme": theme,
        "themes": [{"value": value, "label": label, "on": value == theme} for value, label in THEMES],
        "now_ms": int(scene.at.timestamp() * 1000),
    }
    response = render(request, template, frame | context, status=status)
    response["Vary"] = "Cookie, HX-Request"
    response["Cache-Control"] = "no-store"
    return response
