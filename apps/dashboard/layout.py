"""What surrounds every page: navigation, the chain's status, the bell, the person, the theme."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _

from apps.core.local_time import page_zone
from apps.dashboard.bell import Badge, bell_of
from apps.dashboard.notices import Notice, banner_notes, made_up_notes, notice_pop
from apps.dashboard.page_data import PageData, data_of
from apps.dashboard.registry import GROUPS, NavItem, navigation
from apps.dashboard.scope import Scope, scope_chosen, scope_of
from apps.dashboard.sessions import person_of
from apps.miners.selectors.scope import viewer_in_or_whole
from poolsite.wire.hosts import VERSION

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

THEMES: Final = (
    ("", _("System")),
    ("light", _("Light")),
    ("dark", _("Dark")),
    ("contrast", _("High contrast")),
)
THEME_COOKIE: Final = "theme"
FRAME: Final = ("f-head", "f-bell", "f-bell-list")
"""Fragments of the frame that each page refreshes, beside the badges of the navigation."""


@dataclass(frozen=True, slots=True)
class NavLink:
    """A page of the navigation with its badge."""

    item: NavItem
    badge: Badge | None
    href: str


@dataclass(frozen=True, slots=True)
class NavGroup:
    """Pages under one head."""

    key: int
    label: StrOrPromise
    links: tuple[NavLink, ...]


def nav_of(
    data: PageData, badges: Mapping[str, Badge] = MappingProxyType({}), *, scope: Scope | None = None
) -> list[NavGroup]:
    """Return the pages that the viewer has, in groups, each in the scope."""
    found: list[NavGroup] = []
    for group in navigation():
        links = tuple(
            NavLink(item, badges.get(item.key), item.href if scope is None else scope.href(item.href))
            for item in group
            if item.shown(data)
        )
        if links:
            key = links[0].item.place[0]
            found.append(NavGroup(key, GROUPS[key], links))
    return found


def _notice_left(request: HttpRequest) -> Notice | None:
    return None if getattr(request, "htmx", False) else notice_pop(request)


def frame_data(request: HttpRequest, data: PageData) -> PageData:
    """Return what the bell of a page counts that is not narrowed itself: what is in the scope."""
    seen = viewer_in_or_whole(data.viewer, scope_chosen(request))
    return data if seen == data.viewer else data_of(data.viewer, seen)


def _live_query(page_key: str, scope: str) -> str:
    """Return by what the live socket knows a page, its language, time zone and scope."""
    given = {"page": page_key, "language": get_language() or settings.LANGUAGE_CODE, "zone": page_zone().name}
    return urlencode(given | ({"scope": scope} if scope else {}), safe="/")


def page_render(
    request: HttpRequest,
    template: str,
    *,
    title: StrOrPromise,
    section: str,
    data: PageData,
    page_key: str = "",
    status: int = 200,
    act_error: str = "",
    **context: Any,
) -> HttpResponse:
    """Render a page inside the layout.  `page_key` names it to the live socket; "" follows the bar only.

    `act_error` is what was refused of an act on a page that follows changes: it stands above what is fetched
    anew.  In `context`, `page_href` is the page's own address where an act at another one answers with it,
    and `scoped` which of `SCOPE` the page is narrowed by.  One whose `data` are in the scope says so.
    """
    is_found, is_narrowed = status != HTTPStatus.NOT_FOUND, data.asker is not None
    scope = scope_of(request, context.pop("scoped", ()), is_found=is_found, is_narrowed=is_narrowed)
    bell = bell_of(data if is_narrowed or not is_found else frame_data(request, data))
    theme = request.COOKIES.get(THEME_COOKIE, "")
    theme = theme if theme in {value for value, _ in THEMES} else ""
    layout = {
        "title": title,
        "section": section,
        "live_query": _live_query(page_key, scope.query),
        "nav": nav_of(data.whole, bell.badges, scope=scope),
        "tabs": [(item, scope.href(item.href)) for group in navigation() for item in group if item.is_tab],
        "page_scope": scope,
        "chain_status": data.chain_status,
        "bell": bell,
        "frame_parts": ",".join(
            ["#f-head", "#f-bell", "#f-bell-list", *(f"#f-badge-{k}" for k in bell.badges)]
        ),
        "person": person_of(request),
        "network": data.network.name if data.network is not None else "",
        "version": VERSION.partition("/")[2],
        "theme": theme,
        "themes": [{"value": value, "label": label, "on": value == theme} for value, label in THEMES],
        "notice": Notice("bad", act_error) if act_error else _notice_left(request),
        "banners": [*made_up_notes(data.network), *banner_notes(data.at)],
        "now_ms": int(data.at.timestamp() * 1000),
        "zone": page_zone(),
    }
    if clash := layout.keys() & context.keys():
        raise ValueError(f"the layout has its own {', '.join(sorted(clash))}")
    shown = {"page_href": request.get_full_path()} | layout | context
    response = render(request, template, shown, status=422 if act_error else status)
    response["Vary"] = "Cookie, HX-Request"
    response["Cache-Control"] = "no-store"
    return response
