"""The bar of what can be done to many messages at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.urls import reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from apps.core import formatting
from apps.core.clock import now
from apps.dashboard.bulk_bar import BulkBar
from apps.dashboard.pages.messages.selection import MessageFilter, counted

if TYPE_CHECKING:
    from django.db.models import QuerySet

    from apps.dashboard.page_data import PageData
    from apps.dashboard.pagination import Pager
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
