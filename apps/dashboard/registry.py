"""All pages: each module of `pages` says its addresses, its place in the navigation and what it follows live.

A module has what it needs of `urlpatterns`, `NAV` (a `NavItem`) and `LIVE` (a `LivePage` by the page's key);
nothing else lists pages.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from itertools import groupby
from types import ModuleType
from typing import TYPE_CHECKING, Final

from django.urls import URLPattern, reverse
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from apps.dashboard import pages
from apps.dashboard.fragments import LivePage
from apps.dashboard.page_data import PageData

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise


GROUPS: Final = {
    1: _("Pool"),
    2: _("Mining"),
    3: pgettext_lazy("pages", "Sealing"),
    4: _("Clients' data"),
    5: _("Messages and funds"),
    6: _("Machines"),
    7: pgettext_lazy("pages", "Access"),
}
"""Heads of the navigation's groups."""


@dataclass(frozen=True, slots=True)
class NavItem:
    """One page in the rail."""

    key: str
    label: StrOrPromise
    icon: str
    place: tuple[int, int]
    """Number of its group in `GROUPS`, and place in it."""
    jump: str = ""
    """The key that opens it after `g`; empty if none does."""
    is_tab: bool = False
    """One of the four that a phone shows without asking."""
    shown: Callable[[PageData], bool] = lambda _data: True

    @property
    def href(self) -> str:
        return _address_of(self.key)


@cache
def _address_of(key: str) -> str:
    return reverse(key)


@cache
def page_modules() -> tuple[ModuleType, ...]:
    """Return the module of each page; what is imported late is no circle."""
    found = pkgutil.walk_packages(pages.__path__, f"{pages.__name__}.")
    return tuple(import_module(one.name) for one in found if not one.ispkg)


def page_addresses() -> list[URLPattern]:
    """Return the addresses of all pages; of two that fit, the one with more words written out first."""

    def order(pattern: URLPattern) -> list[tuple[bool, bool]]:
        return [("<path:" in part, "<" in part) for part in str(pattern.pattern).split("/")]

    return sorted(
        (pattern for module in page_modules() for pattern in getattr(module, "urlpatterns", ())), key=order
    )


@cache
def navigation() -> tuple[tuple[NavItem, ...], ...]:
    """Return the pages of the rail in their groups."""
    items: list[NavItem] = [module.NAV for module in page_modules() if hasattr(module, "NAV")]
    items.sort(key=lambda item: item.place)
    return tuple(tuple(group) for _, group in groupby(items, key=lambda item: item.place[0]))


@cache
def live_pages() -> dict[str, LivePage]:
    """Return what changes without a reload, by the page's key."""
    return {key: page for module in page_modules() for key, page in getattr(module, "LIVE", {}).items()}
