"""The bar of what can be done to many messages at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from django.urls import reverse
from django.utils.translation import gettext as say

from apps.core import formatting
from apps.core.clock import now
from apps.dashboard.pages.messages.selection import counted

if TYPE_CHECKING:
    from django.db.models import QuerySet

    from apps.dashboard.page_data import PageData
    from apps.dashboard.pagination import Pager
    from apps.messages.models import Message

OPEN_STATES: Final = ("open", "stuck", "priced-out")
"""Filters that show messages on their way."""
BULK_LABELS: Final = (
    ("replace", "Raise fees"),
    ("republish", "Publish again"),
    ("retry-now", "Retry"),
    ("cancel", "Cancel"),
    ("mark-bad", "Mark as failed"),
)
"""What can be done to a whole queue."""


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
