"""Counts that several pages show."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db.models import Count

from apps.messages.selectors import messages_open
from apps.sectors.selectors import sectors_visible
from poolsite.wire.pipeline import FINAL_STATES

if TYPE_CHECKING:
    from apps.users.principals import Principal


def sectors_under_way(viewer: Principal) -> dict[int, int]:
    """Count the sectors that are being sealed, by miner."""
    rows = sectors_visible(viewer).select_related(None).order_by().exclude(state__in=FINAL_STATES)
    return dict(rows.values_list("miner_id").annotate(Count("pk")))


def messages_by_sender(viewer: Principal) -> dict[str, int]:
    """Count open messages by sender."""
    rows = messages_open(viewer).select_related(None).order_by()
    return dict(rows.values_list("from_addr").annotate(Count("pk")))
