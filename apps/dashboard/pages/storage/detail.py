"""One store: its room, the hosts that have it, its rules, its sectors, what happened to it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from uuid import UUID

from django.http import HttpRequest, HttpResponse, QueryDict
from django.urls import path, reverse
from django.utils.http import urlencode
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from apps.core import formatting
from apps.core.clock import now
from apps.core.languages import list_text
from apps.core.reasons import shown_text
from apps.dashboard.cards import Event, Fact
from apps.dashboard.fragments import FragmentContext, LivePage, fragment
from apps.dashboard.html_time import time_html
from apps.dashboard.layout import page_render
from apps.dashboard.page_data import PageData
from apps.dashboard.pages.storage.attachment_rows import AttachmentRow, attachment_rows
from apps.dashboard.pages.storage.check_rows import bad_rows, check_rows
from apps.dashboard.pages.storage.move_list import MovesCard, newest_moves
from apps.dashboard.pages.storage.rows import StoreRow, bytes_text, event_text, store_row
from apps.dashboard.pages.storage.scans import scan_card
from apps.dashboard.scope import href_in_scope, scope_chosen
from apps.dashboard.sessions import sign_in_required
from apps.sectors.errors.stores import StoreUnknown
from apps.sectors.selectors.stores import COUNTED_MAX, store_get, store_sector_counts
from apps.users.rules.principals import Principal

if TYPE_CHECKING:
    from apps.sectors.models import Store

EVENTS_SHOWN: Final = 30
CARDS: Final = (
    "storage/_head.html",
    "storage/_attachments.html",
    "storage/_sectors.html",
    "storage/_checks.html",
    "storage/_found.html",
    "storage/_events.html",
)
"""What a change of a store renders anew."""


@dataclass(frozen=True, slots=True)
class StoreDetail:
    """The whole of one store."""

    row: StoreRow
    facts: tuple[Fact, ...]
    attachments: tuple[AttachmentRow, ...]
    sectors: tuple[tuple[str, str, str], ...]
    """State in words, count, address of the list."""
    events: tuple[Event, ...]
    moves: MovesCard
    checks: tuple[dict[str, object], ...]
    bad: tuple[dict[str, object], ...]
    """The first of the sectors whose files are damaged."""
    bad_count: str
    scan: dict[str, object]
    may_change: bool


def store_detail(store: Store, data: PageData, *, scope: Mapping[str, str]) -> StoreDetail:
    """Lay out the whole of one store, with links in a scope."""
    counts = store_sector_counts(store)
    bad, bad_count = bad_rows(store)
    here = f"{reverse('sectors')}?{urlencode({'q': store.name})}"
    return StoreDetail(
        row=store_row(store, now=data.at),
        facts=tuple(store_facts(store)),
        attachments=attachment_rows(store),
        sectors=tuple(
            (shown_text(state.replace("_", " ").lower()), count_text(count), here)
            for state, count in sorted(counts.items(), key=lambda one: -one[1])
        ),
        events=tuple(event_rows(store)),
        moves=newest_moves(store, data.viewer, scope=scope),
        checks=check_rows(store, at=data.at),
        bad=bad,
        bad_count=bad_count,
        scan=scan_card(store),
        may_change=data.viewer.may("sign"),
    )


def count_text(count: int) -> str:
    """Return a count of `store_sector_counts` in words."""
    return (
        gettext("over {counted_max}").format(counted_max=formatting.whole(COUNTED_MAX))
        if count > COUNTED_MAX
        else formatting.whole(count)
    )


def store_facts(store: Store) -> Iterable[Fact]:
    """Return what its mark says, and what hosts measured."""
    rules = store.rules
    yield Fact(_("Weight"), str(rules.get("weight", 1)))
    yield Fact(_("For finished sectors"), gettext("yes") if rules.get("can_store", True) else gettext("no"))
    yield Fact(_("For sealing"), gettext("yes") if rules.get("can_seal") else gettext("no"))
    yield Fact(
        _("Read-only"), gettext("yes, set in the store") if rules.get("is_read_only") else gettext("no")
    )
    yield Fact(_("Kept free"), bytes_text(rules.get("reserve_bytes", 0)))
    most = rules.get("max_bytes", 0)
    yield Fact(
        _("Max size"),
        bytes_text(most) if most else gettext("the whole disk") if store.is_bounded else gettext("no limit"),
    )
    yield Fact(_("Incoming"), bytes_text(store.reserved_bytes))
    for name, label in (("allow_miners", _("Allowed miners")), ("deny_miners", _("Denied miners"))):
        if rules.get(name):
            yield Fact(label, list_text(f"f0{one}" for one in rules[name]))
    for name, label in (("allow_types", _("Allowed file types")), ("deny_types", _("Denied file types"))):
        if rules.get(name):
            yield Fact(label, list_text(rules[name]))
    if rules.get("groups"):
        yield Fact(_("Groups"), list_text(rules["groups"]))
    yield Fact(_("Tenant"), store.tenant.name)
    yield Fact(_("Sizes as of"), str(time_html(store.told_at)) if store.told_at else formatting.NOTHING)
    yield Fact(_("Store ID"), store.uid, mono=True)


def event_rows(store: Store) -> Iterable[Event]:
    """Return its events, newest first."""
    for event in store.events.all()[:EVENTS_SHOWN]:
        tone, text = event_text(event)
        icon = {"idle": "info"}.get(tone, tone)
        yield Event(str(time_html(event.at)), tone, icon, text, shown_text(event.note))


def detail_fragments(context: FragmentContext) -> Iterable[str]:
    """All that changes on a store's page."""
    key, _mark, query = context.key.partition("?")
    if not context.has_changed("store", key):
        return
    try:
        row = store_get(context.viewer, key, now=context.data.at)
    except StoreUnknown:
        return
    store = store_detail(row, context.data, scope=QueryDict(query))
    for template in CARDS:
        yield fragment(template, store=store)
    yield fragment("storage/_moves.html", moves=store.moves)
    yield fragment("messages/_facts.html", facts=store.facts, title=_("Settings"), key="store-facts")


@require_safe
@sign_in_required
def store(request: HttpRequest, viewer: Principal, key: UUID) -> HttpResponse:
    """One store."""
    row, data, scope = store_get(viewer, str(key), now=now()), PageData(viewer), scope_chosen(request)
    return page_render(
        request,
        "storage/detail.html",
        title=row.name,
        section="stores",
        page_key=f"store:{href_in_scope(str(key), scope)}",
        data=data,
        store=store_detail(row, data, scope=scope),
    )


urlpatterns: Final = [
    path("storage/<uuid:key>/", store, name="store"),
]
LIVE: Final = {"store": LivePage({"store": (detail_fragments,)})}
