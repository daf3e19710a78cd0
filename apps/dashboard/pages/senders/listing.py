"""Senders: the list with their lanes."""

from __future__ import annotations

from collections.abc import Iterable
from operator import attrgetter
from typing import TYPE_CHECKING, Final

from django.urls import reverse
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from apps.checks.findings.results import Topic
from apps.core import formatting
from apps.core.formatting import plural
from apps.dashboard import cells
from apps.dashboard.cards import Verdict
from apps.dashboard.fragments import FragmentContext
from apps.dashboard.list_page import Column, Empty, Link, ListPage
from apps.dashboard.page_data import PageData
from apps.dashboard.pages.senders.rows import SenderList, SenderRow
from apps.dashboard.pagination import page_counted
from apps.dashboard.registry import NavItem
from apps.dashboard.templatetags.poolsite import html_key
from apps.dashboard.todo import verdict_by
from apps.messages.selectors.messages import senders_of
from apps.messages.selectors.senders import senders_visible

if TYPE_CHECKING:
    from apps.messages.models import Sender

LIVE_MAX: Final = 200
"""Senders whose rows a head renders anew, the first of the list; those further down wait for a reload."""


def verdict(data: PageData) -> Verdict:
    """Return in one sentence whether every address sends."""
    report, count = data.report_of(Topic.SENDERS), data.of(SenderList).count
    if not count:
        return verdict_by(report, Verdict("", _("No messages pushed yet.")))
    rest = "" if report.found else gettext("no nonce gaps, nothing stuck.")
    return verdict_by(report, Verdict(f"{plural(count, 'sender')}{',' if rest else '.'}", rest))


def changed(context: FragmentContext, keys: list[str]) -> list[Sender]:
    """Return the senders that changed."""
    known = [key for key in keys if key.isdigit()]
    return context.data.of(SenderList).worst_first(senders_visible(context.viewer).filter(pk__in=known))


def changed_by_messages(context: FragmentContext, keys: list[str]) -> list[Sender]:
    """Return the senders of the messages that changed."""
    rows = senders_visible(context.viewer).filter(address__in=senders_of(keys))
    return context.data.of(SenderList).worst_first(rows)[:LIVE_MAX]


def changed_by_head(context: FragmentContext, _keys: list[str]) -> list[Sender]:
    """Return every sender: a head moved the chain's nonces and balances."""
    return context.data.of(SenderList).all[:LIVE_MAX]


def links(_data: PageData) -> Iterable[Link]:
    """Return the buttons above the list."""
    yield Link(_("Gas and budgets"), reverse("gas"))
    yield Link(_("Offline signing"), reverse("offline"))


def name(row: SenderRow) -> SafeString:
    """Return what a sender is called, and its address."""
    address = row.row.address
    return cells.joined(
        cells.link(reverse("sender", args=[address]), row.name),
        cells.sub(formatting.shortened(address), "id", title=address),
    )


def lane(row: SenderRow) -> SafeString:
    """Return its nonces as a picture, and what holds it up."""
    picture = cells.partial("senders/_lane.html", lane=row.view, name=row.name, tall=False)
    return cells.joined(picture, cells.sub(row.why, "wrap"))


def in_flight(row: SenderRow) -> SafeString:
    """Return how many of its quota are on their way."""
    quota = gettext("of {quota}").format(quota=formatting.whole(row.quota))
    return cells.unit(formatting.whole(row.lane.in_flight), quota)


SENDERS: Final = ListPage(
    name="senders",
    one="sender",
    title=_("Senders"),
    table=_("Table of senders"),
    caption=_("Senders, those that need attention first"),
    icon="messages",
    rows=lambda data: data.of(SenderList).all,
    page=page_counted,
    lay_out=lambda rows, data: data.of(SenderList).rows(rows),
    id_of=lambda row: html_key(row.row.address),
    verdict=verdict,
    verdict_on=("message", "messages", "sender", "head"),
    live={
        "sender": changed,
        "message": changed_by_messages,
        "messages": changed_by_head,
        "head": changed_by_head,
    },
    links=links,
    empty=lambda _data: Empty(_("No senders yet"), _("An address appears here with its first message.")),
    columns=(
        Column(
            head=_("State"),
            cell=lambda row: cells.chip(row.label),
            css="tight c-state",
            is_plain=True,
            key="state",
        ),
        Column(
            head=_("Sender"),
            cell=name,
            css="keep",
            is_name=True,
            key="name",
            sort=lambda row, data: data.of(SenderList).order_of(row)[1:],
        ),
        Column(head=_("Nonces"), cell=lane, css="c-wide lane-cell", key="nonces"),
        Column(
            head=_("In flight"),
            cell=in_flight,
            css="num",
            key="in-flight",
            sort=lambda row, data: data.of(SenderList).open_of(row).in_flight,
        ),
        Column(
            head=_("Waiting"),
            cell=lambda row: formatting.whole(row.lane.waiting),
            css="num",
            key="waiting",
            sort=lambda row, data: data.of(SenderList).open_of(row).waiting,
        ),
        Column(
            head=_("Balance"),
            cell=lambda row: cells.fil(row.balance, is_strong=True),
            css="num",
            key="balance",
        ),
        Column(
            head=_("Runway"),
            cell=lambda row: cells.say(row.runway_tone, row.runway, mutes=False),
            css="num",
            key="runway",
        ),
        Column(head=_("Gas, 7 days"), cell=lambda row: cells.fil(row.spent), css="num lo", key="gas"),
    ),
    csv={
        "address": attrgetter("row.address"),
        "state": attrgetter("row.state"),
        "chain_nonce": attrgetter("row.chain_nonce"),
        "next_nonce": attrgetter("row.next_nonce"),
        "in_flight": attrgetter("lane.in_flight"),
        "waiting": attrgetter("lane.waiting"),
        "missing_nonces": attrgetter("lane.gaps"),
        "balance_atto": attrgetter("balance"),
        "gas_7_days_atto": attrgetter("spent"),
        "quota": attrgetter("row.quota"),
        "max_fee_atto": attrgetter("row.max_fee"),
        "gas_fee_cap_atto": attrgetter("row.gas_fee_cap"),
        "base_fee_gate_atto": attrgetter("row.base_fee"),
    },
    csv_rows=lambda rows, data: data.of(SenderList).rows(rows),
)
NAV: Final = NavItem("senders", _("Senders"), "pipeline", place=(5, 2), jump="n")
urlpatterns: Final = SENDERS.urls
LIVE: Final = SENDERS.live_pages
