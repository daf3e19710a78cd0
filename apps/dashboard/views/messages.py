"""Messages: list, detail, sending FIL, and what can be done about a message that waits."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.http import urlencode
from django.views.decorators.http import require_http_methods, require_safe

from apps.core import formatting
from apps.core.clock import now
from apps.core.errors import BadValue, NotFound
from apps.dashboard.bulk_selection import counted, selection_read
from apps.dashboard.csv_export import CHUNK, CSV_MAX, csv_answer
from apps.dashboard.fragments.message import message_detail
from apps.dashboard.fragments.messages import list_verdict_of
from apps.dashboard.layout import page_render
from apps.dashboard.message_filter import filtered
from apps.dashboard.page_data import PageData
from apps.dashboard.pagination import ROWS, Facet, Pager, cursor_read, page_of
from apps.dashboard.rows.messages import message_row, message_why
from apps.dashboard.sessions import sign_in_required
from apps.messages.errors import MessageIdAmbiguous
from apps.messages.selectors import message_get, messages_visible
from apps.messages.selectors.stuck import stuck_marked

if TYPE_CHECKING:
    from django.db.models import QuerySet

    from apps.dashboard.csv_export import Download
    from apps.messages.models import Message
    from apps.users.principals import Principal

STATES: Final = (
    ("", "All", "", ""),
    ("open", "On the way", "run", "messages"),
    ("stuck", "Stuck", "bad", "bad"),
    ("landed", "Landed", "ok", "ok"),
    ("refused", "Landed, failed", "bad", "bad"),
    ("failed", "Failed", "bad", "bad"),
    ("replaced", "Replaced", "warn", "warn"),
)
"""Filters of the list: key, label, tone, icon."""
BULK_LABELS: Final = (
    ("replace", "Raise fees"),
    ("republish", "Publish again"),
    ("retry-now", "Try now"),
    ("cancel", "Cancel"),
    ("mark-bad", "Give up"),
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
    """What names the last row of a page: its time and id."""
    return f"{row.created_at.isoformat()} {row.pk}"


def after_cursor(rows: QuerySet[Message], cursor: str) -> QuerySet[Message]:
    """The rows below a cursor: an index stops the scan at the time, the exclusion settles equal times."""
    moment, _, pk = cursor.partition(" ")
    at = datetime.fromisoformat(moment)
    return rows.filter(created_at__lte=at).exclude(created_at=at, pk__gte=pk)


@require_safe
@sign_in_required
def messages(request: HttpRequest, viewer: Principal) -> HttpResponse:
    """The list, newest first."""
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
        title="Messages",
        section="messages",
        page_key="messages",
        data=data,
        messages=[message_row(row, data.names) for row in shown],
        pager=pager,
        verdict=list_verdict_of(data),
        facets=[
            Facet(
                key=key,
                label=label,
                href=here
                + (f"?{urlencode({k: v for k, v in (('state', key), ('q', q)) if v})}" if key or q else ""),
                on=key == state,
                tone=tone,
                icon=icon,
            )
            for key, label, tone, icon in STATES
        ],
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
    elif wanted in ("open", "stuck") and not is_whole:
        count, is_more = counted(rows)
    actions = BULK_LABELS if viewer.may("sign") and state in ("", "open", "stuck") else ()
    return BulkBar(
        actions=tuple((f"{label}…", reverse("messages-bulk", args=[action])) for action, label in actions),
        csv=reverse("messages-csv"),
        count=f"more than {formatting.whole(count)}" if is_more else formatting.whole(count),
        until=now().isoformat(),
        state=wanted,
    )


@require_http_methods(["GET", "HEAD", "POST"])
@sign_in_required
def messages_csv(request: HttpRequest, viewer: Principal) -> HttpResponse | Download:
    """The filtered list as CSV, or by POST the messages that were picked."""
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


def message_or_404(viewer: Principal, key: str) -> Message:
    """One message; a stranger's is as absent as one that never was."""
    try:
        return message_get(viewer, key)
    except (NotFound, MessageIdAmbiguous):
        raise Http404 from None


@require_safe
@sign_in_required
def message(request: HttpRequest, viewer: Principal, key: str) -> HttpResponse:
    """One message with its diagnosis and history; the list where several tenants have one of this id."""
    try:
        row = message_get(viewer, key)
    except MessageIdAmbiguous:
        return redirect(f"{reverse('messages')}?{urlencode({'q': key})}")
    except NotFound:
        raise Http404 from None
    return message_page(request, viewer, row)


def message_page(request: HttpRequest, viewer: Principal, row: Message, *, error: str = "") -> HttpResponse:
    """Render a message's page; `error` is what was refused a moment ago."""
    data = PageData(viewer)
    detail = message_detail(row, data)
    return page_render(
        request,
        "messages/detail.html",
        title=detail.method,
        section="messages",
        page_key=f"message:{row.id}",
        data=data,
        status=422 if error else 200,
        message=detail,
        error=error,
    )
