"""Messages: the list."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import path, reverse
from django.utils.http import urlencode
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from apps.checks.findings.results import Topic
from apps.core import formatting
from apps.core.clock import now
from apps.core.formatting import plural
from apps.dashboard.bulk_bar import BulkBar
from apps.dashboard.cards import Verdict
from apps.dashboard.fragments import FragmentContext, LivePage, fragment
from apps.dashboard.layout import page_render
from apps.dashboard.page_data import PageData
from apps.dashboard.pages.messages.rows import message_row
from apps.dashboard.pages.messages.selection import MessageFilter, counted
from apps.dashboard.pagination import ROWS, Pager, cursor_read, facets_of, page_of
from apps.dashboard.registry import NavItem
from apps.dashboard.sessions import sign_in_required
from apps.dashboard.todo import verdict_by
from apps.messages.selectors.messages import messages_visible
from apps.messages.selectors.stuck import stuck_marked
from apps.users.rules.principals import Principal

if TYPE_CHECKING:
    from apps.messages.models import Message

OPEN_STATES: Final = ("open", "approval", "stuck", "priced-out")
"""Filters that show messages on their way."""
ALL_OPEN: Final = MessageFilter("open")
BULK_LABELS: Final = (
    ("replace", _("Raise fees")),
    ("republish", _("Publish again")),
    ("retry-now", _("Retry")),
    ("cancel", _("Cancel")),
    ("mark-bad", _("Mark as failed")),
)
"""What can be done to a whole queue."""


def bulk_bar(data: PageData, rows: QuerySet[Message], *, wanted: MessageFilter, pager: Pager) -> BulkBar:
    """Return what can be done to selected rows, and how many the whole filter has.

    Without a filter, everything means what is on its way: what has its end is never changed, and is not
    counted beyond its page.
    """
    viewer, meant = data.viewer, wanted if wanted.query else ALL_OPEN
    is_whole = not pager.newer and not pager.older
    count, is_more = pager.shown, not is_whole
    if meant == ALL_OPEN:
        count, is_more = data.messages_waiting.signed + data.messages_waiting.queued, False
    elif meant.state in OPEN_STATES and not is_whole:
        count, is_more = counted(rows)
    actions = BULK_LABELS if viewer.may("sign") and (not wanted.state or wanted.state in OPEN_STATES) else ()
    number = gettext("{count}+").format(count=formatting.whole(count)) if is_more else formatting.whole(count)
    if wanted.query:
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
        acts=tuple((f"{label}…", reverse("messages-bulk", args=[action])) for action, label in actions),
        filter=(*meant.query.items(), ("shown_at", now().isoformat())),
        is_csv=True,
    )


def list_verdict_of(data: PageData) -> Verdict:
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


def list_verdict(context: FragmentContext) -> Iterable[str]:
    yield fragment("dashboard/_verdict.html", verdict=list_verdict_of(context.data))


def rows(context: FragmentContext, keys: list[str]) -> Iterable[str]:
    """Render the changed rows: a page shows those that it has, and counts others that belong on it."""
    data, wanted = context.data, MessageFilter.of(dict(parse_qsl(context.key)))
    changed = messages_visible(context.viewer).filter(pk__in=keys)
    fitting = wanted.rows(changed)
    fits = set(fitting.values_list("pk", flat=True)) if wanted.query else set(keys)
    for message in stuck_marked(changed, head=data.head, network=data.network):
        row = message_row(message, data.names)
        yield fragment("messages/_row.html", message=row, fits=message.pk in fits)


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
"""Filters of the list: key, label, tone, icon."""


def cursor_of(row: Message) -> str:
    """Return what names the last row of a page: its time and id."""
    return f"{row.created_at.isoformat()} {row.pk}"


def after_cursor(rows: QuerySet[Message], cursor: str) -> QuerySet[Message]:
    """Return the rows below a cursor: an index stops at the time, the exclusion settles equal times."""
    moment, _, pk = cursor.partition(" ")
    at = datetime.fromisoformat(moment)
    return rows.filter(created_at__lte=at).exclude(created_at=at, pk__gte=pk)


@require_safe
@sign_in_required
def messages(request: HttpRequest, viewer: Principal) -> HttpResponse:
    """Return the list, newest first."""
    wanted = MessageFilter.of(request.GET)
    cursor = cursor_read(request.GET.get("after", ""), of="messages")
    fitting = wanted.rows(messages_visible(viewer))
    data = PageData(viewer)
    marked = stuck_marked(fitting, head=data.head, network=data.network)
    rows = after_cursor(marked, cursor) if cursor else marked
    shown, pager = page_of(
        list(rows[: ROWS + 1]),
        of="messages",
        cursor_of=cursor_of,
        query=wanted.query,
        is_first=not cursor,
    )
    here, query = reverse("messages"), urlencode(wanted.query)
    return page_render(
        request,
        "messages/list.html",
        title=_("Messages"),
        section="messages",
        page_key=f"messages:{query}",
        data=data,
        messages=[message_row(row, data.names) for row in shown],
        pager=pager,
        oldest=pager.oldest([row.created_at.timestamp() for row in shown]),
        verdict=list_verdict_of(data),
        facets=facets_of(here, STATES, **asdict(wanted)),
        wanted=wanted,
        here=here,
        csv=f"{reverse('messages-csv')}?{query}",
        can_send=viewer.may("sign"),
        bulk=bulk_bar(data, fitting, wanted=wanted, pager=pager),
    )


NAV: Final = NavItem("messages", _("Messages"), "messages", place=(1, 9), is_tab=True)
urlpatterns: Final = [
    path("messages/", messages, name="messages"),
]
LIVE: Final = {
    "messages": LivePage(
        dict.fromkeys(("message", "messages", "head"), (list_verdict,)),
        rows={"message": rows},
        findings=list_verdict,
    )
}
