"""The list of all moves out of a store and into it; the store's page has the newest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.urls import path, reverse
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from apps.core import formatting
from apps.core.clock import now
from apps.dashboard.layout import page_render
from apps.dashboard.page_data import PageData
from apps.dashboard.pages.storage.order_rows import move_row
from apps.dashboard.pagination import ROWS, cursor_read, page_of
from apps.dashboard.scope import href_in_scope, scope_chosen
from apps.dashboard.sessions import sign_in_required
from apps.sectors.selectors.moves import moves_of, moves_open, removals_awaited
from apps.sectors.selectors.stores import store_get
from apps.users.rules.principals import Principal

if TYPE_CHECKING:
    from apps.sectors.models import Store, StoreMove

NEWEST: Final = 20
"""Moves that the store's page lists."""


@dataclass(frozen=True, slots=True)
class MovesCard:
    """Moves out of a store and into it."""

    rows: Sequence[dict[str, Any]]
    left: str
    """Number of moves that have not ended; empty: none."""
    all_href: str
    """Address of the list of all moves; empty: all are in this card."""
    cancel_href: str
    """Address at which queued moves are cancelled; empty if the viewer may not."""


def moves_card(
    store: Store, viewer: Principal, moves: Sequence[StoreMove], *, all_href: str = ""
) -> MovesCard:
    """Lay out some moves of a store."""
    awaited, left = removals_awaited(moves), moves_open(store)
    return MovesCard(
        rows=[move_row(move, awaited.get(move.pk)) for move in moves],
        left=formatting.whole(left) if left else "",
        all_href=all_href,
        cancel_href=reverse("store-moves-cancel", args=[store.uuid]) if viewer.may("sign") else "",
    )


def newest_moves(store: Store, viewer: Principal, *, scope: Mapping[str, str]) -> MovesCard:
    """Lay out the newest moves for the store's page."""
    moves = list(moves_of(store)[: NEWEST + 1])
    here = href_in_scope(reverse("store-moves", args=[store.uuid]), scope)
    all_href = here if len(moves) > NEWEST else ""
    return moves_card(store, viewer, moves[:NEWEST], all_href=all_href)


@require_safe
@sign_in_required
def store_moves(request: HttpRequest, viewer: Principal, key: UUID) -> HttpResponse:
    """Return the list, newest first."""
    store = store_get(viewer, str(key), now=now())
    cursor = cursor_read(request.GET.get("after", ""), of="store-moves")
    rows = moves_of(store)
    shown, pager = page_of(
        list((rows.filter(pk__lt=int(cursor)) if cursor else rows)[: ROWS + 1]),
        of="store-moves",
        cursor_of=lambda move: str(move.pk),
        query=scope_chosen(request),
        is_first=not cursor,
    )
    return page_render(
        request,
        "storage/moves.html",
        title=_("Moves"),
        section="stores",
        data=PageData(viewer),
        store=store,
        moves=moves_card(store, viewer, shown),
        pager=pager,
    )


urlpatterns: Final = [path("storage/<uuid:key>/moves/", store_moves, name="store-moves")]
