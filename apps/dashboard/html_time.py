"""A moment as an element of a page; all times are UTC."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.utils.html import format_html
from django.utils.timezone import localtime

from apps.core import clock
from apps.core.formatting import NOTHING

if TYPE_CHECKING:
    from datetime import datetime

    from django.utils.safestring import SafeString


def time_html(at: datetime | None) -> SafeString | str:
    """Time of day, on another day with the date; the whole of it in machine form and in the title."""
    if at is None:
        return NOTHING
    here, today = localtime(at), localtime(clock.now())
    form = "%d %b %H:%M" if here.year == today.year else "%d %b %Y"
    return format_html(
        '<time datetime="{}" title="{}">{}</time>',
        here.isoformat(timespec="seconds"),
        here.strftime("%Y-%m-%d %H:%M:%S %Z"),
        here.strftime("%H:%M:%S" if here.date() == today.date() else form),
    )
