"""What surrounds every page: navigation, the chain's status, the bell, the person, the theme."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from django.shortcuts import render
from django.urls import reverse

from apps.dashboard.fragments.bell import bell_of
from apps.dashboard.sessions import person_of

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse

    from apps.dashboard.page_data import PageData

VERSION: Final = "0.1"
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
        NavItem("senders", "Senders", "pipeline"),
        NavItem("gas", "Gas", "money"),
        NavItem("wallets", "Wallets", "wallets"),
        NavItem("hosts", "Hosts", "hosts"),
        NavItem("chain", "Chain", "chain"),
    ),
    (
        NavItem("gateway", "Gateway", "gateway"),
        NavItem("tenants", "Tenants", "tenants"),
        NavItem("people", "People", "people"),
        NavItem("tokens", "Tokens", "access"),
        NavItem("audit", "Audit", "audit"),
    ),
)
"""Only what exists; groups are parted by a line."""
ALERTS: Final = NavItem("alerts", "Alerts", "alerts")
"""Only for the operator."""
FAULT_INJECTION: Final = NavItem("fault-injection", "Fault injection", "devnet")
"""Only where a node says that it is a devnet's."""
TABS: Final = ("today", "sectors", "messages", "miners")
"""The four of them that a phone shows without asking."""


def nav_of(data: PageData) -> list[tuple[NavItem, ...]]:
    """Return the pages that the viewer has, in groups."""
    groups: list[tuple[NavItem, ...]] = [NAV[0], (ALERTS, *NAV[1]) if data.viewer.is_operator else NAV[1]]
    return groups + ([(FAULT_INJECTION,)] if data.has_devnet else [])


def page_render(
    request: HttpRequest,
    template: str,
    *,
    title: str,
    section: str,
    page_key: str,
    data: PageData,
    status: int = 200,
    **context: Any,
) -> HttpResponse:
    """Render a page inside the layout.  `page_key` names it to the live socket; "" follows the bar only."""
    theme = request.COOKIES.get(THEME_COOKIE, "")
    theme = theme if theme in {value for value, _ in THEMES} else ""
    layout = {
        "title": title,
        "section": section,
        "page_key": page_key,
        "nav": nav_of(data),
        "tabs": [item for group in NAV for item in group if item.key in TABS],
        "chain_status": data.chain_status,
        "bell": bell_of(data),
        "person": person_of(request),
        "network": data.network.name if data.network is not None else "",
        "version": VERSION,
        "theme": theme,
        "themes": [{"value": value, "label": label, "on": value == theme} for value, label in THEMES],
        "now_ms": int(data.at.timestamp() * 1000),
    }
    if clash := layout.keys() & context.keys():
        raise ValueError(f"the layout has its own {', '.join(sorted(clash))}")
    response = render(request, template, layout | context, status=status)
    response["Vary"] = "Cookie, HX-Request"
    response["Cache-Control"] = "no-store"
    return response
