"""Messages: the list."""

from __future__ import annotations

from collections.abc import Iterable
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final

from django.db.models import QuerySet
from django.http import QueryDict
from django.urls import reverse
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from apps.checks.findings.results import Topic
from apps.core import formatting
from apps.core.clock import now
from apps.core.formatting import plural
from apps.core.local_time import moment_text
from apps.dashboard import cells
from apps.dashboard.bulk_bar import BulkBar
from apps.dashboard.cards import Verdict
from apps.dashboard.csv_export import rows_in_turn
from apps.dashboard.fragments import FragmentContext
from apps.dashboard.html_time import time_html
from apps.dashboard.list_page import Column, Empty, Link, ListPage
from apps.dashboard.page_data import PageData
from apps.dashboard.pages.messages.rows import MessageRow, message_row, message_why
from apps.dashboard.pages.messages.selection import selection_read
from apps.dashboard.pagination import COUNT_MAX, Pager, page_by_time
from apps.dashboard.registry import NavItem
from apps.dashboard.templatetags.poolsite import html_key, price, used
from apps.dashboard.todo import verdict_by
from apps.messages.selectors.message_filters import MessageFilters
from apps.messages.selectors.messages import UNLISTED, messages_visible
from apps.messages.selectors.stuck import stuck_marked

if TYPE_CHECKING:
    from apps.messages.models import Message

STATES: Final = (
    ("", _("All"), "", ""),
    ("open", _("In progress"), "run", "messages"),
    ("approval", _("Needs approval"), "warn", "lock"),
    ("stuck", _("Stuck"), "bad", "bad"),
    ("priced-out", _("Below base fee"), "bad", "bad"),
    ("landed", _("Landed"), "ok", "ok"),
    ("refused", _("Landed, failed"), "bad", "bad"),
    ("failed", _("Failed"), "bad", "bad"),
    ("replaced", _("Replaced"), "warn", "warn"),
)
OPEN_STATES: Final = ("open", "approval", "stuck", "priced-out")
"""Filters that show messages on their way."""
BULK_LABELS: Final = (
    ("replace", _("Raise fees")),
    ("republish", _("Publish again")),
    ("retry-now", _("Retry")),
    ("cancel", _("Cancel")),
    ("mark-bad", _("Mark as failed")),
)
"""What can be done to a whole queue."""


def bulk_bar(data: PageData, wanted: MessageFilters, rows: Any, pager: Pager) -> BulkBar:
    """Return what can be done to selected rows, and how many the whole filter has.

    Without a filter, everything means what is on its way: what has its end is never changed.
    """
    count, is_more = (pager.shown if pager.total is None else pager.total), False
    states = set(wanted.given.get("state", ()))
    if not wanted or wanted.pairs() == (("state", "open"),):
        count = data.messages_waiting.signed + data.messages_waiting.queued
    elif pager.newer or pager.older:
        count = rows.order_by()[: COUNT_MAX + 1].count() if pager.total is None else pager.total
        count, is_more = min(count, COUNT_MAX), count > COUNT_MAX
    acts = BULK_LABELS if data.viewer.may("sign") and states <= {*OPEN_STATES} else ()
    number = gettext("{count}+").format(count=formatting.whole(count)) if is_more else formatting.whole(count)
    if wanted:
        select_all = gettext("Select all matching ({number})")
        all_selected = gettext("All matching selected ({number})")
    else:
        select_all = gettext("Select all in progress ({number})")
        all_selected = gettext("All in progress selected ({number})")
    return BulkBar(
        label=gettext("Selected messages"),
        one=gettext("message selected"),
        many=gettext("messages selected"),
        select_all=select_all.format(number=number),
        all_selected=all_selected.format(number=number),
        action=reverse("messages-csv"),
        acts=tuple((f"{label}…", reverse("messages-bulk", args=[action])) for action, label in acts),
        filter=(*(wanted.pairs("shown_at") or (("state", "open"),)), ("shown_at", now().isoformat())),
        is_csv=True,
    )


def verdict(data: PageData) -> Verdict:
    """Return in one sentence what is on its way."""
    waiting, report = data.messages_waiting, data.report_of(Topic.MESSAGES)
    if not waiting.signed and not waiting.queued:
        landed = "" if report.found else gettext("All pushed messages have landed or failed.")
        return verdict_by(report, Verdict(_("No messages pending."), landed))
    facts = Verdict(
        gettext("{messages} in progress:").format(
            messages=plural(waiting.signed + waiting.queued, "message")
        ),
        gettext("{signed} signed, {queued} without a nonce yet.").format(
            signed=waiting.signed, queued=waiting.queued
        ),
    )
    return verdict_by(report, facts)


def listed(data: PageData) -> QuerySet[Message]:
    """Return the viewer's messages, with whether each is stuck."""
    return stuck_marked(messages_visible(data.viewer), head=data.head, network=data.network)


def changed(context: FragmentContext, keys: list[str]) -> QuerySet[Message]:
    """Return the messages that changed."""
    return listed(context.data).filter(pk__in=keys)


def picked(data: PageData, sent: QueryDict) -> QuerySet[Message]:
    """Return the messages that somebody picked for the CSV.  Raises BadValue."""
    return selection_read(sent).rows(data.viewer)


def links(data: PageData) -> Iterable[Link]:
    """Return the buttons above the list."""
    yield Link(_("Failures"), reverse("messages-failures"))
    if data.viewer.may("sign"):
        yield Link(_("Approvals"), reverse("approvals"))
        yield Link(_("Senders"), reverse("senders"))
        yield Link(_("Gas"), reverse("gas"))
        yield Link(_("Send…"), reverse("message-compose"), icon="plus", kind="primary")


def empty(_data: PageData) -> Empty:
    """Return what is said before the first message."""
    text = _(
        "Messages appear here from push to receipt. They come from sealing and proving, from programs that "
        "call Message.PushMessage, or from you."
    )
    return Empty(_("No messages yet"), text)


def pick(row: MessageRow) -> SafeString:
    """Return the box of a row."""
    name = gettext("Select {method} {about}, created {made}").format(
        method=row.method, about=row.about, made=moment_text(row.row.created_at)
    )
    return cells.pick(row.row.pk, html_key(row.row.pk), name)


def method(row: MessageRow) -> SafeString:
    """Return what a message does, to whom, and what it brings."""
    link = cells.link(reverse("message", args=[row.row.pk]), row.method, id=f"name-{html_key(row.row.pk)}")
    return cells.joined(link, cells.sub(row.about))


def sender(row: MessageRow) -> SafeString | str:
    """Return who sends it."""
    address = formatting.shortened(row.row.from_addr)
    if not row.sender:
        return address
    return cells.joined(row.sender, cells.sub(address, css="id only-wide", title=row.row.from_addr))


MESSAGES: Final = ListPage(
    name="messages",
    one="message",
    title=_("Messages"),
    table=_("Table of messages"),
    caption=_("Messages, newest first"),
    icon="messages",
    rows=listed,
    page=page_by_time,
    lay_out=lambda rows, data: [message_row(row, data.names) for row in rows],
    id_of=lambda row: html_key(row.row.pk),
    order_of=lambda row: row.row.created_at.timestamp(),
    verdict=verdict,
    verdict_on=("message", "messages", "head"),
    live={"message": changed},
    filters=MessageFilters,
    search=_("Address, CID, id or nonce"),
    search_css="w-l",
    days=True,
    facets=STATES,
    counted=OPEN_STATES,
    links=links,
    empty=empty,
    none=Empty(_("No matching messages"), _("No messages match this state, search and period.")),
    bulk=bulk_bar,
    picks="read",
    columns=(
        Column(
            head="",
            head_html=lambda: cells.pick_all(_("Select all on this page")),
            cell=pick,
            css="tight c-pick",
            is_plain=True,
        ),
        Column(head=_("State"), cell=lambda row: cells.chip(row.label), css="tight c-state", is_plain=True),
        Column(head=_("Method"), cell=method, is_name=True),
        Column(head=_("From"), cell=sender, css="keep", key="from", by="from_addr"),
        Column(
            head=_("Nonce"),
            cell=lambda row: formatting.whole(row.row.nonce),
            css="num",
            key="nonce",
            by="nonce",
        ),
        Column(
            head=_("Fee cap"),
            cell=lambda row: price(row.row.gas_fee_cap),
            css="num keep lo",
            key="fee-cap",
            by="gas_fee_cap",
        ),
        Column(
            head=_("Gas used"),
            cell=lambda row: used(row.row.gas_used),
            css="num lo",
            key="gas-used",
            by="gas_used",
        ),
        Column(
            head=_("Created"),
            cell=lambda row: time_html(row.row.created_at),
            css="num keep",
            key="created",
            by="created_at",
        ),
        Column(
            head=_("Status detail"),
            cell=lambda row: cells.say(row.why_tone, row.why),
            css="c-wide",
            is_plain=True,
            key="why",
        ),
    ),
    csv={
        "id": attrgetter("push_id"),
        "tenant": lambda row: row.tenant.name if row.tenant else "",
        "state": attrgetter("state"),
        "kind": attrgetter("kind"),
        "from": attrgetter("from_addr"),
        "to": attrgetter("to"),
        "method": attrgetter("method"),
        "value_atto": attrgetter("value"),
        "nonce": attrgetter("nonce"),
        "cid": attrgetter("cid"),
        "epoch": attrgetter("height"),
        "exit_code": attrgetter("exit_code"),
        "gas_limit": attrgetter("gas_limit"),
        "gas_fee_cap_atto": attrgetter("gas_fee_cap"),
        "gas_premium_atto": attrgetter("gas_premium"),
        "gas_used": attrgetter("gas_used"),
        "gas_cost_atto": attrgetter("gas_cost"),
        "why": lambda row: message_why(row)[0],
        "made": lambda row: row.created_at.isoformat(),
        "landed": lambda row: row.landed_at.isoformat() if row.landed_at else "",
    },
    csv_rows=lambda rows, _data: rows_in_turn(rows.defer(*UNLISTED)),
    picked=picked,
)
NAV: Final = NavItem("messages", _("Messages"), "messages", place=(5, 1), jump="x", is_tab=True)
urlpatterns: Final = MESSAGES.urls
LIVE: Final = MESSAGES.live_pages
