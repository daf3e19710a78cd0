"""Columns that allocations and claims have in common."""

from __future__ import annotations

from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from apps.chain.selectors.status import EpochClock
from apps.core import formatting
from apps.dashboard.list_page import Column
from apps.dashboard.templatetags.poolsite import at_time


def client_column() -> Column:
    """Return the client whose data they are."""
    return Column(
        head=_("Client"), cell=lambda row: f"f0{row.row.client}", css="keep", key="client", by="client"
    )


def size_column() -> Column:
    """Return the padded size."""
    return Column(
        head=_("Size"),
        cell=lambda row: " ".join(formatting.size(row.row.size)),
        css="num keep",
        key="size",
        by="size",
    )


def miner_column() -> Column:
    """Return the miner that stores them."""
    return Column(
        head=_("Miner"),
        cell=lambda row: row.row.miner.address,
        css="keep",
        key="miner",
        by="miner__actor_id",
    )


def left(clock: EpochClock | None, epoch: int, over: str) -> SafeString:
    """Return the time until an epoch, or what is said once it has passed; the epoch is its title."""
    if clock is None:
        shown, at = formatting.NOTHING, ""
    else:
        left_s, at = clock.left_s(epoch), at_time(clock.starts_at(epoch))
        shown = formatting.time_left(left_s) if left_s > 0 else over
    title = gettext("epoch {epoch}").format(epoch=formatting.whole(epoch))
    return format_html('<span title="{} {}">{}</span>', title, at, shown)
