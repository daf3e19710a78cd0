"""The tenant and the miner to which pages are narrowed, said in their addresses, which can be shared."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

from django.http import HttpRequest, QueryDict
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.translation import gettext

from apps.core.languages import list_text
from apps.miners.selectors.scope import SCOPE

NAME_MAX: Final = 100
PLACES: Final = ("cursor", "after")
"""Places in a list, which are none of another list."""


@dataclass(frozen=True, slots=True)
class ScopePart:
    """A tenant or a miner that was chosen."""

    text: str
    is_used: bool
    """Whether this page has the filter."""
    off_href: str
    """The page without it."""


@dataclass(frozen=True, slots=True)
class Scope:
    """The parts that were chosen."""

    parts: tuple[ScopePart, ...]
    query: str
    """As addresses of other pages have it; empty if nothing was chosen."""
    choose_href: str
    pairs: tuple[tuple[str, str], ...]
    """Name and value of what was chosen."""
    fields: tuple[tuple[str, str], ...]
    """Name and value of what no filter of the page has: its forms send it along."""
    say: str
    """The chosen tenant and miner, such as `tenant bob, miner f02002`; empty if none is chosen."""
    whole_href: str
    """The page without any of it."""
    is_narrowed: bool
    """Whether all of the page is, not only rows by a filter of its own."""

    def href(self, href: str) -> str:
        """Return the address of a page in this scope."""
        return f"{href}?{self.query}" if self.query else href


def scope_chosen(request: HttpRequest) -> dict[str, str]:
    """Return what the address says."""
    return scope_read(request.GET.urlencode())


def scope_read(query: str) -> dict[str, str]:
    """Return what the query of an address says."""
    params = QueryDict(query)
    given = {name: params.get(name, "").strip()[:NAME_MAX] for name in SCOPE}
    return {name: text for name, text in given.items() if text}


def scope_text(chosen: Mapping[str, str]) -> str:
    """`tenant bob, miner f02002`."""
    parts = {
        "tenant": gettext("tenant {tenant}").format(tenant=chosen.get("tenant", "")),
        "miner": gettext("miner {miner}").format(miner=chosen.get("miner", "")),
    }
    return list_text(parts[name] for name in SCOPE if chosen.get(name))


def href_in_scope(href: str, given: Mapping[str, str]) -> str:
    """Return an address with what parameters say of the scope."""
    query = urlencode({name: given[name] for name in SCOPE if given.get(name)})
    return f"{href}{'&' if '?' in href else '?'}{query}" if query else href


def scope_of(
    request: HttpRequest, filters: Collection[str], *, is_found: bool = True, is_narrowed: bool = False
) -> Scope:
    """Return the scope of a page that has the filters `filters`; from one that is none it leads to Today.

    `is_narrowed`: all of the page is in the scope, and says so.
    """
    chosen = scope_chosen(request)
    labels = {
        "tenant": gettext("Tenant {tenant}").format(tenant=chosen.get("tenant", "")),
        "miner": gettext("Miner {miner}").format(miner=chosen.get("miner", "")),
    }
    here = request.get_full_path() if request.method == "GET" else request.path
    parts = tuple(
        ScopePart(labels[name], name in filters, address_with(request, {**chosen, name: ""}))
        for name in chosen
    )
    choose = reverse("scope")
    if request.path != choose:
        params = {"next": here, **chosen} if is_found else chosen
        choose = f"{choose}?{urlencode(params)}" if params else choose
    fields = tuple((name, text) for name, text in chosen.items() if name not in filters)
    return Scope(
        parts,
        query=urlencode(chosen),
        choose_href=choose,
        pairs=tuple(chosen.items()),
        fields=fields,
        say=scope_text(chosen),
        whole_href=address_with(request, {}),
        is_narrowed=is_narrowed,
    )


def address_with(request: HttpRequest, chosen: Mapping[str, str]) -> str:
    """Return this page's address in another scope, at its first row."""
    return in_scope(request.path, request.GET.urlencode(), chosen)


def in_scope(path: str, query: str, chosen: Mapping[str, str]) -> str:
    """Return an address in another scope, at its first row."""
    params = QueryDict(query, mutable=True)
    for name in (*SCOPE, *PLACES):
        params.pop(name, None)
    params.update({name: text for name, text in chosen.items() if text})
    return f"{path}?{params.urlencode()}" if params else path
