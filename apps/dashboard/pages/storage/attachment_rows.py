"""Where hosts have a store attached, as rows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from apps.core import formatting
from apps.core.reasons import shown_text
from apps.dashboard.labels import StateLabel
from apps.dashboard.pages.storage.rows import free_text, store_label, total_of
from apps.sectors.selectors.stores import attachments_of
from poolsite.wire.stores import READABLE

if TYPE_CHECKING:
    from apps.sectors.models import Store, StoreAttachment

HOST_OFFLINE: Final = StateLabel("bad", _("host offline"))
"""Of a store on the page of a host that is silent."""


@dataclass(frozen=True, slots=True)
class AttachmentRow:
    """A host that has a store."""

    host: str
    href: str
    path: str
    label: StateLabel
    reason: str
    since: datetime
    detach: str
    """Address of the page that detaches it."""


def attachment_rows(store: Store) -> tuple[AttachmentRow, ...]:
    """Lay out the hosts that have a store of `stores_visible`."""
    return tuple(
        AttachmentRow(
            host=row.worker.name,
            href=reverse("host", args=[row.worker.uuid]),
            path=row.path,
            label=store_label(store, row.condition),
            reason=shown_text(row.reason),
            since=row.since,
            detach=reverse("store-detach", args=[store.uuid, row.worker.uuid]),
        )
        for row in attachments_of(store)
    )


def host_store_rows(rows: Iterable[StoreAttachment], *, is_away: bool) -> tuple[dict[str, object], ...]:
    """Lay out the stores of one host; what one that is away told of them last is not so any more."""
    return tuple(
        {
            "name": row.store.name,
            "href": reverse("store", args=[row.store.uuid]),
            "path": row.path,
            "label": HOST_OFFLINE if is_away else store_label(row.store, row.condition),
            "reason": shown_text(row.reason),
            "free": free_text(row.store) if row.condition in READABLE else formatting.NOTHING,
            "total": total_of(row.store),
        }
        for row in rows
    )
