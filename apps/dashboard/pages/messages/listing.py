"""Messages: the list and its CSV."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

from django.http import HttpRequest, HttpResponse
from django.urls import path, reverse
from django.utils.http import urlencode
from django.utils.translation import gettext as say
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods, require_safe

from apps.checks.results import Topic
from apps.core import formatting
from apps.core.clock import now
from apps.core.errors import BadValue
from apps.core.formatting import plural
from apps.dashboard.cards import Verdict
from apps.dashboard.csv_export import CHUNK, CSV_MAX, csv_answer
from apps.dashboard.fragments import FragmentContext, LivePage, fragment
from apps.dashboard.labels import LANDED_BAD, MESSAGES, STUCK, StateLabel
from apps.dashboard.layout import page_render
from apps.dashboard.page_data import Names, PageData
from apps.dashboard.pages.messages.selection import counted, filtered, selection_read
from apps.dashboard.pagination import ROWS, Pager, cursor_read, facets_of, page_of
from apps.dashboard.registry import NavItem
from apps.dashboard.sessions import sign_in_required
from apps.dashboard.todo import verdict_by
from apps.messages.methods import method_text
from apps.messages.selectors import messages_visible
from apps.messages.selectors.stuck import stuck_marked
from apps.messages.states import MessageState, Wait
from poolsite.filecoin.actors.exitcodes import exit_code_text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from django.db.models import QuerySet

    from apps.dashboard.csv_export import Download
    from apps.messages.models import Message
    from apps.users.principals import Principal


URGENT_WAITS = frozenset({Wait.NODE_REFUSES, Wait.POLICY, Wait.ESTIMATE, Wait.NO_ACTOR, Wait.EXPIRED})
"""Nothing here ends by itself."""
USUAL_WAITS = frozenset({Wait.NONE, Wait.NEXT_HEAD, Wait.IN_POOL, Wait.EARLIER_NONCE})


@dataclass(frozen=True, slots=True)
class MessageRow:
    """One message in a list."""

    row: Message
    label: StateLabel
    method: str
    to: str
    """The receiver's name, or its short address."""
    sender: str
    """The sender's name; empty for one without."""
    why: str
    """What it waits for, or what came of it."""
    why_tone: str

    @property
    def about(self) -> str:
        """To whom, and what it brings."""
        value = f", {formatting.fil(self.row.value)} FIL" if self.row.value else ""
        return say("to {to}{value}").format(to=self.to, value=value)


def message_label(message: Message) -> StateLabel:
    """Return in words where a message is."""
    if message.state == MessageState.LANDED and message.exit_code != 0:
        return LANDED_BAD
    if getattr(message, "is_stuck", False):  # noted by `counts.stuck_marked`
        return STUCK
    return MESSAGES[message.state]


def message_why(message: Message) -> tuple[str, str]:
    """Return what a message waits for and how bad that is; for one that landed, what came of it."""
    if message.state == MessageState.LANDED:
        if message.exit_code:
            return say("exit {exit_code}: {meaning}").format(
                exit_code=message.exit_code, meaning=exit_code_text(message.exit_code)
            ), "bad"
        return say("in epoch {height}").format(height=formatting.whole(message.height)), ""
    if message.state in (MessageState.FAILED, MessageState.REPLACED):
        if message.state == MessageState.FAILED:
            return message.error or str(message.get_state_display()), "bad"
        return message.error or "another message landed with its nonce", "warn"
    wait = Wait(message.wait)
    text = f"{wait.label}: {message.error}" if message.error else str(wait.label)
    if wait in USUAL_WAITS:
        return text, ""
    return text, "bad" if wait in URGENT_WAITS else "warn"


def message_row(message: Message, names: Names) -> MessageRow:
    """Lay out one message of `messages_visible`."""
    why, why_tone = message_why(message)
    return MessageRow(
        row=message,
        label=message_label(message),
        method=method_text(message.to, message.method, kind=message.kind, miners=names.miners),
        to=names.miners.get(message.to) or names.wallets.get(message.to) or formatting.shortened(message.to),
        sender=names.wallets.get(message.from_addr, ""),
        why=why,
        why_tone=why_tone,
    )


def list_verdict_of(data: PageData) -> Verdict:
    """Return in one sentence what is on its way."""
    waiting, report = data.messages_waiting, data.report_of(Topic.MESSAGES)
    if not waiting.signed and not waiting.queued:
        landed = "" if report.found else "All pushed messages have landed or failed."
        return verdict_by(report, Verdict(_("No messages pending."), landed))
    facts = Verdict(
        say("{messages} in progress:").format(messages=plural(waiting.signed + waiting.queued, "message")),
        say("{signed} signed, {queued} without a nonce yet.").format(
            signed=waiting.signed, queued=waiting.queued
        ),
    )
    return verdict_by(report, facts)


def list_verdict(context: FragmentContext) -> Iterable[str]:
    yield fragment("dashboard/_verdict.html", verdict=list_verdict_of(context.data))


def rows(context: FragmentContext, keys: list[str]) -> Iterable[str]:
    """Render the changed rows; a page shows those that it has."""
    data = context.data
    changed = messages_visible(context.viewer).filter(pk__in=keys)
    for message in stuck_marked(changed, head=data.head, network=data.network):
        yield fragment("messages/_row.html", message=message_row(message, context.data.names))


STATES: Final = (
    ("", "All", "", ""),
    ("open", "In progress", "run", "messages"),
    ("stuck", "Stuck", "bad", "bad"),
    ("priced-out", "Below base fee", "bad", "bad"),
    ("landed", "Landed", "ok", "ok"),
    ("refused", "Landed, failed", "bad", "bad"),
    ("failed", "Failed", "bad", "bad"),
    ("replaced", "Replaced", "warn", "warn"),
)
"""Filters of the list: key, label, tone, icon."""
OPEN_STATES: Final = ("open", "stuck", "priced-out")
"""Those of messages on their way."""
BULK_LABELS: Final = (
    ("replace", "Raise fees"),
    ("republish", "Publish again"),
    ("retry-now", "Retry"),
    ("cancel", "Cancel"),
    ("mark-bad", "Mark as failed"),
)
"""What can be done to a whole queue."""
COLUMNS: Final = (
    "id",
    "tenant",
    "state",
    "kind",
    "from",
    "to",
    "method",
    "value_atto",
    "nonce",
    "cid",
    "epoch",
    "exit_code",
    "gas_limit",
    "gas_fee_cap_atto",
    "gas_premium_atto",
    "gas_used",
    "gas_cost_atto",
    "why",
    "made",
    "landed",
)
"""Of the list as CSV."""
UNSHOWN: Final = ("params", "signed", "return_data")
"""What the CSV does not show of a message, up to 64 KiB each."""


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
    state, q = request.GET.get("state", ""), request.GET.get("q", "").strip()
    cursor = cursor_read(request.GET.get("after", ""))
    fitting = filtered(messages_visible(viewer), state=state, q=q)
    data = PageData(viewer)
    marked = stuck_marked(fitting, head=data.head, network=data.network)
    rows = after_cursor(marked, cursor) if cursor else marked
    shown, pager = page_of(
        list(rows[: ROWS + 1]), cursor_of=cursor_of, query=request.GET.dict(), is_first=not cursor
    )
    here = reverse("messages")
    return page_render(
        request,
        "messages/list.html",
        title=_("Messages"),
        section="messages",
        page_key="messages",
        data=data,
        messages=[message_row(row, data.names) for row in shown],
        pager=pager,
        verdict=list_verdict_of(data),
        facets=facets_of(here, STATES, state=state, q=q),
        filtered=bool(state or q),
        state=state,
        q=q,
        here=here,
        csv=reverse("messages-csv") + "?" + urlencode({"state": state, "q": q}),
        can_send=viewer.may("sign"),
        selection=bulk_bar(data, fitting, state=state, q=q, pager=pager),
    )


@dataclass(frozen=True, slots=True)
class BulkBar:
    """What stands below a list for the rows that were picked."""

    actions: tuple[tuple[str, str], ...]
    """Label and address of what can be done; empty for who may only read, or where nothing waits."""
    csv: str
    count: str
    """How many messages fit the filter."""
    until: str
    """When they were counted."""
    state: str
    """The filter that all of them fit."""


def bulk_bar(data: PageData, rows: QuerySet[Message], *, state: str, q: str, pager: Pager) -> BulkBar:
    """Return what can be done to selected rows, and how many the whole filter has.

    Without a filter, everything means what is on its way: what has its end is never changed, and is not
    counted beyond its page.
    """
    viewer, wanted = data.viewer, state if state or q else "open"
    is_whole = not pager.newer and not pager.older
    count, is_more = pager.shown, not is_whole
    if wanted == "open" and not q:
        count, is_more = data.messages_waiting.signed + data.messages_waiting.queued, False
    elif wanted in OPEN_STATES and not is_whole:
        count, is_more = counted(rows)
    actions = BULK_LABELS if viewer.may("sign") and (not state or state in OPEN_STATES) else ()
    return BulkBar(
        actions=tuple((f"{label}…", reverse("messages-bulk", args=[action])) for action, label in actions),
        csv=reverse("messages-csv"),
        count=say("{count}+").format(count=formatting.whole(count)) if is_more else formatting.whole(count),
        until=now().isoformat(),
        state=wanted,
    )


@require_http_methods(["GET", "HEAD", "POST"])
@sign_in_required
def messages_csv(request: HttpRequest, viewer: Principal) -> HttpResponse | Download:
    """Return the filtered list as CSV, or by POST the messages that were picked."""
    try:
        rows = selection_read(request.POST if request.method == "POST" else request.GET).rows(viewer)
    except BadValue as refusal:
        return HttpResponse(refusal.reason, status=422, content_type="text/plain")
    cells = (
        (
            row.push_id,
            row.tenant.name if row.tenant else "",
            row.state,
            row.kind,
            row.from_addr,
            row.to,
            row.method,
            row.value,
            row.nonce,
            row.cid,
            row.height,
            row.exit_code,
            row.gas_limit,
            row.gas_fee_cap,
            row.gas_premium,
            row.gas_used,
            row.gas_cost,
            message_why(row)[0],
            row.created_at.isoformat(),
            row.landed_at.isoformat() if row.landed_at else "",
        )
        for row in rows.defer(*UNSHOWN)[:CSV_MAX].iterator(chunk_size=CHUNK)
    )
    return csv_answer("messages.csv", COLUMNS, cells)


NAV: Final = NavItem("messages", _("Messages"), "messages", place=(1, 9), is_tab=True)
urlpatterns: Final = [
    path("messages/", messages, name="messages"),
    path("messages.csv", messages_csv, name="messages-csv"),
]
LIVE: Final = {
    "messages": LivePage(
        dict.fromkeys(("message", "messages", "head"), (list_verdict,)),
        rows={"message": rows},
        findings=list_verdict,
    )
}
